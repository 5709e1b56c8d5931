//! An event of SQS: up to ten messages of any zones, in, and the ids of those that must come again, out.
//!
//! ```text
//!  messages ──▶ lines ──▶ of each zone the newest ──▶ sync ──▶ done
//!                 │             │                       ├──▶ quarantine (no retry can mend it)
//!                 │             └─ superseded           └──▶ report the whole line (a retry may)
//!                 └─ a line is a message group; lines run side by side, a zone is in one line only
//! ```
//!
//! A snapshot is a whole zone, so of several the newest is enough. On a FIFO queue nothing behind a failed message of its
//! group may count as done, and to take one again that was superseded costs nothing: so where a retry may help, the whole
//! line is reported, and nothing of it is put aside yet.

use std::any::Any;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use lambda_runtime::{Context, LambdaEvent};
use secondary53_zone::message::{Approval, Message, MessageError};
use secondary53_zone::name::Name;
use secondary53_zone::serial::Serial;
use secondary53_zone::snapshot::{Snapshot, SnapshotError};
use secondary53_zone::zone::{Limits, ZoneError};

use crate::guard::{self, Held, Policy, Terms};
use crate::isolate::Refused;
use crate::metrics::{self, Took};
use crate::overflow::{Overflow, OverflowError};
use crate::plan::{Counts, NameChanges, Plan};
use crate::quarantine::{Kind, Quarantine, Why};
use crate::queue::{Queue, Undone};
use crate::refusals::Refusals;
use crate::room::Room;
use crate::route53::{Creation, HostedZone, Route53, Route53Error};
use crate::sync::{self, Outcome};
use crate::turns::Clock;

/// Kept of an invocation's time for saying what is not done.
const MARGIN: Duration = Duration::from_secs(2);
/// Kept beside it, so that what was asked of Route 53 last is mostly answered.
const LAST_ANSWER: Duration = Duration::from_secs(3);
/// Receives of a message at which a worker that panics over it puts it aside.
const MAX_PANICS: u32 = 3;

/// All that one worker needs, made once at its start.
#[derive(Debug)]
pub struct Worker {
    /// Where zones go.
    pub route53: Route53,
    /// Where snapshots are that did not fit their message.
    pub overflow: Overflow,
    /// Where messages go that cannot be applied.
    pub quarantine: Quarantine,
    /// Where messages come from, and come again.
    pub queue: Queue,
    /// What a snapshot may come to.
    pub limits: Limits,
    /// What tells the time that is left.
    pub clock: Clock,
    /// How much may be deleted without an operator's word.
    pub policy: Policy,
    /// What Route 53 is known to refuse.
    pub refusals: Refusals,
    /// How the hosted zone of a zone that has none is made, if it is.
    pub creation: Option<Creation>,
    /// In which large zones take turns.
    pub room: Room,
}

/// Messages that are worked on one after the other.
type Line = Vec<SqsMessage>;

/// A message that no retry can mend.
struct Unfit<'a> {
    message: &'a SqsMessage,
    why: Why,
}

/// A message as it came, and what it says.
type Read<'a> = (&'a SqsMessage, Message);

/// The line must come again.
struct Again {
    /// It was stopped for want of time, and has done some of its work.
    got_ahead: bool,
}

impl Again {
    /// Something failed that another attempt may mend.
    const FAILED: Self = Self { got_ahead: false };
}

impl Worker {
    /// Handles one event. It never fails: what could not be done is in the answer.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> SqsBatchResponse {
        let LambdaEvent { payload, context } = event;
        tracing::debug!(messages = payload.records.len(), "an event");
        let lines = lines_of(payload.records);
        let failed = join_all(lines.into_iter().map(|line| self.work_in_time(line, &context))).await;
        let mut response = SqsBatchResponse::default();
        for undone in failed.into_iter().flatten() {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = undone.id;
            response.batch_item_failures.push(failure);
        }
        response
    }

    /// The messages that must come again.
    async fn work_in_time(&self, line: Line, context: &Context) -> Vec<Undone> {
        let all: Vec<Undone> = line.iter().map(Undone::of).collect();
        let end = context.deadline().duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = end.saturating_sub((self.clock)()).saturating_sub(MARGIN);
        // Nothing is begun that will hardly end. What is under way all the same is cut off, and that is safe: the serial
        // says that the zone is not complete, and the next attempt compares anew.
        let stop_at = (self.clock)() + left.saturating_sub(LAST_ANSWER.min(left / 2));
        let work = async {
            // Not for long: it matters only where this is the last that is heard of this worker.
            _ = tokio::time::timeout(MARGIN / 2, self.queue.hold(&all, left + MARGIN)).await;
            self.work_unharmed(&line, stop_at).await
        };
        let again = match tokio::time::timeout(left, work).await {
            Ok(Ok(())) => return Vec::new(),
            Ok(Err(again)) => again,
            Err(_) => {
                tracing::warn!(messages = all.len(), "out of time: the messages will come again");
                Again::FAILED
            }
        };
        // They come again in any case; this says when.
        let left = end.saturating_sub((self.clock)()).min(MARGIN) / 2;
        if tokio::time::timeout(left, self.queue.take_back(&all, again.got_ahead)).await.is_err() {
            tracing::warn!(messages = all.len(), "messages come again only after the queue's visibility time-out");
        }
        all
    }

    /// Works on a line. Where that panics, on each of its messages by itself, so that the one that does it is put aside and no
    /// other, after a few attempts.
    async fn work_unharmed(&self, line: &[SqsMessage], stop_at: Duration) -> Result<(), Again> {
        // Whatever outlives it is whole: what is shared is behind locks that no step leaves half done.
        let panic = match AssertUnwindSafe(self.work(line, stop_at)).catch_unwind().await {
            Ok(worked) => return worked,
            Err(panic) => words_of(panic.as_ref()).to_owned(),
        };
        let [message] = line else {
            tracing::error!(messages = line.len(), panic, "the worker panicked: taking each message by itself");
            for message in line {
                Box::pin(self.work_unharmed(std::slice::from_ref(message), stop_at)).await?;
            }
            return Ok(());
        };
        let received = Undone::of(message).received;
        tracing::error!(message_id = message.message_id, received, panic, "the worker panicked");
        if received < MAX_PANICS {
            return Err(Again::FAILED);
        }
        let reason = format!("the worker panicked over it, {received} times: {panic}; please report it");
        self.put_aside(Unfit { message, why: Why::new(Kind::Panicked, reason) }).await
    }

    async fn work(&self, line: &[SqsMessage], stop_at: Duration) -> Result<(), Again> {
        let mut unfit = Vec::new();
        let mut zones: Vec<Vec<Read<'_>>> = Vec::new();
        for received in line {
            match parse(received) {
                Ok(message) => match zones.iter_mut().find(|zone| is_for_the_same(&zone[0].1, &message)) {
                    Some(messages) => messages.push((received, message)),
                    None => zones.push(vec![(received, message)]),
                },
                Err(reason) => {
                    unfit.push(Unfit { message: received, why: Why::new(Kind::Undecodable, reason) });
                }
            }
        }
        for messages in zones {
            for turn in self.turns_of(messages).await? {
                self.work_on_zone(turn, &mut unfit, stop_at).await?;
            }
        }
        for unfit in unfit {
            self.put_aside(unfit).await?;
        }
        Ok(())
    }

    async fn put_aside(&self, Unfit { message, why }: Unfit<'_>) -> Result<(), Again> {
        let put = self.quarantine.put(message, &why, self.now_ms()).await;
        let message_id = message.message_id.as_deref().unwrap_or_default();
        let zone = attribute_of(message, secondary53_zone::message::attribute::ZONE).unwrap_or_default();
        let (outcome, reason) = (why.kind.as_str(), &why.reason);
        match put {
            Ok(()) => {
                tracing::error!(zone, message_id, outcome, reason, "quarantined");
                Ok(())
            }
            Err(error) => {
                tracing::error!(zone, message_id, outcome, reason, %error, "not quarantined: it will come again");
                Err(Again::FAILED)
            }
        }
    }

    /// Of one zone's messages, what is worked on together. What an operator approved is applied in its turn, for no other
    /// message may do the same; and what came before a rollback is undone by it.
    async fn turns_of<'a>(&self, messages: Vec<Read<'a>>) -> Result<Vec<Vec<Read<'a>>>, Again> {
        let mut last_rollback = None;
        for (index, (_, message)) in messages.iter().enumerate().skip(1).rev() {
            if !message.meta.approved.contains(&Approval::Rollback) {
                continue;
            }
            let _room = self.room.wait(message.meta.records).await;
            // One that is damaged, or not there any more, undoes nothing.
            if self.snapshot(message).await?.is_ok() {
                last_rollback = Some(index);
                break;
            }
        }
        let mut turns: Vec<Vec<Read<'_>>> = Vec::new();
        for message in messages.into_iter().skip(last_rollback.unwrap_or(0)) {
            let is_alone = |(_, message): &Read<'_>| !message.meta.approved.is_empty();
            match turns.last_mut() {
                Some(turn) if !is_alone(&message) && !turn.iter().any(is_alone) => turn.push(message),
                _ => turns.push(vec![message]),
            }
        }
        Ok(turns)
    }

    /// Applies the newest of one zone's messages that is a snapshot at all.
    async fn work_on_zone<'a>(
        &self,
        mut messages: Vec<Read<'a>>,
        unfit: &mut Vec<Unfit<'a>>,
        stop_at: Duration,
    ) -> Result<(), Again> {
        while let Some(newest) = newest_of(&messages) {
            // Not `swap_remove`: of equals the last one counts, so the others keep their order.
            let (received, message) = messages.remove(newest);
            let _room = self.room.wait(message.meta.records).await;
            let snapshot = match self.snapshot(&message).await? {
                Ok(snapshot) => snapshot,
                Err(why) => {
                    unfit.push(Unfit { message: received, why });
                    continue;
                }
            };
            // One that wants a full comparison is not superseded by one that does not.
            let trusts_serial =
                message.reason.trusts_serial() && messages.iter().all(|(_, other)| other.reason.trusts_serial());
            let terms = Terms { trusts_serial, approved: &message.meta.approved, policy: self.policy };
            if let Some(why) = self.sync(&message, &snapshot, terms, messages.len(), stop_at).await? {
                unfit.push(Unfit { message: received, why });
            }
            return Ok(());
        }
        Ok(())
    }

    /// The hosted zone, made where there is none and the function was told to.
    async fn find(
        &self,
        message: &Message,
        snapshot: &Snapshot,
        stop_at: Duration,
    ) -> Result<HostedZone<'_>, Route53Error> {
        let (zone, id) = (&message.zone, message.meta.hosted_zone_id.as_deref());
        match &self.creation {
            // Not for what would be held the next moment.
            Some(creation) if id.is_none() && guard::on_zone(zone, snapshot.zone()).is_ok() => {
                self.route53.find_or_create(zone, creation, message.digest, Some(stop_at)).await
            }
            _ => self.route53.find_by(zone, id, Some(stop_at)).await,
        }
    }

    /// A message's snapshot, from wherever it is; or why there is none, which no retry can mend.
    async fn snapshot(&self, message: &Message) -> Result<Result<Snapshot, Why>, Again> {
        let whole = match self.overflow.fetch(message, self.limits).await {
            Ok(whole) => whole,
            Err(error) if error.is_transient() => {
                let (zone, serial, reason) = (&message.zone, message.serial, message.reason);
                tracing::error!(%zone, %serial, %reason, outcome = "retry", %error, "zone not synced");
                return Err(Again::FAILED);
            }
            Err(error) => return Ok(Err(Why::new(kind_of_overflow(&error), error.to_string()))),
        };
        Ok(whole.snapshot(self.limits).map_err(|error| Why::new(Kind::Undecodable, told(&error))))
    }

    /// Why it must be put aside, if it must.
    async fn sync(
        &self,
        message: &Message,
        snapshot: &Snapshot,
        terms: Terms<'_>,
        superseded: usize,
        stop_at: Duration,
    ) -> Result<Option<Why>, Again> {
        let began_ms = self.now_ms();
        let id = message.meta.hosted_zone_id.as_deref();
        let (mut calls, mut throttles, mut applied) = (0, 0, 0);
        let result = async {
            let mut hosted = self.find(message, snapshot, stop_at).await?;
            let mut result = sync::sync(&mut hosted, snapshot, terms, &self.refusals).await;
            if let (Err(Route53Error::NoSuchHostedZone(_)), None) = (&result, id) {
                // It was found by name, and may have been made anew since.
                self.route53.forget(&message.zone);
                let before = hosted;
                hosted = self.find(message, snapshot, stop_at).await?;
                hosted.calls += before.calls;
                hosted.throttles += before.throttles;
                result = sync::sync(&mut hosted, snapshot, terms, &self.refusals).await;
            }
            (calls, throttles, applied) = (hosted.calls, hosted.throttles, hosted.applied);
            result
        }
        .await;
        let ended_ms = self.now_ms();
        let milliseconds = ended_ms.saturating_sub(began_ms);
        let (zone, serial, reason) = (&message.zone, message.serial, message.reason);
        let notify_to_accepted_ms = message.meta.notified_at_ms.map(|at| ended_ms.saturating_sub(at));
        let took = Took { calls, throttles, superseded, notify_to_accepted_ms };
        if let Some(line) = metrics::synced(zone, &result, took, ended_ms) {
            println!("{line}");
        }
        match result {
            Ok(Outcome::Applied { plan, batches, path }) => {
                let counts = plan.counts();
                let untranslated: Vec<_> =
                    plan.untranslated.iter().map(|(rtype, records)| format!("{rtype}:{records}")).collect();
                tracing::info!(
                    %zone, %serial, %reason, outcome = "applied", path = path.as_str(), created = counts.created, changed = counts.changed,
                    deleted = counts.deleted, foreign = plan.kept.len(), collisions = plan.collisions.len(),
                    left_out = plan.left_out.len(), untranslated = untranslated.join(","), batches, calls, throttles, superseded,
                    milliseconds, notify_to_accepted_ms, "zone synced"
                );
                for line in metrics::left_out(zone, &plan, ended_ms) {
                    println!("{line}");
                }
                for left in &plan.left_out {
                    tracing::warn!(%zone, %serial, name = %left.name, rtype = %left.rtype, why = %left.why, "left out");
                }
                for (name, rtype) in &plan.collisions {
                    tracing::warn!(%zone, %serial, %name, %rtype, "left out: an RRset that is not ours has its place");
                }
                Ok(None)
            }
            Ok(Outcome::Unchanged) => {
                tracing::info!(%zone, %serial, %reason, outcome = "unchanged", calls, superseded, milliseconds, "zone synced");
                Ok(None)
            }
            Ok(Outcome::Stale) => {
                tracing::warn!(%zone, %serial, %reason, outcome = "stale", calls, superseded, milliseconds, "snapshot dropped: the hosted zone is not older");
                Ok(None)
            }
            Ok(Outcome::Held { held, plan }) => {
                let kind = kind_held(&held);
                let counts = plan.map(|plan| plan.counts());
                let Counts { created, changed, deleted } = counts.unwrap_or_default();
                tracing::error!(
                    %zone, %serial, %reason, outcome = kind.as_str(), created, changed, deleted, calls, superseded,
                    milliseconds, %held, "snapshot held"
                );
                let reason = match held.needs() {
                    Some(_) => format!("{held}: look at the primary and, where it is meant, approve this message"),
                    None => held.to_string(),
                };
                Ok(Some(Why { plan: counts, needs: held.needs(), ..Why::new(kind, reason) }))
            }
            Ok(Outcome::Refused { plan, refused }) => {
                let rrsets: Vec<String> = refused.iter().flat_map(Refused::rrsets).collect();
                tracing::error!(
                    %zone, %serial, %reason, outcome = Kind::Rejected.as_str(), rejected = rrsets.len(), calls, superseded,
                    milliseconds, "RRsets refused: the serial stays"
                );
                let mut before: Option<&Arc<str>> = None;
                for Refused { name, rejection, .. } in &refused {
                    let by = if rejection.is_denied { "IAM" } else { "Route 53" };
                    // Of a thousand names at once, words that name them all are said once.
                    let is_said = before.is_some_and(|before| Arc::ptr_eq(before, &rejection.words));
                    let words = if is_said { "as the one before" } else { &rejection.words };
                    before = Some(&rejection.words);
                    tracing::warn!(%zone, %serial, %name, by, %words, "refused");
                }
                let reason = reason_refused(&plan, &refused, serial);
                let mut words: Vec<&str> = refused.iter().map(|refused| &*refused.rejection.words).collect();
                words.dedup();
                let (words, plan) = (Some(words.join("; ")), Some(plan.counts()));
                Ok(Some(Why { words, plan, rrsets, ..Why::new(Kind::Rejected, reason) }))
            }
            Err(error @ Route53Error::OutOfTime { .. }) => {
                let outcome = if applied > 0 { "goes_on" } else { "retry" };
                tracing::warn!(%zone, %serial, %reason, outcome, applied, calls, throttles, superseded, milliseconds, %error, "zone not synced yet");
                Err(Again { got_ahead: applied > 0 })
            }
            Err(error) => {
                // Whatever it was, where the zone was found may no longer hold.
                self.route53.forget(zone);
                let outcome = if error.is_transient() { "retry" } else { kind_of(&error).as_str() };
                tracing::error!(%zone, %serial, %reason, outcome, calls, superseded, milliseconds, %error, "zone not synced");
                if error.is_transient() {
                    Err(Again::FAILED)
                } else {
                    Ok(Some(Why::new(kind_of(&error), error.to_string())))
                }
            }
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> u64 {
        u64::try_from((self.clock)().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Why a message has no snapshot here, and what to do where that is the function's own limit.
fn told(error: &MessageError) -> String {
    match error {
        MessageError::Snapshot(SnapshotError::Zone(
            ZoneError::TooManyRecords { .. } | ZoneError::TooManyOctets { .. },
        )) => {
            format!("{error}, for which the function has no room: give it more memory and replay the message")
        }
        _ => error.to_string(),
    }
}

/// What a panic says.
fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

fn reason_refused(plan: &Plan, refused: &[Refused], serial: Serial) -> String {
    let count =
        |refused: &mut dyn Iterator<Item = &Refused>| refused.map(|refused| refused.rrsets().len()).sum::<usize>();
    let is_refused = |name: &NameChanges| refused.iter().any(|refused| refused.name == name.name);
    let others = if plan.names.iter().all(is_refused) {
        format!("all others are as at serial {serial}, and the hosted zone's serial was not advanced")
    } else {
        "so nothing was changed: without it nobody could tell what the hosted zone holds".to_owned()
    };
    let mut reason = format!(
        "Route 53 refused {} of the zone's RRsets; {others}: the next snapshot tries again",
        count(&mut refused.iter())
    );
    let denied = count(&mut refused.iter().filter(|refused| refused.rejection.is_denied));
    if denied > 0 {
        // Writing to a String does not fail.
        _ = write!(
            reason,
            "; IAM denies the function {denied} of them: allow their types and names in the policy of its role \
             (AllowDelegations of infra/template.yaml for NS) and replay this message"
        );
    }
    reason
}

const fn kind_held(held: &Held) -> Kind {
    match held {
        Held::OtherZone { .. } => Kind::OtherZone,
        Held::Signed(_) => Kind::Signed,
        Held::MassDeletion { .. } => Kind::Held,
        Held::OverQuota { .. } => Kind::OverQuota,
    }
}

const fn kind_of(error: &Route53Error) -> Kind {
    match error {
        Route53Error::NoHostedZone(_) | Route53Error::NoSuchHostedZone(_) | Route53Error::SeveralHostedZones { .. } => {
            Kind::NoHostedZone
        }
        Route53Error::OtherName { .. } => Kind::OtherZone,
        Route53Error::AlreadyMade => Kind::NoHostedZone,
        Route53Error::InvalidChangeBatch(_) => Kind::Rejected,
        Route53Error::Refused { .. }
        | Route53Error::Denied(_)
        | Route53Error::Unavailable { .. }
        | Route53Error::OutOfTime { .. }
        | Route53Error::Answer(_)
        | Route53Error::Unsettled(_)
        | Route53Error::Endless { .. } => Kind::Refused,
    }
}

const fn kind_of_overflow(error: &OverflowError) -> Kind {
    match error {
        OverflowError::TooLarge(_) | OverflowError::NotText(_) => Kind::Undecodable,
        OverflowError::Elsewhere { .. }
        | OverflowError::Gone { .. }
        | OverflowError::Refused { .. }
        | OverflowError::Unavailable { .. } => Kind::NoSnapshot,
    }
}

/// Messages of one group, or of one zone, into one line, in the order in which they came.
fn lines_of(messages: Vec<SqsMessage>) -> Vec<Line> {
    let group = |message: &SqsMessage| message.attributes.get("MessageGroupId").cloned();
    let zone = |message: &SqsMessage| {
        attribute_of(message, secondary53_zone::message::attribute::ZONE).and_then(|text| Name::parse(text).ok())
    };
    let mut lines: Vec<Line> = Vec::new();
    for message in messages {
        let belongs = |line: &Line| {
            line.iter().any(|other| {
                (group(other).is_some() && group(other) == group(&message))
                    || (zone(other).is_some() && zone(other) == zone(&message))
            })
        };
        let (mut mine, others): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(belongs);
        mine.push(vec![message]);
        lines = others;
        lines.push(mine.into_iter().flatten().collect());
    }
    lines
}

/// Whether two messages are of one zone and one hosted zone. Public and private hosted zones may share a name, and what
/// one of them is to hold says nothing about the other.
fn is_for_the_same(a: &Message, b: &Message) -> bool {
    a.zone == b.zone && a.meta.hosted_zone_id == b.meta.hosted_zone_id
}

/// The one that no other is newer than; of equals, the one that came last.
fn newest_of(messages: &[Read<'_>]) -> Option<usize> {
    let mut newest: Option<(usize, Serial)> = None;
    for (index, (_, message)) in messages.iter().enumerate() {
        let is_older = newest.is_some_and(|(_, newest)| message.serial < newest);
        if !is_older {
            newest = Some((index, message.serial));
        }
    }
    newest.map(|(index, _)| index)
}

fn parse(message: &SqsMessage) -> Result<Message, String> {
    let body = message.body.clone().unwrap_or_default();
    Message::from_parts(body, |name| attribute_of(message, name)).map_err(|error| error.to_string())
}

fn attribute_of<'a>(message: &'a SqsMessage, name: &str) -> Option<&'a str> {
    message.message_attributes.get(name)?.string_value.as_deref()
}

/// The worker's clock.
#[expect(clippy::disallowed_methods, reason = "the handler is where the worker reads the clock")]
pub fn clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
