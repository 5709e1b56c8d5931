//! Waiting for a turn at Route 53's API: the lines of [`crate::pace`], one for each action and one for changes, in which all
//! zones of this worker stand, from one invocation to the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::pace::{Bucket, Line, Pace, Place, Turn};

/// Tells the time since 1970-01-01T00:00:00Z. Not a stopwatch: one of those may stand still while a worker is frozen
/// between two invocations, and what comes back to the account in that time does not.
pub type Clock = fn() -> Duration;

/// A wait that would have been too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTime;

/// The turns of one worker.
#[derive(Debug)]
pub struct Turns {
    pace: Pace,
    clock: Clock,
    requests: Mutex<HashMap<&'static str, Arc<Turnstile>>>,
    changes: Turnstile,
}

#[derive(Debug)]
struct Turnstile {
    line: Mutex<Line>,
    moved: Notify,
}

impl Turns {
    /// Nobody waits, and every bucket is full.
    pub fn new(pace: Pace, clock: Clock) -> Self {
        let changes = Turnstile::new(Bucket::new(pace.changes, pace.workers));
        Self { pace, clock, requests: Mutex::default(), changes }
    }

    /// How this worker goes about it.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Waits for a turn at an action, on behalf of a zone. Says so at once where that cannot be before `stop_at`.
    pub async fn request(&self, action: &'static str, who: &str, stop_at: Option<Duration>) -> Result<(), OutOfTime> {
        let turnstile = {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Turnstile::new(Bucket::new(self.pace.requests, self.pace.workers)));
            Arc::clone(requests.entry(action).or_insert_with(new))
        };
        turnstile.pass(who, 1, self.clock, stop_at).await
    }

    /// Waits until so many changes can be made, on behalf of a zone, as [`Turns::request`] does.
    pub async fn changes(&self, cost: u32, who: &str, stop_at: Option<Duration>) -> Result<(), OutOfTime> {
        self.changes.pass(who, cost, self.clock, stop_at).await
    }

    /// Waits, unless that would be until after `stop_at`.
    pub async fn sleep(&self, wait: Duration, stop_at: Option<Duration>) -> Result<(), OutOfTime> {
        if left(self.clock, stop_at).is_some_and(|left| wait > left) {
            return Err(OutOfTime);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

fn left(clock: Clock, stop_at: Option<Duration>) -> Option<Duration> {
    stop_at.map(|stop_at| stop_at.saturating_sub(clock()))
}

impl Turnstile {
    fn new(bucket: Bucket) -> Self {
        Self { line: Mutex::new(Line::new(bucket)), moved: Notify::new() }
    }

    async fn pass(&self, who: &str, tokens: u32, clock: Clock, stop_at: Option<Duration>) -> Result<(), OutOfTime> {
        let standing = Standing { turnstile: self, place: self.line().join(who, tokens) };
        loop {
            // Before asking, so that no move of the line goes unnoticed.
            let moved = self.moved.notified();
            let left = left(clock, stop_at);
            // Also where there would be tokens: what is asked for too late is not answered in time.
            if left == Some(Duration::ZERO) {
                return Err(OutOfTime);
            }
            let turn = self.line().turn(standing.place, clock());
            let wait = match turn {
                Turn::Now => return Ok(()),
                Turn::In(wait) if left.is_some_and(|left| wait > left) => return Err(OutOfTime),
                Turn::In(wait) => Some(wait),
                Turn::Behind => left,
            };
            match wait {
                // Over, or moved: either way to be asked again.
                Some(wait) => drop(timeout(wait, moved).await),
                None => moved.await,
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // No step of a line is left half done.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a line, which is given up with it: also where an invocation has ended in the middle of the wait.
struct Standing<'a> {
    turnstile: &'a Turnstile,
    place: Place,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.turnstile.line().leave(self.place);
        self.turnstile.moved.notify_waiters();
    }
}
