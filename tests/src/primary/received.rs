//! What came in, counted, and how a test waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use domain::base::iana::Rtype;
use tokio::sync::watch;

use super::{Name, Transport};

/// How long anything is waited for: far more than it takes, so that only what never comes fails.
const PATIENCE: Duration = Duration::from_mins(1);
/// Queries kept in full; the counts go on.
const KEPT: usize = 10_000;

/// A query that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// How it came.
    pub transport: Transport,
    /// From where.
    pub peer: SocketAddr,
    /// What was asked for.
    pub name: Name,
    /// AXFR, IXFR and SOA among them.
    pub rtype: Rtype,
}

/// It did not come within a minute.
#[derive(Debug, thiserror::Error)]
#[error("failed to see {wanted} × {what} at the primary within {PATIENCE:?}: {seen} came")]
pub struct WaitError {
    /// What was waited for.
    pub what: String,
    /// How many.
    pub wanted: u64,
    /// How many came.
    pub seen: u64,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub queries: VecDeque<Received>,
    counts: BTreeMap<u16, u64>,
    pub transfers_sent: u64,
}

impl Log {
    pub fn count(&self, rtype: Rtype) -> u64 {
        self.counts.get(&rtype.to_int()).copied().unwrap_or(0)
    }

    pub fn push(&mut self, received: Received) {
        *self.counts.entry(received.rtype.to_int()).or_default() += 1;
        if self.queries.len() == KEPT {
            self.queries.pop_front();
        }
        self.queries.push_back(received);
    }
}

pub(super) async fn wait(
    log: &watch::Sender<Log>,
    what: &str,
    wanted: u64,
    count: impl Fn(&Log) -> u64 + Send,
) -> Result<(), WaitError> {
    let mut log = log.subscribe();
    let seen = tokio::time::timeout(PATIENCE, log.wait_for(|log| count(log) >= wanted)).await;
    if matches!(seen, Ok(Ok(_))) {
        return Ok(());
    }
    drop(seen);
    Err(WaitError { what: what.to_owned(), wanted, seen: count(&log.borrow()) })
}
