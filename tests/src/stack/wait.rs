//! Waiting for an event instead of sleeping: asked again and again, with a limit that only a hang reaches.

use std::time::{Duration, SystemTime};

use super::StackError;

/// The limit for anything that takes well under a second on an idle machine. Reached only by what hangs.
pub const GENEROUS: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(10);

/// Asks `probe` until it has something.
///
/// # Errors
/// What `probe` fails with, at once; [`StackError::Waited`] at the limit.
pub async fn until<T>(
    limit: Duration,
    event: &str,
    mut probe: impl AsyncFnMut() -> Result<Option<T>, StackError>,
) -> Result<T, StackError> {
    let asking = async {
        loop {
            if let Some(seen) = probe().await? {
                return Ok(seen);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(limit, asking)
        .await
        .unwrap_or_else(|_| Err(StackError::Waited { event: event.to_owned(), limit, detail: String::new() }))
}

/// The time of day, to compare with the times in the logs of real processes.
#[expect(clippy::disallowed_methods, reason = "the stack measures real processes")]
pub fn time_of_day() -> SystemTime {
    SystemTime::now()
}

/// The same in milliseconds since the Unix epoch, as the strict hosted zone has it in its log.
pub fn unix_ms() -> u64 {
    let since = time_of_day().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
