//! What cannot be applied is put aside: into the dead-letter queue, with the reason, at once. A zone is never blocked by a
//! message that no retry can mend, and nobody has to guess why it is there.
//!
//! The queue's redrive policy stays as the net below, for a worker that crashes.

use std::collections::HashMap;

use aws_lambda_events::event::sqs::SqsMessage;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{BuildError, DisplayErrorContext};
use aws_sdk_sqs::types::MessageAttributeValue;
use secondary53_zone::message::{self, attribute};
use serde::Serialize;

/// The most message attributes that SQS takes (Amazon SQS Developer Guide, "Amazon SQS message quotas").
const MAX_ATTRIBUTES: usize = 10;
/// Octets kept of an error's text, as JSON has it, so that the attribute stays within the room that the relay left for it.
const MAX_REASON: usize = 2_000;

const _: () = assert!(MAX_REASON < message::QUARANTINE_OCTETS);

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
    /// Route 53 refused its changes.
    Rejected,
    /// Route 53 refused the worker.
    Refused,
}

impl Kind {
    /// As logs and the attribute have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::NoSnapshot => "no_snapshot",
            Self::NoHostedZone => "no_hosted_zone",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
        }
    }
}

/// What the attribute says, as JSON.
#[derive(Debug, Serialize)]
struct Note<'a> {
    outcome: Kind,
    reason: String,
    message_id: &'a str,
    at_ms: u64,
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
    pub async fn put(&self, message: &SqsMessage, kind: Kind, reason: &str, at_ms: u64) -> Result<(), QuarantineError> {
        let url = self.url.as_deref().ok_or(QuarantineError::NoQueue)?;
        let message_id = message.message_id.as_deref().unwrap_or_default();
        let note = Note { outcome: kind, reason: cut(reason), message_id, at_ms };
        // A struct of strings and numbers always serialises.
        let note = serde_json::to_string(&note).unwrap_or_default();
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
fn cut(text: &str) -> String {
    let octets = |character: char| match character {
        '"' | '\\' => 2,
        control if control.is_control() => "\\u0000".len(),
        other => other.len_utf8(),
    };
    let mut room = MAX_REASON;
    text.chars()
        .take_while(|character| {
            let left = room.checked_sub(octets(*character));
            room = left.unwrap_or(0);
            left.is_some()
        })
        .collect()
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
    fn a_long_reason_is_cut_at_a_character_so_that_the_note_has_room() {
        assert_eq!(cut("short"), "short");
        for text in ["é", "\"", "\\", "\u{1}", "\n", "x"] {
            let long = text.repeat(message::QUARANTINE_OCTETS);
            let reason = cut(&long);
            assert!(!reason.is_empty() && long.starts_with(&reason));
            let message_id = "6".repeat(100);
            let note = Note { outcome: Kind::NoHostedZone, reason, message_id: &message_id, at_ms: u64::MAX };
            let octets = serde_json::to_string(&note).unwrap().len();
            // What SQS counts: name, type and value.
            assert!(attribute::QUARANTINE.len() + "String".len() + octets <= message::QUARANTINE_OCTETS, "{octets}");
        }
    }
}
