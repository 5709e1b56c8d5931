//! DNS as `dig` sees it: the same eyes for the primary and for the hosted zone, and none of them ours.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{StackError, process, programs};

/// RRsets by owner (in lower case, without the dot at the end) and type.
pub type Printed = BTreeMap<(String, String), PrintedRrset>;

/// An RRset as dig prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrintedRrset {
    /// Seconds.
    pub ttl: u32,
    /// Sorted.
    pub values: Vec<String>,
}

/// The program.
#[derive(Clone, Debug)]
pub struct Dig(PathBuf);

/// Questions in one run, each of two arguments.
const MAX_QUESTIONS: usize = 1_000;

impl Dig {
    /// Looks for it.
    ///
    /// # Errors
    /// [`StackError::Missing`].
    pub fn find() -> Result<Self, StackError> {
        programs::installed("dig").map(Self)
    }

    /// The serial of a zone.
    ///
    /// # Errors
    /// The server gives no SOA.
    pub async fn serial(&self, server: SocketAddr, zone: &str) -> Result<u32, StackError> {
        let answer = self.run(server, &["+short", "+norecurse", zone, "SOA"]).await?;
        let serial = answer.split_whitespace().nth(2).and_then(|serial| serial.parse().ok());
        serial.ok_or_else(|| StackError::step(format!("read the serial of {zone} at {server}"), &answer))
    }

    /// A whole zone by AXFR.
    ///
    /// # Errors
    /// The transfer is refused, or what dig prints is not a record.
    pub async fn transfer(&self, server: SocketAddr, zone: &str) -> Result<Printed, StackError> {
        parse(&self.run(server, &["+noall", "+answer", "+onesoa", zone, "AXFR"]).await?)
    }

    /// These RRsets, as far as the server gives them in answer or referral.
    ///
    /// # Errors
    /// The server does not answer, or what dig prints is not a record.
    pub async fn rrsets(
        &self,
        server: SocketAddr,
        wanted: impl Iterator<Item = &(String, String)>,
    ) -> Result<Printed, StackError> {
        let wanted: Vec<_> = wanted.collect();
        let mut seen = Printed::new();
        for part in wanted.chunks(MAX_QUESTIONS) {
            let mut arguments = vec!["+noall", "+answer", "+authority", "+norecurse", "+tcp", "+keepopen"];
            arguments.extend(part.iter().flat_map(|(owner, rtype)| [owner.as_str(), rtype.as_str()]));
            seen.extend(parse(&self.run(server, &arguments).await?)?);
        }
        seen.retain(|key, _| wanted.contains(&key));
        Ok(seen)
    }

    async fn run(&self, server: SocketAddr, question: &[&str]) -> Result<String, StackError> {
        let (host, port) = (format!("@{}", server.ip()), server.port().to_string());
        // -r: nobody's ~/.digrc.
        let mut arguments = vec!["-r", &host, "-p", &port];
        arguments.extend(question);
        process::run(&self.0, &arguments, "").await
    }
}

fn parse(text: &str) -> Result<Printed, StackError> {
    let mut printed = Printed::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(';')) {
        let odd = || StackError::step("read a record that dig printed", &line);
        let mut rest = line;
        let mut field = || {
            let (first, after) = rest.trim_start().split_once(char::is_whitespace)?;
            rest = after;
            Some(first)
        };
        let (Some(owner), Some(ttl), Some(_class), Some(rtype)) = (field(), field(), field(), field()) else {
            return Err(odd());
        };
        let owner = owner.strip_suffix('.').unwrap_or(owner).to_ascii_lowercase();
        let rrset = printed.entry((owner, rtype.to_owned())).or_default();
        rrset.ttl = ttl.parse().map_err(|_| odd())?;
        let value = match rtype {
            // Names in RDATA are compared without regard to case (RFC 4034 §6.2), and BIND keeps what it was given.
            "CNAME" | "MX" | "NS" | "PTR" | "SRV" => rest.trim_start().to_ascii_lowercase(),
            _ => rest.trim_start().to_owned(),
        };
        // Of several questions, more than one answer may carry the same record.
        if let Err(place) = rrset.values.binary_search(&value) {
            rrset.values.insert(place, value);
        }
    }
    Ok(printed)
}
