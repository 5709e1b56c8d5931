//! Route 53's two rate limits, as token buckets over a time that is an argument.

use std::{collections::HashMap, time::Duration};

/// The size of a bucket and how it fills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens that a full bucket holds.
    pub burst: u32,
    /// Tokens that come back per second.
    pub per_second: u32,
}

/// Requests: each action has a bucket of this size.
pub const REQUESTS: Rate = Rate { burst: 50, per_second: 10 };
/// Changes: CREATE and DELETE cost 1, UPSERT costs 2.
pub const CHANGES: Rate = Rate { burst: 1_500, per_second: 100 };

/// The buckets of the account. Switched off where no rate is given.
#[derive(Debug)]
pub struct Rates {
    request_rate: Option<Rate>,
    requests: HashMap<&'static str, Bucket>,
    changes: Option<Bucket>,
}

impl Rates {
    /// Full buckets at `now`.
    pub fn new(requests: Option<Rate>, changes: Option<Rate>, now: Duration) -> Self {
        Self { request_rate: requests, requests: HashMap::new(), changes: changes.map(|rate| Bucket::full(rate, now)) }
    }

    /// Takes one token for a request of this action; `false` means `Throttling`.
    pub fn admit_request(&mut self, action: &'static str, now: Duration) -> bool {
        let Some(rate) = self.request_rate else { return true };
        self.requests.entry(action).or_insert_with(|| Bucket::full(rate, now)).take(1, now)
    }

    /// Takes the tokens of a batch, all or none; `false` means `Throttling`.
    pub fn admit_changes(&mut self, cost: u32, now: Duration) -> bool {
        self.changes.as_mut().is_none_or(|bucket| bucket.take(cost, now))
    }
}

/// Counts in thousandths of a token, so that a millisecond's share is never rounded away.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    millitokens: u64,
    filled: Duration,
}

const MILLI: u64 = 1_000;

impl Bucket {
    fn full(rate: Rate, now: Duration) -> Self {
        Self { rate, millitokens: u64::from(rate.burst) * MILLI, filled: now }
    }

    fn take(&mut self, tokens: u32, now: Duration) -> bool {
        // One token a second is one thousandth a millisecond.
        let elapsed = u64::try_from(now.saturating_sub(self.filled).as_millis()).unwrap_or(u64::MAX);
        self.filled += Duration::from_millis(elapsed);
        self.millitokens = self
            .millitokens
            .saturating_add(elapsed.saturating_mul(u64::from(self.rate.per_second)))
            .min(u64::from(self.rate.burst) * MILLI);
        match self.millitokens.checked_sub(u64::from(tokens) * MILLI) {
            Some(rest) => {
                self.millitokens = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_a_burst_of_its_own_and_refills() {
        let start = Duration::from_secs(1_000);
        let mut rates = Rates::new(Some(REQUESTS), None, start);
        for _ in 0..50 {
            assert!(rates.admit_request("GetChange", start));
        }
        assert!(!rates.admit_request("GetChange", start));
        assert!(rates.admit_request("GetHostedZone", start));
        assert!(!rates.admit_request("GetChange", start + Duration::from_millis(99)));
        assert!(rates.admit_request("GetChange", start + Duration::from_millis(100)));
        assert!(!rates.admit_request("GetChange", start + Duration::from_millis(100)));
    }

    #[test]
    fn a_batch_takes_all_its_tokens_or_none() {
        let start = Duration::from_secs(1_000);
        let mut rates = Rates::new(None, Some(CHANGES), start);
        assert!(rates.admit_changes(1_000, start));
        assert!(!rates.admit_changes(501, start));
        assert!(rates.admit_changes(500, start));
        assert!(!rates.admit_changes(101, start + Duration::from_secs(1)));
        assert!(rates.admit_changes(100, start + Duration::from_secs(1)));
    }
}
