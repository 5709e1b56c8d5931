//! What was transferred, on its way to the queues of its zone.

use std::sync::Arc;

use secondary53_zone::message::{Message, Reason};
use tracing::{debug, error};

use super::{Daemon, Done};
use crate::config;
use crate::job::{self, Delivered};
use crate::notify::ZoneKey;
use crate::queue::{Outgoing, PackError, Turn};
use crate::refresh::Moment;

impl Daemon {
    /// What came of a look is a message, or does not fit one.
    pub(super) fn packed(&mut self, key: ZoneKey, place: u64, packed: Result<Message, PackError>) {
        self.counts.pack_failures += u64::from(packed.is_err());
        let Some(tracked) = self.zones.get_mut(key) else { return };
        if Some(place) <= tracked.forgotten {
            return;
        }
        match packed {
            Ok(mut message) => {
                debug!(zone = %message.zone, serial = %message.serial, octets = message.octets(), "packed");
                if message.meta.hosted_zone_id != tracked.zone.hosted_zone_id {
                    // It was another one when this was begun.
                    message.meta.hosted_zone_id.clone_from(&tracked.zone.hosted_zone_id);
                    message.reason = if message.reason.trusts_serial() { Reason::Initial } else { message.reason };
                }
                let outgoing = Outgoing::to_all(message, &tracked.zone.queues).at(place);
                for (_, outbox) in &mut tracked.outboxes {
                    outbox.offer(outgoing.clone());
                }
                self.zones.arm(key);
            }
            Err(error) => {
                error!(zone = %tracked.zone.name, %error, "not sent");
                tracked.seen.not_sent(error.to_string());
            }
        }
    }

    /// What is due of a zone stands in line, at each queue.
    pub(super) fn line_up_to_send(&mut self, key: ZoneKey, now: Moment) {
        let Some(tracked) = self.zones.get_mut(key) else { return };
        for (queue, outbox) in &mut tracked.outboxes {
            if outbox.line_up(now) {
                self.posts.entry(queue.url.clone()).or_default().line_up(key);
            }
        }
    }

    /// Begins the sends that there is room for, and says when to come back for the others.
    pub(super) fn send(&mut self, now: Moment) -> Option<Moment> {
        let mut next = None;
        for queue in &self.config.queues {
            let Some(post) = self.posts.get_mut(&queue.url) else { continue };
            loop {
                let turn = |key, room| match self.zones.get_mut(key).and_then(|tracked| tracked.outbox(queue)) {
                    Some(outbox) => outbox.take(room),
                    // It is gone, or goes to other queues by now.
                    None => Turn::Nothing,
                };
                let (zones, batch): (Vec<_>, Vec<_>) = post.take(now, turn).into_iter().unzip();
                if batch.is_empty() {
                    break;
                }
                let (sender, store, queue) = (self.sender.clone(), Arc::clone(&self.store), Arc::clone(queue));
                let limits = self.config.limits.transfer.zone;
                self.sends.spawn(async move {
                    let sent = job::send(sender, store, limits, Arc::clone(&queue), batch).await;
                    Done::Sent { queue, begun: now, zones, sent }
                });
            }
            next = next.into_iter().chain(post.next()).min();
        }
        next
    }

    /// A send has ended, and what the queue has now is to be stored. The next may begin: a disk that hangs holds up no queue.
    pub(super) fn sent(&mut self, queue: &config::Queue, begun: Moment, zones: Vec<ZoneKey>, sent: Vec<Delivered>) {
        for message in sent.iter().filter(|one| one.accepted()).map(|one| &one.outgoing.message) {
            debug!(zone = %message.zone, serial = %message.serial, queue = queue.name, "accepted");
        }
        if let Some(post) = self.posts.get_mut(&queue.url) {
            post.ended(begun, self.clock.moment(), job::said(&sent), rand::random());
        }
        let store = Arc::clone(&self.store);
        self.sends.spawn(async move {
            let delivered = job::keep(store, sent).await;
            Done::Delivered { begun, zones, delivered }
        });
    }

    /// What was sent of these zones is delivered, or was not accepted.
    pub(super) fn delivered(&mut self, begun: Moment, zones: Vec<ZoneKey>, delivered: Vec<Delivered>) {
        let now = self.clock.moment();
        for (key, delivered) in zones.into_iter().zip(delivered) {
            delivered.tell(now.saturating_sub(begun));
            self.count_delivered(key, &delivered);
            self.zone_delivered(key, delivered, now);
        }
    }

    fn zone_delivered(&mut self, key: ZoneKey, delivered: Delivered, now: Moment) {
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let by_all = delivered.by_all() && tracked.is_of_now(&delivered.outgoing);
        tracked.accepted |= by_all;
        if by_all && delivered.is_good() {
            tracked.unstored.take_if(|place| *place <= delivered.outgoing.place());
        }
        let accepted = delivered.accepted();
        if let Some(outbox) = tracked.outbox(&delivered.queue) {
            outbox.ended(now, delivered.outgoing, accepted, rand::random());
        }
        self.zones.arm(key);
    }
}
