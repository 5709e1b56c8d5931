//! Looks at primaries: whose turn it is, and what came of it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use secondary53_zone::message::{Approval, Meta, Reason};
use tracing::{error, info, warn};

use super::{Daemon, Done};
use crate::config::{self, Config};
use crate::job::{self, Ending, Errand, Looked, Stored, Turn, Turns};
use crate::notify::ZoneKey;
use crate::primary::Fetched;
use crate::refresh::{Cause, Moment, State, Takes};

/// Zones to look at, waiting for a turn at their first primary; a line for each, by its address.
pub(super) struct Lines {
    turns: Turns,
    waiting: HashMap<SocketAddr, VecDeque<ZoneKey>>,
    /// What was known of the primaries when the zones lined up.
    changes: u64,
}

/// What made a look, and when.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    pub(super) cause: Cause,
    pub(super) notified_ms: Option<u64>,
    pub(super) at: Moment,
    /// The life of the zone in which it was.
    life: u32,
}

/// The reason that a message carries.
pub fn reason(accepted_before: bool, cause: Cause) -> Reason {
    match cause {
        // Asked for each time anew; what a relay begins with is sent once for all relays.
        Cause::Resend { .. } => Reason::Resend,
        _ if !accepted_before => Reason::Initial,
        Cause::Notify => Reason::Notify,
        Cause::Timer => Reason::Refresh,
        Cause::Audit => Reason::Audit,
    }
}

/// What a message says beside the zone.
pub fn meta(config: &Config, zone: &config::Zone, fetched: &Fetched, notified_at_ms: Option<u64>, now_ms: u64) -> Meta {
    Meta {
        records: fetched.transferred.zone.record_count(),
        notified_at_ms,
        transferred_at_ms: now_ms,
        relay: config.relay_id.clone().unwrap_or_default(),
        hosted_zone_id: zone.hosted_zone_id.clone(),
        approved: Vec::new(),
    }
}

impl Lines {
    pub(super) fn new(config: &Config) -> Self {
        Self { turns: Turns::new(config), waiting: HashMap::new(), changes: 0 }
    }

    /// Takes the primaries and limits of another configuration over. The zones that wait for a primary that is gone are to line
    /// up anew.
    pub(super) fn take_over(&mut self, old: &config::Limits, config: &Config) -> Vec<ZoneKey> {
        self.turns = self.turns.taken_over(old, config);
        let gone = self.waiting.extract_if(|primary, _| !self.turns.know(*primary));
        gone.flat_map(|(_, line)| line).collect()
    }

    /// Waits until a look has given a primary's turn back while it goes on at another.
    pub(super) async fn freed(&self) {
        self.turns.freed().await;
    }

    /// The primaries that could not be reached.
    pub(super) fn lost(&self) -> BTreeSet<SocketAddr> {
        self.turns.lost()
    }

    /// A zone lines up; a change that a NOTIFY told of does not wait for those that are looked at in case there is one.
    pub(super) fn push(&mut self, key: ZoneKey, zone: &config::Zone, cause: Cause, now: Moment) {
        // A zone has a primary: the configuration was checked.
        if let Some(first) = self.turns.order(zone, now).first() {
            let line = self.waiting.entry(first.server.address).or_default();
            if cause == Cause::Notify { line.push_front(key) } else { line.push_back(key) }
        }
    }

    /// The zones that wait for primaries that are passed over, if any is since this was last asked.
    fn leave_lost(&mut self, now: Moment) -> Vec<ZoneKey> {
        let changes = self.turns.changes();
        if std::mem::replace(&mut self.changes, changes) == changes {
            return Vec::new();
        }
        let lost = self.waiting.iter_mut().filter(|(primary, _)| self.turns.passes_over(**primary, now));
        lost.flat_map(|(_, line)| line.drain(..)).collect()
    }

    /// A zone whose turn it is, and at which primary. It may be gone.
    fn take(&mut self) -> Option<(ZoneKey, SocketAddr, Turn)> {
        let turns = &self.turns;
        self.waiting.iter_mut().filter(|(_, line)| !line.is_empty()).find_map(|(address, line)| {
            let turn = turns.take(*address)?;
            Some((line.pop_front()?, *address, turn))
        })
    }
}

impl Daemon {
    /// Begins as many looks as there are turns.
    pub(super) fn take_turns(&mut self, now: Moment) {
        loop {
            self.line_up_anew(now);
            let Some((key, first, turn)) = self.lines.take() else { break };
            let Some(tracked) = self.zones.get_mut(key) else { continue };
            let State::Refreshing { cause, .. } = tracked.refresh.state() else { continue };
            let mut order = self.lines.turns.order(&tracked.zone, now);
            // One that stands before it in the order has come back since the zone lined up: it is asked next, if need be.
            let is_first = |primary: &Arc<config::Primary>| primary.server.address == first;
            let at = order.iter().position(is_first).map(|at| order.remove(at));
            order.splice(0..0, at.or_else(|| tracked.zone.primaries.iter().find(|primary| is_first(primary)).cloned()));
            self.lines.turns.ask(first, now);
            let begun = Begun { cause, notified_ms: tracked.notified_ms.take(), at: now, life: tracked.life };
            let errand = Errand {
                zone: Arc::clone(&tracked.zone),
                ours: tracked.refresh.serial(),
                takes: cause.takes(),
                store: tracked.unstored.is_none().then(|| Arc::clone(&self.store)),
            };
            let (limits, turns, clock) = (self.config.limits.transfer, self.lines.turns.clone(), self.clock);
            self.looks.spawn(async move {
                let looked = job::look(errand, limits, order, turns, turn, clock).await;
                Done::Looked { zone: key, begun, looked }
            });
        }
    }

    /// Zones that wait for a primary that is passed over by now, and have another, go there.
    fn line_up_anew(&mut self, now: Moment) {
        let left = self.lines.leave_lost(now);
        self.line_up(left, now);
    }

    /// Zones that are to be looked at, each in the line of the primary that it has now.
    pub(super) fn line_up(&mut self, zones: Vec<ZoneKey>, now: Moment) {
        for key in zones {
            let Some(tracked) = self.zones.get_mut(key) else { continue };
            let State::Refreshing { cause, .. } = tracked.refresh.state() else { continue };
            self.lines.push(key, &tracked.zone, cause, now);
        }
    }

    /// A look has ended.
    pub(super) fn looked(&mut self, key: ZoneKey, begun: Begun, looked: Looked) {
        let now = self.clock.moment();
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let name = &tracked.zone.name;
        looked.tell(name, now.saturating_sub(begun.at));
        if begun.life != tracked.life {
            info!(zone = %name, "left aside: it was begun before the configuration was changed");
            tracked.notified_ms = begun.notified_ms.or(tracked.notified_ms);
            tracked.refresh.again(now);
            self.zones.arm(key);
            return;
        }
        self.count_looked(key, begun, &looked);
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let name = &tracked.zone.name;
        let (ending, turn) = looked.into_parts();
        let last = tracked.refresh.serial();
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
                tracked.taken += 1;
                let place = tracked.taken;
                if begun.cause.takes() != Takes::Newer {
                    tracked.unstored = Some(place);
                }
                if tracked.catalog.is_some() {
                    let read = job::read_catalog(fetched, turn);
                    self.looks.spawn(async move { Done::Read { catalog: key, place, read: read.await } });
                    return self.zones.arm(key);
                }
                let reason = reason(tracked.accepted, begun.cause);
                let mut meta = meta(&self.config, &tracked.zone, &fetched, begun.notified_ms, self.clock.unix_ms());
                let rollback = begun.cause == Cause::Resend { rollback: true };
                meta.approved.extend(rollback.then_some(Approval::Rollback));
                let (store, limits) = (Arc::clone(&self.store), self.config.limits.transfer.zone);
                let no_base = rollback.then(|| job::no_base(Arc::clone(&store), tracked.zone.name.clone(), limits));
                let stored = Stored { store, limits, last };
                let pack = job::pack(fetched, reason, meta, tracked.zone.overflows(), turn, stored);
                self.looks.spawn(async move {
                    if let Some(no_base) = no_base {
                        no_base.await;
                    }
                    Done::Packed { zone: key, place, packed: pack.await }
                });
            }
            (Ok(()), Ending::NotNewer(serial)) => {
                info!(zone = %name, %serial, "current");
                if tracked.seen.has_sent(serial) && tracked.zone.confirm != config::Confirm::Off {
                    tracked.confirm.looked(now, serial);
                }
            }
            (Ok(()), Ending::Nothing) => {
                let wait = tracked.refresh.next().unwrap_or_default().saturating_sub(now);
                warn!(zone = %name, serial = tracked.refresh.serial().map(|serial| serial.0), seconds = wait.as_secs(), "retrying");
            }
        }
        self.zones.arm(key);
    }
}
