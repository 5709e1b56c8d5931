//! Looks at primaries: whose turn it is, and what came of it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use secondary53_zone::message::{Meta, Reason};
use tracing::{error, info, warn};

use super::{Daemon, Done};
use crate::config::{self, Config};
use crate::job::{self, Ending, Looked, Turn, Turns};
use crate::notify::ZoneKey;
use crate::primary::Fetched;
use crate::refresh::{Cause, Moment, State};

/// Zones to look at, waiting for a turn at their first primary; a line for each, by its address.
pub(super) struct Lines {
    turns: Turns,
    lines: HashMap<SocketAddr, VecDeque<ZoneKey>>,
}

/// What made a look, and when.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    pub(super) cause: Cause,
    pub(super) notified_ms: Option<u64>,
    pub(super) at: Moment,
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
        Self { turns: Turns::new(config), lines: HashMap::new() }
    }

    /// Waits until a look has given a primary's turn back while it goes on at another.
    pub(super) async fn freed(&self) {
        self.turns.freed().await;
    }

    pub(super) fn push(&mut self, key: ZoneKey, zone: &config::Zone) {
        // A zone has a primary: the configuration was checked.
        if let Some(first) = zone.primaries.first() {
            self.lines.entry(first.server.address).or_default().push_back(key);
        }
    }

    /// A zone whose turn it is. It may be gone.
    fn take(&mut self) -> Option<(ZoneKey, Turn)> {
        let turns = &self.turns;
        self.lines.iter_mut().filter(|(_, line)| !line.is_empty()).find_map(|(address, line)| {
            let turn = turns.take(*address)?;
            Some((line.pop_front()?, turn))
        })
    }
}

impl Daemon {
    /// Begins as many looks as there are turns.
    pub(super) fn take_turns(&mut self, now: Moment) {
        while let Some((key, turn)) = self.lines.take() {
            let Some(tracked) = self.zones.get_mut(key) else { continue };
            let State::Refreshing { cause, .. } = tracked.refresh.state() else { continue };
            let begun = Begun { cause, notified_ms: tracked.notified_ms.take(), at: now };
            let (zone, limits, store) =
                (Arc::clone(&tracked.zone), self.config.limits.transfer, Arc::clone(&self.store));
            let (wanted, turns, clock) =
                ((tracked.refresh.serial(), cause.takes()), self.lines.turns.clone(), self.clock);
            self.looks.spawn(async move {
                let looked = job::look(zone, limits, store, wanted, turns, turn, clock).await;
                Done::Looked { zone: key, begun, looked }
            });
        }
    }

    /// A look has ended.
    pub(super) fn looked(&mut self, key: ZoneKey, begun: Begun, looked: Looked) {
        self.count_looked(key, begun, &looked);
        let now = self.clock.moment();
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let name = &tracked.zone.name;
        looked.tell(name, now.saturating_sub(begun.at));
        let (ending, turn) = looked.into_parts();
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
                let meta = meta(&self.config, &tracked.zone, &fetched, begun.notified_ms, self.clock.unix_ms());
                let pack = job::pack(fetched, reason, meta, turn);
                self.looks.spawn(async move { Done::Packed { zone: key, packed: pack.await } });
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
