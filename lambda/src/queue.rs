//! The queue that messages come from: how soon one comes again that is not done.
//!
//! Without a word it would be the queue's visibility time-out, a quarter of an hour or more, for that is there for a worker
//! that crashed. A zone that goes on, or that Route 53 throttles, is to come again in seconds. A message must not be sent anew
//! for that: Lambda takes a function that feeds its own queue for a loop, and stops it ("Use Lambda recursive loop
//! detection", AWS Lambda Developer Guide).
//!
//! A worker that crashes says nothing. So of a message that came before it is said at the beginning when it comes again if
//! no more is heard: a message that ends every worker holds up its zone for hours and not for days.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry as Entry;

use crate::pace::Backoff;

/// Until a zone goes on that was stopped for want of time, and got ahead.
const GOES_ON: Duration = Duration::from_secs(1);
/// Until another attempt at what failed. At the longest, a hundred of them are a day: see `maxReceiveCount` in
/// `infra/template.yaml`.
const TRIES_AGAIN: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_mins(15) };

/// From the end of an invocation until what it left without a word comes again.
const AFTER_THE_END: Duration = Duration::from_secs(10);

/// A message that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The message's id. Without one, empty: it makes Lambda take the whole batch back, where to say nothing would delete
    /// the message ("Implementing partial batch responses", AWS Lambda Developer Guide).
    pub id: String,
    receipt: Option<String>,
    url: Option<String>,
    /// How often a worker has had it, this one counted.
    pub received: u32,
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    client: Client,
    url: Option<String>,
}

impl Undone {
    /// What is needed of a message to say when it comes again.
    pub fn of(message: &SqsMessage) -> Self {
        let received = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
        Self {
            id: message.message_id.clone().unwrap_or_default(),
            receipt: message.receipt_handle.clone().filter(|receipt| !receipt.is_empty()),
            url: message.event_source_arn.as_deref().and_then(url_of),
            received: received.unwrap_or(1),
        }
    }
}

impl Queue {
    /// Takes a client, and the queue's URL where that is not the one that follows from each message's ARN.
    pub fn new(client: Client, url: Option<String>) -> Self {
        Self { client, url }
    }

    /// Says that all messages of a line come again, and when. At worst it is after the queue's visibility time-out.
    pub async fn take_back(&self, line: &[Undone], got_ahead: bool) {
        // All at one time, for they wait for one another; how often they came is the first one's.
        let received = line.iter().map(|undone| undone.received).max().unwrap_or(1);
        self.come_again(line, wait(received, got_ahead, fastrand::u32(..))).await;
    }

    /// Says that messages of a line of which one came before come again soon after this invocation, of which so much is
    /// left, should it end without a word.
    pub async fn hold(&self, line: &[Undone], left: Duration) {
        if line.iter().any(|undone| undone.received > 1) {
            self.come_again(line, left + AFTER_THE_END).await;
        }
    }

    async fn come_again(&self, line: &[Undone], wait: Duration) {
        let seconds = i32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX);
        let mut by_url: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for undone in line {
            let url = self.url.as_deref().or(undone.url.as_deref());
            if let (Some(url), Some(receipt)) = (url, undone.receipt.as_deref()) {
                by_url.entry(url).or_default().push(receipt);
            }
        }
        // An event has no more messages than such a request takes: ten.
        for (url, receipts) in by_url {
            let entry = |(index, receipt): (usize, &&str)| {
                Entry::builder().id(index.to_string()).receipt_handle(*receipt).visibility_timeout(seconds).build()
            };
            let entries = receipts.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
            let request = self.client.change_message_visibility_batch().queue_url(url).set_entries(entries.ok());
            let failed = match request.send().await {
                Ok(answer) => answer.failed().iter().map(|entry| entry.code().to_owned()).next(),
                Err(error) => Some(DisplayErrorContext(&error).to_string()),
            };
            match failed {
                None => tracing::debug!(seconds, messages = receipts.len(), "messages come again"),
                Some(error) => {
                    tracing::warn!(%error, url, "messages come again only after the queue's visibility time-out");
                }
            }
        }
    }
}

/// Until a message comes again that was received so many times, this one counted.
fn wait(received: u32, got_ahead: bool, chance: u32) -> Duration {
    if got_ahead { GOES_ON } else { TRIES_AGAIN.wait(received.saturating_sub(1), chance) }
}

/// `arn:aws:sqs:REGION:ACCOUNT:NAME` → `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME` ("Amazon SQS endpoints and quotas",
/// AWS General Reference).
fn url_of(arn: &str) -> Option<String> {
    let mut parts = arn.split(':');
    let ("arn", partition, "sqs") = (parts.next()?, parts.next()?, parts.next()?) else { return None };
    let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
    let suffix = match partition {
        "aws" | "aws-us-gov" => "amazonaws.com",
        "aws-cn" => "amazonaws.com.cn",
        // Of others the operator says it.
        _ => return None,
    };
    let is_whole = parts.next().is_none() && ![region, account, name].contains(&"");
    is_whole.then(|| format!("https://sqs.{region}.{suffix}/{account}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_follows_from_an_arn() {
        for (arn, url) in [
            (
                "arn:aws:sqs:eu-west-1:123456789012:s53.fifo",
                "https://sqs.eu-west-1.amazonaws.com/123456789012/s53.fifo",
            ),
            ("arn:aws-cn:sqs:cn-north-1:1:q", "https://sqs.cn-north-1.amazonaws.com.cn/1/q"),
            ("arn:aws-us-gov:sqs:us-gov-west-1:1:q", "https://sqs.us-gov-west-1.amazonaws.com/1/q"),
        ] {
            assert_eq!(url_of(arn).as_deref(), Some(url));
        }
        for bad in [
            "",
            "arn:aws:sns:r:1:q",
            "arn:aws:sqs:r:1",
            "arn:aws:sqs:r:1:q:x",
            "arn:aws:sqs::1:q",
            "arn:aws-iso:sqs:r:1:q",
        ] {
            assert_eq!(url_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_got_ahead_goes_on_and_what_failed_waits_longer_each_time() {
        let waits = |chance| [0, 1, 2, 5, 9, 10, 100].map(|received| wait(received, false, chance).as_secs());
        assert_eq!(waits(u32::MAX), [2, 2, 4, 32, 512, 900, 900]);
        assert_eq!(waits(0), [1, 1, 2, 16, 256, 450, 450]);
        assert_eq!(wait(100, true, 0), GOES_ON);
    }

    #[test]
    fn a_message_says_how_often_it_came() {
        let mut message = SqsMessage::default();
        assert_eq!(Undone::of(&message), Undone { id: String::new(), receipt: None, url: None, received: 1 });
        message.attributes.insert("ApproximateReceiveCount".into(), "7".into());
        message.receipt_handle = Some("r".into());
        let undone = Undone::of(&message);
        assert_eq!((undone.received, undone.receipt.as_deref()), (7, Some("r")));
    }
}
