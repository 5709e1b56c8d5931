//! A FIFO queue with its dead-letter queue, as SQS promises it and no better: a message comes at least once, a group is one
//! line, and what was received too often is moved. Time is an argument, and there is no socket: [`Queue::answer`] takes what
//! SQS's JSON protocol asks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use secondary53_zone::message::Message;
use serde_json::{Map, Value, json};

/// From a receive to the next, where nobody deletes the message.
const VISIBILITY: Duration = Duration::from_mins(12);
/// Receives, after which the next one moves the message.
const MAX_RECEIVES: u32 = 5;
/// Messages of one batch.
const BATCH: usize = 10;
/// For so long an id is known.
const DEDUPLICATION: Duration = Duration::from_mins(5);

/// A message as SQS keeps it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its message id, and its receipt handle.
    pub id: String,
    /// What was sent.
    pub body: String,
    /// Name to `{DataType, StringValue}`.
    pub attributes: Map<String, Value>,
    /// `MessageGroupId`.
    pub group: String,
    /// How often it was received.
    pub receives: u32,
    visible_at: Duration,
    sent_at: Duration,
    first_received_at: Option<Duration>,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    groups: BTreeMap<String, VecDeque<Stored>>,
    known: BTreeMap<String, Duration>,
    counter: u64,
    /// Moved by redrive, or sent there by a worker.
    pub dead: Vec<Stored>,
}

/// The request that sends a message to a queue, in SQS's JSON protocol.
pub fn request(url: &str, message: &Message) -> Value {
    let attributes: Map<_, _> = message
        .attributes()
        .into_iter()
        .map(|it| (it.name.to_owned(), json!({"DataType": it.data_type, "StringValue": it.value})))
        .collect();
    json!({
        "QueueUrl": url,
        "MessageBody": message.body.as_text(),
        "MessageGroupId": message.group_id(),
        "MessageDeduplicationId": message.deduplication_id(),
        "MessageAttributes": attributes,
    })
}

impl Queue {
    /// What SQS answers to a request of its JSON protocol, of which this is the action; `None` where it is not one that a
    /// worker makes. A queue whose URL has `dlq` in it is the dead-letter queue.
    pub fn answer(&mut self, action: &str, request: &Value, now: Duration) -> Option<Value> {
        let seconds = |of: &Value| of["VisibilityTimeout"].as_u64().map(Duration::from_secs);
        match action {
            "SendMessage" => {
                let is_dead = request["QueueUrl"].as_str()?.contains("dlq");
                let id = if is_dead { self.bury(request, now) } else { self.send(request, now) };
                Some(json!({"MessageId": id, "MD5OfMessageBody": "", "SequenceNumber": "1"}))
            }
            "ChangeMessageVisibility" => {
                self.change_visibility(request["ReceiptHandle"].as_str()?, seconds(request)?, now);
                Some(json!({}))
            }
            "ChangeMessageVisibilityBatch" => {
                let mut done = Vec::new();
                for entry in request["Entries"].as_array()? {
                    self.change_visibility(entry["ReceiptHandle"].as_str()?, seconds(entry)?, now);
                    done.push(json!({"Id": entry["Id"]}));
                }
                Some(json!({"Successful": done, "Failed": []}))
            }
            _ => None,
        }
    }

    /// As `SendMessage` in the JSON protocol has it.
    pub fn send(&mut self, request: &Value, now: Duration) -> String {
        let (message, is_new) = self.accept(request, now);
        let id = message.id.clone();
        if is_new {
            self.groups.entry(message.group.clone()).or_default().push_back(message);
        }
        id
    }

    /// The same to the dead-letter queue.
    fn bury(&mut self, request: &Value, now: Duration) -> String {
        let (message, is_new) = self.accept(request, now);
        let id = message.id.clone();
        if is_new {
            self.dead.push(message);
        }
        id
    }

    fn accept(&mut self, request: &Value, now: Duration) -> (Stored, bool) {
        let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
        let known = format!("{} {}", text("QueueUrl"), text("MessageDeduplicationId"));
        self.known.retain(|_, at| now < *at + DEDUPLICATION);
        let is_new = self.known.insert(known, now).is_none();
        self.counter += 1;
        let message = Stored {
            id: format!("{:08}", self.counter),
            body: text("MessageBody"),
            attributes: request["MessageAttributes"].as_object().cloned().unwrap_or_default(),
            group: text("MessageGroupId"),
            receives: 0,
            visible_at: now,
            sent_at: now,
            first_received_at: None,
        };
        (message, is_new)
    }

    /// Up to ten messages of groups of which none is in flight.
    pub fn receive(&mut self, random: &mut StdRng, now: Duration) -> Vec<Stored> {
        let mut names: Vec<_> = self.groups.keys().cloned().collect();
        names.shuffle(random);
        let mut batch = Vec::new();
        for name in names {
            let Some(group) = self.groups.get_mut(&name) else { continue };
            if group.iter().any(|message| message.visible_at > now) {
                continue;
            }
            while batch.len() < BATCH && group.front().is_some_and(|front| front.receives >= MAX_RECEIVES) {
                self.dead.extend(group.pop_front());
            }
            for message in group.iter_mut().take(BATCH - batch.len()) {
                message.receives += 1;
                message.visible_at = now + VISIBILITY;
                message.first_received_at.get_or_insert(now);
                batch.push(message.clone());
            }
        }
        self.groups.retain(|_, group| !group.is_empty());
        batch
    }

    /// As `DeleteMessage` has it.
    pub fn delete(&mut self, id: &str) {
        for group in self.groups.values_mut() {
            group.retain(|message| message.id != id);
        }
        self.groups.retain(|_, group| !group.is_empty());
    }

    /// As `ChangeMessageVisibility` has it; the receipt handle is the id.
    fn change_visibility(&mut self, id: &str, wait: Duration, now: Duration) {
        for message in self.groups.values_mut().flatten().filter(|message| message.id == id) {
            message.visible_at = now + wait;
        }
    }

    /// Whether all is done that was sent.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl Stored {
    /// As the event source mapping hands it to the function.
    pub fn record(&self) -> Value {
        let attributes: Map<_, _> = self
            .attributes
            .iter()
            .map(|(name, value)| {
                let value = json!({"stringValue": value["StringValue"], "dataType": value["DataType"]});
                (name.clone(), value)
            })
            .collect();
        let millis = |time: Duration| time.as_millis().to_string();
        json!({
            "messageId": self.id,
            "receiptHandle": self.id,
            "body": self.body,
            "attributes": {
                "MessageGroupId": self.group,
                "ApproximateReceiveCount": self.receives.to_string(),
                "SentTimestamp": millis(self.sent_at),
                "ApproximateFirstReceiveTimestamp": millis(self.first_received_at.unwrap_or_default()),
            },
            "messageAttributes": attributes,
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:main.fifo",
        })
    }

    /// What a worker wrote on it when it put it aside.
    pub fn quarantine(&self) -> Option<Value> {
        serde_json::from_str(self.attributes.get("quarantine")?["StringValue"].as_str()?).ok()
    }
}
