//! The account's hosted zones, listed from time to time. A list that fails changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secondary53_zone::Name;
use tracing::{info, warn};

use super::{Daemon, Done};
use crate::config;
use crate::discover::{Account, DiscoverError, Found};
use crate::queue;
use crate::refresh::Moment;
use crate::view;

/// What is known of the account.
#[derive(Default)]
pub(super) struct Discovery {
    /// The hosted zones of the last list, by name: the one that has it alone.
    pub(super) found: Arc<BTreeMap<Name, String>>,
    /// When to list them; `None` while that is under way, and where it is not asked for.
    pub(super) due: Option<Moment>,
    failures: u32,
    /// Lists that were begun for another configuration do not count.
    life: u32,
    pub(super) seen: view::Account,
}

/// The wait after the first list that failed; it doubles with each, up to the time between lists.
const FIRST_WAIT: Duration = Duration::from_secs(15);

impl Daemon {
    /// Takes over what the configuration says of the account.
    pub(super) fn take_over_discovery(&mut self, old: Option<&config::Discover>, now: Moment) {
        let new = self.config.discover.as_ref();
        if old == new {
            return;
        }
        let (found, life) = (Arc::clone(&self.discovery.found), self.discovery.life.wrapping_add(1));
        let seen = self.discovery.seen.clone();
        let due = new.map(|_| now);
        self.discovery = Discovery { due, life, ..Discovery::default() };
        if new.is_some() {
            // Until it is listed again.
            (self.discovery.found, self.discovery.seen) = (found, seen);
        }
    }

    /// Lists the hosted zones, if it is time.
    pub(super) fn discover(&mut self, now: Moment) {
        let Some(discover) = &self.config.discover else { return };
        if self.discovery.due.take_if(|due| *due <= now).is_none() {
            return;
        }
        // Route 53 is one for all regions of a partition.
        let region = discover.queues.first().map(|queue| queue.region.clone()).unwrap_or_default();
        let life = self.discovery.life;
        self.looks.spawn(async move {
            let account = Account::new(&queue::aws(&region).await);
            Done::Discovered { life, found: account.hosted_zones().await }
        });
    }

    /// They were listed, or not.
    pub(super) fn discovered(&mut self, life: u32, found: Result<Vec<Found>, DiscoverError>) {
        let Some(discover) = self.config.discover.as_ref().filter(|_| life == self.discovery.life) else { return };
        let (now, time) = (self.clock.moment(), self.clock.time());
        match found {
            Ok(found) => {
                let (hosted_zones, every) = (found.len(), discover.every);
                self.discovery.found = Arc::new(by_name(found));
                self.discovery.seen.listed(hosted_zones, time);
                self.discovery.failures = 0;
                self.discovery.due = Some(now + every);
                info!(hosted_zones, "the account was listed");
                self.settle(now, true);
            }
            Err(error) => {
                let wait = (FIRST_WAIT * 2_u32.saturating_pow(self.discovery.failures.min(16))).min(discover.every);
                self.discovery.failures = self.discovery.failures.saturating_add(1);
                self.discovery.due = Some(now + wait);
                warn!(%error, seconds = wait.as_secs(), "the zones stay as they were");
                self.discovery.seen.failed(error.to_string(), time);
            }
        }
    }
}

/// The hosted zones by name. Of several with one name none can be chosen.
pub(crate) fn by_name(found: Vec<Found>) -> BTreeMap<Name, String> {
    let mut all: BTreeMap<Name, Vec<String>> = BTreeMap::new();
    for Found { name, id } in found {
        all.entry(name).or_default().push(id);
    }
    let one = |(name, mut ids): (Name, Vec<String>)| match (ids.pop(), ids.is_empty()) {
        (Some(id), true) => Some((name, id)),
        (id, _) => {
            ids.extend(id);
            warn!(zone = %name, ?ids, "several hosted zones have this name: name it as [[zone]] with its hosted_zone_id");
            None
        }
    };
    all.into_iter().filter_map(one).collect()
}
