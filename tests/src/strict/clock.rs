//! The one place where the strict hosted zone learns what time it is.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::watch, time::Instant};

/// Time since the Unix epoch: the machine's, tokio's, or one that a test moves by hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own.
    #[default]
    System,
    /// Some day, and what has gone by on tokio's clock since then: where a test has paused that, it jumps from one event to
    /// the next.
    Tokio(Instant),
    /// Stands still until [`ManualClock::advance`].
    Manual(ManualClock),
}

/// Early in 2026.
const SOME_DAY: Duration = Duration::from_hours(491_000);

impl Clock {
    /// The time since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "the only reading of the clock in the strict hosted zone")]
    pub fn now(&self) -> Duration {
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Tokio(begun) => SOME_DAY + begun.elapsed(),
            Self::Manual(manual) => *manual.time.borrow(),
        }
    }

    /// Waits until this clock stands at `due` or later.
    pub async fn reach(&self, due: Duration) {
        match self {
            Self::System | Self::Tokio(_) => tokio::time::sleep(due.saturating_sub(self.now())).await,
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
