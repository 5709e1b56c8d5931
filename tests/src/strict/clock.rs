//! The one place where the strict hosted zone learns what time it is.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

/// Time since the Unix epoch: the machine's, or one that a test moves by hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own.
    #[default]
    System,
    /// Stands still until [`ManualClock::advance`].
    Manual(ManualClock),
}

impl Clock {
    /// The time since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "the only reading of the clock in the strict hosted zone")]
    pub fn now(&self) -> Duration {
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Manual(manual) => *manual.time.borrow(),
        }
    }

    /// Waits until this clock stands at `due` or later.
    pub async fn reach(&self, due: Duration) {
        match self {
            Self::System => tokio::time::sleep(due.saturating_sub(self.now())).await,
            Self::Manual(manual) => {
                // The sender lives in `manual` itself, so the wait cannot end early.
                let _ = manual.time.subscribe().wait_for(|now| *now >= due).await;
            }
        }
    }
}

/// A clock that a test holds in its hand. Clones share the time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    time: Arc<watch::Sender<Duration>>,
}

impl ManualClock {
    /// Stands at `since_epoch`.
    pub fn at(since_epoch: Duration) -> Self {
        Self { time: Arc::new(watch::Sender::new(since_epoch)) }
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        self.time.send_modify(|now| *now += by);
    }
}
