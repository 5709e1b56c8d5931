//! What was transferred, on its way to the queues of its zone.

use std::sync::Arc;

use secondary53_zone::message::{Message, Reason};
use tracing::error;

use super::{Daemon, Done};
use crate::job::{self, Delivered};
use crate::notify::ZoneKey;
use crate::queue::{Outgoing, PackError};
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

    /// Begins the sends that are due.
    pub(super) fn send(&mut self, key: ZoneKey, now: Moment) {
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let limits = self.config.limits.transfer.zone;
        for (queue, outbox) in &mut tracked.outboxes {
            let Some(outgoing) = outbox.take(now) else { continue };
            let (sender, store, queue) = (self.sender.clone(), Arc::clone(&self.store), Arc::clone(queue));
            self.sends.spawn(async move {
                let delivered = job::deliver(sender, store, limits, queue, outgoing).await;
                Done::Delivered { zone: key, begun: now, delivered }
            });
        }
    }

    /// A send has ended.
    pub(super) fn delivered(&mut self, key: ZoneKey, begun: Moment, delivered: Delivered) {
        let now = self.clock.moment();
        delivered.tell(now.saturating_sub(begun));
        self.count_delivered(key, &delivered);
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let by_all = delivered.by_all() && tracked.is_of_now(&delivered.outgoing);
        tracked.accepted |= by_all;
        if by_all && delivered.is_good() {
            tracked.unstored.take_if(|place| *place <= delivered.outgoing.place());
        }
        let accepted = delivered.accepted();
        let mut outboxes = tracked.outboxes.iter_mut();
        if let Some((_, outbox)) = outboxes.find(|(queue, _)| queue.url == delivered.queue.url) {
            outbox.ended(now, delivered.outgoing, accepted, rand::random());
        }
        self.zones.arm(key);
    }
}
