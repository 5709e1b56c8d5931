//! What was asked of the stand-in, so that a test can say what must never be asked.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::rates::Rate;

/// Calls kept; the oldest goes first.
const MAX_CALLS: usize = 100_000;

/// One call of the API.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// 1 for the first ever.
    pub number: u64,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// As AWS names it: `ChangeResourceRecordSets`.
    pub action: &'static str,
    /// Id of the hosted zone, where the call names one.
    pub zone: Option<String>,
    /// HTTP status.
    pub status: u16,
    /// The error's code and text; none where the call was answered.
    pub error: Option<CallError>,
    /// Changes asked for, whether or not they were made.
    pub changes: Vec<LoggedChange>,
}

impl Call {
    /// Changes that Route 53 took and silently did not do. A good client asks for none.
    pub fn no_ops(&self) -> impl Iterator<Item = &LoggedChange> {
        self.changes.iter().filter(|change| change.effect.is_some_and(Effect::is_nothing))
    }

    /// The error's code, if any.
    pub fn code(&self) -> Option<&str> {
        self.error.as_ref().map(|error| error.code.as_str())
    }
}

/// The calls, of all these, that asked for changes which Route 53 took and silently did not do; but for what was asked for once
/// more without a look at the zone, since the answer was lost.
pub fn in_vain(calls: &[Call]) -> impl Iterator<Item = &Call> {
    let is_again = |index: usize, change: &LoggedChange| {
        let same = LoggedChange { effect: None, ..change.clone() };
        let of_zone = calls[..index].iter().rev().filter(|before| before.zone == calls[index].zone);
        let mut since_read = of_zone.take_while(|before| before.action != "ListResourceRecordSets");
        since_read
            .any(|before| before.changes.iter().any(|before| LoggedChange { effect: None, ..before.clone() } == same))
    };
    let is_vain = move |index: usize, call: &Call| call.no_ops().any(|change| !is_again(index, change));
    calls.iter().enumerate().filter(move |(index, call)| is_vain(*index, call)).map(|(_, call)| call)
}

/// The least time in which an account's buckets, full at first, let through what they let through of these calls.
pub fn least(calls: &[Call], requests: Rate, changes: Rate) -> Duration {
    let passed = || calls.iter().filter(|call| call.code() != Some("Throttling"));
    let beyond = |rate: Rate, tokens: usize| {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        Duration::from_secs(tokens.saturating_sub(rate.burst).into()) / rate.per_second
    };
    let mut by_action = BTreeMap::<&str, usize>::new();
    for call in passed() {
        *by_action.entry(call.action).or_default() += 1;
    }
    let cost = |change: &LoggedChange| if change.action == "UPSERT" { 2 } else { 1 };
    let cost = passed().flat_map(|call| &call.changes).map(cost).sum();
    by_action.values().map(|count| beyond(requests, *count)).max().unwrap_or_default().max(beyond(changes, cost))
}

/// Why a call was refused.
#[derive(Clone, Debug, Serialize)]
pub struct CallError {
    /// `InvalidChangeBatch`, `Throttling`, …
    pub code: String,
    /// For a person.
    pub message: String,
}

/// One `Change` of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedChange {
    /// CREATE, DELETE or UPSERT.
    pub action: &'static str,
    /// As it was given.
    pub name: String,
    /// A, AAAA, …
    pub rtype: &'static str,
    /// None for what is not routed.
    pub set_identifier: Option<String>,
    /// None for an alias or a traffic policy.
    pub ttl: Option<u32>,
    /// Empty for an alias or a traffic policy.
    pub values: Vec<String>,
    /// What it did; none where the batch was refused.
    pub effect: Option<Effect>,
}

/// What the batch did to the RRset of a change, all its changes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It was not there before.
    Created,
    /// It is no more.
    Deleted,
    /// It is another.
    Replaced,
    /// It was given exactly as it stood.
    NothingIdentical,
    /// It differed by nothing but the order of its values or by trailing dots; the old one stands.
    NothingOrderOrDot,
}

impl Effect {
    /// Whether Route 53 had nothing to do.
    pub fn is_nothing(self) -> bool {
        matches!(self, Self::NothingIdentical | Self::NothingOrderOrDot)
    }
}

/// The calls, oldest first.
#[derive(Debug, Default)]
pub struct Log {
    calls: VecDeque<Call>,
    counted: u64,
}

impl Log {
    /// Numbers the call and keeps it; the number.
    pub fn push(&mut self, mut call: Call) -> u64 {
        self.counted += 1;
        call.number = self.counted;
        if self.calls.len() == MAX_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
        self.counted
    }

    /// A copy of what is kept.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    /// Forgets the calls, not their count.
    pub fn reset(&mut self) {
        self.calls.clear();
    }
}
