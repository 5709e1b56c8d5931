//! A message of the dead-letter queue: what can be read of it without its snapshot, and its copy for another queue.

use std::collections::HashMap;

use aws_sdk_sqs::types::{Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName};
use secondary53_zone::message::{Approval, Message, MessageError, Reason, attribute};
use secondary53_zone::serial::Serial;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Failed;

/// A message that was put aside.
#[derive(Clone, Debug)]
pub struct Letter {
    /// SQS's id of it, in this queue.
    pub id: String,
    /// What it is deleted or shown again by.
    pub receipt: String,
    /// Its message group: one line for each zone.
    pub group: String,
    /// When it came to this queue, in milliseconds since 1970.
    pub sent_at_ms: u64,
    /// The snapshot, or where it is; empty where nobody needs it any more.
    pub body: String,
    /// Octets of the body and of the attributes, as SQS counts them.
    pub octets: usize,
    attributes: HashMap<String, MessageAttributeValue>,
}

/// What the worker wrote on it. Whatever version it has: keys that are not there are none, others are passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// In a word.
    pub outcome: String,
    /// In a sentence.
    pub reason: String,
    /// Route 53's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route53: Option<String>,
    /// What was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Undone>,
    /// What an operator can approve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// The RRsets that were refused, as many as there was room for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rrsets: Vec<String>,
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rrsets_count: Option<usize>,
    /// The id that it had in the queue.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message_id: String,
    /// When it was put aside, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// When the relay sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at_ms: Option<u64>,
    /// When a worker first had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at_ms: Option<u64>,
    /// How often a worker had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
}

/// RRsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Undone {
    /// To create.
    pub create: usize,
    /// To change.
    pub change: usize,
    /// To delete.
    pub delete: usize,
}

/// What a message becomes in the queue that it goes to.
#[derive(Debug)]
pub struct Copy {
    /// What SQS drops a second one by, within five minutes.
    pub deduplication_id: String,
    /// All that it had, but for the note.
    pub attributes: HashMap<String, MessageAttributeValue>,
}

impl Letter {
    /// Reads what SQS gave; `None` where that cannot be worked with.
    pub fn of(message: SqsMessage) -> Option<Self> {
        let system = |name| message.attributes.as_ref().and_then(|all| all.get(&name)).cloned();
        let group = system(MessageSystemAttributeName::MessageGroupId);
        let sent = system(MessageSystemAttributeName::SentTimestamp).and_then(|text| text.parse().ok());
        let body = message.body.unwrap_or_default();
        let attributes = message.message_attributes.unwrap_or_default();
        let of_attributes = attributes.iter().map(|(name, value)| {
            let blob = value.binary_value().map_or(0, |blob| blob.as_ref().len());
            name.len() + value.data_type().len() + value.string_value().map_or(0, str::len) + blob
        });
        Some(Self {
            id: message.message_id?,
            receipt: message.receipt_handle?,
            group: group.unwrap_or_default(),
            sent_at_ms: sent.unwrap_or_default(),
            octets: body.len() + of_attributes.sum::<usize>(),
            body,
            attributes,
        })
    }

    /// An attribute's text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.string_value()
    }

    /// All attributes that are texts, by name.
    pub fn texts(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<_> =
            self.attributes.iter().map(|(name, value)| (name.as_str(), value.string_value().unwrap_or("…"))).collect();
        all.sort_unstable();
        all
    }

    /// The zone's name as the message has it, or else the group's.
    pub fn zone(&self) -> &str {
        self.text(attribute::ZONE).unwrap_or(&self.group)
    }

    /// The serial, where it says one.
    pub fn serial(&self) -> Option<Serial> {
        self.text(attribute::SERIAL)?.parse().ok()
    }

    /// What the worker wrote on it; nothing where SQS moved it, for it was received too often.
    pub fn note(&self) -> Option<Note> {
        serde_json::from_str(self.text(attribute::QUARANTINE)?).ok()
    }

    /// When it was put aside, in milliseconds since 1970.
    pub fn at_ms(&self) -> u64 {
        self.note().and_then(|note| note.at_ms).unwrap_or(self.sent_at_ms)
    }

    /// The message as the relay sent it, where it is one.
    pub fn message(&self) -> Result<Message, MessageError> {
        Message::from_parts(self.body.clone(), |name| self.text(name))
    }

    /// What an operator allowed it already.
    pub fn approved(&self) -> Vec<Approval> {
        let meta = self.meta().ok();
        let approved = meta.as_ref().and_then(|meta| meta["approved"].as_array());
        let read = |value: &Value| serde_json::from_value(value.clone()).ok();
        approved.into_iter().flatten().filter_map(read).collect()
    }

    fn meta(&self) -> Result<Value, Failed> {
        let text = self.text(attribute::META).unwrap_or_default();
        let unreadable = || Failed(format!("message {} has no attribute \"meta\" that reads", self.id));
        serde_json::from_str::<Value>(text).ok().filter(Value::is_object).ok_or_else(unreadable)
    }

    /// Whether two are of one zone and one hosted zone: of these, the newest is all that matters.
    pub fn is_of_one_line(&self, other: &Self) -> bool {
        let id = |letter: &Self| letter.meta().ok().map(|meta| meta["hosted_zone_id"].clone());
        self.text(attribute::ZONE).is_some() && self.zone() == other.zone() && id(self) == id(other)
    }

    /// What goes into the queue in its place, all of it as it came, but for the note and the reason; `approval` is an operator's
    /// word for what it is held for.
    ///
    /// The deduplication id is of this message in this queue: one that comes back is another message and passes, the same one
    /// sent again, because somebody was interrupted, is dropped.
    pub fn copy(&self, approval: Option<&str>) -> Result<Copy, Failed> {
        let mut attributes = self.attributes.clone();
        attributes.remove(attribute::QUARANTINE);
        if let Some(reason) = attributes.get_mut(attribute::REASON) {
            *reason = text_of(Reason::Replay.as_str())?;
        }
        let Some(approval) = approval else {
            return Ok(Copy { deduplication_id: format!("replay-{}", self.id), attributes });
        };
        // Not by way of our own type: what a newer relay says there is kept.
        let mut meta = self.meta()?;
        let mut approved = meta["approved"].as_array().cloned().unwrap_or_default();
        if !approved.iter().any(|one| one == approval) {
            approved.push(approval.into());
        }
        meta["approved"] = approved.into();
        attributes.insert(attribute::META.to_owned(), text_of(&meta.to_string())?);
        Ok(Copy { deduplication_id: format!("approve-{}", self.id), attributes })
    }
}

/// For each of some messages in their order, the newest other one of its line that makes it worth nothing. One that an
/// operator approved something for stands alone: nothing takes its place, and it takes nobody's.
pub fn superseded(letters: &[Letter]) -> Vec<Option<&Letter>> {
    (0..letters.len()).map(|index| newer(letters, index)).collect()
}

/// The same of one of them.
pub fn newer(letters: &[Letter], index: usize) -> Option<&Letter> {
    let letter = &letters[index];
    let is_alone = |letter: &Letter| !letter.approved().is_empty();
    if letter.serial().is_none() || is_alone(letter) {
        return None;
    }
    let mut newest = letter;
    for (place, other) in letters.iter().enumerate() {
        if place == index || !letter.is_of_one_line(other) || is_alone(other) {
            continue;
        }
        let (Some(serial), Some(newest_serial)) = (other.serial(), newest.serial()) else { continue };
        // Of equals the one that came last, as the worker has it.
        if serial > newest_serial || (serial == newest_serial && place > index) {
            newest = other;
        }
    }
    (newest.id != letter.id).then_some(newest)
}

fn text_of(text: &str) -> Result<MessageAttributeValue, Failed> {
    let built = MessageAttributeValue::builder().data_type("String").string_value(text).build();
    built.map_err(|error| Failed(format!("failed to write an attribute: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: &str, zone: &str, serial: u32, meta: &str) -> Letter {
        let text = |name: &str, value: &str| (name.to_owned(), text_of(value).unwrap());
        let attributes = HashMap::from([
            text("zone", zone),
            text("serial", &serial.to_string()),
            text("reason", "audit"),
            text("meta", meta),
            text("of-somebody", "else"),
            text("quarantine", r#"{"outcome":"held","reason":"much","needs":"mass_deletion","at_ms":7,"newer":1}"#),
        ]);
        Letter {
            id: id.to_owned(),
            receipt: String::new(),
            group: zone.to_owned(),
            sent_at_ms: 9,
            body: "body".to_owned(),
            octets: 4,
            attributes,
        }
    }

    #[test]
    fn a_copy_has_what_it_came_with_but_for_note_and_reason() {
        let letter = letter("m1", "example.com.", 7, r#"{"relay":"r","of_a_newer_relay":[1]}"#);
        let copy = letter.copy(None).unwrap();
        let text = |copy: &Copy, name: &str| {
            copy.attributes.get(name).and_then(|value| value.string_value().map(String::from))
        };
        assert_eq!(copy.deduplication_id, "replay-m1");
        assert_eq!(text(&copy, "reason").as_deref(), Some("replay"));
        assert_eq!(text(&copy, "of-somebody").as_deref(), Some("else"));
        assert_eq!(text(&copy, "quarantine"), None);
        assert_eq!(text(&copy, "meta"), letter.text("meta").map(ToOwned::to_owned));

        let copy = letter.copy(Some("mass_deletion")).unwrap();
        assert_eq!(copy.deduplication_id, "approve-m1");
        let meta: Value = serde_json::from_str(&text(&copy, "meta").unwrap()).unwrap();
        assert_eq!(meta["approved"], serde_json::json!(["mass_deletion"]));
        assert_eq!(meta["of_a_newer_relay"], serde_json::json!([1]));
        assert_eq!((letter.at_ms(), letter.note().unwrap().outcome.as_str()), (7, "held"));
    }

    #[test]
    fn what_is_older_than_another_of_its_line_is_worth_nothing() {
        let letters = [
            letter("old", "example.com.", 7, "{}"),
            letter("other", "example.net.", 9, "{}"),
            letter("wrapped", "example.com.", 8, "{}"),
            letter("allowed", "example.com.", 6, r#"{"approved":["rollback"]}"#),
            letter("private", "example.com.", 9, r#"{"hosted_zone_id":"Z2"}"#),
            letter("again", "example.com.", 8, "{}"),
        ];
        let by: Vec<_> = superseded(&letters).iter().map(|by| by.map(|by| by.id.as_str())).collect();
        assert_eq!(by, [Some("again"), None, Some("again"), None, None, None]);
    }

    #[test]
    fn serials_go_round() {
        let letters = [letter("new", "example.com.", 1, "{}"), letter("old", "example.com.", u32::MAX, "{}")];
        let by: Vec<_> = superseded(&letters).iter().map(|by| by.map(|by| by.id.as_str())).collect();
        assert_eq!(by, [None, Some("new")]);
    }
}
