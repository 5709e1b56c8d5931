//! The zones that there are, each under a key that is nobody else's once it is gone: what was begun for a zone and ends later
//! finds it, or nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use secondary53_zone::message::{Meta, Reason};
use secondary53_zone::{Limits, Name, Snapshot, Soa};
use slotmap::SlotMap;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::catalog::Members;
use crate::config::{self, Config};
use crate::confirm::Confirm;
use crate::notify::{Source, Sources, ZoneKey};
use crate::queue::{self, Outbox, Outgoing};
use crate::refresh::{Moment, Pace, Refresh};
use crate::store::{Store, StoreError};
use crate::view::Seen;

/// All zones, when each is due, and who may notify of it.
#[derive(Default)]
pub(super) struct Registry {
    zones: SlotMap<ZoneKey, Tracked>,
    /// One entry at most for each zone, the next in front.
    timers: BTreeSet<(Moment, ZoneKey)>,
    /// Shown to the sockets as it is at each moment. It is also where a zone is found by its name.
    sources: watch::Sender<Sources>,
    pace: Pace,
}

/// Who says that a zone is one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The configuration names it.
    Named,
    /// This catalog lists it.
    Member(ZoneKey),
    /// It is a hosted zone of the account.
    Found,
}

/// A zone, as the loop keeps it.
pub(super) struct Tracked {
    pub(super) zone: Arc<config::Zone>,
    pub(super) origin: Origin,
    /// Where it is a catalog, its members: those of the last one that was not broken.
    pub(super) catalog: Option<Arc<Members>>,
    pub(super) refresh: Refresh,
    /// One for each of its queues, which may fail apart.
    pub(super) outboxes: Box<[(Arc<config::Queue>, Outbox)]>,
    /// Whether all its queues have accepted a snapshot before, in this run or an earlier one.
    pub(super) accepted: bool,
    /// How often it was taken from a primary: the place of what was taken last in the order of what is sent.
    pub(super) taken: u64,
    /// The place of what was last taken in whole whatever its serial, until that is stored. What is stored before that may
    /// have the serial of another content, and is no base for differences.
    pub(super) unstored: Option<u64>,
    /// Looks that were begun in another life of the zone, at other primaries or for another zone of the same name, do not
    /// count.
    pub(super) life: u32,
    /// What has a place up to this is of another zone of the same name.
    pub(super) forgotten: Option<u64>,
    /// The first NOTIFY that no look has answered yet.
    pub(super) notified_ms: Option<u64>,
    /// The time of its entry in the timer queue.
    armed: Option<Moment>,
    pub(super) confirm: Confirm,
    /// The name servers that were found for what is waited for.
    pub(super) servers: Option<Arc<[SocketAddr]>>,
    pub(super) seen: Seen,
}

impl Registry {
    /// When a zone that is to be added may be looked at first.
    pub(super) fn first_look(&mut self, now: Moment) -> Moment {
        self.pace.first(now)
    }

    /// Adds a zone, of whose name there is none. It is due when it says.
    pub(super) fn insert(&mut self, tracked: Tracked) -> ZoneKey {
        let zone = Arc::clone(&tracked.zone);
        let key = self.zones.insert(tracked);
        self.listen_to(key, &zone);
        self.arm(key);
        key
    }

    pub(super) fn get(&self, key: ZoneKey) -> Option<&Tracked> {
        self.zones.get(key)
    }

    pub(super) fn get_mut(&mut self, key: ZoneKey) -> Option<&mut Tracked> {
        self.zones.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Tracked> {
        self.zones.values()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = ZoneKey> {
        self.zones.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.zones.len()
    }

    /// The key of the zone of this name, if it is here.
    pub(super) fn find(&self, name: &Name) -> Option<ZoneKey> {
        self.sources.borrow().find(name)
    }

    /// What the sockets need.
    pub(super) fn sources(&self) -> watch::Receiver<Sources> {
        self.sources.subscribe()
    }

    /// Takes a zone out. What was begun for it and ends later finds nothing.
    pub(super) fn remove(&mut self, key: ZoneKey) -> Option<Tracked> {
        let tracked = self.zones.remove(key)?;
        if let Some(armed) = tracked.armed {
            self.timers.remove(&(armed, key));
        }
        self.sources.send_modify(|all| all.remove(&tracked.zone.name));
        Some(tracked)
    }

    /// A zone whose time has come; it is in the timer queue no more.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<ZoneKey> {
        let &(due, key) = self.timers.first().filter(|(due, _)| *due <= now)?;
        self.timers.remove(&(due, key));
        if let Some(tracked) = self.zones.get_mut(key) {
            tracked.armed = None;
        }
        Some(key)
    }

    /// When the next zone is due.
    pub(super) fn next(&self) -> Option<Moment> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Puts the zone's next time into the timer queue, unless it is there.
    pub(super) fn arm(&mut self, key: ZoneKey) {
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let next = tracked.next();
        if next != tracked.armed {
            if let Some(before) = std::mem::replace(&mut tracked.armed, next) {
                self.timers.remove(&(before, key));
            }
            self.timers.extend(next.map(|next| (next, key)));
        }
    }

    /// Whose NOTIFY are heard for a zone.
    pub(super) fn listen_to(&self, key: ZoneKey, zone: &config::Zone) {
        let sources: Vec<Arc<Source>> = zone.primaries.iter().map(|primary| Arc::clone(&primary.source)).collect();
        self.sources.send_modify(|all| all.insert(zone.name.clone(), key, &sources));
    }
}

impl Tracked {
    /// A zone at its start, with what is stored of it; `first` is when it is looked at.
    pub(super) fn new(
        zone: Arc<config::Zone>,
        config: &Config,
        store: &Store,
        [now, first]: [Moment; 2],
        now_ms: u64,
    ) -> Self {
        let Stored { soa, owed } = stored(store, &zone, config, now_ms);
        let outbox = |queue: &Arc<config::Queue>| {
            let owed = owed.as_ref().filter(|owed| owed.is_missing(queue));
            (Arc::clone(queue), owed.cloned().map_or_else(Outbox::default, Outbox::with))
        };
        Self {
            refresh: Refresh::new(config.timers, soa.as_ref(), now, first, rand::random()),
            outboxes: zone.queues.iter().map(outbox).collect(),
            accepted: soa.is_some() && owed.is_none(),
            taken: 0,
            unstored: None,
            life: 0,
            forgotten: None,
            notified_ms: None,
            armed: None,
            confirm: Confirm::default(),
            servers: None,
            seen: Seen::new(soa.map(|soa| soa.serial)),
            zone,
            origin: Origin::Named,
            catalog: None,
        }
    }

    /// A catalog at its start, with the members of the one that is stored.
    pub(super) fn catalog(
        zone: Arc<config::Zone>,
        config: &Config,
        store: &Store,
        [now, first]: [Moment; 2],
        now_ms: u64,
    ) -> Self {
        let members = members(store, &zone.name, config.limits.transfer.zone);
        let mut tracked = Self::new(zone, config, store, [now, first], now_ms);
        tracked.catalog = Some(Arc::new(members));
        tracked
    }

    /// Whether this is what the zone, as it is now, sends: not so where it was begun for other queues, another hosted zone, or
    /// another zone of the same name.
    pub(super) fn is_of_now(&self, outgoing: &Outgoing) -> bool {
        self.forgotten.is_none_or(|forgotten| outgoing.place() > forgotten) && outgoing.is_for(&self.zone)
    }

    /// What waits for this queue, if the zone is sent to it.
    pub(super) fn outbox(&mut self, queue: &config::Queue) -> Option<&mut Outbox> {
        self.outboxes.iter_mut().find(|(known, _)| known.url == queue.url).map(|(_, outbox)| outbox)
    }

    fn next(&self) -> Option<Moment> {
        let sends = self.outboxes.iter().filter_map(|(_, outbox)| outbox.next());
        sends.chain(self.refresh.next()).chain(self.confirm.next()).min()
    }
}

/// The members of a catalog as it is stored. It was read before it was stored, so it is not broken.
pub(crate) fn members(store: &Store, catalog: &Name, limits: Limits) -> Members {
    // A file that cannot be read is told where the zone is.
    let stored = store.read(catalog, limits).ok().flatten();
    stored.and_then(|snapshot| Members::read(snapshot.zone()).ok()).unwrap_or_default()
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
    let id = zone.hosted_zone_id.as_deref();
    let missing: Vec<_> =
        zone.queues.iter().filter(|queue| !had.contains(&queue::target(queue, id))).cloned().collect();
    let owed = if missing.is_empty() { None } else { owed(snapshot, zone, config, missing, now_ms) };
    Stored { soa, owed }
}

fn owed(
    snapshot: Snapshot,
    zone: &config::Zone,
    config: &Config,
    missing: Vec<Arc<config::Queue>>,
    now_ms: u64,
) -> Option<Outgoing> {
    let queues: Vec<_> = missing.iter().map(|queue| queue.name.as_str()).collect();
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
    let overflows = missing.iter().any(|queue| queue.overflow_bucket.is_some());
    let packed = queue::pack(snapshot, Reason::Initial, meta, overflows)
        .inspect_err(|error| error!(zone = %zone.name, %error, "not sent"));
    packed.ok().map(|message| Outgoing::new(message, &zone.queues, missing))
}
