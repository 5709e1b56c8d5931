//! The loop that ties the parts together. It has the only `select!` and the only clock.
//!
//! ```text
//!   sockets ──NOTIFY──▶ ┌────────┐ ──look──▶ primary ──zone──▶ pack ──message──▶ outboxes ──deliver──▶ queues, store
//!                       │  loop  │ ◀──────── how each of these has ended ─────────────────────────────────┘
//!   signals ──────────▶ └────────┘ ◀── one timer queue for all zones
//! ```
//!
//! An idle zone costs its entry in the timer queue and no task.

mod confirming;
mod watching;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use secondary53_zone::message::{Message, Meta, Reason};
use secondary53_zone::{Serial, Snapshot, Soa};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::config::{self, Config};
use crate::confirm::Confirm;
use crate::job::{self, Delivered, Ending, Looked, Turns};
use crate::listen::{self, Ears, Refusals};
use crate::live::Asked;
use crate::notify::{Authorised, Source, Sources};
use crate::primary::Fetched;
use crate::queue::{self, Outbox, Outgoing, PackError, Sender};
use crate::refresh::{Cause, Moment, Notified, Refresh, State, Woken};
use crate::resolve::ResolveError;
use crate::store::{Store, StoreError};
use crate::view::{self, Counts, Seen, Time};

/// NOTIFY that were heard and wait for the loop; further ones wait in the sockets.
const HEARD: usize = 1024;
/// Zones whose name servers are asked at once; each has four.
const CONFIRMS: usize = 32;
/// Zones whose name servers are looked for at once, each with some nine questions to one resolver.
const RESOLVES: usize = 4;
/// Questions over HTTP that wait for the loop.
const ASKS: usize = 4;
/// How long sends that are under way may take to end when the relay is told to stop.
const STOP: Duration = Duration::from_secs(10);

/// Why the relay cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// An address cannot be bound.
    #[error("failed to listen on {0}: {1}")]
    Bind(SocketAddr, io::Error),
    /// The address of the status page cannot be bound.
    #[error("failed to listen on {0} for the status page (http in the configuration, \"\" turns it off): {1}")]
    Http(SocketAddr, io::Error),
    /// Signals cannot be had.
    #[error("failed to listen to signals: {0}")]
    Signals(io::Error),
    /// The directory of the snapshots cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The clock: time since it was started, and the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "the daemon has the clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub fn moment(self) -> Moment {
        self.0.elapsed()
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[expect(clippy::disallowed_methods, reason = "the daemon has the clock")]
    pub fn unix_ms(self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix_s(self) -> u64 {
        self.unix_ms() / 1_000
    }

    /// The same, as it is shown.
    pub fn time(self) -> Time {
        Time(self.unix_ms())
    }
}

/// Runs until it is told to stop.
pub async fn run(config: Config) -> Result<(), DaemonError> {
    let signals = |kind| signal(kind).map_err(DaemonError::Signals);
    let mut stop = [signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?];
    let mut reload = signals(SignalKind::hangup())?;
    let store = Store::open(&config.state_dir)?;
    let sender = Sender::new(&config.queues).await;
    let (heard, mut notifies) = mpsc::channel(HEARD);
    let mut sockets = JoinSet::new();
    let mut daemon = Daemon::new(config, store, sender, Clock::start());
    daemon.listen(heard, &mut sockets)?;
    let (asker, mut asks) = mpsc::channel(ASKS);
    daemon.show(asker, &mut sockets).await?;
    loop {
        let now = daemon.clock.moment();
        let next = daemon.work(now);
        let [terminate, interrupt] = &mut stop;
        tokio::select! {
            Some((authorised, source)) = notifies.recv() => daemon.notified(authorised, source),
            Some(done) = daemon.looks.join_next() => daemon.done(done),
            Some(done) = daemon.sends.join_next() => daemon.done(done),
            Some(ask) = asks.recv() => daemon.answer(ask),
            () = daemon.turns.freed() => {}
            () = sleep(next.unwrap_or_default().saturating_sub(now)), if next.is_some() => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = reload.recv() => warn!("reloading is not supported yet: restart the relay to read its configuration"),
        }
    }
    info!("stopping");
    // No more NOTIFY, and no more transfers: the primary will be asked again. What is being sent may arrive.
    sockets.shutdown().await;
    daemon.looks.abort_all();
    let ended = timeout(STOP, async {
        while let Some(done) = daemon.sends.join_next().await {
            daemon.done(done);
        }
    });
    if ended.await.is_err() {
        warn!(sends = daemon.sends.len(), "sends were cut off; they will be made again");
    }
    info!("stopped");
    Ok(())
}

/// The reason that a message carries.
pub fn reason(accepted_before: bool, cause: Cause) -> Reason {
    match cause {
        _ if !accepted_before => Reason::Initial,
        Cause::Notify => Reason::Notify,
        Cause::Timer => Reason::Refresh,
    }
}

/// What a message says beside the zone.
pub fn meta(config: &Config, zone: usize, fetched: &Fetched, notified_at_ms: Option<u64>, now_ms: u64) -> Meta {
    Meta {
        records: fetched.transferred.zone.record_count(),
        notified_at_ms,
        transferred_at_ms: now_ms,
        relay: config.relay_id.clone().unwrap_or_default(),
        hosted_zone_id: config.zones[zone].hosted_zone_id.clone(),
        approved: Vec::new(),
    }
}

fn means_no_ipv6(error: &io::Error) -> bool {
    /// EAFNOSUPPORT of Linux, which std has no name for.
    const FAMILY_NOT_SUPPORTED: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(FAMILY_NOT_SUPPORTED)
}

/// What is known of a zone from an earlier run.
#[derive(Default)]
pub(crate) struct Stored {
    /// What its SOA said when its queues last accepted it.
    pub(crate) soa: Option<Soa>,
    /// That snapshot, for the queues that were configured since.
    pub(crate) owed: Option<Outgoing>,
}

/// Reads it. A file that cannot be used is as good as none.
pub(crate) fn stored(store: &Store, zone: &config::Zone, config: &Config, now_ms: u64) -> Stored {
    let read = || Ok((store.read(&zone.name, config.limits.transfer.zone)?, store.queues(&zone.name)?));
    let (snapshot, had) = match read() {
        Ok((Some(snapshot), had)) => (snapshot, had),
        Ok((None, _)) => return Stored::default(),
        Err::<_, StoreError>(error) => {
            warn!(zone = %zone.name, %error, "the stored snapshot is left aside; the zone will be sent anew");
            return Stored::default();
        }
    };
    let soa = Some(snapshot.zone().soa().clone());
    let missing: Vec<_> =
        zone.queues.iter().copied().filter(|queue| !had.contains(&config.queues[*queue].url)).collect();
    let owed = if missing.is_empty() { None } else { owed(&snapshot, zone, config, missing, now_ms) };
    Stored { soa, owed }
}

fn owed(
    snapshot: &Snapshot,
    zone: &config::Zone,
    config: &Config,
    missing: Vec<usize>,
    now_ms: u64,
) -> Option<Outgoing> {
    let queues: Vec<_> = missing.iter().map(|queue| config.queues[*queue].name.as_str()).collect();
    info!(zone = %zone.name, serial = %snapshot.zone().serial(), ?queues, "not sent to these queues before");
    let meta = Meta {
        records: snapshot.zone().record_count(),
        notified_at_ms: None,
        // When it was is not known any more.
        transferred_at_ms: now_ms,
        relay: config.relay_id.clone().unwrap_or_default(),
        hosted_zone_id: zone.hosted_zone_id.clone(),
        approved: Vec::new(),
    };
    let packed =
        queue::pack(snapshot, Reason::Initial, meta).inspect_err(|error| error!(zone = %zone.name, %error, "not sent"));
    packed.ok().map(|message| Outgoing::new(message, &zone.queues, missing))
}

struct Daemon {
    config: Arc<Config>,
    clock: Clock,
    store: Arc<Store>,
    sender: Sender,
    zones: Vec<Tracked>,
    /// One entry at most for each zone, the next in front.
    timers: BTreeSet<(Moment, usize)>,
    turns: Turns,
    /// Zones to look at, waiting for a turn at their first primary; a line for each.
    lines: Vec<VecDeque<usize>>,
    /// Looks, and the packing of what came of them. Given up when the relay stops.
    looks: JoinSet<Done>,
    /// Waited for when the relay stops.
    sends: JoinSet<Done>,
    confirms: Arc<Confirms>,
    started_at: Time,
    counts: Counts,
    /// What is known of each queue.
    queues: Vec<view::Queue>,
    refusals: Arc<Refusals>,
}

/// A zone, as the loop keeps it.
struct Tracked {
    refresh: Refresh,
    /// One for each of its queues, which may fail apart.
    outboxes: Vec<(usize, Outbox)>,
    /// Whether all its queues have accepted a snapshot before, in this run or an earlier one.
    accepted: bool,
    /// The first NOTIFY that no look has answered yet.
    notified_ms: Option<u64>,
    /// The time of its entry in the timer queue.
    armed: Option<Moment>,
    confirm: Confirm,
    /// The name servers that were found for what is waited for.
    servers: Option<Arc<[SocketAddr]>>,
    seen: Seen,
}

/// Turns at asking, so that a thousand zones that were sent at once are not four thousand questions at once.
struct Confirms {
    asks: Semaphore,
    resolves: Semaphore,
}

/// What made a look, and when.
#[derive(Clone, Copy)]
struct Begun {
    cause: Cause,
    notified_ms: Option<u64>,
    at: Moment,
}

/// What has ended.
enum Done {
    Looked { zone: usize, begun: Begun, looked: Looked },
    Packed { zone: usize, packed: Result<Message, PackError> },
    Delivered { zone: usize, outbox: usize, begun: Moment, delivered: Delivered },
    Asked { zone: usize, serial: Serial, asked: Result<(Asked, Arc<[SocketAddr]>), ResolveError> },
}

impl Daemon {
    fn new(config: Config, store: Store, sender: Sender, clock: Clock) -> Self {
        let now = clock.moment();
        let mut timers = BTreeSet::new();
        let mut zones = Vec::with_capacity(config.zones.len());
        for (index, zone) in config.zones.iter().enumerate() {
            let Stored { soa, owed } = stored(&store, zone, &config, clock.unix_ms());
            let refresh = Refresh::new(config.timers, soa.as_ref(), now);
            timers.insert((now, index));
            let outbox = |queue: &usize| {
                let owed = owed.as_ref().filter(|owed| owed.is_missing(*queue));
                (*queue, owed.cloned().map_or_else(Outbox::default, Outbox::with))
            };
            zones.push(Tracked {
                refresh,
                outboxes: zone.queues.iter().map(outbox).collect(),
                accepted: soa.is_some() && owed.is_none(),
                notified_ms: None,
                armed: Some(now),
                confirm: Confirm::default(),
                servers: None,
                seen: Seen::new(soa.map(|soa| soa.serial)),
            });
        }
        Self {
            turns: Turns::new(&config),
            lines: vec![VecDeque::new(); config.primaries.len()],
            started_at: clock.time(),
            counts: Counts::new(config.primaries.iter().map(|primary| primary.server.address)),
            queues: config.queues.iter().map(|queue| view::Queue::new(&queue.name)).collect(),
            refusals: Arc::default(),
            config: Arc::new(config),
            clock,
            store: Arc::new(store),
            sender,
            zones,
            timers,
            looks: JoinSet::new(),
            sends: JoinSet::new(),
            confirms: Arc::new(Confirms { asks: Semaphore::new(CONFIRMS), resolves: Semaphore::new(RESOLVES) }),
        }
    }

    fn listen(
        &self,
        heard: mpsc::Sender<(Authorised, SocketAddr)>,
        sockets: &mut JoinSet<()>,
    ) -> Result<(), DaemonError> {
        let source = |primary: &config::Primary| {
            Arc::new(Source { nets: primary.sources.clone(), key: primary.server.key.clone() })
        };
        let primaries: Vec<_> = self.config.primaries.iter().map(source).collect();
        let mut sources = Sources::default();
        for (index, zone) in self.config.zones.iter().enumerate() {
            let its = zone.primaries.iter().map(|primary| Arc::clone(&primaries[*primary]));
            sources.insert(zone.name.clone(), index, its.collect());
        }
        let ears = Ears { sources: Arc::new(sources), heard, refusals: Arc::clone(&self.refusals), clock: self.clock };
        ears.refusals.start(sockets);
        for &wanted in &self.config.listen {
            let failed = |error| DaemonError::Bind(wanted, error);
            match listen::bind(wanted) {
                Ok(listener) => {
                    let address = listener.address().map_err(failed)?;
                    listener.start(&ears, sockets);
                    info!(%address, "listening");
                }
                // [::] is in the default; a host without IPv6 is no reason not to start.
                Err(error) if wanted.is_ipv6() && wanted.ip().is_unspecified() && means_no_ipv6(&error) => {
                    warn!(address = %wanted, %error, "not listening: this host has no IPv6");
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Does all that is due, and says when to come back.
    fn work(&mut self, now: Moment) -> Option<Moment> {
        while let Some(&(due, zone)) = self.timers.first().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, zone));
            self.zones[zone].armed = None;
            self.wake(zone, now);
        }
        self.take_turns(now);
        self.timers.first().map(|(due, _)| *due)
    }

    fn wake(&mut self, zone: usize, now: Moment) {
        match self.zones[zone].refresh.woken(now) {
            Woken::Early => {}
            Woken::Look(_) => self.line_up(zone),
            Woken::Expired => error!(
                zone = %self.config.zones[zone].name,
                serial = self.zones[zone].refresh.serial().map(|serial| serial.0),
                "expired: no primary has answered for as long as the SOA allows; what is published stays"
            ),
        }
        for (index, (queue, outbox)) in self.zones[zone].outboxes.iter_mut().enumerate() {
            let Some(outgoing) = outbox.take(now) else { continue };
            let (sender, store, queue) = (self.sender.clone(), Arc::clone(&self.store), *queue);
            self.sends.spawn(async move {
                let delivered = job::deliver(sender, store, queue, outgoing).await;
                Done::Delivered { zone, outbox: index, begun: now, delivered }
            });
        }
        self.confirm(zone, now);
        self.arm(zone);
    }

    /// Puts the zone's next time into the timer queue, unless it is there.
    fn arm(&mut self, zone: usize) {
        let tracked = &mut self.zones[zone];
        let sends = tracked.outboxes.iter().filter_map(|(_, outbox)| outbox.next());
        let next = sends.chain(tracked.refresh.next()).chain(tracked.confirm.next()).min();
        if next != tracked.armed {
            if let Some(before) = std::mem::replace(&mut tracked.armed, next) {
                self.timers.remove(&(before, zone));
            }
            self.timers.extend(next.map(|next| (next, zone)));
        }
    }

    fn line_up(&mut self, zone: usize) {
        // A zone has a primary: the configuration was checked.
        let first = self.config.zones[zone].primaries.first().copied().unwrap_or_default();
        self.lines[first].push_back(zone);
    }

    fn take_turns(&mut self, now: Moment) {
        for primary in 0..self.lines.len() {
            while !self.lines[primary].is_empty() {
                let Some(turn) = self.turns.take(primary) else { break };
                let Some(zone) = self.lines[primary].pop_front() else { break };
                let tracked = &mut self.zones[zone];
                let State::Refreshing { cause, .. } = tracked.refresh.state() else { continue };
                let begun = Begun { cause, notified_ms: tracked.notified_ms.take(), at: now };
                let (config, store, clock) = (Arc::clone(&self.config), Arc::clone(&self.store), self.clock);
                let (turns, ours) = (self.turns.clone(), tracked.refresh.serial());
                self.looks.spawn(async move {
                    let looked = job::look(config, store, zone, ours, turns, turn, clock).await;
                    Done::Looked { zone, begun, looked }
                });
            }
        }
    }

    fn notified(&mut self, authorised: Authorised, source: SocketAddr) {
        let (zone, hint) = (authorised.zone(), authorised.serial());
        let notified = self.zones[zone].refresh.notified(self.clock.moment(), hint);
        let name = &self.config.zones[zone].name;
        info!(zone = %name, serial = hint.map(|hint| hint.0), %source, outcome = ?notified, "notified");
        self.counts.notified(notified);
        self.zones[zone].seen.notified(self.clock.time());
        if notified != Notified::NotNewer {
            let now_ms = self.clock.unix_ms();
            self.zones[zone].notified_ms.get_or_insert(now_ms);
        }
        if matches!(notified, Notified::Look(_)) {
            self.line_up(zone);
        }
        self.arm(zone);
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Looked { zone, begun, looked }) => self.looked(zone, begun, looked),
            Ok(Done::Packed { zone, packed }) => match packed {
                Ok(message) => {
                    let queues = &self.config.zones[zone].queues;
                    let outgoing = Outgoing::new(message, queues, queues.iter().copied());
                    for (_, outbox) in &mut self.zones[zone].outboxes {
                        outbox.offer(outgoing.clone());
                    }
                    self.arm(zone);
                }
                Err(error) => {
                    error!(zone = %self.config.zones[zone].name, %error, "not sent");
                    self.counts.pack_failures += 1;
                    self.zones[zone].seen.not_sent(error.to_string());
                }
            },
            Ok(Done::Delivered { zone, outbox, begun, delivered }) => {
                let now = self.clock.moment();
                delivered.tell(&self.config.queues, now.saturating_sub(begun));
                self.count_delivered(zone, &delivered);
                let tracked = &mut self.zones[zone];
                tracked.accepted |= delivered.by_all();
                let accepted = delivered.accepted();
                if let Some((_, outbox)) = tracked.outboxes.get_mut(outbox) {
                    outbox.ended(now, delivered.outgoing, accepted, rand::random());
                }
                self.arm(zone);
            }
            Ok(Done::Asked { zone, serial, asked }) => self.asked(zone, serial, asked),
            Err(error) => error!(%error, "a task ended abnormally"),
        }
    }

    fn looked(&mut self, zone: usize, begun: Begun, looked: Looked) {
        self.count_looked(zone, begun, &looked);
        let now = self.clock.moment();
        let name = &self.config.zones[zone].name;
        looked.tell(name, now.saturating_sub(begun.at));
        let (ending, turn) = looked.into_parts();
        let tracked = &mut self.zones[zone];
        let outcome = match &ending {
            Ending::Fetched(fetched) => {
                tracked.refresh.transferred(now, fetched.transferred.zone.soa(), rand::random())
            }
            Ending::NotNewer(theirs) => tracked.refresh.answered(now, *theirs, rand::random()),
            Ending::Nothing => {
                tracked.refresh.failed(now, rand::random());
                // The next look is for that NOTIFY still.
                tracked.notified_ms = begun.notified_ms.or(tracked.notified_ms);
                Ok(())
            }
        };
        match (outcome, ending) {
            (Err(backwards), ending) => {
                error!(zone = %name, error = %backwards, "refused");
                self.counts.backwards(matches!(ending, Ending::Fetched(_)));
                tracked.seen.went_backwards(backwards.theirs, backwards.to_string());
            }
            (Ok(()), Ending::Fetched(fetched)) => {
                let reason = reason(tracked.accepted, begun.cause);
                let meta = meta(&self.config, zone, &fetched, begun.notified_ms, self.clock.unix_ms());
                let (store, limits) = (Arc::clone(&self.store), self.config.limits.transfer.zone);
                self.looks.spawn(async move {
                    Done::Packed { zone, packed: job::pack(fetched, reason, meta, turn, store, limits).await }
                });
            }
            (Ok(()), Ending::NotNewer(serial)) => {
                info!(zone = %name, %serial, "current");
                if tracked.seen.has_sent(serial) && self.config.zones[zone].confirm != config::Confirm::Off {
                    tracked.confirm.looked(now, serial);
                }
            }
            (Ok(()), Ending::Nothing) => {
                let wait = tracked.refresh.next().unwrap_or_default().saturating_sub(now);
                warn!(zone = %name, serial = tracked.refresh.serial().map(|serial| serial.0), seconds = wait.as_secs(), "retrying");
            }
        }
        self.arm(zone);
    }
}
