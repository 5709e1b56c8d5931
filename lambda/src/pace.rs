//! How fast to go: token buckets in which several zones take turns, and how long to wait when told to slow down.
//!
//! Route 53's limits are an account's ("Amazon Route 53 quotas"), and a worker keeps to its share of them, so that all
//! workers at once seldom meet them. Time and chance are arguments.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What an account may do of something: at once, and as time goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What a full bucket holds.
    pub burst: u32,
    /// What comes back in a second.
    pub per_second: u32,
}

impl Rate {
    /// What is used of it: a tenth of a second's worth stays in Route 53's bucket, so that a request that is quicker on its way than
    /// the one before does not find that empty.
    const fn spared(self) -> Self {
        Self { burst: self.burst - self.per_second / 10, ..self }
    }
}

/// Requests: each of the API's actions has a bucket of this size.
pub const REQUESTS: Rate = Rate { burst: 50, per_second: 10 };
/// Changes, whatever an RRset holds: CREATE and DELETE cost 1, UPSERT costs 2.
pub const CHANGES: Rate = Rate { burst: 1_500, per_second: 100 };

/// How a worker goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Of the account's, for each action.
    pub requests: Rate,
    /// Of the account's.
    pub changes: Rate,
    /// Workers that share the account's rates.
    pub workers: u32,
    /// The wait when Route 53 says to slow down.
    pub throttled: Backoff,
    /// The wait when there was no answer.
    pub unanswered: Backoff,
}

/// Waits that double.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Pace {
    /// That of one of so many workers, by Route 53's published rates.
    pub const fn of(workers: u32) -> Self {
        Self {
            requests: REQUESTS.spared(),
            changes: CHANGES.spared(),
            workers,
            // Below the second in which a share of the requests comes back, nothing is gained.
            throttled: Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(10) },
            unanswered: Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(5) },
        }
    }
}

impl Backoff {
    /// The wait behind `failures` that came one after the other, from 0. Half of it is chance, so that zones that were
    /// told so together do not come back together.
    pub fn wait(self, failures: u32, chance: u32) -> Duration {
        let wait = self.first.saturating_mul(2_u32.saturating_pow(failures)).min(self.longest);
        wait / 2 + (wait / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }
}

/// A token bucket, kept as the time at which it will be full again.
///
/// So it needs nobody to fill it, and one that was frozen with its worker for an hour is full.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// In which one token comes back.
    each: Duration,
    /// In which an empty bucket fills.
    depth: Duration,
    full_at: Duration,
    seen: Duration,
}

impl Bucket {
    /// Full; the share of one of so many.
    pub fn new(rate: Rate, workers: u32) -> Self {
        let second = |count: u32| Duration::from_secs(1) * count / rate.per_second.max(1);
        Self { each: second(workers), depth: second(rate.burst), full_at: Duration::ZERO, seen: Duration::ZERO }
    }

    /// Takes so many tokens at `now`, or says how long it will be until they can be taken.
    ///
    /// For more than a bucket holds it must be full, and owes the rest afterwards: a request cannot be taken in parts.
    pub fn take(&mut self, tokens: u32, now: Duration) -> Result<(), Duration> {
        // A clock that was put back takes the bucket along: nobody waits for what the clock has lost.
        self.full_at = self.full_at.saturating_sub(self.seen.saturating_sub(now));
        self.seen = now;
        let (full_at, cost) = (self.full_at.max(now), self.each.saturating_mul(tokens));
        let wait = (full_at.saturating_sub(now) + cost.min(self.depth)).saturating_sub(self.depth);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.full_at = full_at + cost;
        Ok(())
    }
}

/// A bucket, and who waits for it.
///
/// Zones go side by side, and one with ten thousand changes must not hold up one with a single change for minutes. So whose
/// turn it is goes by how much each has taken since it began to wait (fair queueing): what is small goes first, and
/// what is large goes as soon as the others have taken as much.
#[derive(Debug)]
pub struct Line {
    bucket: Bucket,
    waiting: BTreeMap<Place, u32>,
    /// What each has taken and asked for, in tokens from where the line began.
    taken: HashMap<String, u64>,
    /// Where the line stands.
    reached: u64,
    joined: u64,
}

/// A place in a line: the lowest is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    end: u64,
    ticket: u64,
}

/// What a place in a line is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is one's turn, and the tokens are taken.
    Now,
    /// One is first, and in this time there will be tokens enough.
    In(Duration),
    /// Others are before.
    Behind,
}

impl Line {
    /// Nobody waits, and the bucket is full.
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket, waiting: BTreeMap::new(), taken: HashMap::new(), reached: 0, joined: 0 }
    }

    /// Lines up for so many tokens. [`Line::leave`] must follow, also when it was one's turn.
    pub fn join(&mut self, who: &str, tokens: u32) -> Place {
        if self.waiting.is_empty() {
            // What was taken while nobody waited was taken from nobody.
            self.taken.clear();
            self.reached = 0;
        }
        let taken = self.taken.entry(who.to_owned()).or_default();
        *taken = (*taken).max(self.reached) + u64::from(tokens);
        self.joined += 1;
        let place = Place { end: *taken, ticket: self.joined };
        self.waiting.insert(place, tokens);
        place
    }

    /// Asks whether it is the turn of a place, and takes its tokens if it is.
    pub fn turn(&mut self, place: Place, now: Duration) -> Turn {
        match self.waiting.first_key_value() {
            Some((first, &tokens)) if *first == place => match self.bucket.take(tokens, now) {
                Ok(()) => {
                    self.reached = self.reached.max(place.end - u64::from(tokens));
                    self.waiting.remove(&place);
                    Turn::Now
                }
                Err(wait) => Turn::In(wait),
            },
            _ => Turn::Behind,
        }
    }

    /// Gives a place up.
    pub fn leave(&mut self, place: Place) {
        self.waiting.remove(&place);
    }
}

#[cfg(test)]
mod tests;
