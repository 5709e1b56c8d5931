//! Everything behind the primary, started in the order in which each finds what it needs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::hosted::HostedZone;
use super::ministack::{Ministack, QueuePair};
use super::process::Process;
use super::{StackError, programs, relay};

/// A running chain. Dropped, it stops from the relay down, so that no process complains of the next one's absence.
#[derive(Debug)]
pub struct Chain {
    /// `secondary53-relay`.
    pub relay: Process,
    /// SQS and Lambda.
    pub ministack: Ministack,
    /// Its queues.
    pub queues: QueuePair,
}

/// A failed message comes again this soon: half a minute of AWS's default is only waiting.
const VISIBILITY: Duration = Duration::from_secs(2);

impl Chain {
    /// Starts queues, function and relay between `primary` and the Route 53 at `route53`. Logs and state go under `dir`.
    ///
    /// # Errors
    /// A part is missing or does not come up.
    pub async fn start(
        dir: &Path,
        primary: SocketAddr,
        zones: &[&str],
        listen: SocketAddr,
        ministack: SocketAddr,
        route53: &str,
    ) -> Result<Self, StackError> {
        let bootstrap = programs::built("bootstrap")?;
        let ministack = Ministack::start(dir, ministack).await?;
        let queues = ministack.queue_pair("secondary53", VISIBILITY).await?;
        let environment = BTreeMap::from([
            ("AWS_ENDPOINT_URL_ROUTE_53", route53.to_owned()),
            ("AWS_ENDPOINT_URL_SQS", ministack.endpoint.clone()),
            ("DLQ_URL", queues.dead_letter.clone()),
            ("RUST_LOG", "info".to_owned()),
        ]);
        ministack.worker("secondary53-worker", &bootstrap, &environment, &queues).await?;
        let relay = relay::start(dir, listen, primary, zones, &ministack, &queues).await?;
        Ok(Self { relay, ministack, queues })
    }

    /// What the parts said last, for the error of a test.
    pub fn last_words(&self) -> String {
        format!("{}\n{}", self.relay.last_words(), self.ministack.process.last_words())
    }
}

/// A hosted zone's serial follows the primary's; where it does not, the logs tell why.
///
/// # Errors
/// As [`HostedZone::reaches`].
pub async fn settled(chain: &Chain, zone: &HostedZone, serial: u32) -> Result<(), StackError> {
    zone.reaches(serial)
        .await
        .map_err(|error| StackError::step("bring a change through", &format!("{error}\n{}", chain.last_words())))
}
