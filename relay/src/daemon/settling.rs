//! Zones come, change and go while the relay runs.

use std::collections::HashMap;
use std::sync::Arc;

use secondary53_zone::Name;
use tracing::{info, warn};

use super::claims::Claims;
use super::registry::{Origin, Tracked, stored};
use super::{Daemon, Stored};
use crate::config::{self, Config};
use crate::confirm::Confirm;
use crate::notify::ZoneKey;
use crate::queue::Outbox;
use crate::refresh::{Moment, State};
use crate::store::Store;
use crate::view::Seen;

impl Daemon {
    /// Makes the zones here those that there are to be; `tell` is for each that comes.
    pub(super) fn settle(&mut self, now: Moment, tell: bool) {
        let config = Arc::clone(&self.config);
        self.settle_catalogs(&config, now, tell);
        let claims = Claims::new(&config, &self.zones, &self.discovery);
        let (mut added, mut changed, mut removed) = (0_usize, 0_usize, 0_usize);
        for key in self.zones.keys().collect::<Vec<_>>() {
            let Some(tracked) = self.zones.get_mut(key).filter(|tracked| tracked.catalog.is_none()) else { continue };
            let (name, before) = (&tracked.zone.name, tracked.origin);
            let Some((origin, zone)) = claims.zone(name, Some(before)) else {
                self.remove(key);
                removed += 1;
                continue;
            };
            let unique = |origin| match origin {
                Origin::Named | Origin::Found => None,
                Origin::Member(catalog) => claims.member(catalog, name).map(|member| &member.unique),
            };
            // From one catalog to another under another label: another life (RFC 9432 §4.3.1).
            let [was, is] = [before, origin].map(unique);
            let starts_over = was.is_some() && is.is_some() && was != is;
            tracked.origin = origin;
            if tracked.zone == zone {
                // The same in other words: those of before need not be kept.
                tracked.zone = zone;
            } else {
                self.change(key, &zone, now);
                changed += 1;
            }
            if starts_over {
                self.start_over(key, now);
            }
        }
        for name in claims.names() {
            if self.zones.find(name).is_some() {
                continue;
            }
            let Some((origin, zone)) = claims.zone(name, None) else { continue };
            let first = self.zones.first_look(now);
            let mut tracked = Tracked::new(zone, &config, &self.store, [now, first], self.clock.unix_ms());
            tracked.origin = origin;
            let key = self.zones.insert(tracked);
            added += 1;
            if tell && let Some(tracked) = self.zones.get(key) {
                info!(zone = %name, of = self.origin(tracked), "added");
            }
        }
        if added + changed + removed > 0 {
            info!(zones = self.zones.len(), added, changed, removed, "zones");
        }
    }

    fn settle_catalogs(&mut self, config: &Config, now: Moment, tell: bool) {
        let wanted: HashMap<&Name, &Arc<config::Zone>> =
            config.catalogs.iter().map(|catalog| (&catalog.zone.name, &catalog.zone)).collect();
        for key in self.zones.keys().collect::<Vec<_>>() {
            let Some(tracked) = self.zones.get(key) else { continue };
            match wanted.get(&tracked.zone.name) {
                Some(zone) if tracked.catalog.is_some() && tracked.zone != **zone => self.change(key, zone, now),
                // A zone until now.
                Some(_) if tracked.catalog.is_none() => self.remove(key),
                // A catalog until now.
                None if tracked.catalog.is_some() => self.remove(key),
                _ => {}
            }
        }
        for catalog in &config.catalogs {
            if self.zones.find(&catalog.zone.name).is_some() {
                continue;
            }
            let (zone, first) = (Arc::clone(&catalog.zone), self.zones.first_look(now));
            self.zones.insert(Tracked::catalog(zone, config, &self.store, [now, first], self.clock.unix_ms()));
            if tell {
                info!(catalog = %catalog.zone.name, "added");
            }
        }
    }

    /// Who says that it is a zone here, for the log.
    pub(super) fn origin(&self, tracked: &Tracked) -> String {
        match tracked.origin {
            Origin::Named => "the configuration".to_owned(),
            Origin::Found => "the account".to_owned(),
            Origin::Member(catalog) => {
                let catalog = self.zones.get(catalog).map(|catalog| catalog.zone.name.to_string());
                format!("catalog {}", catalog.unwrap_or_default())
            }
        }
    }

    fn remove(&mut self, key: ZoneKey) {
        let Some(Tracked { zone, outboxes, .. }) = self.zones.remove(key) else { return };
        let unsent = outboxes.iter().find_map(|(_, outbox)| outbox.newest());
        let unsent = unsent.map(|outgoing| outgoing.message.serial.0);
        info!(zone = %zone.name, unsent, "removed: its hosted zone stays as it is, and so does the stored snapshot");
    }

    /// Takes over what is said of a zone, and keeps what still holds of what is known of it.
    fn change(&mut self, key: ZoneKey, zone: &Arc<config::Zone>, now: Moment) {
        self.zones.listen_to(key, zone);
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let old = std::mem::replace(&mut tracked.zone, Arc::clone(zone));
        let (other_source, other_targets) = (!is_same_source(&old, zone), !is_same_target(&old, zone));
        let other_confirm = old.confirm != zone.confirm;
        info!(zone = %zone.name, primaries = other_source, queues = other_targets, confirm = other_confirm, "changed");
        if other_source {
            tracked.life = tracked.life.wrapping_add(1);
            // A look that is under way, or waits for its turn, does it.
            if !matches!(tracked.refresh.state(), State::Refreshing { .. }) {
                tracked.refresh.again(now);
            }
        }
        if other_confirm {
            (tracked.confirm, tracked.servers) = (Confirm::default(), None);
            if zone.confirm == config::Confirm::Off {
                tracked.seen.not_confirmed();
            }
        }
        tracked.readdress(&old, other_targets, &self.config, &self.store, now, self.clock.unix_ms());
        self.zones.arm(key);
    }

    /// Forgets all that is known of a zone: it is another one of the same name.
    pub(super) fn start_over(&mut self, key: ZoneKey, now: Moment) {
        let Some(tracked) = self.zones.get_mut(key) else { return };
        if let Err(error) = self.store.forget(&tracked.zone.name) {
            warn!(zone = %tracked.zone.name, %error, "the stored snapshot could not be forgotten");
        }
        tracked.life = tracked.life.wrapping_add(1);
        tracked.forgotten = Some(tracked.taken);
        // What is in flight may be stored yet.
        tracked.unstored = Some(tracked.taken + 1);
        tracked.refresh.start_over(now, rand::random());
        for (_, outbox) in &mut tracked.outboxes {
            outbox.forget();
        }
        (tracked.accepted, tracked.notified_ms) = (false, None);
        (tracked.confirm, tracked.servers) = (Confirm::default(), None);
        tracked.seen = Seen::default();
        self.zones.arm(key);
    }
}

impl Tracked {
    /// Outboxes for the queues that the zone has now. What waits goes to those that are missing it; where nothing waits, what
    /// is stored goes to those that have not had it.
    fn readdress(
        &mut self,
        old: &config::Zone,
        other_targets: bool,
        config: &Config,
        store: &Store,
        now: Moment,
        now_ms: u64,
    ) {
        let zone = Arc::clone(&self.zone);
        let waiting =
            self.outboxes.iter().filter_map(|(_, outbox)| outbox.newest()).max_by_key(|newest| newest.place());
        let waiting = waiting.filter(|_| other_targets).map(|newest| newest.readdressed(&zone));
        let mut boxes: Vec<_> = std::mem::take(&mut self.outboxes).into_iter().collect();
        let mut take = |queue: &Arc<config::Queue>| {
            let at = boxes.iter().position(|(old, _)| old.url == queue.url);
            (Arc::clone(queue), at.map_or_else(Outbox::default, |at| boxes.swap_remove(at).1))
        };
        self.outboxes = zone.queues.iter().map(&mut take).collect();
        if !other_targets {
            return;
        }
        let owed = match waiting {
            Some(waiting) => Some(waiting),
            None => {
                let Stored { soa, owed } = stored(store, &zone, config, now_ms);
                if soa.map(|soa| soa.serial) != self.refresh.serial() {
                    // It was sent, and what is stored is something else: the primary still has it.
                    self.refresh.want(now);
                }
                owed
            }
        };
        let Some(owed) = owed else { return };
        self.accepted = false;
        for (queue, outbox) in &mut self.outboxes {
            if owed.is_missing(queue) {
                outbox.readdress(owed.clone());
            }
        }
        // Not live there, or not known to be.
        if old.hosted_zone_id != zone.hosted_zone_id {
            (self.confirm, self.servers) = (Confirm::default(), None);
        }
    }
}

/// Whether the zone comes from the same primaries in the same way.
fn is_same_source(old: &config::Zone, new: &config::Zone) -> bool {
    let asked = |primary: &Arc<config::Primary>| (primary.server.clone(), primary.ixfr);
    old.strip_dnssec == new.strip_dnssec && old.primaries.iter().map(asked).eq(new.primaries.iter().map(asked))
}

/// Whether it goes to the same queues, for the same hosted zone.
fn is_same_target(old: &config::Zone, new: &config::Zone) -> bool {
    let urls = |zone: &config::Zone| {
        let mut urls: Vec<_> = zone.queues.iter().map(|queue| queue.url.clone()).collect();
        urls.sort_unstable();
        urls
    };
    old.hosted_zone_id == new.hosted_zone_id && urls(old) == urls(new)
}
