//! One pass, without the daemon: each zone is looked at once, and sent once if it has changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use secondary53_zone::Name;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::config::{self, Config};
use crate::control;
use crate::daemon::{self, Clock, DaemonError, Stored};
use crate::job::{self, Ending, Errand, Stored as Base, Turns};
use crate::queue::{Outgoing, Sender};
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

/// Looks at the zones, or at all of the configuration where `names` is empty. Whether every one of them is now as the
/// primary has it, for all that its queues can tell.
pub async fn once(config: Config, names: &[Name], clock: Clock) -> Result<bool, DaemonError> {
    let wanted: BTreeSet<_> = names.iter().collect();
    let mut good = true;
    for name in wanted.iter().filter(|name| config.zones.iter().all(|zone| zone.name != ***name)) {
        error!(zone = %name, "not in the configuration");
        good = false;
    }
    let store = Arc::new(Store::open(&config.state_dir)?);
    let _locked = control::lock(&config.state_dir)?;
    let sender = Sender::new(&config.queues).await;
    let pass = Pass { turns: Turns::new(&config), config: Arc::new(config), store, sender, clock };
    let mut passes = JoinSet::new();
    for zone in &pass.config.zones {
        if wanted.is_empty() || wanted.contains(&zone.name) {
            passes.spawn(pass.clone().zone(Arc::clone(zone)));
        }
    }
    Ok(passes.join_all().await.into_iter().fold(good, |good, zone| good && zone))
}

impl Pass {
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
        sends.spawn(job::deliver(sender, store, limits, Arc::clone(queue), outgoing.clone()));
    }
    let mut good = true;
    for delivered in sends.join_all().await {
        delivered.tell(clock.moment().saturating_sub(begun));
        good &= delivered.is_good();
    }
    good
}
