//! What is to be seen of the loop: what happens is noted, and shown to whoever asks.

use std::sync::Arc;

use secondary53_zone::message::Approval;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::info;

use super::registry::Origin;
use super::{Begun, Daemon, DaemonError, Tracked};
use crate::config;
use crate::confirm::Sent;
use crate::http::{self, Ask};
use crate::job::{Delivered, Ending, Looked};
use crate::notify::ZoneKey;
use crate::queue::Outbox;
use crate::view::{self, Counts, Status, Time, View};

impl Daemon {
    pub(super) async fn show(&self, asker: mpsc::Sender<Ask>, sockets: &mut JoinSet<()>) -> Result<(), DaemonError> {
        let Some(wanted) = self.config.http else { return Ok(()) };
        let failed = |error| DaemonError::Http(wanted, error);
        let listener = http::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        sockets.spawn(http::serve(listener, asker));
        info!(url = %format_args!("http://{address}/"), "status page");
        Ok(())
    }

    /// A copy of what is to be seen, for whoever asked. Nobody waits for it any more if they are gone.
    pub(super) fn answer(&self, Ask { zones, answer }: Ask) {
        drop(answer.send(self.view(zones)));
    }

    /// What is to be seen, with the zones or without.
    pub(super) fn view(&self, zones: bool) -> View {
        let (moment, now) = (self.clock.moment(), self.clock.time());
        let show = |tracked: &Tracked| {
            let wait = tracked.refresh.next().map(|next| next.saturating_sub(moment));
            let next = wait.map(|wait| now.after(wait));
            let mut zone = tracked.seen.show(tracked.zone.name.clone(), tracked.refresh.is_expired(), next, now);
            // One of them tries; what is wrong with a queue keeps all that wait for it.
            if let Some(error) = self.held_up(tracked).filter(|_| zone.status > Status::Unsent) {
                (zone.status, zone.error) = (Status::Unsent, Some(error));
            }
            let (origin, catalog) = match tracked.origin {
                Origin::Named => (view::Origin::Configuration, None),
                Origin::Found => (view::Origin::Account, None),
                Origin::Member(catalog) => {
                    (view::Origin::Catalog, self.zones.get(catalog).map(|catalog| catalog.zone.name.to_string()))
                }
            };
            let members = tracked.catalog.as_ref().map(|members| members.len());
            view::Zone { origin, catalog, members, ..zone }
        };
        let zones = self.zones.iter().filter(|_| zones).map(show).collect();
        View {
            relay: self.config.relay_id.clone().unwrap_or_default(),
            started_at: self.started_at,
            now,
            counts: Counts {
                notifies_refused: self.refusals.total(),
                primaries_lost: self.lines.lost(),
                ..self.counts.clone()
            },
            queues: self.queues.iter().map(|(_, seen)| seen.clone()).collect(),
            zones,
            account: self.config.discover.as_ref().map(|_| self.discovery.seen.clone()),
        }
    }

    /// What is wrong with a queue that has not accepted what is there for it.
    fn held_up(&self, tracked: &Tracked) -> Option<String> {
        let mut waiting = tracked.outboxes.iter().filter(|(_, outbox)| outbox.newest().is_some());
        let failing = |url: &str| self.queues.iter().find(|(queue, _)| queue.url == url)?.1.failing.as_ref();
        let told = |(queue, _): &(Arc<config::Queue>, Outbox)| {
            failing(&queue.url).map(|(_, error)| format!("queue {}: {error}", queue.name))
        };
        waiting.find_map(told)
    }

    pub(super) fn count_delivered(&mut self, key: ZoneKey, delivered: &Delivered) {
        let now = self.clock.time();
        let message = &delivered.outgoing.message;
        let mut seen_queues = self.queues.iter_mut();
        if let Some((_, queue)) = seen_queues.find(|(queue, _)| queue.url == delivered.queue.url) {
            match &delivered.result {
                Ok(()) => queue.accepted(message.octets(), now),
                Err(error) => queue.failed(error.to_string(), now),
            }
        }
        if let Some(stored) = delivered.stored() {
            self.counts.stored(stored.as_ref().err().map(ToString::to_string), now);
        }
        let Some(tracked) = self.zones.get_mut(key) else { return };
        if !tracked.is_of_now(&delivered.outgoing) {
            return;
        }
        if let Err(error) = &delivered.result {
            tracked.seen.not_sent(format!("queue {}: {error}", delivered.queue.name));
        }
        if delivered.by_all() {
            let confirms = tracked.zone.confirm != config::Confirm::Off;
            tracked.seen.sent(message.serial, now, confirms);
            if confirms {
                let (serial, notified_ms) = (message.serial, message.meta.notified_at_ms);
                let rollback = message.meta.approved.contains(&Approval::Rollback);
                tracked.confirm.sent(Sent { serial, at: self.clock.moment(), notified_ms, rollback });
            }
            let notified_at = message.meta.notified_at_ms.map(Time);
            self.counts.accepted_seconds.extend(notified_at.map(|notified_at| now.since(notified_at)));
        }
    }

    pub(super) fn count_looked(&mut self, key: ZoneKey, begun: Begun, looked: &Looked) {
        for (primary, _) in &looked.tried {
            self.counts.primary_failed(*primary);
        }
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let (seen, now) = (&mut tracked.seen, self.clock.time());
        match &looked.ending {
            Ending::Fetched(fetched) => {
                let transferred = &fetched.transferred;
                let (serial, records) = (transferred.zone.serial(), transferred.zone.record_count());
                self.counts.looks_transferred += 1;
                self.counts.transfer_octets += transferred.octets as u64;
                self.counts.transfer_records += records as u64;
                seen.transferred(serial, records, now, begun.notified_ms.map(Time));
            }
            Ending::NotNewer(serial) => {
                self.counts.looks_current += 1;
                seen.current(*serial, now);
            }
            Ending::Nothing => {
                self.counts.looks_failed += 1;
                seen.failed(looked.why());
            }
        }
    }
}
