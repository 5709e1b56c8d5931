//! SIGHUP: the configuration is read anew, and taken over whole or not at all.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::Daemon;
use crate::config::{self, Config, ConfigError};
use crate::queue::Sender;
use crate::view;

/// Reads the configuration.
pub type Read = Arc<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

impl Daemon {
    /// Reads the configuration, and takes it over if nothing is wrong with it.
    pub(super) async fn reload(&mut self, read: &Read) {
        info!("reloading the configuration");
        let read = Arc::clone(read);
        match spawn_blocking(move || read()).await {
            Ok(Ok(config)) => {
                self.take_over(config).await;
                info!("reloaded");
            }
            Ok(Err(ConfigError::Problems(problems))) => {
                for problem in &problems {
                    error!("{problem}");
                }
                error!(problems = problems.len(), "the configuration is refused; that of before goes on");
            }
            Ok(Err(error)) => error!(%error, "the configuration is refused; that of before goes on"),
            Err(error) => error!(%error, "the configuration could not be read; that of before goes on"),
        }
    }

    async fn take_over(&mut self, mut config: Config) {
        let old = Arc::clone(&self.config);
        keep_what_cannot_change(&old, &mut config);
        // With the credentials that there are now. What is being sent goes on through the clients of before.
        self.sender = Sender::new(&config.queues).await;
        self.posts.retain(|url, _| config.queues.iter().any(|queue| queue.url == *url));
        let left = self.lines.take_over(&old.limits, &config);
        self.counts = self.counts.taken_over(config.primaries.iter().map(|primary| primary.server.address));
        let seen = |queue: &Arc<config::Queue>| {
            let before = self.queues.iter().find(|(old, _)| old.url == queue.url);
            let before = before.map_or_else(view::Queue::default, |(_, seen)| seen.clone());
            (Arc::clone(queue), view::Queue { name: queue.name.clone(), ..before })
        };
        self.queues = config.queues.iter().map(seen).collect();
        let now = self.clock.moment();
        if config.timers != old.timers {
            for key in self.zones.keys().collect::<Vec<_>>() {
                if let Some(tracked) = self.zones.get_mut(key) {
                    tracked.refresh.set_bounds(config.timers, now, rand::random());
                }
                self.zones.arm(key);
            }
        }
        self.config = Arc::new(config);
        self.take_over_discovery(old.discover.as_ref(), now);
        self.settle(now, true);
        self.line_up(left, now);
    }
}

/// What is bound or open for as long as the relay runs.
fn keep_what_cannot_change(old: &Config, new: &mut Config) {
    let told = |key, differs| {
        if differs {
            warn!("{key} was changed: that needs a restart; until then it is as it was");
        }
    };
    told("listen", old.listen != new.listen);
    told("http", old.http != new.http);
    told("state_dir", old.state_dir != new.state_dir);
    new.listen.clone_from(&old.listen);
    new.http = old.http;
    new.state_dir.clone_from(&old.state_dir);
}
