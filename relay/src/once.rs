//! One pass, without the daemon: each zone is looked at once, and sent once if it has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secondary53_zone::Name;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::catalog::Members;
use crate::config::{self, Config};
use crate::control;
use crate::daemon::{self, Clock, DaemonError, Stored};
use crate::discover::Account;
use crate::job::{self, Ending, Errand, Stored as Base, Turns};
use crate::queue::{self, Outgoing, Sender};
use crate::refresh::{Backwards, Cause, Standing, Takes};
use crate::store::Store;

/// A pass, and what it needs.
#[derive(Clone)]
struct Pass {
    config: Arc<Config>,
    store: Arc<Store>,
    sender: Sender,
    turns: Turns,
    clock: Clock,
}

/// Looks at the zones, or at all that there are where `names` is empty: those of the configuration, and for the others at its
/// catalogs and the account. Whether every one of them is now as the primary has it, for all that its queues can tell.
pub async fn once(config: Config, names: &[Name], clock: Clock) -> Result<bool, DaemonError> {
    let wanted: BTreeSet<_> = names.iter().collect();
    let store = Arc::new(Store::open(&config.state_dir)?);
    let _locked = control::lock(&config.state_dir)?;
    let sender = Sender::new(&config.queues).await;
    let pass = Pass { turns: Turns::new(&config), config: Arc::new(config), store, sender, clock };
    let mut good = true;
    let mut zones: BTreeMap<_, _> =
        pass.config.zones.iter().map(|zone| (zone.name.clone(), Arc::clone(zone))).collect();
    if wanted.is_empty() || wanted.iter().any(|name| !zones.contains_key(*name)) {
        good = pass.add_listed(&mut zones).await;
    }
    for name in wanted.iter().filter(|name| !zones.contains_key(**name)) {
        error!(zone = %name, "not in the configuration, nor in what it refers to");
        good = false;
    }
    let mut passes = JoinSet::new();
    for (name, zone) in zones {
        if wanted.is_empty() || wanted.contains(&name) {
            passes.spawn(pass.clone().zone(zone));
        }
    }
    Ok(passes.join_all().await.into_iter().fold(good, |good, zone| good && zone))
}

impl Pass {
    /// Adds the zones of the catalogs and of the account to those that are named. Whether all could be asked.
    async fn add_listed(&self, zones: &mut BTreeMap<Name, Arc<config::Zone>>) -> bool {
        let catalogs = &self.config.catalogs;
        let mut good = true;
        let mut listed = Vec::with_capacity(catalogs.len());
        for catalog in catalogs {
            let (members, read) = self.clone().catalog(Arc::clone(&catalog.zone)).await;
            good &= read;
            listed.push((catalog, members));
        }
        let is_catalog = |name: &Name| catalogs.iter().any(|catalog| catalog.zone.name == *name);
        for (catalog, members) in &listed {
            for name in members.names().filter(|name| !is_catalog(name)) {
                let coo = members.get(name).and_then(|member| member.coo.as_ref());
                let has_it = |(other, members): &(&config::Catalog, Members)| {
                    Some(&other.zone.name) == coo && members.get(name).is_some()
                };
                let owner = listed.iter().find(|other| has_it(other)).map_or(*catalog, |(other, _)| *other);
                zones.entry(name.clone()).or_insert_with_key(|name| Arc::new(owner.member(name.clone())));
            }
        }
        let Some(discover) = &self.config.discover else { return good };
        let region = discover.queues.first().map(|queue| queue.region.clone()).unwrap_or_default();
        match Account::new(&queue::aws(&region).await).hosted_zones().await {
            Ok(found) => {
                let wanted = daemon::by_name(found).into_iter().filter(|(name, _)| discover.filter.wants(name));
                for (name, id) in wanted.filter(|(name, _)| !is_catalog(name)) {
                    zones.entry(name).or_insert_with_key(|name| Arc::new(discover.zone(name.clone(), id)));
                }
            }
            Err(error) => {
                error!(%error, "the account's hosted zones are not known");
                good = false;
            }
        }
        good
    }

    /// The members of a catalog, as its primaries have it or else as it is stored; and whether they are as the primaries
    /// have them.
    async fn catalog(self, zone: Arc<config::Zone>) -> (Members, bool) {
        let Self { config, store, turns, clock, .. } = self;
        let limits = config.limits.transfer;
        let before = daemon::members(&store, &zone.name, limits.zone);
        let ours = daemon::stored(&store, &zone, &config, clock.unix_ms()).soa.map(|soa| soa.serial);
        let Some((order, turn)) = turns.wait(&zone, clock).await else { return (before, false) };
        let begun = clock.moment();
        let store_of = Some(Arc::clone(&store));
        let errand = Errand { zone: Arc::clone(&zone), ours, takes: Takes::Newer, store: store_of };
        let looked = job::look(errand, limits, order, turns, turn, clock).await;
        looked.tell(&zone.name, clock.moment().saturating_sub(begun));
        let (fetched, turn) = match looked.into_parts() {
            (Ending::Fetched(fetched), turn) => (fetched, turn),
            (Ending::NotNewer(theirs), _) => {
                let good = Standing::of(ours, theirs) == Standing::Same;
                if let (Some(ours), false) = (ours, good) {
                    error!(catalog = %zone.name, error = %Backwards { ours, theirs }, "refused");
                }
                return (before, good);
            }
            (Ending::Nothing, _) => return (before, false),
        };
        let (members, octets) = match job::read_catalog(fetched, turn).await {
            Ok(read) => read,
            Err(error) => {
                error!(catalog = %zone.name, %error, "not taken over");
                return (before, false);
            }
        };
        let is_named = |name: &Name| config.zones.iter().any(|zone| zone.name == *name);
        for name in members.reset_since(&before).filter(|name| !is_named(name)) {
            info!(zone = %name, catalog = %zone.name, "starts over: the catalog has another label for it");
            if let Err(error) = store.forget(name) {
                warn!(zone = %name, %error, "the stored snapshot could not be forgotten");
            }
        }
        let stored = store.write(&zone.name, &octets, &BTreeSet::new());
        if let Err(error) = &stored {
            error!(catalog = %zone.name, %error, "not stored");
        }
        (members, stored.is_ok())
    }

    async fn zone(self, zone: Arc<config::Zone>) -> bool {
        let Self { config, store, sender, turns, clock } = self;
        let Some((order, turn)) = turns.wait(&zone, clock).await else { return false };
        let Stored { soa, owed } = daemon::stored(&store, &zone, &config, clock.unix_ms());
        let ours = soa.map(|soa| soa.serial);
        let accepted = ours.is_some() && owed.is_none();
        let begun = clock.moment();
        let limits = config.limits.transfer;
        let store_of = Some(Arc::clone(&store));
        let errand = Errand { zone: Arc::clone(&zone), ours, takes: Takes::Newer, store: store_of };
        let looked = job::look(errand, limits, order, turns, turn, clock).await;
        looked.tell(&zone.name, clock.moment().saturating_sub(begun));
        let (ending, turn) = looked.into_parts();
        let fetched = match (ending, ours) {
            (Ending::Fetched(fetched), _) => fetched,
            (Ending::NotNewer(theirs), Some(ours)) if Standing::of(Some(ours), theirs) == Standing::Backwards => {
                let error = Backwards { ours, theirs };
                error!(zone = %zone.name, %error, "refused");
                return false;
            }
            (Ending::NotNewer(serial), _) => {
                info!(zone = %zone.name, %serial, "current");
                // A queue that was added since gets what the others have.
                let Some(owed) = owed else { return true };
                return deliver(&config, clock, sender, store, owed).await;
            }
            (Ending::Nothing, _) => return false,
        };
        let theirs = fetched.transferred.zone.serial();
        if let (Some(ours), Standing::Backwards) = (ours, Standing::of(ours, theirs)) {
            let error = Backwards { ours, theirs };
            error!(zone = %zone.name, %error, "refused");
            return false;
        }
        let reason = daemon::reason(accepted, Cause::Timer);
        let meta = daemon::meta(&config, &zone, &fetched, None, clock.unix_ms());
        let stored = Base { store: Arc::clone(&store), limits: config.limits.transfer.zone, last: ours };
        match job::pack(fetched, reason, meta, zone.overflows(), turn, stored).await {
            Ok(message) => {
                let outgoing = Outgoing::to_all(message, &zone.queues);
                deliver(&config, clock, sender, store, outgoing).await
            }
            Err(error) => {
                error!(zone = %zone.name, %error, "not sent");
                false
            }
        }
    }
}

/// Sends to all queues that are missing it, side by side. Whether all accepted it, and it is stored.
async fn deliver(config: &Config, clock: Clock, sender: Sender, store: Arc<Store>, outgoing: Outgoing) -> bool {
    let begun = clock.moment();
    let mut sends = JoinSet::new();
    for queue in outgoing.queues().iter().filter(|queue| outgoing.is_missing(queue)) {
        let (sender, store, limits) = (sender.clone(), Arc::clone(&store), config.limits.transfer.zone);
        let (queue, outgoing) = (Arc::clone(queue), outgoing.clone());
        sends.spawn(async move {
            let sent = job::send(sender, Arc::clone(&store), limits, queue, vec![outgoing]).await;
            job::keep(store, sent).await
        });
    }
    let mut good = true;
    for delivered in sends.join_all().await.into_iter().flatten() {
        delivered.tell(clock.moment().saturating_sub(begun));
        good &= delivered.is_good();
    }
    good
}
