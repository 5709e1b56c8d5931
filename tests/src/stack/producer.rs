//! Catalog zones (RFC 9432) as real name servers produce them, with members that come and go while they run.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::name_server::{NameServer, ZoneFile};
use super::{StackError, bind, knot, pdns};

/// The name of the catalog.
pub const CATALOG: &str = "catalog.example";

/// A primary with some zones and a catalog.
#[derive(Debug)]
pub struct Producer {
    server: NameServer,
    dir: PathBuf,
    zones: Vec<String>,
    members: Vec<String>,
    made_by: MadeBy,
}

/// How the catalog is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MadeBy {
    /// A person, and dynamic updates: BIND consumes catalogs and generates none.
    Hand,
    /// Knot, from `catalog-role` of each zone; it tells this address of changes.
    Knot(SocketAddr),
    /// PowerDNS, from what pdnsutil says of each zone.
    PowerDns,
}

/// BIND with these zones, none of them a member, and a catalog that is written as any zone is. `notify` is told of changes.
///
/// # Errors
/// As [`bind::start`].
pub async fn bind(dir: &Path, zones: &[&str], notify: SocketAddr) -> Result<Producer, StackError> {
    write_zones(dir, zones)?;
    let mut others = String::new();
    for zone in zones {
        // Writing to a String cannot fail.
        let _ = write!(
            others,
            "}};\nzone \"{zone}\" {{ type primary; file \"{zone}.db\"; also-notify {{ {} port {}; }};",
            notify.ip(),
            notify.port()
        );
    }
    let server = bind::start_set(dir, &empty_catalog(), notify, &others).await?;
    Ok(Producer::new(server, dir, zones, MadeBy::Hand))
}

/// The same with Knot, which generates the catalog, and serves those of the zones that are members.
///
/// # Errors
/// As [`knot::start`].
pub async fn knot(dir: &Path, zones: &[&str], notify: SocketAddr) -> Result<Producer, StackError> {
    write_zones(dir, zones)?;
    let more = knot_zones(dir, &[]);
    let server = knot::start_beside(dir, &zone("home.example"), notify, &more).await?;
    Ok(Producer::new(server, dir, zones, MadeBy::Knot(notify)))
}

/// The same with PowerDNS.
///
/// # Errors
/// As [`pdns::start`].
pub async fn pdns(dir: &Path, zones: &[&str], notify: SocketAddr) -> Result<Producer, StackError> {
    write_zones(dir, zones)?;
    let files: Vec<_> = zones.iter().map(|zone| dir.join(format!("{zone}.db")).display().to_string()).collect();
    let mut settings = vec![vec!["set-kind", CATALOG, "producer"]];
    for (zone, file) in zones.iter().zip(&files) {
        settings.extend([vec!["load-zone", zone, file], vec!["set-kind", zone, "primary"]]);
    }
    let settings: Vec<_> = settings.iter().map(Vec::as_slice).collect();
    let server = pdns::start_set(dir, &empty_catalog(), notify, &settings).await?;
    Ok(Producer::new(server, dir, zones, MadeBy::PowerDns))
}

impl Producer {
    fn new(server: NameServer, dir: &Path, zones: &[&str], made_by: MadeBy) -> Self {
        let zones = zones.iter().map(|&zone| zone.to_owned()).collect();
        Self { server, dir: dir.to_owned(), zones, members: Vec::new(), made_by }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// These of its zones are members from now on, and no others.
    ///
    /// # Errors
    /// The server does not take it.
    pub async fn set_members(&mut self, members: &[&str]) -> Result<(), StackError> {
        match self.made_by {
            MadeBy::Hand => {
                let label = |zone: &str| format!("{}.zones.{CATALOG}.", zone.replace('.', "-"));
                let gone = self.members.iter().filter(|zone| !members.contains(&zone.as_str()));
                let mut changes: Vec<_> = gone.map(|zone| format!("delete {} PTR", label(zone))).collect();
                changes.extend(members.iter().map(|zone| format!("add {} 0 PTR {zone}.", label(zone))));
                self.server.update(&changes.iter().map(String::as_str).collect::<Vec<_>>()).await?;
            }
            MadeBy::Knot(notify) => {
                let more = knot_zones(&self.dir, members);
                knot::reconfigure(&self.dir, &self.server, &zone("home.example"), notify, &more).await?;
            }
            MadeBy::PowerDns => {
                for zone in &self.zones {
                    let catalog = if members.contains(&zone.as_str()) { CATALOG } else { "" };
                    pdns::util(&self.dir, &["set-catalog", zone, catalog]).await?;
                }
            }
        }
        self.members = members.iter().map(|&zone| zone.to_owned()).collect();
        Ok(())
    }
}

fn zone(name: &str) -> ZoneFile {
    let text = format!("$ORIGIN {name}.\n$TTL 300\n@ SOA ns host 1 3600 60 86400 60\n@ NS ns\nns A 192.0.2.1\n");
    ZoneFile { zone: name.to_owned(), text }
}

/// RFC 9432 §4, §4.2.1: an NS that nobody asks, and the version.
fn empty_catalog() -> ZoneFile {
    let head = "@ 0 SOA invalid. invalid. 1 3600 60 86400 0\n@ 0 NS invalid.\nversion 0 TXT \"2\"\n";
    ZoneFile { zone: CATALOG.to_owned(), text: format!("$ORIGIN {CATALOG}.\n{head}") }
}

fn write_zones(dir: &Path, zones: &[&str]) -> Result<(), StackError> {
    zones.iter().try_for_each(|name| {
        let file = dir.join(format!("{name}.db"));
        std::fs::write(&file, zone(name).text).map_err(StackError::io(format!("write {}", file.display())))
    })
}

/// A zone that is not a member is none of Knot's: in 3.2 it becomes one by coming into the configuration, not by a change there.
fn knot_zones(dir: &Path, members: &[&str]) -> String {
    let mut text =
        format!("  - domain: {CATALOG}\n    catalog-role: generate\n    notify: relay\n    acl: [relay, loopback]\n");
    for zone in members {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "  - domain: {zone}\n    storage: \"{}\"\n    file: {zone}.db\n    notify: relay\n    acl: [relay, loopback]\n    \
             catalog-role: member\n    catalog-zone: {CATALOG}\n",
            dir.display()
        );
    }
    text
}
