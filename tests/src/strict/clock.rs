//! The one place where the strict hosted zone learns what time it is.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

/// Time since the Unix epoch: the machine's, one that a test moves by hand, or the runtime's.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own.
    #[default]
    System,
    /// Stands still until [`ManualClock::advance`].
    Manual(ManualClock),
    /// The runtime's, which a simulation has paused: it leaps to whatever is waited for next.
    Runtime(RuntimeClock),
}

impl Clock {
    /// The time since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "the only reading of the clock in the strict hosted zone")]
    pub fn now(&self) -> Duration {
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Manual(manual) => *manual.time.borrow(),
            Self::Runtime(runtime) => runtime.epoch + runtime.origin.elapsed(),
        }
    }

    /// Waits until this clock stands at `due` or later.
    pub async fn reach(&self, due: Duration) {
        match self {
            Self::System | Self::Runtime(_) => tokio::time::sleep(due.saturating_sub(self.now())).await,
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

/// The clock of the tokio runtime in which it was started.
#[derive(Clone, Debug)]
pub struct RuntimeClock {
    origin: tokio::time::Instant,
    epoch: Duration,
}

impl RuntimeClock {
    /// Stands at `since_epoch` now.
    #[expect(clippy::disallowed_methods, reason = "time in a simulation is the runtime's")]
    pub fn at(since_epoch: Duration) -> Self {
        Self { origin: tokio::time::Instant::now(), epoch: since_epoch }
    }
}
