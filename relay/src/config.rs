//! What an operator says: a TOML file, parsed and checked whole before anything runs.
//!
//! The file is closed: a key that is not known is an error, for a key that is silently ignored is a promise silently broken.
//! Every problem is told at once, each with file, line and key. [`file`](self::file) is the file as it is written;
//! [`Config`] is what it means, and holds nothing that could turn out to be wrong later.

mod check;
mod file;
mod keys;
mod tls;
mod zones;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secondary53_zone::Name;

pub use self::check::region_of_url;
use crate::discover::Filter;
use crate::notify::Source;
use crate::primary;
use crate::refresh::Bounds;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where NOTIFY is heard, over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Where the status page is served; `None` for nowhere.
    pub http: Option<SocketAddr>,
    /// Who is asked for name servers; none for the system's own.
    pub resolvers: Vec<SocketAddr>,
    /// Where the last accepted snapshots are kept.
    pub state_dir: PathBuf,
    /// How this relay calls itself in messages; `None` for the host's name.
    pub relay_id: Option<String>,
    /// The queues; at least one.
    pub queues: Vec<Arc<Queue>>,
    /// Bounds on transfers.
    pub limits: Limits,
    /// Bounds on what a SOA says.
    pub timers: Bounds,
    /// The primaries; at least one.
    pub primaries: Vec<Arc<Primary>>,
    /// The zones that are named one by one, no two of the same name.
    pub zones: Vec<Arc<Zone>>,
    /// The catalogs, no two of the same name, and none that is a zone too.
    pub catalogs: Vec<Catalog>,
    /// Whether the account's hosted zones are zones, and which.
    pub discover: Option<Discover>,
}

/// An SQS FIFO queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name here.
    pub name: String,
    /// Its URL, which ends in `.fifo`.
    pub url: String,
    /// Its region, and that of the bucket.
    pub region: String,
    /// The S3 bucket for snapshots beyond one message.
    pub overflow_bucket: Option<String>,
}

/// Bounds on transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Looks and transfers at once.
    pub transfers: usize,
    /// The same, for each primary.
    pub transfers_per_primary: usize,
    /// What one zone and its transfer may come to.
    pub transfer: primary::Limits,
}

/// A primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Its name here.
    pub name: String,
    /// Where and how it is asked.
    pub server: primary::Server,
    /// Where its NOTIFY may come from: the address itself, and what else is given.
    pub source: Arc<Source>,
    /// Whether it is asked for differences (RFC 1995) before it is asked for the whole zone.
    pub ixfr: bool,
}

/// A zone. What many zones have in common they share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: Name,
    /// Its primaries, in the order tried; at least one.
    pub primaries: Arc<[Arc<Primary>]>,
    /// The queues that get it, each of them; at least one.
    pub queues: Arc<[Arc<Queue>]>,
    /// The hosted zone to bring up to it, without the prefix `/hostedzone/`.
    pub hosted_zone_id: Option<String>,
    /// Whether it is taken though it is signed, without what belongs to its signing.
    pub strip_dnssec: bool,
    /// Who is asked whether what was sent is live.
    pub confirm: Confirm,
}

impl Zone {
    /// Whether one of its queues takes snapshots beyond one message.
    pub fn overflows(&self) -> bool {
        self.queues.iter().any(|queue| queue.overflow_bucket.is_some())
    }
}

/// A catalog (RFC 9432), whose members are zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// The catalog itself, which goes to no queue. Its primaries are those of its members.
    pub zone: Arc<Zone>,
    /// The queues of its members.
    pub queues: Arc<[Arc<Queue>]>,
}

/// The hosted zones of the account, which are zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discover {
    /// The primaries of all of them.
    pub primaries: Arc<[Arc<Primary>]>,
    /// The queues of all of them.
    pub queues: Arc<[Arc<Queue>]>,
    /// How often they are listed.
    pub every: Duration,
    /// Which of them.
    pub filter: Filter,
}

/// Who is asked whether what was sent is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// Nobody.
    Off,
    /// The name servers that are found in DNS.
    Found,
    /// These.
    Servers(Arc<[SocketAddr]>),
}

/// Why a file is not a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("failed to read the configuration {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It was read, and something is wrong with it.
    #[error("failed to understand the configuration:\n{}", lines(.0))]
    Problems(Vec<Problem>),
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The key, as in `limits.transfers`; empty where the text is not TOML.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(path, &text)
    }

    /// Checks the text of a file; `path` is for the messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let problem = |at: usize, key: String, what| Problem { path: path.to_owned(), line: line(text, at), key, what };
        match toml::from_str(text) {
            Ok(file) => check::check(file).map_err(|faults| {
                let mut problems: Vec<_> =
                    faults.into_iter().map(|fault| problem(fault.at, fault.key, fault.what)).collect();
                problems.sort_by_key(|problem| problem.line);
                ConfigError::Problems(problems)
            }),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let what = error.message().lines().collect::<Vec<_>>().join(" ");
                Err(ConfigError::Problems(vec![problem(at, key_at(text, at), what)]))
            }
        }
    }
}

impl Zone {
    /// A zone with the defaults of everything but these.
    pub fn new(name: Name, primaries: Arc<[Arc<Primary>]>, queues: Arc<[Arc<Queue>]>) -> Self {
        let (hosted_zone_id, strip_dnssec, confirm) = (None, false, Confirm::Found);
        Self { name, primaries, queues, hosted_zone_id, strip_dnssec, confirm }
    }
}

impl Catalog {
    /// A member of it.
    pub fn member(&self, name: Name) -> Zone {
        Zone::new(name, Arc::clone(&self.zone.primaries), Arc::clone(&self.queues))
    }
}

impl Discover {
    /// One of them.
    pub fn zone(&self, name: Name, hosted_zone_id: String) -> Zone {
        let zone = Zone::new(name, Arc::clone(&self.primaries), Arc::clone(&self.queues));
        Zone { hosted_zone_id: Some(hosted_zone_id), ..zone }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { transfers: 10, transfers_per_primary: 2, transfer: primary::Limits::default() }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            refresh_min: Duration::from_mins(1),
            refresh_max: Duration::from_hours(24),
            retry_min: Duration::from_secs(30),
            retry_max: Duration::from_hours(1),
            audit: Some(Duration::from_hours(24)),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.path.display(), self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The line on which an octet of the text stands, from 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|octet| *octet == b'\n').count()
}

/// What stands on the left of that line, for errors that serde finds and that do not tell the key.
fn key_at(text: &str, at: usize) -> String {
    let line = text.lines().nth(line(text, at) - 1).unwrap_or_default();
    let key = line.split_once('=').map_or(line, |(key, _)| key);
    key.trim().trim_matches(['[', ']']).to_owned()
}

#[cfg(test)]
mod tests;
