//! What runs beside the loop: a look at the primaries of a zone, the packing of what came, its delivery. Each ends with a
//! report that the loop acts on, and that says in one line for each event what happened.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secondary53_zone::message::{Approval, Message, Meta, Reason};
use secondary53_zone::zonemd::Checked;
use secondary53_zone::{Delta, Limits as ZoneLimits, Name, Serial, Snapshot, Zone};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tracing::{debug, error, info, warn};

use crate::catalog::{Broken, Members};
use crate::config::{self, Config};
use crate::daemon::Clock;
use crate::primary::{self, Fetched, Look, PrimaryError, Wanted};
use crate::queue::{self, Outgoing, PackError, Said, SendError, Sender};
use crate::reach::{Change, Reach};
use crate::refresh::{Moment, Standing, Takes};
use crate::store::{Store, StoreError};
use crate::transfer::Transferred;

/// What changed goes with a snapshot where it is no more than one RRset in so many: of more there is as much to write as to
/// read, and the message would grow by it.
const DELTA_SHARE: usize = 4;

/// The turns that there are: how many looks at once, in all and at each primary.
#[derive(Clone, Debug)]
pub struct Turns {
    all: Arc<Semaphore>,
    /// By the addresses of the primaries.
    each: Arc<HashMap<SocketAddr, Arc<Semaphore>>>,
    freed: Arc<Notify>,
    reach: Arc<Mutex<Reach>>,
}

/// What a look is for.
#[derive(Debug)]
pub struct Errand {
    /// The zone.
    pub zone: Arc<config::Zone>,
    /// What we have of it.
    pub ours: Option<Serial>,
    /// Which serials are transferred.
    pub takes: Takes,
    /// Where it is stored, if differences may be asked for from there.
    pub store: Option<Arc<Store>>,
}

/// A turn, for as long as it is kept.
#[derive(Debug)]
pub struct Turn {
    /// Kept until what was transferred is packed: it bounds the memory.
    _all: OwnedSemaphorePermit,
    /// Kept while the primary is asked.
    primary: Option<OwnedSemaphorePermit>,
}

/// How a look at all primaries of a zone has ended.
#[derive(Debug)]
pub struct Looked {
    /// What came of it.
    pub ending: Ending,
    /// The primaries that gave nothing, and why.
    pub tried: Vec<(SocketAddr, PrimaryError)>,
    turn: Turn,
}

/// What came of a look.
#[derive(Debug)]
pub enum Ending {
    /// A zone.
    Fetched(Fetched),
    /// No primary has anything newer; the best that there is.
    NotNewer(Serial),
    /// No primary gave anything.
    Nothing,
}

/// Why a catalog that was transferred is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum Unlisted {
    /// It is broken.
    #[error("the catalog is broken, and its members stay as they were: {0}")]
    Broken(#[from] Broken),
    /// zstd would not.
    #[error("failed to encode the catalog: {0}")]
    Encode(#[from] io::Error),
}

/// How a delivery has ended.
#[derive(Debug)]
pub struct Delivered {
    /// What was delivered.
    pub outgoing: Outgoing,
    /// The queue.
    pub queue: Arc<config::Queue>,
    /// What it said.
    pub result: Result<(), SendError>,
    /// Where this queue was the last one that it was missing from.
    stored: Option<Result<(), StoreError>>,
}

impl Turns {
    /// As many as the configuration allows.
    pub fn new(config: &Config) -> Self {
        let each = || Arc::new(Semaphore::new(config.limits.transfers_per_primary));
        Self {
            all: Arc::new(Semaphore::new(config.limits.transfers)),
            each: Arc::new(config.primaries.iter().map(|primary| (primary.server.address, each())).collect()),
            freed: Arc::default(),
            reach: Arc::default(),
        }
    }

    /// Those of another configuration. A primary that stays keeps its turns, unless there are more or fewer of them now: then
    /// what is under way counts no more.
    #[must_use]
    pub fn taken_over(&self, old: &config::Limits, config: &Config) -> Self {
        let new = Self::new(config);
        let primaries: BTreeSet<_> = new.each.keys().copied().collect();
        self.reach().keep(&primaries);
        let each = |(address, turns): (&SocketAddr, &Arc<Semaphore>)| {
            let same = old.transfers_per_primary == config.limits.transfers_per_primary;
            let kept = self.each.get(address).filter(|_| same).unwrap_or(turns);
            (*address, Arc::clone(kept))
        };
        Self {
            all: Arc::clone(if old.transfers == config.limits.transfers { &self.all } else { &new.all }),
            each: Arc::new(new.each.iter().map(each).collect()),
            freed: Arc::clone(&self.freed),
            reach: Arc::clone(&self.reach),
        }
    }

    /// Whether there are turns at this primary.
    pub fn know(&self, primary: SocketAddr) -> bool {
        self.each.contains_key(&primary)
    }

    /// Waits until a look has given a primary's turn back while it goes on at another.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    /// A turn at this primary, if there is one now.
    pub fn take(&self, primary: SocketAddr) -> Option<Turn> {
        let primary = Arc::clone(self.each.get(&primary)?).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Turn { _all: all, primary: Some(primary) })
    }

    /// The order in which a zone's primaries are asked, and a turn at the first, when there is one.
    pub async fn wait(&self, zone: &config::Zone, clock: Clock) -> Option<(Vec<Arc<config::Primary>>, Turn)> {
        // In this order always: who waits for a primary holds one of all, so who holds a primary waits for nobody.
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        let mut order = self.order(zone, clock.moment());
        let mut primary = self.at(order.first()?.server.address).await?;
        // It may be known by then that it cannot be reached.
        let anew = self.order(zone, clock.moment());
        if anew.first() != order.first() {
            drop(primary);
            order = anew;
            primary = self.at(order.first()?.server.address).await?;
        }
        Some((order, Turn { _all: all, primary: Some(primary) }))
    }

    /// The primaries of a zone that are asked now, in their order: those that can be reached, or all.
    pub fn order(&self, zone: &config::Zone, now: Moment) -> Vec<Arc<config::Primary>> {
        self.reach().choose(&zone.primaries, |primary| primary.server.address, now)
    }

    /// Whether a primary is passed over now, by zones that have another.
    pub fn passes_over(&self, primary: SocketAddr, now: Moment) -> bool {
        self.reach().passes_over(primary, now)
    }

    /// Another number whenever something else is known of a primary.
    pub fn changes(&self) -> u64 {
        self.reach().changes()
    }

    /// A primary is about to be asked.
    pub fn ask(&self, primary: SocketAddr, now: Moment) {
        self.reach().ask(primary, now);
    }

    /// The primaries that could not be reached.
    pub fn lost(&self) -> BTreeSet<SocketAddr> {
        self.reach().lost().collect()
    }

    fn asked(&self, primary: SocketAddr, begun: Moment, now: Moment, looked: &Result<Look, PrimaryError>) {
        let change = match looked {
            Err(error) if error.is_not_reached() => self.reach().not_reached(primary, begun, now),
            Ok(_) | Err(_) => self.reach().reached(primary),
        };
        match change {
            Change::Lost => {
                warn!(%primary, "cannot be reached: zones that have another primary ask that one meanwhile");
            }
            Change::Back => info!(%primary, "can be reached again"),
            Change::None => {}
        }
    }

    fn reach(&self) -> MutexGuard<'_, Reach> {
        // What it knows is whole whoever panicked.
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn at(&self, primary: SocketAddr) -> Option<OwnedSemaphorePermit> {
        Arc::clone(self.each.get(&primary)?).acquire_owned().await.ok()
    }
}

/// Asks the primaries of a zone in this order until one has what is wanted. `turn` is one at the first.
///
/// All are asked where none has: the first may lag behind the others.
pub async fn look(
    errand: Errand,
    limits: primary::Limits,
    order: Vec<Arc<config::Primary>>,
    turns: Turns,
    mut turn: Turn,
    clock: Clock,
) -> Looked {
    let Errand { zone, ours, takes, store } = errand;
    let config::Zone { name, strip_dnssec, .. } = &*zone;
    let mut tried = Vec::new();
    let mut best = None;
    for config::Primary { server, ixfr, .. } in order.iter().map(|primary| &**primary) {
        if turn.primary.is_none() {
            turn.primary = turns.at(server.address).await;
        }
        let wanted =
            Wanted { zone: name, ours, takes, strip_dnssec: *strip_dnssec, stored: store.as_ref().filter(|_| *ixfr) };
        let begun = clock.moment();
        turns.ask(server.address, begun);
        let looked = primary::look(wanted, server, limits, clock).await;
        turns.asked(server.address, begun, clock.moment(), &looked);
        // The next primary has turns of its own.
        turn.primary = None;
        turns.freed.notify_one();
        match looked {
            Ok(Look::Transferred(transferred)) => {
                let fetched = Fetched { primary: server.address, transferred };
                return Looked { ending: Ending::Fetched(fetched), tried, turn };
            }
            Ok(Look::NotNewer(theirs)) => {
                let same = Standing::of(ours, theirs) == Standing::Same;
                best = if same { Some(theirs) } else { best.or(Some(theirs)) };
            }
            Err(error) => tried.push((server.address, error)),
        }
    }
    Looked { ending: best.map_or(Ending::Nothing, Ending::NotNewer), tried, turn }
}

impl Looked {
    /// Says what happened. Serials that go backwards are for the one who keeps ours to tell.
    pub fn tell(&self, zone: &Name, took: Duration) {
        let milliseconds = took.as_millis();
        for (primary, error) in &self.tried {
            warn!(%zone, %primary, %error, milliseconds, "look failed");
        }
        match &self.ending {
            Ending::Fetched(fetched) => {
                let Transferred { zone: new, stripped, uneven_ttls, zonemd, since, messages, octets, .. } =
                    &*fetched.transferred;
                let (primary, serial, records) = (fetched.primary, new.serial(), new.record_count());
                let since = since.map(|since| since.0);
                info!(%zone, %serial, since, %primary, records, octets, messages, milliseconds, "transferred");
                match zonemd {
                    Checked::Absent => {}
                    Checked::Verified(hash) => info!(%zone, %serial, %hash, "its ZONEMD is right"),
                    Checked::Unsupported { scheme, hash } => {
                        info!(%zone, %serial, scheme, hash, "its ZONEMD is of a kind that is not known: not verified");
                    }
                }
                if !stripped.is_empty() {
                    info!(%zone, %serial, ?stripped, "left out what belongs to signing");
                }
                if let Some((owner, rtype)) = uneven_ttls.first() {
                    warn!(%zone, %serial, rrsets = uneven_ttls.len(), %owner, %rtype, "evened out TTLs within an RRset");
                }
            }
            Ending::NotNewer(serial) => debug!(%zone, %serial, milliseconds, "looked"),
            Ending::Nothing => {}
        }
    }

    /// What was wrong with each primary that gave nothing, in a line.
    pub fn why(&self) -> String {
        primary::list(&self.tried)
    }

    /// The zone, if there is one, and the turn that goes with it.
    pub fn into_parts(self) -> (Ending, Turn) {
        (self.ending, self.turn)
    }
}

/// Notes on the disk that no differences apply to the zone that is stored: the primary has gone back.
pub async fn no_base(store: Arc<Store>, zone: Name, limits: ZoneLimits) {
    let noted = spawn_blocking(move || store.no_base(&zone, limits).map_err(|error| error!(%zone, %error))).await;
    // It was told. While this relay runs, it knows without the disk.
    drop(noted);
}

/// Makes a message of a zone, on a thread of its own: the digest and the compression take a second for a million records.
///
/// What changed since the stored snapshot goes with it, where that is little and a worker would make use of it.
pub async fn pack(
    fetched: Fetched,
    reason: Reason,
    meta: Meta,
    overflows: bool,
    turn: Turn,
    stored: Stored,
) -> Result<Message, PackError> {
    let apex = fetched.transferred.zone.apex().clone();
    let packed = spawn_blocking(move || {
        let Transferred { zone, exact, .. } = *fetched.transferred;
        let delta = if reason.trusts_serial() { stored.changed(&zone) } else { None };
        let snapshot = Snapshot::new(zone).with_exact(exact).with_delta(delta);
        let packed = queue::pack(snapshot, reason, meta, overflows);
        drop(turn);
        packed
    });
    packed.await.unwrap_or_else(|error| Err(PackError::Encode(apex, std::io::Error::other(error))))
}

/// Reads a catalog, and makes a snapshot of it to be stored, on a thread of its own.
pub async fn read_catalog(fetched: Fetched, turn: Turn) -> Result<(Members, Vec<u8>), Unlisted> {
    let read = spawn_blocking(move || {
        let Transferred { zone, exact, .. } = *fetched.transferred;
        let members = Members::read(&zone)?;
        let octets = Snapshot::new(zone).with_exact(exact).encode()?;
        drop(turn);
        Ok((members, octets))
    });
    read.await.unwrap_or_else(|error| Err(io::Error::other(error).into()))
}

/// Where the last snapshot of a zone is, and what was taken last of it.
#[derive(Debug)]
pub struct Stored {
    /// Where it is.
    pub store: Arc<Store>,
    /// What it may come to.
    pub limits: ZoneLimits,
    /// What was taken before what is packed now.
    pub last: Option<Serial>,
}

impl Stored {
    /// What changed since the stored snapshot, if that is what was taken last. What was taken meanwhile may be on its way: a
    /// worker that has done a part of it must not take the hosted zone for what is stored here, though it has that serial.
    fn changed(&self, zone: &Zone) -> Option<Delta> {
        // A file that cannot be read was told when the relay started, and is as good as none.
        let base = self.store.read(zone.apex(), self.limits).ok().flatten()?;
        let is_last = self.last == Some(base.zone().serial());
        is_last.then(|| Delta::between(&base, zone, zone.rrsets().count() / DELTA_SHARE))?
    }
}

/// Sends messages of several zones to a queue. [`keep`] must follow.
pub async fn send(
    sender: Sender,
    store: Arc<Store>,
    limits: ZoneLimits,
    queue: Arc<config::Queue>,
    batch: Vec<Outgoing>,
) -> Vec<Delivered> {
    for message in batch.iter().map(|outgoing| &outgoing.message) {
        if message.meta.approved.contains(&Approval::Rollback) {
            // Again: what was being sent when it was taken may have been stored since.
            no_base(Arc::clone(&store), message.zone.clone(), limits).await;
        }
    }
    let messages: Vec<_> = batch.iter().map(|outgoing| Arc::clone(&outgoing.message)).collect();
    let results = sender.send(&queue.url, &messages).await;
    let sent = |(outgoing, result)| Delivered { outgoing, queue: Arc::clone(&queue), result, stored: None };
    batch.into_iter().zip(results).map(sent).collect()
}

/// Stores what was sent, where that was the last queue of its zone that it was missing from. One may fail and the others not.
///
/// So long as this goes on, the queue is sent nothing newer of these zones, and nothing newer can be stored before.
pub async fn keep(store: Arc<Store>, mut delivered: Vec<Delivered>) -> Vec<Delivered> {
    let is_last = |one: &&mut Delivered| one.result.is_ok() && one.outgoing.accepted(&one.queue);
    let mut last: Vec<_> = delivered.iter_mut().filter(is_last).collect();
    let accepted: Vec<_> = last.iter().map(|one| (Arc::clone(&one.outgoing.message), one.outgoing.targets())).collect();
    if accepted.is_empty() {
        return delivered;
    }
    let not_tried = |error: &dyn ToString| StoreError::NotTried(io::Error::other(error.to_string()));
    let write = move || {
        let put = |(message, queues): &(Arc<Message>, BTreeSet<String>)| {
            // The body is what the queues have, or their buckets, so it is what is kept.
            let octets = message.octets_of_snapshot().map_err(|error| not_tried(&error))?;
            store.put(&message.zone, &octets, queues)
        };
        let mut stored: Vec<_> = accepted.iter().map(put).collect();
        if let Err(error) = store.flush() {
            stored = stored.into_iter().map(|put| put.and_then(|()| Err(not_tried(&error)))).collect();
        }
        stored
    };
    let written = spawn_blocking(write).await;
    let written = written.unwrap_or_else(|error| last.iter().map(|_| Err(not_tried(&error))).collect());
    for (one, stored) in last.iter_mut().zip(written) {
        one.stored = Some(stored);
    }
    delivered
}

/// What the end of a send says about its queue.
pub fn said(delivered: &[Delivered]) -> Said {
    if delivered.iter().any(|one| one.result.as_ref().is_err_and(SendError::is_of_queue)) {
        Said::Fails
    } else if delivered.iter().any(Delivered::accepted) {
        Said::Takes
    } else {
        Said::Nothing
    }
}

impl Delivered {
    /// Whether the queue accepted it.
    pub fn accepted(&self) -> bool {
        self.result.is_ok()
    }

    /// Whether all queues of the zone have it, and this one was the last.
    pub fn by_all(&self) -> bool {
        self.stored.is_some()
    }

    /// Whether it could be stored, where it was to be.
    pub fn stored(&self) -> Option<&Result<(), StoreError>> {
        self.stored.as_ref()
    }

    /// Whether the queue accepted it and, if that was the last one, it is stored.
    pub fn is_good(&self) -> bool {
        self.accepted() && self.stored.as_ref().is_none_or(Result::is_ok)
    }

    /// Says what happened.
    pub fn tell(&self, took: Duration) {
        let message = &self.outgoing.message;
        let Message { zone, serial, reason, meta, .. } = &**message;
        let (records, octets, milliseconds) = (meta.records, message.octets(), took.as_millis());
        let queue = &self.queue.name;
        match &self.result {
            Ok(()) => info!(%zone, %serial, %reason, queue, records, octets, milliseconds, "sent"),
            Err(error) => warn!(%zone, %serial, %reason, queue, %error, milliseconds, "not sent"),
        }
        if let Some(Err(error)) = &self.stored {
            error!(%zone, %serial, %error, "not stored: it will be sent again after a restart");
        }
    }
}
