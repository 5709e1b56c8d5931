//! When to look at the primary, as a secondary does (RFC 1034 §4.3.5, RFC 1996 §4): one small machine per zone. No I/O, no
//! clock: the time is an argument, and so is chance.
//!
//! ```text
//!                      due, or a NOTIFY
//!            ┌──────┐ ──────────────────▶ ┌────────────┐
//!            │ Fresh│                     │ Refreshing │◀── a NOTIFY meanwhile: one more look after this one
//!            └──────┘ ◀────────────────── └────────────┘
//!               │       up to date, or          │ ▲
//!               │       transferred      failed │ │ due, or a NOTIFY
//!               │                               ▼ │
//!               │      ┌─────────┐         ┌──────────┐
//!               └────▶ │ Expired │ ◀────── │ Retrying │ ◀── the start
//!       expire is over └─────────┘         └──────────┘
//! ```
//!
//! An expired zone goes on being retried. Whether it stays published is not decided here, and it does: an alarm is
//! raised, nothing is withdrawn.
//!
//! Two kinds of looks bring the zone whatever its serial. An audit, from time to time, while the zone is fresh: it finds what
//! was changed without a new serial, at the primary or in the hosted zone. And a resend, when an operator asks: what was asked
//! for while a look is under way follows it, and stays asked for until a look has brought it. Leave to take an older serial,
//! though, ends with the look that it was given for.

use std::time::Duration;

use secondary53_zone::{Serial, Soa};

/// A point in time: how long after an origin that the caller keeps to.
pub type Moment = Duration;

/// The state of a zone's timers.
#[derive(Clone, Debug)]
pub struct Refresh {
    bounds: Bounds,
    held: Option<Held>,
    state: State,
    /// Looks that failed in a row.
    failures: u32,
    /// No NOTIFY makes us look before: a look has just failed.
    rest: Moment,
    /// The newest serial that a NOTIFY spoke of and no look has brought yet.
    hinted: Option<Serial>,
    /// When the next audit is due, until it has brought the zone; `None` where there are none.
    audit: Option<Moment>,
    /// What an operator asked for and no look has brought or begun to bring yet.
    asked: Option<Asked>,
}

/// What an operator asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    rollback: bool,
}

/// Where a zone stands. A time exists only in the states that wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The primary had nothing newer when last asked.
    Fresh {
        /// When to ask again.
        due: Moment,
    },
    /// A look is under way.
    Refreshing {
        /// What made us look.
        cause: Cause,
        /// A NOTIFY came meanwhile: it may speak of what the look has missed.
        pending: bool,
    },
    /// The last look failed, or there was none yet, or a NOTIFY came or an operator asked while it went on, or a NOTIFY spoke
    /// of more than it brought.
    Retrying {
        /// When to look again.
        due: Moment,
        /// What made us look at first.
        cause: Cause,
    },
    /// The zone is older than its SOA allows. Retried like before.
    Expired {
        /// When to look again.
        due: Moment,
    },
}

/// What makes us look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A timer.
    Timer,
    /// A NOTIFY.
    Notify,
    /// It is time for a comparison in full, though the serial may be the same.
    Audit,
    /// An operator asked.
    Resend {
        /// With leave to take an older serial.
        rollback: bool,
    },
}

/// Which serials at the primary are transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Newer ones.
    Newer,
    /// The same, too.
    NotOlder,
    /// Any, on an operator's word.
    Any,
}

/// What a zone holds of its SOA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    serial: Serial,
    /// In seconds, as the SOA has them.
    refresh: u32,
    retry: u32,
    expire: u32,
    /// When it is no longer valid; `None` once that has passed and was told.
    expires: Option<Moment>,
}

/// Bounds on what a SOA says, and what it does not say; chance takes up to a tenth off afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The shortest time between looks.
    pub refresh_min: Duration,
    /// The longest time between looks.
    pub refresh_max: Duration,
    /// The shortest time after a failed look.
    pub retry_min: Duration,
    /// The longest time after a failed look.
    pub retry_max: Duration,
    /// The time between audits; `None` for none.
    pub audit: Option<Duration>,
}

/// When each of many zones that come at once is looked at first: a start is no flood of questions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    next: Moment,
}

/// What a NOTIFY leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// Look now.
    Look(Cause),
    /// A look is under way, or one has just failed; one more will follow it.
    Merged,
    /// Its serial is not newer than ours: nothing to do (RFC 1996 §3.7).
    NotNewer,
}

/// What the time leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Nothing yet.
    Early,
    /// Look now.
    Look(Cause),
    /// The zone has expired: raise the alarm. [`Refresh::next`] says when to come back.
    Expired,
}

/// How the serial at the primary relates to ours (RFC 1982).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Newer, or we hold nothing: transfer.
    Newer,
    /// The same.
    Same,
    /// Older, or half-way round the circle. Refused, for serials only move forward.
    Backwards,
}

/// A serial that went backwards at the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the primary has serial {theirs}, which is not newer than our {ours} (RFC 1982): set it forward at the primary, or take \
     the older zone on purpose: secondary53-relay resend ZONE --accept-rollback"
)]
pub struct Backwards {
    /// What we hold.
    pub ours: Serial,
    /// What the primary has.
    pub theirs: Serial,
}

/// A NOTIFY after a failure is not answered by a look at once, or a flood of them would be a flood of looks. Nor is one more
/// look at a primary that has not yet got what a NOTIFY spoke of.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Between the first looks at two zones: 200 a second.
const BETWEEN_FIRST: Duration = Duration::from_millis(5);

impl Standing {
    /// Compares.
    pub fn of(ours: Option<Serial>, theirs: Serial) -> Self {
        match ours {
            None => Self::Newer,
            Some(ours) if theirs > ours => Self::Newer,
            Some(ours) if theirs == ours => Self::Same,
            Some(_) => Self::Backwards,
        }
    }
}

impl Pace {
    /// When the next one may be looked at; it is taken with that.
    pub fn first(&mut self, now: Moment) -> Moment {
        let first = self.next.max(now);
        self.next = first + BETWEEN_FIRST;
        first
    }
}

impl Cause {
    /// Which serials at the primary such a look transfers.
    pub const fn takes(self) -> Takes {
        match self {
            Self::Timer | Self::Notify => Takes::Newer,
            Self::Audit | Self::Resend { rollback: false } => Takes::NotOlder,
            Self::Resend { rollback: true } => Takes::Any,
        }
    }
}

impl Takes {
    /// Whether a serial that stands so is among them.
    pub const fn includes(self, standing: Standing) -> bool {
        match standing {
            Standing::Newer => true,
            Standing::Same => !matches!(self, Self::Newer),
            Standing::Backwards => matches!(self, Self::Any),
        }
    }
}

impl Refresh {
    /// A zone at the start, with the SOA of the last accepted snapshot if there is one. The first look is at `first`, or when a
    /// NOTIFY comes; the first audit within its time, as `chance` says: those of many zones lie apart.
    ///
    /// How old that snapshot is was not written down, so its expire time begins now.
    pub fn new(bounds: Bounds, held: Option<&Soa>, now: Moment, first: Moment, chance: u32) -> Self {
        let held = held.map(|soa| Held::new(&bounds, soa, now));
        let state = State::Retrying { due: first, cause: Cause::Timer };
        let audit = bounds.audit.map(|audit| now + part(audit, chance));
        Self { bounds, held, state, failures: 0, rest: now, hinted: None, audit, asked: None }
    }

    /// The state, to show.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The serial that we hold.
    pub fn serial(&self) -> Option<Serial> {
        self.held.map(|held| held.serial)
    }

    /// Whether what we hold is older than its SOA allows, from the moment that this was told.
    pub fn is_expired(&self) -> bool {
        self.held.is_some_and(|held| held.expires.is_none())
    }

    /// When to call [`Refresh::woken`]; `None` while a look is under way.
    pub fn next(&self) -> Option<Moment> {
        let alarm = self.held.and_then(|held| held.expires);
        let due = match self.state {
            State::Refreshing { .. } => return None,
            State::Fresh { due } => self.audit.map_or(due, |audit| due.min(audit)),
            State::Retrying { due, .. } | State::Expired { due } => due,
        };
        Some(alarm.map_or(due, |alarm| due.min(alarm)))
    }

    /// The time has come, or something else woke us.
    pub fn woken(&mut self, now: Moment) -> Woken {
        let (due, cause) = match self.state {
            State::Refreshing { .. } => return Woken::Early,
            // An audit waits until the zone is fresh: one that is retried is not transferred in full before it is known where
            // it stands.
            State::Fresh { .. } if self.audit.is_some_and(|audit| audit <= now) => (now, Cause::Audit),
            State::Fresh { due } | State::Expired { due } => (due, Cause::Timer),
            State::Retrying { due, cause } => (due, cause),
        };
        if let Some(held) = &mut self.held
            && held.expires.take_if(|expires| *expires <= now).is_some()
        {
            self.state = State::Expired { due };
            return Woken::Expired;
        }
        if now < due {
            return Woken::Early;
        }
        Woken::Look(self.begin(cause))
    }

    /// A NOTIFY, authorised, with the serial that it hints at.
    pub fn notified(&mut self, now: Moment, hint: Option<Serial>) -> Notified {
        let newer = hint.is_none_or(|hint| Standing::of(self.serial(), hint) == Standing::Newer);
        if newer && let Some(hint) = hint.filter(|hint| Standing::of(self.hinted, *hint) == Standing::Newer) {
            self.hinted = Some(hint);
        }
        match &mut self.state {
            State::Fresh { .. } | State::Refreshing { .. } if !newer => Notified::NotNewer,
            State::Refreshing { pending, .. } => {
                *pending = true;
                Notified::Merged
            }
            State::Retrying { due, cause } if now < self.rest => {
                (*due, *cause) = (self.rest.min(*due), Cause::Notify);
                Notified::Merged
            }
            State::Expired { due } if now < self.rest => {
                *due = self.rest.min(*due);
                Notified::Merged
            }
            // After a failure any NOTIFY is news: the primary is there.
            State::Fresh { .. } | State::Retrying { .. } | State::Expired { .. } => {
                Notified::Look(self.begin(Cause::Notify))
            }
        }
    }

    /// An operator asks for the zone, whatever its serial; with `rollback`, even an older one. `Some` where the look is now,
    /// `None` where it follows one that is under way or has just failed.
    pub fn resend(&mut self, now: Moment, rollback: bool) -> Option<Cause> {
        let asked = self.asked.get_or_insert(Asked { rollback });
        asked.rollback |= rollback;
        match &mut self.state {
            State::Refreshing { .. } => None,
            State::Retrying { due, .. } | State::Expired { due } if now < self.rest => {
                *due = self.rest.min(*due);
                None
            }
            State::Fresh { .. } | State::Retrying { .. } | State::Expired { .. } => Some(self.begin(Cause::Timer)),
        }
    }

    /// The look has ended with a SOA and no transfer: the primary has nothing newer, or something older.
    pub fn answered(&mut self, now: Moment, theirs: Serial, chance: u32) -> Result<(), Backwards> {
        match (Standing::of(self.serial(), theirs), &mut self.held) {
            (Standing::Same, Some(held)) => {
                // The primary vouched for what we hold: it is good for another `expire` (RFC 1034 §4.3.5).
                held.expires = Some(now + held.expire(&self.bounds));
                let refresh = held.refresh(&self.bounds);
                if let State::Refreshing { cause: Cause::Audit, .. } = self.state {
                    // And gave nothing to compare.
                    self.audit = self.audit.map(|audit| audit.max(now + held.retry(&self.bounds)));
                }
                self.succeeded(now, refresh, chance);
                Ok(())
            }
            (Standing::Backwards, Some(held)) => {
                let backwards = Backwards { ours: held.serial, theirs };
                self.failed(now, chance);
                Err(backwards)
            }
            // Newer, and yet no transfer came of it.
            _ => {
                self.failed(now, chance);
                Ok(())
            }
        }
    }

    /// The look has ended with a transfer of the zone at this SOA.
    pub fn transferred(&mut self, now: Moment, soa: &Soa, chance: u32) -> Result<(), Backwards> {
        let takes = match self.state {
            State::Refreshing { cause, .. } => cause.takes(),
            State::Fresh { .. } | State::Retrying { .. } | State::Expired { .. } => Takes::Newer,
        };
        // The zone can change between the SOA query and the transfer, for the worse too.
        if let (Standing::Backwards, Some(ours)) = (Standing::of(self.serial(), soa.serial), self.serial())
            && takes != Takes::Any
        {
            self.failed(now, chance);
            return Err(Backwards { ours, theirs: soa.serial });
        }
        if takes != Takes::Newer {
            self.audit = self.bounds.audit.map(|audit| now + shortened(audit, chance));
        }
        let held = Held::new(&self.bounds, soa, now);
        self.held = Some(held);
        self.succeeded(now, held.refresh(&self.bounds), chance);
        Ok(())
    }

    /// The look has failed.
    pub fn failed(&mut self, now: Moment, chance: u32) {
        let wait = self.wait();
        self.failures = self.failures.saturating_add(1);
        // What came while the look went on is not to wait for long.
        let mut soon = self.asked.is_some();
        if matches!(self.state, State::Refreshing { cause: Cause::Resend { .. }, .. }) {
            // It is still asked for. Leave to go backwards is not kept: who knows what the primary has by then?
            self.asked.get_or_insert(Asked { rollback: false });
        }
        let cause = match self.state {
            State::Refreshing { cause, pending } => {
                soon |= pending;
                match cause {
                    _ if pending => Cause::Notify,
                    Cause::Resend { .. } => Cause::Timer,
                    cause => cause,
                }
            }
            State::Retrying { cause, .. } => cause,
            State::Fresh { .. } | State::Expired { .. } => Cause::Timer,
        };
        self.rest = now + AFTER_FAILURE;
        let due = if soon { self.rest.min(now + wait) } else { now + shortened(wait, chance) };
        let expired = self.held.is_some_and(|held| held.expires.is_none());
        self.state = if expired { State::Expired { due } } else { State::Retrying { due, cause } };
    }

    /// Other bounds from now on: what is due later than they allow is due sooner, and the rest stays as it is.
    pub fn set_bounds(&mut self, bounds: Bounds, now: Moment, chance: u32) {
        self.bounds = bounds;
        self.audit = bounds.audit.map(|audit| self.audit.unwrap_or(now + part(audit, chance)).min(now + audit));
        let wait = match (&self.state, self.held) {
            (State::Fresh { .. }, Some(held)) => held.refresh(&bounds),
            _ => self.wait(),
        };
        match &mut self.state {
            State::Fresh { due } | State::Retrying { due, .. } | State::Expired { due } => {
                *due = (*due).min(now + wait);
            }
            State::Refreshing { .. } => {}
        }
    }

    /// Look again, at once: what is known is of other primaries than there are now. Where a look is under way, this is said
    /// when it has ended, and what it brought is left aside.
    pub fn again(&mut self, now: Moment) {
        self.state = match self.state {
            State::Refreshing { cause: Cause::Resend { rollback }, .. } => {
                self.asked.get_or_insert(Asked { rollback });
                State::Retrying { due: now, cause: Cause::Timer }
            }
            State::Refreshing { cause, pending } => {
                State::Retrying { due: now, cause: if pending { Cause::Notify } else { cause } }
            }
            State::Retrying { cause, .. } => State::Retrying { due: now, cause },
            State::Fresh { .. } => State::Retrying { due: now, cause: Cause::Timer },
            State::Expired { .. } => State::Expired { due: now },
        };
        self.rest = now;
    }

    /// The zone is wanted whatever its serial, at once: a queue has not had it.
    pub fn want(&mut self, now: Moment) {
        self.asked.get_or_insert(Asked { rollback: false });
        if !matches!(self.state, State::Refreshing { .. }) {
            self.again(now);
        }
    }

    /// Nothing is held any more, and any serial is newer. A look that is under way stays so; [`Refresh::again`] must follow.
    pub fn start_over(&mut self, now: Moment, chance: u32) {
        let state = match self.state {
            under_way @ State::Refreshing { .. } => under_way,
            State::Fresh { .. } | State::Retrying { .. } | State::Expired { .. } => {
                State::Retrying { due: now, cause: Cause::Timer }
            }
        };
        *self = Self { state, ..Self::new(self.bounds, None, now, now, chance) };
    }

    /// The wait after a look that failed.
    fn wait(&self) -> Duration {
        let Bounds { retry_min, retry_max, .. } = self.bounds;
        match self.held {
            Some(held) => held.retry(&self.bounds),
            // No SOA has told how long to wait: from the shortest to the longest, doubling.
            None => (retry_min * 2_u32.saturating_pow(self.failures.min(16))).min(retry_max),
        }
    }

    /// A look begins: for what an operator asked for, if that is due.
    fn begin(&mut self, cause: Cause) -> Cause {
        let cause = self.asked.take().map_or(cause, |Asked { rollback }| Cause::Resend { rollback });
        self.state = State::Refreshing { cause, pending: false };
        cause
    }

    fn succeeded(&mut self, now: Moment, refresh: Duration, chance: u32) {
        self.failures = 0;
        self.state = match self.state {
            // The NOTIFY that came meanwhile may speak of a later change: look again, at once and once.
            State::Refreshing { pending: true, .. } => State::Retrying { due: now, cause: Cause::Notify },
            _ if self.asked.is_some() => State::Retrying { due: now, cause: Cause::Timer },
            // What a NOTIFY spoke of has not come: the primary that was asked may be behind the one that sent it. The hint
            // may be wrong (RFC 1996 §3.11), so this is done once for it.
            _ if self.hinted.take().is_some_and(|hint| Standing::of(self.serial(), hint) == Standing::Newer) => {
                State::Retrying { due: now + AFTER_FAILURE, cause: Cause::Notify }
            }
            _ => State::Fresh { due: now + shortened(refresh, chance) },
        };
    }
}

impl Held {
    fn new(bounds: &Bounds, soa: &Soa, now: Moment) -> Self {
        let Soa { serial, refresh, retry, expire, .. } = *soa;
        let mut held = Self { serial, refresh, retry, expire, expires: None };
        held.expires = Some(now + held.expire(bounds));
        held
    }

    fn refresh(&self, bounds: &Bounds) -> Duration {
        Duration::from_secs(self.refresh.into()).max(bounds.refresh_min).min(bounds.refresh_max)
    }

    fn retry(&self, bounds: &Bounds) -> Duration {
        Duration::from_secs(self.retry.into()).max(bounds.retry_min).min(bounds.retry_max)
    }

    fn expire(&self, bounds: &Bounds) -> Duration {
        // A zone that expires before it was looked at twice would do so for its SOA alone.
        Duration::from_secs(self.expire.into()).max(self.refresh(bounds) + self.retry(bounds))
    }
}

/// Takes up to a tenth off, as `chance` of 2³² says, so that zones loaded together do not stay together.
fn shortened(time: Duration, chance: u32) -> Duration {
    time.saturating_sub(part(time / 10, chance))
}

/// As much of it as `chance` of 2³² says.
fn part(time: Duration, chance: u32) -> Duration {
    time.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
