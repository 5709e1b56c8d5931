//! Catalogs: what was transferred is read, and its members become zones here.

use std::collections::BTreeSet;
use std::sync::Arc;

use secondary53_zone::Name;
use tracing::{error, info, warn};

use super::Daemon;
use super::registry::Origin;
use crate::catalog::Members;
use crate::job::Unlisted;
use crate::notify::ZoneKey;

/// Members that are another's, told one by one of each catalog.
const TOLD: usize = 20;

impl Daemon {
    /// A catalog was read.
    pub(super) fn listed(&mut self, key: ZoneKey, place: u64, read: Result<(Members, Vec<u8>), Unlisted>) {
        let Some(tracked) = self.zones.get_mut(key) else { return };
        // Another one is read already.
        if place != tracked.taken {
            return;
        }
        let zone = Arc::clone(&tracked.zone);
        let (members, octets) = match read {
            Ok(read) => read,
            Err(error) => {
                error!(catalog = %zone.name, %error, "not taken over");
                tracked.seen.broken(&error.to_string());
                return;
            }
        };
        let serial = tracked.refresh.serial();
        let members = Arc::new(members);
        let before = tracked.catalog.replace(Arc::clone(&members)).unwrap_or_default();
        if let Some(serial) = serial {
            tracked.seen.listed(serial, self.clock.time());
        }
        info!(catalog = %zone.name, serial = serial.map(|serial| serial.0), members = members.len(), "taken over");
        let now = self.clock.moment();
        for name in members.reset_since(&before) {
            if let Some(member) = self.member(key, name) {
                info!(zone = %name, catalog = %zone.name, "starts over: the catalog has another label for it");
                self.start_over(member, now);
            }
        }
        self.settle(now, true);
        self.tell_clashes(key, &zone.name, members.names().filter(|name| before.get(name).is_none()));
        // Last of all: until then, what is above is done again after a restart.
        let stored = self.store.write(&zone.name, &octets, &BTreeSet::new());
        self.counts.stored(stored.as_ref().err().map(ToString::to_string), self.clock.time());
        match (stored, self.zones.get_mut(key)) {
            (Ok(()), Some(tracked)) => drop(tracked.unstored.take_if(|unstored| *unstored <= place)),
            (Ok(()), None) => {}
            (Err(error), _) => {
                error!(catalog = %zone.name, %error, "not stored: after a restart its members are known when it was transferred");
            }
        }
    }

    /// The zone of this name, if it is here as a member of this catalog.
    fn member(&self, catalog: ZoneKey, name: &Name) -> Option<ZoneKey> {
        let key = self.zones.find(name)?;
        (self.zones.get(key)?.origin == Origin::Member(catalog)).then_some(key)
    }

    /// RFC 9432 §5.2: a name that is another's is left to that one, and told.
    fn tell_clashes<'a>(&self, key: ZoneKey, catalog: &Name, new: impl Iterator<Item = &'a Name>) {
        let mut clashes = new.filter(|name| self.member(key, name).is_none());
        for name in clashes.by_ref().take(TOLD) {
            let other = self.zones.find(name).and_then(|key| self.zones.get(key));
            let of = other.map(|other| self.origin(other)).unwrap_or_default();
            warn!(zone = %name, %catalog, of, "the catalog's member is left aside: the zone is here already");
        }
        let untold = clashes.count();
        if untold > 0 {
            warn!(%catalog, untold, "more members are left aside than are told one by one");
        }
    }
}
