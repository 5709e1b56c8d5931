//! What cannot be applied is put aside: into the dead-letter queue, with the reason, at once. A zone is never blocked by a
//! message that no retry can mend, and nobody has to guess why it is there.
//!
//! The queue's redrive policy stays as the net below, for a worker that crashes.

use std::collections::HashMap;

use aws_lambda_events::event::sqs::SqsMessage;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{BuildError, DisplayErrorContext};
use aws_sdk_sqs::types::MessageAttributeValue;
use secondary53_zone::message::{self, Approval, attribute};
use serde::Serialize;

use crate::plan::Counts;

/// The most message attributes that SQS takes (Amazon SQS Developer Guide, "Amazon SQS message quotas").
const MAX_ATTRIBUTES: usize = 10;
/// Octets kept of each text, as JSON has it, so that the attribute stays within the room that the relay left for it.
const MAX_REASON: usize = 1_000;
const MAX_WORDS: usize = 1_000;
const MAX_RRSETS: usize = 1_200;
/// All the rest of the note: keys, numbers, ids.
const MAX_REST: usize = 600;

const _: () = assert!(MAX_REASON + MAX_WORDS + MAX_RRSETS + MAX_REST <= message::QUARANTINE_OCTETS);

/// Why a message is put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is not a snapshot, or a damaged one.
    Undecodable,
    /// Its snapshot is not where it says, or may not be got from there.
    NoSnapshot,
    /// There is no hosted zone for it, or more than one.
    NoHostedZone,
    /// The hosted zone has another name.
    OtherZone,
    /// The zone is signed.
    Signed,
    /// It would delete much: an operator may approve it.
    Held,
    /// The hosted zone may not hold as much.
    OverQuota,
    /// Route 53 refused its changes.
    Rejected,
    /// Route 53 refused the worker.
    Refused,
    /// The worker panicked over it.
    Panicked,
}

impl Kind {
    /// As logs and the attribute have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::NoSnapshot => "no_snapshot",
            Self::NoHostedZone => "no_hosted_zone",
            Self::OtherZone => "other_zone",
            Self::Signed => "signed",
            Self::Held => "held",
            Self::OverQuota => "over_quota",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Panicked => "panicked",
        }
    }
}

/// What is said of a message that is put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// In a word.
    pub kind: Kind,
    /// In a sentence, for a person.
    pub reason: String,
    /// Route 53's words, where it refused something.
    pub words: Option<String>,
    /// What would have been done, or what was done but for `rrsets`.
    pub plan: Option<Counts>,
    /// What would let it pass.
    pub needs: Option<Approval>,
    /// The RRsets that Route 53 did not take, each as `NAME TYPE`.
    pub rrsets: Vec<String>,
}

impl Why {
    /// With no more than a kind and a reason.
    pub const fn new(kind: Kind, reason: String) -> Self {
        Self { kind, reason, words: None, plan: None, needs: None, rrsets: Vec::new() }
    }
}

/// What the attribute says, as JSON. Times are milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Serialize)]
struct Note<'a> {
    outcome: Kind,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route53: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<Approval>,
    /// As many as there is room for.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rrsets: &'a [String],
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    rrsets_count: Option<usize>,
    message_id: &'a str,
    /// When it was put aside.
    at_ms: u64,
    /// When the relay's message came to the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at_ms: Option<u64>,
    /// When a worker first had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at_ms: Option<u64>,
    /// How often a worker has had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u64>,
}

/// RRsets, the SOA not counted.
#[derive(Debug, Serialize)]
struct Summary {
    create: usize,
    change: usize,
    delete: usize,
}

/// The note, so long at most that it has its room.
fn note_of(message: &SqsMessage, why: &Why, at_ms: u64) -> String {
    // What SQS says of a message beside its attributes ("ReceiveMessage", Amazon SQS API Reference).
    let number = |name: &str| message.attributes.get(name).and_then(|text| text.parse().ok());
    let mut room = MAX_RRSETS;
    let fitting = why.rrsets.iter().take_while(|rrset| {
        // Quotes and a comma.
        let left = room.checked_sub(octets_of(rrset) + 3);
        room = left.unwrap_or(0);
        left.is_some()
    });
    let note = Note {
        outcome: why.kind,
        reason: cut(&why.reason, MAX_REASON),
        route53: why.words.as_deref().map(|words| cut(words, MAX_WORDS)),
        plan: why.plan.map(|Counts { created, changed, deleted }| Summary {
            create: created,
            change: changed,
            delete: deleted,
        }),
        needs: why.needs,
        rrsets: &why.rrsets[..fitting.count()],
        rrsets_count: (!why.rrsets.is_empty()).then_some(why.rrsets.len()),
        message_id: message.message_id.as_deref().unwrap_or_default(),
        at_ms,
        sent_at_ms: number("SentTimestamp"),
        received_at_ms: number("ApproximateFirstReceiveTimestamp"),
        attempts: number("ApproximateReceiveCount"),
    };
    // A struct of strings and numbers always serialises.
    serde_json::to_string(&note).unwrap_or_default()
}

/// Why a message could not be put aside.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The worker has no dead-letter queue.
    #[error("DLQ_URL is not set in the function's environment")]
    NoQueue,
    /// An attribute could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// SQS did not take it.
    #[error("failed to send to the dead-letter queue: {0}")]
    Send(String),
}

/// The dead-letter queue.
#[derive(Debug)]
pub struct Quarantine {
    client: Client,
    url: Option<String>,
}

impl Quarantine {
    /// Takes a client and the queue's URL; without one, every message stays in the main queue until its redrive.
    pub fn new(client: Client, url: Option<String>) -> Self {
        Self { client, url }
    }

    /// Sends a copy of the message, as it came, with the reason beside it.
    pub async fn put(&self, message: &SqsMessage, why: &Why, at_ms: u64) -> Result<(), QuarantineError> {
        let url = self.url.as_deref().ok_or(QuarantineError::NoQueue)?;
        let message_id = message.message_id.as_deref().unwrap_or_default();
        let note = note_of(message, why, at_ms);
        let group = message.attributes.get("MessageGroupId").map_or(message_id, String::as_str);
        let request = self
            .client
            .send_message()
            .queue_url(url)
            .message_body(message.body.as_deref().filter(|body| !body.is_empty()).unwrap_or("(empty)"))
            .message_group_id(group)
            // The same message, received again after a crash, is put aside once.
            .message_deduplication_id(message_id)
            .set_message_attributes(Some(attributes(message, note)?));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(QuarantineError::Send(DisplayErrorContext(&error).to_string())),
        }
    }
}

/// Those it came with, ours first, and the note.
fn attributes(message: &SqsMessage, note: String) -> Result<HashMap<String, MessageAttributeValue>, QuarantineError> {
    let mut theirs: Vec<_> = message.message_attributes.iter().collect();
    theirs.sort_by_key(|(name, _)| (!attribute::ALL.contains(&name.as_str()), name.as_str()));
    let mut all = HashMap::new();
    for (name, value) in theirs {
        let text = value.string_value.as_deref().filter(|text| !text.is_empty());
        if let Some(text) = text.filter(|_| name != attribute::QUARANTINE && all.len() + 1 < MAX_ATTRIBUTES) {
            // As it came: the size of what a pointer points to is a Number.
            let data_type = value.data_type.as_deref().unwrap_or("String");
            all.insert(name.clone(), attribute_of(data_type, text.to_owned())?);
        }
    }
    all.insert(attribute::QUARANTINE.to_owned(), attribute_of("String", note)?);
    Ok(all)
}

fn attribute_of(data_type: &str, text: String) -> Result<MessageAttributeValue, BuildError> {
    MessageAttributeValue::builder().data_type(data_type).string_value(text).build()
}

/// At a character, by the octets that the text takes in JSON.
fn cut(text: &str, mut room: usize) -> &str {
    let end = text.char_indices().find(|(_, character)| {
        let left = room.checked_sub(octets_in_json(*character));
        room = left.unwrap_or(0);
        left.is_none()
    });
    end.map_or(text, |(end, _)| &text[..end])
}

fn octets_of(text: &str) -> usize {
    text.chars().map(octets_in_json).sum()
}

fn octets_in_json(character: char) -> usize {
    match character {
        '"' | '\\' => 2,
        control if control.is_control() => "\\u0000".len(),
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::event::sqs::SqsMessageAttribute;

    use super::*;

    #[test]
    fn attributes_stay_within_ten_and_ours_are_kept() {
        let mut message = SqsMessage::default();
        let theirs = (0..10).map(|number| format!("a{number}")).chain(attribute::ALL.map(ToOwned::to_owned));
        for name in theirs.chain([attribute::QUARANTINE.to_owned()]) {
            let mut value = SqsMessageAttribute::default();
            value.string_value = Some("old".into());
            value.data_type = Some(if name == attribute::PAYLOAD_SIZE { "Number" } else { "String" }.into());
            message.message_attributes.insert(name, value);
        }
        let all = attributes(&message, "new".into()).unwrap();
        assert_eq!(all.len(), MAX_ATTRIBUTES);
        assert!(attribute::ALL.iter().all(|name| all[*name].string_value() == Some("old")));
        assert_eq!(all[attribute::QUARANTINE].string_value(), Some("new"));
        for (name, value) in &all {
            let expected = if name == attribute::PAYLOAD_SIZE { "Number" } else { "String" };
            assert_eq!(value.data_type(), expected, "{name}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_so_that_the_note_has_room() {
        assert_eq!(cut("short", MAX_REASON), "short");
        let mut received = SqsMessage::default();
        received.message_id = Some("6".repeat(100));
        for name in ["SentTimestamp", "ApproximateFirstReceiveTimestamp", "ApproximateReceiveCount"] {
            received.attributes.insert(name.into(), u64::MAX.to_string());
        }
        for text in ["é", "\"", "\\", "\u{1}", "\n", "x"] {
            let long = text.repeat(message::QUARANTINE_OCTETS);
            let why = Why {
                words: Some(long.clone()),
                plan: Some(Counts { created: usize::MAX, changed: usize::MAX, deleted: usize::MAX }),
                needs: Some(Approval::MassDeletion),
                rrsets: vec![text.repeat(50); 1_000],
                ..Why::new(Kind::NoHostedZone, long.clone())
            };
            let note = note_of(&received, &why, u64::MAX);
            // What SQS counts: name, type and value.
            let octets = attribute::QUARANTINE.len() + "String".len() + note.len();
            assert!(octets <= message::QUARANTINE_OCTETS, "{octets}");
            let note: serde_json::Value = serde_json::from_str(&note).unwrap();
            for kept in ["reason", "route53"] {
                let kept = note[kept].as_str().unwrap();
                assert!(kept.len() > 100 && long.starts_with(kept));
            }
            let rrsets = note["rrsets"].as_array().unwrap().len();
            assert!((3..1_000).contains(&rrsets) && note["rrsets_count"] == 1_000);
        }
    }

    #[test]
    fn a_note_says_what_is_known_and_no_more() {
        let mut received = SqsMessage::default();
        received.message_id = Some("m".into());
        let why = Why::new(Kind::Undecodable, "why".into());
        assert_eq!(
            note_of(&received, &why, 3),
            r#"{"outcome":"undecodable","reason":"why","message_id":"m","at_ms":3}"#
        );
        received.attributes.insert("SentTimestamp".into(), "1".into());
        received.attributes.insert("ApproximateFirstReceiveTimestamp".into(), "2".into());
        received.attributes.insert("ApproximateReceiveCount".into(), "4".into());
        let why = Why {
            plan: Some(Counts { created: 1, changed: 2, deleted: 3 }),
            needs: Some(Approval::MassDeletion),
            ..Why::new(Kind::Held, "why".into())
        };
        assert_eq!(
            note_of(&received, &why, 3),
            r#"{"outcome":"held","reason":"why","plan":{"create":1,"change":2,"delete":3},"needs":"mass_deletion","message_id":"m","at_ms":3,"sent_at_ms":1,"received_at_ms":2,"attempts":4}"#
        );
    }
}
