//! PowerDNS as the primary, with its zones in SQLite. It has no history: who asks for what has changed gets the whole zone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::name_server::{Clients, NameServer, Security, TsigKey, ZoneFile};
use super::process::{self, Process};
use super::{StackError, programs};

/// Where Debian has the tables of the database.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// The programs that a server is made with.
struct Tools {
    pdnsutil: PathBuf,
    sqlite3: PathBuf,
    schema: String,
}

impl Tools {
    fn find() -> Result<Self, StackError> {
        let schema = std::fs::read_to_string(SCHEMA).map_err(|_| StackError::Missing {
            program: SCHEMA.to_owned(),
            remedy: "run tests/setup --debian: it is in Debian's pdns-backend-sqlite3",
        })?;
        Ok(Self { pdnsutil: programs::installed("pdnsutil")?, sqlite3: programs::installed("sqlite3")?, schema })
    }

    async fn util(&self, dir: &Path, arguments: &[&str]) -> Result<(), StackError> {
        let config = format!("--config-dir={}", dir.display());
        process::run(&self.pdnsutil, &[&[config.as_str()], arguments].concat(), "").await.map(drop)
    }
}

/// Starts `pdns_server` with one zone that may be updated and transferred from loopback, and tells `notify` of changes.
/// Everything that it writes is under `dir`.
///
/// # Errors
/// [`StackError::Missing`] where it is not installed; it does not come up.
pub async fn start(dir: &Path, zone: &ZoneFile, notify: SocketAddr) -> Result<NameServer, StackError> {
    start_with(dir, zone, notify, &Security::default()).await
}

/// The same, with keys; PowerDNS 4.7 serves no TLS.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    security: &Security,
) -> Result<NameServer, StackError> {
    launch(dir, zone, notify, security, &[]).await
}

/// The same, with more done to it before, in the words of pdnsutil: `["secure-zone", "example.com"]`.
///
/// # Errors
/// As [`start`].
pub async fn start_set(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    settings: &[&[&str]],
) -> Result<NameServer, StackError> {
    launch(dir, zone, notify, &Security::default(), settings).await
}

/// Runs pdnsutil on the server of `dir`, which may be running.
///
/// # Errors
/// It refuses.
pub async fn util(dir: &Path, arguments: &[&str]) -> Result<(), StackError> {
    Tools::find()?.util(dir, arguments).await
}

async fn launch(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    security: &Security,
    settings: &[&[&str]],
) -> Result<NameServer, StackError> {
    let (server, tools, clients) = (programs::installed("pdns_server")?, Tools::find()?, Clients::find()?);
    let address = programs::free_address()?;

    let config = dir.join("pdns.conf");
    std::fs::write(&config, config_text(dir, address, security))
        .map_err(StackError::io(format!("write {}", config.display())))?;
    let database = dir.join("pdns.sqlite3");
    process::run(&tools.sqlite3, &[&database.to_string_lossy()], &tools.schema).await?;
    load(&tools, dir, zone, notify).await?;
    if let Some(TsigKey { name, algorithm, secret }) = &security.key {
        tools.util(dir, &["import-tsig-key", name, algorithm, secret]).await?;
        tools.util(dir, &["activate-tsig-key", &zone.zone, name, "primary"]).await?;
    }
    for setting in settings {
        tools.util(dir, setting).await?;
    }

    let mut command = Command::new(server);
    command.arg(format!("--config-dir={}", dir.display()));
    let process = Process::start("pdns", &command, dir)?;
    process.logged("Primary/secondary communicator launching").await?;
    process.listens(address).await?;
    Ok(NameServer::new(process, address, zone.zone.clone(), clients))
}

async fn load(tools: &Tools, dir: &Path, zone: &ZoneFile, notify: SocketAddr) -> Result<(), StackError> {
    let (name, file) = (zone.zone.as_str(), dir.join("zone.db"));
    std::fs::write(&file, &zone.text).map_err(StackError::io(format!("write {}", file.display())))?;
    tools.util(dir, &["load-zone", name, &file.to_string_lossy()]).await?;
    tools.util(dir, &["set-kind", name, "primary"]).await?;
    for (key, value) in [
        ("ALSO-NOTIFY", notify.to_string().as_str()),
        // An update makes the serial one greater, as elsewhere, and is told of at once.
        ("SOA-EDIT-DNSUPDATE", "INCREASE"),
        ("NOTIFY-DNSUPDATE", "1"),
    ] {
        tools.util(dir, &["set-meta", name, key, value]).await?;
    }
    Ok(())
}

/// It asks nobody whether it has holes (security-poll-suffix), and notifies nobody by the zone's NS (only-notify).
fn config_text(dir: &Path, address: SocketAddr, security: &Security) -> String {
    let (dir, ip, port) = (dir.display(), address.ip(), address.port());
    // Where an address may transfer, no key is asked for.
    let transfers = if security.key.is_some() { String::new() } else { ip.to_string() };
    format!(
        "launch=gsqlite3
gsqlite3-database={dir}/pdns.sqlite3
gsqlite3-dnssec=yes
gsqlite3-pragma-synchronous=0
local-address={ip}
local-port={port}
socket-dir={dir}
daemon=no
guardian=no
write-pid=no
disable-syslog=yes
loglevel=6
security-poll-suffix=
primary=yes
xfr-cycle-interval=1
only-notify=
allow-axfr-ips={transfers}
dnsupdate=yes
allow-dnsupdate-from={ip}
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
receiver-threads=1
distributor-threads=1
retrieval-threads=1
signing-threads=1
"
    )
}
