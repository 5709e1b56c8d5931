//! What waits for a queue. No I/O, no clock.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secondary53_zone::message::{Approval, Message, Reason};

use super::{target, wait};
use crate::config;
use crate::refresh::Moment;

/// The newest snapshot of one zone, until one of its queues has it.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Option<Outgoing>,
    /// It stands in the line of its queue.
    lined_up: bool,
    in_flight: bool,
    /// What is in flight, if it is to come back where it fails.
    sent: Option<Outgoing>,
    /// The place in the zone's order of what was offered last.
    newest: Option<u64>,
    failures: u32,
    due: Moment,
}

/// What comes of an outbox's turn.
#[derive(Debug)]
pub enum Turn {
    /// This is sent; [`Outbox::ended`] must follow.
    Send(Outgoing),
    /// It has nothing to send any more.
    Nothing,
    /// What it sends has more octets than there is room for; it is still its turn.
    NoRoom,
}

/// A message on its way to all queues of its zone; its clones know of one another. Queues are told apart by their URLs.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The message.
    pub message: Arc<Message>,
    queues: Arc<[Arc<config::Queue>]>,
    missing: Arc<Mutex<Vec<Arc<config::Queue>>>>,
    place: u64,
}

impl Outgoing {
    /// A message for a zone of these queues, of which some are missing it.
    pub fn new(message: Message, queues: &Arc<[Arc<config::Queue>]>, missing: Vec<Arc<config::Queue>>) -> Self {
        Self {
            message: Arc::new(message),
            queues: Arc::clone(queues),
            missing: Arc::new(Mutex::new(missing)),
            place: 0,
        }
    }

    /// A message for a zone of these queues, none of which has it.
    pub fn to_all(message: Message, queues: &Arc<[Arc<config::Queue>]>) -> Self {
        Self::new(message, queues, queues.to_vec())
    }

    /// Gives it a place in the order of its zone: what is taken from the primaries later has a higher one. Without one it is the
    /// first.
    #[must_use]
    pub fn at(self, place: u64) -> Self {
        Self { place, ..self }
    }

    /// Its place in the order of its zone.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// Takes over what must not be lost with a message that this one takes the place of: that it was to be compared in full,
    /// and that an operator allowed its zone to go back. What goes on from there goes back too.
    fn instead_of(mut self, other: &Self) -> Self {
        let rank = |reason: Reason| match reason {
            Reason::Notify | Reason::Refresh => 0,
            Reason::Initial | Reason::Audit => 1,
            Reason::Resend | Reason::Replay => 2,
        };
        let (mine, its) = (&self.message, &other.message);
        let reason = if rank(its.reason) > rank(mine.reason) { its.reason } else { mine.reason };
        let may_go_back = |message: &Message| message.meta.approved.contains(&Approval::Rollback);
        let approved = may_go_back(its) && !may_go_back(mine);
        if approved || reason != mine.reason {
            let message = Arc::make_mut(&mut self.message);
            message.reason = reason;
            message.meta.approved.extend(approved.then_some(Approval::Rollback));
        }
        self
    }

    /// Whether this queue is missing it.
    pub fn is_missing(&self, queue: &config::Queue) -> bool {
        self.missing().iter().any(|missing| missing.url == queue.url)
    }

    /// The queue has it. Says whether it was the last one that was missing it.
    pub fn accepted(&self, queue: &config::Queue) -> bool {
        let mut missing = self.missing();
        let before = missing.len();
        missing.retain(|missing| missing.url != queue.url);
        missing.len() < before && missing.is_empty()
    }

    /// All queues of the zone.
    pub fn queues(&self) -> &[Arc<config::Queue>] {
        &self.queues
    }

    /// What these queues are sent it as, each of them in a line of text: a zone that goes to another hosted zone than before is
    /// something that a queue has not had.
    pub fn targets(&self) -> BTreeSet<String> {
        let id = self.message.meta.hosted_zone_id.as_deref();
        self.queues.iter().map(|queue| target(queue, id)).collect()
    }

    /// The same news for a zone that has other queues by now, or another hosted zone: for those that are missing it, and
    /// those that are new.
    #[must_use]
    pub fn readdressed(&self, zone: &config::Zone) -> Self {
        let mut message = Arc::clone(&self.message);
        let moved = message.meta.hosted_zone_id != zone.hosted_zone_id;
        if moved {
            let message = Arc::make_mut(&mut message);
            message.meta.hosted_zone_id.clone_from(&zone.hosted_zone_id);
            if message.reason.trusts_serial() {
                message.reason = Reason::Initial;
            }
        }
        let had = |queue: &config::Queue| !moved && self.queues.iter().any(|old| old.url == queue.url);
        let mut missing = zone.queues.to_vec();
        missing.retain(|queue| self.is_missing(queue) || !had(queue));
        if missing.is_empty() {
            // The one that was missing it is gone. That all others have it is known once one of them says so.
            missing = zone.queues.to_vec();
        }
        let queues = Arc::clone(&zone.queues);
        Self { message, queues, missing: Arc::new(Mutex::new(missing)), place: self.place }
    }

    /// Whether this is for the queues and the hosted zone that the zone has now.
    pub fn is_for(&self, zone: &config::Zone) -> bool {
        let urls =
            |queues: &[Arc<config::Queue>]| queues.iter().map(|queue| queue.url.clone()).collect::<BTreeSet<_>>();
        self.message.meta.hosted_zone_id == zone.hosted_zone_id && urls(&self.queues) == urls(&zone.queues)
    }

    fn missing(&self) -> MutexGuard<'_, Vec<Arc<config::Queue>>> {
        // A list is whole whoever panicked.
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox {
    /// One in which this waits.
    pub fn with(outgoing: Outgoing) -> Self {
        let mut outbox = Self::default();
        outbox.offer(outgoing);
        outbox
    }

    /// A newer snapshot: it takes the place of what waits. One that is not newer was overtaken on its way here.
    pub fn offer(&mut self, outgoing: Outgoing) {
        if self.newest >= Some(outgoing.place) {
            return;
        }
        self.newest = Some(outgoing.place);
        self.waiting = Some(match self.waiting.take() {
            Some(other) => outgoing.instead_of(&other),
            None => outgoing,
        });
    }

    /// When to call [`Outbox::line_up`]; `None` where nothing waits, it stands in line, or a send is under way.
    pub fn next(&self) -> Option<Moment> {
        (!self.lined_up && !self.in_flight && self.waiting.is_some()).then_some(self.due)
    }

    /// Whether it is to stand in line from now on, until [`Outbox::take`].
    pub fn line_up(&mut self, now: Moment) -> bool {
        let is_due = self.next().is_some_and(|due| due <= now);
        self.lined_up |= is_due;
        is_due
    }

    /// What is to be sent, now that it is its turn, if it has no more than so many octets.
    pub fn take(&mut self, octets: usize) -> Turn {
        if self.waiting.as_ref().is_some_and(|waiting| waiting.message.octets() > octets) {
            return Turn::NoRoom;
        }
        self.lined_up = false;
        let Some(outgoing) = self.waiting.take_if(|_| !self.in_flight) else { return Turn::Nothing };
        self.in_flight = true;
        self.sent = Some(outgoing.clone());
        Turn::Send(outgoing)
    }

    /// What waits, if anything does.
    pub fn waiting(&self) -> Option<&Outgoing> {
        self.waiting.as_ref()
    }

    /// The newest of what waits or is in flight.
    pub fn newest(&self) -> Option<&Outgoing> {
        self.waiting.as_ref().or(self.sent.as_ref())
    }

    /// Puts the same news, addressed anew, in the place of what waits; it goes out after what is in flight.
    pub fn readdress(&mut self, outgoing: Outgoing) {
        self.newest = self.newest.max(Some(outgoing.place));
        self.waiting = Some(outgoing);
    }

    /// Nothing waits any more, and what is in flight does not come back.
    pub fn forget(&mut self) {
        (self.waiting, self.sent) = (None, None);
    }

    /// The send has ended, and the queue has accepted the message or not.
    pub fn ended(&mut self, now: Moment, outgoing: Outgoing, accepted: bool, chance: u32) {
        self.in_flight = false;
        let is_forgotten = self.sent.take().is_none();
        if accepted {
            self.failures = 0;
            self.due = now;
            return;
        }
        self.due = now + wait(self.failures, chance);
        self.failures = self.failures.saturating_add(1);
        self.waiting = Some(match self.waiting.take() {
            // What came meanwhile is newer.
            Some(newer) if is_forgotten => newer,
            Some(newer) => newer.instead_of(&outgoing),
            None if is_forgotten => return,
            None => outgoing,
        });
    }
}
