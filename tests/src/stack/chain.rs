//! Everything behind the primary, started in the order in which each finds what it needs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ministack::{Ministack, QueuePair, WORKER_TIMEOUT};
use super::process::Process;
use super::wait::{GENEROUS, until};
use super::{StackError, programs, relay};
use crate::strict;

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Layout {
    /// For logs, config and state.
    pub dir: PathBuf,
    /// Where the relay hears NOTIFY.
    pub listen: SocketAddr,
    /// Where ministack answers.
    pub ministack: SocketAddr,
    /// The primary of all `zones`.
    pub primary: SocketAddr,
    /// Their names.
    pub zones: Vec<String>,
    /// What is otherwise than it ships.
    pub detours: Detours,
}

/// Ways around what a chain has of its own, for tests of what lies between its parts.
#[derive(Clone, Debug, Default)]
pub struct Detours {
    /// Variables of the function, beside its own or in their place.
    pub worker: BTreeMap<&'static str, String>,
    /// How long the function may run; as the template has it where nothing is said.
    pub timeout: Option<Duration>,
    /// Variables of the relay, beside its own.
    pub relay: BTreeMap<&'static str, String>,
    /// From a message's receive to the next, where nobody says otherwise; two seconds where nothing is said here.
    pub visibility: Option<Duration>,
    /// Where the relay finds SQS.
    pub sqs: Option<String>,
}

impl Layout {
    /// Everything on free ports.
    ///
    /// # Errors
    /// There are none.
    pub fn anywhere(dir: &Path, primary: SocketAddr, listen: SocketAddr, zone: &str) -> Result<Self, StackError> {
        Ok(Self {
            dir: dir.to_owned(),
            listen,
            ministack: programs::free_address()?,
            primary,
            zones: vec![zone.to_owned()],
            detours: Detours::default(),
        })
    }
}

/// A running chain. Dropped, it stops from the relay on, so that no part complains of the next one's absence.
#[derive(Debug)]
pub struct Chain {
    /// `secondary53-relay`.
    pub relay: Process,
    /// SQS and Lambda.
    pub ministack: Ministack,
    /// Its queues.
    pub queues: QueuePair,
    /// Route 53, with hosted zones or without.
    pub route53: strict::Server,
    layout: Layout,
}

/// For snapshots beyond one message.
pub const BUCKET: &str = "secondary53-overflow";

/// A failed message comes again this soon: half a minute of AWS's default is only waiting.
const VISIBILITY: Duration = Duration::from_secs(2);

impl Chain {
    /// Starts queues, function and relay in front of `route53`.
    ///
    /// # Errors
    /// A part is missing or does not come up.
    pub async fn start(layout: Layout, route53: strict::Server) -> Result<Self, StackError> {
        let (bootstrap, _) = (programs::built("bootstrap")?, programs::built("secondary53-relay")?);
        let ministack = Ministack::start(&layout.dir, layout.ministack).await?;
        ministack.bucket(BUCKET).await?;
        let queues = ministack.queue_pair("secondary53", layout.detours.visibility.unwrap_or(VISIBILITY)).await?;
        let mut environment = BTreeMap::from([
            ("AWS_ENDPOINT_URL_ROUTE_53", route53.endpoint()),
            ("AWS_ENDPOINT_URL_SQS", ministack.endpoint.clone()),
            ("AWS_ENDPOINT_URL_S3", ministack.endpoint.clone()),
            ("OVERFLOW_BUCKET", BUCKET.to_owned()),
            ("DLQ_URL", queues.dead_letter.clone()),
            ("RUST_LOG", "info".to_owned()),
        ]);
        environment.extend(layout.detours.worker.clone());
        let timeout = layout.detours.timeout.unwrap_or(WORKER_TIMEOUT);
        ministack.worker_for(timeout, "secondary53-worker", &bootstrap, &environment, &queues).await?;
        Self::before(layout, ministack, queues, route53).await
    }

    /// Starts the relay in front of a worker that is there.
    ///
    /// # Errors
    /// As [`relay::start`].
    pub async fn before(
        layout: Layout,
        ministack: Ministack,
        queues: QueuePair,
        route53: strict::Server,
    ) -> Result<Self, StackError> {
        let relay = relay::start(&layout, &ministack, &queues).await?;
        Ok(Self { relay, ministack, queues, route53, layout })
    }

    /// Where the relay hears NOTIFY.
    pub fn listen(&self) -> SocketAddr {
        self.layout.listen
    }

    /// Starts the relay anew, after a stop or a crash.
    ///
    /// # Errors
    /// As [`relay::start`].
    pub async fn restart_relay(&mut self) -> Result<(), StackError> {
        self.relay.stop();
        self.relay = relay::start(&self.layout, &self.ministack, &self.queues).await?;
        Ok(())
    }

    /// Waits until the hosted zone `id` stands at `serial`, which means that it is complete at it.
    ///
    /// # Errors
    /// It does not for long; with what Route 53 refused and the ends of the logs.
    pub async fn reaches(&self, id: &str, serial: u32) -> Result<(), StackError> {
        let event = format!("serial {serial} in the hosted zone {id}");
        let standing = || self.route53.serial(id);
        let reached = until(GENEROUS, &event, async || Ok((standing() == Some(serial)).then_some(()))).await;
        reached.map_err(|error| {
            let refused: String = self
                .route53
                .calls()
                .iter()
                .filter_map(|call| call.error.as_ref().map(|error| format!("\n{}: {error:?}", call.action)))
                .collect();
            let (relay, worker) = (self.relay.last_words(), self.ministack.process.last_words());
            StackError::step(
                "bring a change through",
                &format!("{error}\nit stands at {:?}\nRoute 53 refused: {refused}\n{relay}\n{worker}", standing()),
            )
        })
    }
}
