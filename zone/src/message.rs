//! A snapshot on its way from relay to worker: the body and the attributes of an SQS message.
//!
//! The attributes can be read without decoding the body, in the console of SQS and by `dlq list`; the body is the truth. A
//! worker holds the one against the other and refuses a message where they differ.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use crate::name::Name;
use crate::serial::Serial;
use crate::snapshot::{Snapshot, SnapshotError};
use crate::zone::{Digest, Limits};

/// The most octets that SQS takes in one message, names, types and values of the attributes counted (Amazon SQS Developer
/// Guide, "Amazon SQS message quotas").
pub const MAX_OCTETS: usize = 1 << 20;
/// What a relay leaves free of [`MAX_OCTETS`], so that a worker can put a message aside as it came and say why.
pub const QUARANTINE_OCTETS: usize = 4 << 10;
/// The longest message group id and deduplication id, in characters (Amazon SQS API Reference, `SendMessage`).
const MAX_ID: usize = 128;
/// Octets of an attribute beside its name and its value: the type, "String".
const TYPE_OCTETS: usize = 6;

/// The names of the attributes.
pub mod attribute {
    /// The zone's name, with a dot at its end.
    pub const ZONE: &str = "zone";
    /// The zone's serial.
    pub const SERIAL: &str = "serial";
    /// The snapshot's digest in hexadecimal.
    pub const DIGEST: &str = "digest";
    /// Why it was sent: [`super::Reason`].
    pub const REASON: &str = "reason";
    /// The rest, as a JSON object: [`super::Meta`].
    pub const META: &str = "meta";
    /// On a quarantined message: what became of it, as a JSON object.
    pub const QUARANTINE: &str = "quarantine";

    /// Those that every message has.
    pub const ALL: [&str; 5] = [ZONE, SERIAL, DIGEST, REASON, META];
}

/// Why a snapshot was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The relay had no snapshot of the zone.
    Initial,
    /// The primary sent NOTIFY.
    Notify,
    /// The refresh timer ran out.
    Refresh,
    /// It is time for a full comparison, though the serial is the same.
    Audit,
    /// An operator asked the relay to.
    Resend,
    /// An operator took it out of the dead-letter queue.
    Replay,
}

impl Reason {
    const ALL: [Self; 6] = [Self::Initial, Self::Notify, Self::Refresh, Self::Audit, Self::Resend, Self::Replay];

    /// As the attribute has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Notify => "notify",
            Self::Refresh => "refresh",
            Self::Audit => "audit",
            Self::Resend => "resend",
            Self::Replay => "replay",
        }
    }

    /// Whether a worker may go by the serial alone: the hosted zone has it, so there is nothing to do.
    pub const fn trusts_serial(self) -> bool {
        matches!(self, Self::Notify | Self::Refresh)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(())
    }
}

/// What else is known of a snapshot. Times are milliseconds since 1970-01-01T00:00:00Z.
///
/// A worker ignores keys that it does not know, so that a newer relay can say more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Records in the snapshot, the SOA among them.
    pub records: usize,
    /// When the NOTIFY came that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notified_at_ms: Option<u64>,
    /// When the transfer was complete.
    pub transferred_at_ms: u64,
    /// Which relay sent it.
    pub relay: String,
    /// The hosted zone to bring up to it, where the relay's configuration names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosted_zone_id: Option<String>,
    /// What an operator allows this message to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "known_approvals")]
    pub approved: Vec<Approval>,
}

/// What an operator has looked at and allows: for the message that carries it, and so for its digest only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// To take the hosted zone back to an older serial.
    Rollback,
    /// To delete much of the hosted zone, or all of it.
    MassDeletion,
}

/// A newer relay may have more to approve. What a worker does not know allows nothing, and costs nothing either.
fn known_approvals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Approval>, D::Error> {
    let all = Vec::<serde_json::Value>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The zone's name.
    pub zone: Name,
    /// The zone's serial.
    pub serial: Serial,
    /// The snapshot's digest.
    pub digest: Digest,
    /// Why it is sent.
    pub reason: Reason,
    /// The rest.
    pub meta: Meta,
    /// The snapshot's octets in base64 (RFC 4648 §4).
    pub body: String,
}

/// Why an SQS message is none of ours, or a damaged one.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// An attribute that every message has is not there.
    #[error("the message has no attribute {0:?}: was it sent by a relay?")]
    NoAttribute(&'static str),
    /// An attribute does not read.
    #[error("the message's attribute {attribute:?} does not read: {value:?}")]
    BadAttribute {
        /// Its name.
        attribute: &'static str,
        /// What it holds, cut where it is long.
        value: String,
    },
    /// The body is not base64.
    #[error("the message's body is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The body's octets are not a snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Body and attribute disagree.
    #[error("the message's attribute {attribute:?} says {stated}, and its snapshot {found}")]
    Disagreement {
        /// Its name.
        attribute: &'static str,
        /// What it says.
        stated: String,
        /// What the snapshot says.
        found: String,
    },
}

impl Message {
    /// Puts a snapshot into a message. The error is the encoder's: [`Snapshot::encode`].
    pub fn new(snapshot: &Snapshot, reason: Reason, meta: Meta) -> std::io::Result<Self> {
        Ok(Self {
            zone: snapshot.zone().apex().clone(),
            serial: snapshot.zone().serial(),
            digest: snapshot.digest(),
            reason,
            meta,
            body: BASE64.encode(snapshot.encode()?),
        })
    }

    /// Reads what a queue delivered; `value` gives an attribute's string value. The body is not decoded yet.
    pub fn from_parts<'a>(body: String, value: impl Fn(&str) -> Option<&'a str>) -> Result<Self, MessageError> {
        Ok(Self {
            zone: read(attribute::ZONE, &value, |text| Name::parse(text).ok())?,
            serial: read(attribute::SERIAL, &value, |text| text.parse().ok())?,
            digest: read(attribute::DIGEST, &value, |text| text.parse().ok())?,
            reason: read(attribute::REASON, &value, |text| text.parse().ok())?,
            meta: read(attribute::META, &value, |text| serde_json::from_str(text).ok())?,
            body,
        })
    }

    /// The attributes, each a String to SQS.
    pub fn attributes(&self) -> [(&'static str, String); attribute::ALL.len()] {
        // A struct of numbers, strings and options always serialises.
        let meta = serde_json::to_string(&self.meta).unwrap_or_default();
        [
            (attribute::ZONE, self.zone.to_string()),
            (attribute::SERIAL, self.serial.to_string()),
            (attribute::DIGEST, self.digest.to_string()),
            (attribute::REASON, self.reason.to_string()),
            (attribute::META, meta),
        ]
    }

    /// The message group: one line of messages for each zone.
    pub fn group_id(&self) -> String {
        let name = self.zone.to_string();
        if name.len() <= MAX_ID {
            return name;
        }
        sha_256(&name)
    }

    /// The same for every relay that has the same news, so that a second relay costs no second message: SQS drops what has
    /// an id that it has seen in the last five minutes. An audit has the same id for an hour; what an operator asked for
    /// is sent every time. The same zone for another hosted zone, a public and a private one, is other news.
    pub fn deduplication_id(&self) -> String {
        const HOUR_MS: u64 = 3_600_000;
        let at = self.meta.transferred_at_ms;
        let news = match &self.meta.hosted_zone_id {
            None => self.digest.to_string(),
            // Both in full would be too long.
            Some(id) => sha_256(&format!("{} {id}", self.digest)),
        };
        match self.reason {
            Reason::Initial | Reason::Notify | Reason::Refresh => format!("{news}-change"),
            Reason::Audit => format!("{news}-audit-{}", at / HOUR_MS),
            Reason::Resend => format!("{news}-resend-{at}"),
            Reason::Replay => format!("{news}-replay-{at}"),
        }
    }

    /// Whether SQS takes it, and still does once it is put aside.
    pub fn fits(&self) -> bool {
        self.octets() <= MAX_OCTETS - QUARANTINE_OCTETS
    }

    /// What SQS counts towards [`MAX_OCTETS`].
    pub fn octets(&self) -> usize {
        let attributes = self.attributes();
        let attributes = attributes.iter().map(|(name, value)| name.len() + TYPE_OCTETS + value.len());
        self.body.len() + attributes.sum::<usize>()
    }

    /// Decodes the body and holds it against the attributes.
    pub fn snapshot(&self, limits: Limits) -> Result<Snapshot, MessageError> {
        let snapshot = Snapshot::decode(&BASE64.decode(&self.body)?, limits)?;
        let zone = snapshot.zone();
        agree(attribute::ZONE, &self.zone, zone.apex())?;
        agree(attribute::SERIAL, &self.serial, &zone.serial())?;
        agree(attribute::DIGEST, &self.digest, &snapshot.digest())?;
        Ok(snapshot)
    }
}

/// In hexadecimal.
fn sha_256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::with_capacity(64), |hex, octet| hex + &format!("{octet:02x}"))
}

fn read<'a, T>(
    attribute: &'static str,
    value: impl Fn(&str) -> Option<&'a str>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, MessageError> {
    const SHOWN: usize = 100;
    let text = value(attribute).ok_or(MessageError::NoAttribute(attribute))?;
    parse(text).ok_or_else(|| MessageError::BadAttribute { attribute, value: text.chars().take(SHOWN).collect() })
}

fn agree<T: PartialEq + fmt::Display>(attribute: &'static str, stated: &T, found: &T) -> Result<(), MessageError> {
    if stated == found {
        return Ok(());
    }
    Err(MessageError::Disagreement { attribute, stated: stated.to_string(), found: found.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rrset::Rtype;
    use crate::zone::ZoneBuilder;

    fn snapshot(apex: &str) -> Snapshot {
        let apex = Name::parse(apex).unwrap();
        let mut builder = ZoneBuilder::new(apex.clone(), Limits::default());
        let soa = [&[0, 0][..], &[0, 0, 0, 7], &[0; 16]].concat();
        builder.push(apex.by_ref(), Rtype::SOA, 3600, &soa).unwrap();
        Snapshot::new(builder.build().unwrap().zone)
    }

    fn message(apex: &str) -> Message {
        let meta = Meta { records: 1, transferred_at_ms: 7_200_001, relay: "lxc".into(), ..Meta::default() };
        Message::new(&snapshot(apex), Reason::Notify, meta).unwrap()
    }

    fn delivered(message: &Message) -> Result<Message, MessageError> {
        let attributes = message.attributes();
        Message::from_parts(message.body.clone(), |wanted| {
            attributes.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str())
        })
    }

    #[test]
    fn what_is_sent_is_received() {
        let sent = message("example.com");
        let received = delivered(&sent).unwrap();
        assert_eq!(received, sent);
        assert_eq!(received.snapshot(Limits::default()).unwrap(), snapshot("example.com"));
    }

    #[test]
    fn what_is_approved_is_received_and_what_is_not_known_is_passed_over() {
        let mut sent = message("example.com");
        assert!(!sent.attributes()[4].1.contains("approved"));
        sent.meta.approved = vec![Approval::Rollback, Approval::MassDeletion];
        assert!(sent.attributes()[4].1.contains(r#""approved":["rollback","mass_deletion"]"#));
        assert_eq!(delivered(&sent).unwrap(), sent);
        let meta = r#"{"records":1,"transferred_at_ms":1,"relay":"x","approved":["moon",{"a":1},"mass_deletion"]}"#;
        let read: Meta = serde_json::from_str(meta).unwrap();
        assert_eq!(read.approved, [Approval::MassDeletion]);
    }

    #[test]
    fn a_message_of_another_kind_is_refused_by_name() {
        let none = Message::from_parts("hello".into(), |_| None).unwrap_err();
        assert_eq!(none.to_string(), "the message has no attribute \"zone\": was it sent by a relay?");
        let bad =
            Message::from_parts("hello".into(), |name| Some(if name == "zone" { "a..b" } else { "1" })).unwrap_err();
        assert_eq!(bad.to_string(), "the message's attribute \"zone\" does not read: \"a..b\"");
        let mut other = message("example.com");
        other.body = "%".into();
        assert!(matches!(other.snapshot(Limits::default()), Err(MessageError::Base64(_))));
    }

    #[test]
    fn body_and_attributes_must_agree() {
        let limits = Limits::default();
        let mut other = message("example.com");
        other.zone = Name::parse("example.net").unwrap();
        assert_eq!(
            other.snapshot(limits).unwrap_err().to_string(),
            "the message's attribute \"zone\" says example.net., and its snapshot example.com."
        );
        let mut other = message("example.com");
        other.serial = Serial(8);
        assert!(matches!(other.snapshot(limits), Err(MessageError::Disagreement { attribute: "serial", .. })));
        let mut other = message("example.com");
        other.digest = snapshot("example.net").digest();
        assert!(matches!(other.snapshot(limits), Err(MessageError::Disagreement { attribute: "digest", .. })));
    }

    #[test]
    fn ids_fit_sqs() {
        assert_eq!(message("Example.com").group_id(), "example.com.");
        let long = message(&format!("{}.{}.example", "a".repeat(63), "b".repeat(63)));
        assert_eq!(long.group_id().len(), 64);
        for reason in Reason::ALL {
            let mut message = message("example.com");
            message.reason = reason;
            message.meta.transferred_at_ms = u64::MAX;
            let id = message.deduplication_id();
            assert!(id.len() <= MAX_ID, "{id}");
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
    }

    #[test]
    fn news_is_sent_once_and_an_operator_is_always_heard() {
        let id = |reason, at| {
            let mut message = message("example.com");
            (message.reason, message.meta.transferred_at_ms) = (reason, at);
            message.deduplication_id()
        };
        assert_eq!(id(Reason::Notify, 1), id(Reason::Refresh, 2));
        assert_eq!(id(Reason::Audit, 7_200_000), id(Reason::Audit, 10_799_999));
        assert_ne!(id(Reason::Audit, 7_200_000), id(Reason::Audit, 10_800_000));
        assert_ne!(id(Reason::Notify, 1), id(Reason::Audit, 1));
        assert_ne!(id(Reason::Resend, 1), id(Reason::Resend, 2));
    }

    #[test]
    fn the_same_news_for_another_hosted_zone_is_other_news() {
        let id = |hosted_zone_id: Option<&str>, reason| {
            let mut message = message("example.com");
            message.meta.hosted_zone_id = hosted_zone_id.map(ToOwned::to_owned);
            message.meta.transferred_at_ms = u64::MAX;
            message.reason = reason;
            message.deduplication_id()
        };
        for reason in Reason::ALL {
            let ids = [None, Some("Z1PUBLIC"), Some("Z2PRIVATE")].map(|hosted| id(hosted, reason));
            assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
            assert!(
                ids.iter().all(|id| id.len() <= MAX_ID && id.bytes().all(|octet| octet.is_ascii_graphic())),
                "{ids:?}"
            );
            assert_eq!(id(Some("Z1PUBLIC"), reason), ids[1]);
        }
    }

    #[test]
    fn the_size_is_what_sqs_counts() {
        let message = message("example.com");
        let attributes: usize =
            message.attributes().iter().map(|(name, value)| name.len() + "String".len() + value.len()).sum();
        assert_eq!(message.octets(), message.body.len() + attributes);
    }
}
