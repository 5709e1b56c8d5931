//! The loop that ties the parts together. It has the only `select!` and the only clock.
//!
//! ```text
//!   sockets ──NOTIFY──▶ ┌────────┐ ──look──▶ primary ──zone──▶ pack ──message──▶ outboxes ──deliver──▶ queues, store
//!                       │  loop  │ ◀──────── how each of these has ended ─────────────────────────────────┘
//!   signals ──────────▶ └────────┘ ◀── one timer queue for all zones
//! ```
//!
//! An idle zone costs its entry in the timer queue and no task.

mod cataloguing;
mod claims;
mod confirming;
mod discovering;
mod looking;
mod registry;
mod reloading;
mod resending;
mod sending;
mod settling;
mod watching;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use secondary53_zone::Serial;
use secondary53_zone::message::Message;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use self::discovering::Discovery;
pub(crate) use self::discovering::by_name;
use self::looking::{Begun, Lines};
pub use self::looking::{meta, reason};
use self::registry::{Registry, Tracked};
pub(crate) use self::registry::{Stored, members, stored};
pub use self::reloading::Read;
use crate::catalog::Members;
use crate::config::{self, Config};
use crate::control::{self, ControlError};
use crate::discover::{DiscoverError, Found};
use crate::job::{Delivered, Looked, Unlisted};
use crate::listen::{self, Ears, Refusals};
use crate::live::Asked;
use crate::notify::{Authorised, ZoneKey};
use crate::queue::{PackError, Post, Sender};
use crate::refresh::{Moment, Notified, Woken};
use crate::resolve::ResolveError;
use crate::service::Service;
use crate::store::{Store, StoreError};
use crate::view::{self, Counts, Time};

/// NOTIFY that were heard and wait for the loop; further ones wait in the sockets.
const HEARD: usize = 1024;
/// Zones whose name servers are asked at once; each has four.
const CONFIRMS: usize = 32;
/// Zones whose name servers are looked for at once, each with some nine questions to one resolver.
const RESOLVES: usize = 4;
/// Questions over HTTP that wait for the loop, and what operators ask for.
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
    /// Nor can it be had for this relay alone, or for an operator's socket.
    #[error(transparent)]
    Control(#[from] ControlError),
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

/// Runs until it is told to stop; told to reload, it reads its configuration with `read`.
pub async fn run(config: Config, read: Read) -> Result<(), DaemonError> {
    let signals = |kind| signal(kind).map_err(DaemonError::Signals);
    let mut stop = [signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?];
    let mut reload = signals(SignalKind::hangup())?;
    let store = Store::open(&config.state_dir)?;
    // Until the very end: what is being sent is stored, too.
    let _locked = control::lock(&config.state_dir)?;
    let operators = match control::bind(&config.state_dir) {
        Err(error) if error.is_of_the_disk() => {
            error!(%error, "going on: what is sent cannot be stored, and no operator is heard until a restart");
            None
        }
        bound => Some(bound?),
    };
    let sender = Sender::new(&config.queues).await;
    let (heard, mut notifies) = mpsc::channel(HEARD);
    let mut sockets = JoinSet::new();
    let mut daemon = Daemon::new(config, store, sender, Clock::start());
    daemon.listen(heard, &mut sockets)?;
    let (asker, mut asks) = mpsc::channel(ASKS);
    daemon.show(asker, &mut sockets).await?;
    let mut service = Service::of_environment();
    let (operator, mut wishes) = mpsc::channel(ASKS);
    if let Some(operators) = operators {
        sockets.spawn(control::serve(operators, operator));
    }
    loop {
        let now = daemon.clock.moment();
        let due = daemon.work(now);
        let next = due.into_iter().chain(service.turn(now, || daemon.view(true).summary())).min();
        let [terminate, interrupt] = &mut stop;
        tokio::select! {
            Some((authorised, source)) = notifies.recv() => daemon.notified(authorised, source),
            Some(done) = daemon.looks.join_next() => daemon.done(done),
            Some(done) = daemon.sends.join_next() => daemon.done(done),
            Some(ask) = asks.recv() => daemon.answer(ask),
            Some(ask) = wishes.recv() => daemon.asked_for(ask),
            () = daemon.lines.freed() => {}
            () = sleep(next.unwrap_or_default().saturating_sub(now)), if next.is_some() => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = reload.recv() => {
                service.reloading();
                daemon.reload(&read).await;
            }
        }
    }
    info!("stopping");
    service.stopping(daemon.sends.len());
    // No more NOTIFY, and no more transfers: the primary will be asked again. What is being sent may arrive.
    sockets.shutdown().await;
    daemon.looks.abort_all();
    let drained = async {
        while let Some(done) = daemon.sends.join_next().await {
            daemon.done(done);
        }
    };
    let [terminate, interrupt] = &mut stop;
    let ended = tokio::select! {
        ended = timeout(STOP, drained) => ended.is_ok(),
        // Told once more: whoever says so does not want to wait.
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
    };
    if !ended {
        warn!(sends = daemon.sends.len(), "sends were cut off; they will be made again");
    }
    info!("stopped");
    Ok(())
}

fn means_no_ipv6(error: &io::Error) -> bool {
    /// EAFNOSUPPORT of Linux, which std has no name for.
    const FAMILY_NOT_SUPPORTED: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(FAMILY_NOT_SUPPORTED)
}

struct Daemon {
    config: Arc<Config>,
    clock: Clock,
    store: Arc<Store>,
    sender: Sender,
    zones: Registry,
    discovery: Discovery,
    lines: Lines,
    /// What is to be sent, a line for each queue by its URL.
    posts: HashMap<String, Post<ZoneKey>>,
    /// Looks, and the packing of what came of them. Given up when the relay stops.
    looks: JoinSet<Done>,
    /// Waited for when the relay stops.
    sends: JoinSet<Done>,
    confirms: Arc<Confirms>,
    started_at: Time,
    counts: Counts,
    /// What is known of each queue.
    queues: Vec<(Arc<config::Queue>, view::Queue)>,
    refusals: Arc<Refusals>,
}

/// Turns at asking, so that a thousand zones that were sent at once are not four thousand questions at once.
struct Confirms {
    asks: Semaphore,
    resolves: Semaphore,
}

/// What has ended. The zone may be gone meanwhile.
enum Done {
    Looked { zone: ZoneKey, begun: Begun, looked: Looked },
    Packed { zone: ZoneKey, place: u64, packed: Result<Message, PackError> },
    Sent { queue: Arc<config::Queue>, begun: Moment, zones: Vec<ZoneKey>, sent: Vec<Delivered> },
    Delivered { begun: Moment, zones: Vec<ZoneKey>, delivered: Vec<Delivered> },
    Read { catalog: ZoneKey, place: u64, read: Result<(Members, Vec<u8>), Unlisted> },
    Discovered { life: u32, found: Result<Vec<Found>, DiscoverError> },
    Asked { zone: ZoneKey, serial: Serial, asked: Result<(Asked, Arc<[SocketAddr]>), ResolveError> },
}

impl Daemon {
    fn new(config: Config, store: Store, sender: Sender, clock: Clock) -> Self {
        let now = clock.moment();
        let mut daemon = Self {
            lines: Lines::new(&config),
            started_at: clock.time(),
            counts: Counts::new(config.primaries.iter().map(|primary| primary.server.address)),
            queues: config.queues.iter().map(|queue| (Arc::clone(queue), view::Queue::new(&queue.name))).collect(),
            refusals: Arc::default(),
            config: Arc::new(config),
            clock,
            store: Arc::new(store),
            sender,
            zones: Registry::default(),
            discovery: Discovery::default(),
            posts: HashMap::new(),
            looks: JoinSet::new(),
            sends: JoinSet::new(),
            confirms: Arc::new(Confirms { asks: Semaphore::new(CONFIRMS), resolves: Semaphore::new(RESOLVES) }),
        };
        daemon.take_over_discovery(None, now);
        daemon.settle(now, false);
        daemon
    }

    fn listen(
        &self,
        heard: mpsc::Sender<(Authorised, SocketAddr)>,
        sockets: &mut JoinSet<()>,
    ) -> Result<(), DaemonError> {
        let (sources, refusals) = (self.zones.sources(), Arc::clone(&self.refusals));
        let ears = Ears { sources, heard, refusals, clock: self.clock };
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
        while let Some(zone) = self.zones.take_due(now) {
            self.wake(zone, now);
        }
        self.take_turns(now);
        let send = self.send(now);
        self.discover(now);
        self.zones.next().into_iter().chain(send).chain(self.discovery.due).min()
    }

    fn wake(&mut self, key: ZoneKey, now: Moment) {
        let Some(tracked) = self.zones.get_mut(key) else { return };
        match tracked.refresh.woken(now) {
            Woken::Early => {}
            Woken::Look(cause) => self.lines.push(key, &tracked.zone, cause, now),
            Woken::Expired => error!(
                zone = %tracked.zone.name,
                serial = tracked.refresh.serial().map(|serial| serial.0),
                "expired: no primary has answered for as long as the SOA allows; what is published stays"
            ),
        }
        self.line_up_to_send(key, now);
        self.confirm(key, now);
        self.zones.arm(key);
    }

    fn notified(&mut self, authorised: Authorised, source: SocketAddr) {
        let (key, hint) = (authorised.zone(), authorised.serial());
        // It may have gone between the answer and now.
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let now = self.clock.moment();
        let notified = tracked.refresh.notified(now, hint);
        info!(zone = %tracked.zone.name, serial = hint.map(|hint| hint.0), %source, outcome = ?notified, "notified");
        self.counts.notified(notified);
        tracked.seen.notified(self.clock.time());
        if notified != Notified::NotNewer {
            let now_ms = self.clock.unix_ms();
            tracked.notified_ms.get_or_insert(now_ms);
        }
        if let Notified::Look(cause) = notified {
            self.lines.push(key, &tracked.zone, cause, now);
        }
        self.zones.arm(key);
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Looked { zone, begun, looked }) => self.looked(zone, begun, looked),
            Ok(Done::Packed { zone, place, packed }) => self.packed(zone, place, packed),
            Ok(Done::Sent { queue, begun, zones, sent }) => self.sent(&queue, begun, zones, sent),
            Ok(Done::Delivered { begun, zones, delivered }) => self.delivered(begun, zones, delivered),
            Ok(Done::Read { catalog, place, read }) => self.listed(catalog, place, read),
            Ok(Done::Discovered { life, found }) => self.discovered(life, found),
            Ok(Done::Asked { zone, serial, asked }) => self.asked(zone, serial, asked),
            Err(error) => error!(%error, "a task ended abnormally"),
        }
    }
}
