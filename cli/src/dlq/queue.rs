//! The dead-letter queue and the queue that its messages came from.
//!
//! SQS has no way to look at messages but to receive them, and while some of a FIFO queue's group are received, it gives out no
//! others of it ("FIFO queue delivery logic", Amazon SQS Developer Guide). So of each zone the ten oldest can be seen at a
//! time, those behind them once these are gone. Whatever is received is hidden from everybody for `hold` seconds; whoever ends in
//! peace makes it visible again, and after kill -9 that time does.
//!
//! A message is deleted here only after the queue has accepted its copy: whatever happens in between leaves one too many,
//! never one too few.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    QueueAttributeName,
};
use futures_util::future::join_all;
use indicatif::ProgressBar;
use secondary53_relay::config::region_of_url;
use serde_json::Value;

use super::letter::{Copy, Letter};
use crate::args::Queues;
use crate::{Failed, aws, interrupt};

/// The most messages that SQS gives out at once ("`ReceiveMessage`", Amazon SQS API Reference).
pub const BATCH: usize = 10;
/// Seconds that a receive waits for a message: then SQS has asked all of its servers (long polling).
const WAIT: i32 = 1;
/// Receives at once. No two of them get messages of one group.
const SWEEPERS: usize = 8;
/// Receives in a row that bring nothing new, after which a sweeper gives up: then its time is too short for what is hidden.
const AGAIN: usize = 1_000;

/// Both queues.
#[derive(Debug)]
pub struct DeadLetters {
    client: Client,
    /// The dead-letter queue.
    pub url: String,
    main: Result<String, Failed>,
    /// Seconds that a received message is hidden from others.
    hold: i32,
}

/// Messages in the dead-letter queue, as near as SQS tells.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// To be received, now or once others of their group are gone.
    pub visible: usize,
    /// Received by somebody.
    pub hidden: usize,
}

impl Depth {
    /// All that there are.
    pub const fn total(self) -> usize {
        self.visible + self.hidden
    }
}

/// What a sweep came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Swept {
    /// Messages that SQS gave out.
    pub seen: usize,
    /// Of them, those that are still there.
    pub kept: usize,
}

/// What one receive brought that was not seen before.
#[derive(Debug)]
pub struct Received {
    /// In the order of the queue, as far as they are of one group.
    pub letters: Vec<Letter>,
    /// SQS gives out no more at once, whatever the groups: of each there may be newer ones behind these.
    pub is_full: bool,
}

/// Messages that were received and are hidden.
#[derive(Debug)]
pub struct Held {
    receipts: Vec<String>,
    /// Messages that SQS gave out, what was deleted too.
    seen: usize,
}

impl DeadLetters {
    /// Finds both. That the queue is not known is an error only for who needs it.
    pub async fn find(client: Client, queues: &Queues) -> Result<Self, Failed> {
        let main = match &queues.queue_url {
            Some(url) => Ok(url.clone()),
            None => {
                let stack = queues.stack.as_deref().unwrap_or_default();
                let found = url_of(&client, &format!("{stack}.fifo"), None).await;
                found.map_err(|error| Failed(format!("failed to find the queue of the stack {stack}: {error}")))
            }
        };
        let hold = queues.hold;
        let target = match &main {
            Ok(url) => dead_letter_target(&client, url).await,
            Err(error) => Err(Failed(error.0.clone())),
        };
        let Some(given) = &queues.dlq_url else {
            let Target { name, account, .. } = target?;
            let url = url_of(&client, &name, Some(&account)).await;
            let url = url.map_err(|error| Failed(format!("failed to find the dead-letter queue {name}: {error}")))?;
            return Ok(Self { client, url, main, hold });
        };
        // Nobody's messages are to land in another stack's queue, because only one URL was given.
        let is_its_own = target.as_ref().is_ok_and(|target| target.is_at(given));
        let main = match main {
            Ok(url) if is_its_own || queues.is_pair => Ok(url),
            Ok(url) => Err(Failed(format!(
                "{given} is not the dead-letter queue of {url}: name both, by --queue-url and --dlq-url"
            ))),
            Err(error) => Err(error),
        };
        Ok(Self { client, url: given.clone(), main, hold })
    }

    /// The queue that messages came from, and go back to.
    pub fn main(&self) -> Result<&str, Failed> {
        self.main.as_deref().map_err(|error| Failed(error.0.clone()))
    }

    /// How many messages there are.
    pub async fn depth(&self) -> Result<Depth, Failed> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.into()));
        let answer = request.send().await.map_err(|error| {
            Failed(format!("failed to look at the dead-letter queue {}: {}", self.url, aws::told(&error)))
        })?;
        let number = |name| {
            answer.attributes().and_then(|all| all.get(&name)).and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        Ok(Depth {
            visible: number(QueueAttributeName::ApproximateNumberOfMessages),
            hidden: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        })
    }

    /// How many messages SQS did not give out that were there before, of whatever zone: behind others of theirs, or received
    /// by somebody else. SQS counts late: what was seen then counts for more than what is counted now, and what somebody else
    /// did meanwhile is done.
    pub async fn unseen(&self, before: Depth, swept: Swept) -> Result<usize, Failed> {
        let unseen = before.total().saturating_sub(swept.seen);
        if unseen == 0 {
            return Ok(0);
        }
        Ok(unseen.min(self.depth().await?.total().saturating_sub(swept.kept)))
    }

    /// Receives all that SQS gives out and hands it on, up to [`BATCH`] at a time, several of them side by side. What `work`
    /// gives the id of is hidden until the end and visible again then; it must have deleted the rest.
    pub async fn sweep(
        &self,
        bar: &ProgressBar,
        work: impl AsyncFn(Received) -> Result<Vec<String>, Failed>,
    ) -> Result<Swept, Failed> {
        let held = self.hold(bar, work).await?;
        let swept = Swept { seen: held.seen, kept: held.receipts.len() };
        self.release(held).await;
        Ok(swept)
    }

    /// The same, and what is hidden stays so. [`DeadLetters::release`] must follow.
    pub async fn hold(
        &self,
        bar: &ProgressBar,
        work: impl AsyncFn(Received) -> Result<Vec<String>, Failed>,
    ) -> Result<Held, Failed> {
        let seen = RefCell::new(HashSet::new());
        let held = RefCell::new(BTreeMap::new());
        let failed = RefCell::new(None);
        let sweep = async || {
            // It ends with the messages.
            let mut again = 0;
            while !interrupt::is_told() && failed.borrow().is_none() && again < AGAIN {
                let letters = match self.receive().await {
                    Ok(letters) => letters,
                    Err(error) => {
                        failed.borrow_mut().get_or_insert(error);
                        return;
                    }
                };
                if letters.is_empty() {
                    return;
                }
                let is_full = letters.len() >= BATCH;
                held.borrow_mut().extend(letters.iter().map(|letter| (letter.id.clone(), letter.receipt.clone())));
                // What was hidden for too long comes again, and others may be behind it.
                let new: Vec<_> =
                    letters.into_iter().filter(|letter| seen.borrow_mut().insert(letter.id.clone())).collect();
                if new.is_empty() {
                    again += 1;
                    continue;
                }
                again = 0;
                let ids: Vec<_> = new.iter().map(|letter| letter.id.clone()).collect();
                bar.inc(u64::try_from(ids.len()).unwrap_or_default());
                match work(Received { letters: new, is_full }).await {
                    Ok(kept) => {
                        let mut held = held.borrow_mut();
                        for id in ids.iter().filter(|id| !kept.contains(id)) {
                            held.remove(id);
                        }
                    }
                    Err(error) => {
                        failed.borrow_mut().get_or_insert(error);
                        return;
                    }
                }
            }
        };
        join_all((0..SWEEPERS).map(|_| sweep())).await;
        let held = Held { receipts: held.into_inner().into_values().collect(), seen: seen.into_inner().len() };
        match failed.into_inner() {
            None => Ok(held),
            Some(error) => {
                self.release(held).await;
                Err(error)
            }
        }
    }

    async fn receive(&self) -> Result<Vec<Letter>, Failed> {
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(BATCH).unwrap_or(1))
            .visibility_timeout(self.hold)
            .wait_time_seconds(WAIT)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let answer = request.send().await;
        let answer = answer.map_err(|error| {
            Failed(format!("failed to receive from the dead-letter queue {}: {}", self.url, aws::told(&error)))
        })?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(Letter::of).collect())
    }

    /// Makes messages visible again. Where that fails, they are so by themselves before long.
    pub async fn release(&self, held: Held) {
        self.hide(&held, 0).await;
    }

    /// Keeps messages hidden, for as long as somebody thinks about them. It does not end.
    pub async fn keep(&self, held: &Held) {
        loop {
            tokio::time::sleep(Duration::from_secs(u64::from(self.hold.unsigned_abs()) / 2)).await;
            self.hide(held, self.hold).await;
        }
    }

    async fn hide(&self, held: &Held, seconds: i32) {
        let all = held.receipts.chunks(BATCH).map(|receipts| async move {
            let entry = |(index, receipt): (usize, &String)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(receipt).visibility_timeout(seconds).build().ok()
            };
            let entries = receipts.iter().enumerate().filter_map(entry).collect();
            let request = self.client.change_message_visibility_batch().queue_url(&self.url);
            if let Err(error) = request.set_entries(Some(entries)).send().await {
                tracing::debug!(error = aws::told(&error), "messages are visible again when their time-out says so");
            }
        });
        // A few at once.
        let mut all: Vec<_> = all.collect();
        while !all.is_empty() {
            let rest = all.split_off(SWEEPERS.min(all.len()));
            join_all(std::mem::replace(&mut all, rest)).await;
        }
    }

    /// Sends a message's copy to the queue and then, and only then, deletes it here. The first error is one of sending: all is
    /// as it was. The second one is of deleting: it is in both.
    pub async fn replay(&self, letter: &Letter, copy: Copy) -> Result<Result<(), Failed>, Failed> {
        let request = self
            .client
            .send_message()
            .queue_url(self.main()?)
            .message_body(&letter.body)
            .message_group_id(&letter.group)
            .message_deduplication_id(copy.deduplication_id)
            .set_message_attributes(Some(copy.attributes));
        request.send().await.map_err(|error| {
            Failed(format!("failed to send message {} to the queue: {}", letter.id, aws::told(&error)))
        })?;
        let delete = self.client.delete_message().queue_url(&self.url).receipt_handle(&letter.receipt);
        Ok(delete.send().await.map(drop).map_err(|error| Failed(aws::told(&error))))
    }

    /// Deletes messages. Those that were not, by their place, and why.
    pub async fn delete(&self, letters: &[&Letter]) -> Result<Vec<(usize, String)>, Failed> {
        let mut failed = Vec::new();
        for (chunk, letters) in letters.chunks(BATCH).enumerate() {
            let entry = |(index, letter): (usize, &&Letter)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(&letter.receipt).build().ok()
            };
            let entries = letters.iter().enumerate().filter_map(entry).collect();
            let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let answer = request.send().await;
            let answer = answer.map_err(|error| Failed(format!("failed to delete messages: {}", aws::told(&error))))?;
            for entry in answer.failed() {
                let place = chunk * BATCH + entry.id().parse::<usize>().unwrap_or_default();
                failed.push((place, format!("{}: {}", entry.code(), entry.message().unwrap_or("(no message)"))));
            }
        }
        Ok(failed)
    }
}

async fn url_of(client: &Client, name: &str, account: Option<&str>) -> Result<String, Failed> {
    let request = client.get_queue_url().queue_name(name).set_queue_owner_aws_account_id(account.map(Into::into));
    let answer = request.send().await.map_err(|error| Failed(aws::told(&error)))?;
    answer.queue_url.ok_or_else(|| Failed("SQS gives no URL for it".to_owned()))
}

/// The dead-letter queue that a queue's redrive policy names.
struct Target {
    name: String,
    account: String,
    region: String,
}

impl Target {
    /// Whether a URL is that queue's. Stacks of one name are in several accounts and regions; a URL of somebody's own host
    /// does not tell the region.
    fn is_at(&self, url: &str) -> bool {
        let Self { name, account, region } = self;
        url.ends_with(&format!("/{account}/{name}")) && region_of_url(url).is_none_or(|found| &found == region)
    }
}

async fn dead_letter_target(client: &Client, url: &str) -> Result<Target, Failed> {
    let request = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::RedrivePolicy);
    let failed = |what: String| Failed(format!("failed to find the dead-letter queue of {url}: {what}"));
    let answer = request.send().await.map_err(|error| failed(aws::told(&error)))?;
    let policy = answer.attributes().and_then(|all| all.get(&QueueAttributeName::RedrivePolicy));
    let policy: Value = policy.and_then(|policy| serde_json::from_str(policy).ok()).unwrap_or_default();
    let arn = policy["deadLetterTargetArn"].as_str().unwrap_or_default();
    // arn:aws:sqs:REGION:ACCOUNT:NAME
    let mut parts = arn.rsplit(':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(account), Some(region)) if !name.is_empty() => {
            Ok(Target { name: name.to_owned(), account: account.to_owned(), region: region.to_owned() })
        }
        _ => Err(failed("it has no redrive policy; name it by --dlq-url".to_owned())),
    }
}
