//! One pass, without the daemon: each zone is looked at once, and sent once if it has changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use secondary53_zone::{Name, Soa};
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::config::Config;
use crate::daemon::{self, Clock, DaemonError};
use crate::job::{self, Ending, Turns};
use crate::queue::{Outbox, Sender};
use crate::refresh::{Backwards, Cause, Standing};
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
    let sender = Sender::new(&config.queues).await;
    let pass = Pass { turns: Turns::new(&config), config: Arc::new(config), store, sender, clock };
    let mut passes = JoinSet::new();
    for (index, zone) in pass.config.zones.iter().enumerate() {
        if wanted.is_empty() || wanted.contains(&zone.name) {
            passes.spawn(pass.clone().zone(index));
        }
    }
    Ok(passes.join_all().await.into_iter().fold(good, |good, zone| good && zone))
}

impl Pass {
    async fn zone(self, index: usize) -> bool {
        let Self { config, store, sender, turns, clock } = self;
        let zone = &config.zones[index];
        let Some(turn) = turns.wait(zone.primaries.first().copied().unwrap_or_default()).await else { return false };
        let held: Option<Soa> = daemon::stored(&store, zone, &config);
        let ours = held.map(|soa| soa.serial);
        let begun = clock.moment();
        let looked = job::look(Arc::clone(&config), index, ours, turns, turn).await;
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
                return true;
            }
            (Ending::Nothing, _) => return false,
        };
        let theirs = fetched.transferred.zone.serial();
        if let (Some(ours), Standing::Backwards) = (ours, Standing::of(ours, theirs)) {
            let error = Backwards { ours, theirs };
            error!(zone = %zone.name, %error, "refused");
            return false;
        }
        let reason = daemon::reason(ours.is_some(), Cause::Timer);
        let meta = daemon::meta(&config, index, &fetched, None, clock.unix_ms());
        let mut outbox = Outbox::default();
        match job::pack(fetched, reason, meta, turn).await {
            Ok(message) => outbox.offer(message, &zone.queues),
            Err(error) => {
                error!(%error);
                return false;
            }
        }
        let begun = clock.moment();
        let Some(outgoing) = outbox.take(begun) else { return false };
        let delivered = job::deliver(sender, store, outgoing).await;
        let now = clock.moment();
        delivered.tell(&config.queues, now.saturating_sub(begun));
        delivered.outgoing.missing.is_empty()
    }
}
