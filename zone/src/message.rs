//! A snapshot on its way from relay to worker: the body and the attributes of an SQS message.
//!
//! The attributes can be read without decoding the body, in the console of SQS and by `dlq list`; the body is the truth. A
//! worker holds the one against the other and refuses a message where they differ. Where the body does not fit, a
//! [`Pointer`] to it is in its place.

mod pointer;

use std::borrow::Cow;
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

pub use pointer::{PREFIX, Pointer};

/// The most octets that SQS takes in one message, names, types and values of the attributes counted (Amazon SQS Developer
/// Guide, "Amazon SQS message quotas").
pub const MAX_OCTETS: usize = 1 << 20;
/// What a relay leaves free of [`MAX_OCTETS`], so that a worker can put a message aside as it came and say why.
pub const QUARANTINE_OCTETS: usize = 4 << 10;
/// The longest message group id and deduplication id, in characters (Amazon SQS API Reference, `SendMessage`).
const MAX_ID: usize = 128;

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
    /// Where the body is a pointer: the octets of what it points to. It is not ours: the Amazon SQS Extended Client Library
    /// knows a pointer by it, and it must be a Number.
    pub const PAYLOAD_SIZE: &str = "ExtendedPayloadSize";
    /// On a quarantined message: what became of it, as a JSON object.
    pub const QUARANTINE: &str = "quarantine";

    /// Those that a message has, the last only where its body is a pointer.
    pub const ALL: [&str; 6] = [ZONE, SERIAL, DIGEST, REASON, META, PAYLOAD_SIZE];
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

/// What SQS is given as the body of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The snapshot's octets in base64 (RFC 4648 §4).
    Snapshot(String),
    /// Where that base64 is.
    Pointer {
        /// The object that holds it.
        pointer: Pointer,
        /// How many octets it had when this was sent; another relay may have put as good a one in its place.
        octets: usize,
    },
}

/// An attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name: one of [`attribute`].
    pub name: &'static str,
    /// Its type, for SQS: "String" or "Number".
    pub data_type: &'static str,
    /// Its value, a text whatever the type.
    pub value: String,
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
    /// The snapshot, or where it is.
    pub body: Body,
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
    /// The body's place is taken by a pointer, and what it points to was not got.
    #[error("the snapshot is not in the message: it is object {} of bucket {}", .0.key, .0.bucket)]
    Elsewhere(Pointer),
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
            body: Body::Snapshot(BASE64.encode(snapshot.encode()?)),
        })
    }

    /// The same with less memory. What changed goes along unless the message [fits](Self::fits) only without.
    pub fn of(snapshot: Snapshot, reason: Reason, meta: Meta) -> std::io::Result<Self> {
        let (zone, serial, digest) = (snapshot.zone().apex().clone(), snapshot.zone().serial(), snapshot.digest());
        let folded = snapshot.fold();
        let body = |octets| Body::Snapshot(BASE64.encode(octets));
        let whole = Self { zone, serial, digest, reason, meta, body: body(folded.encode()?) };
        if whole.fits() || !folded.has_delta() {
            return Ok(whole);
        }
        let body = body(folded.encode_without_delta()?);
        let without = Self { body, zone: whole.zone.clone(), meta: whole.meta.clone(), ..whole };
        Ok(if without.fits() { without } else { whole })
    }

    /// Reads what a queue delivered; `value` gives an attribute's string value. The body is not decoded yet.
    pub fn from_parts<'a>(body: String, value: impl Fn(&str) -> Option<&'a str>) -> Result<Self, MessageError> {
        let body = match Pointer::parse(&body) {
            None => Body::Snapshot(body),
            Some(pointer) => {
                let octets = read(attribute::PAYLOAD_SIZE, &value, |text| text.parse().ok())?;
                Body::Pointer { pointer, octets }
            }
        };
        Ok(Self {
            zone: read(attribute::ZONE, &value, |text| Name::parse(text).ok())?,
            serial: read(attribute::SERIAL, &value, |text| text.parse().ok())?,
            digest: read(attribute::DIGEST, &value, |text| text.parse().ok())?,
            reason: read(attribute::REASON, &value, |text| text.parse().ok())?,
            meta: read(attribute::META, &value, |text| serde_json::from_str(text).ok())?,
            body,
        })
    }

    /// The same message with its body moved to a bucket; where to, and the body, for whoever moves it. A message whose body is
    /// a pointer has nothing to move.
    pub fn moved_to(&self, bucket: &str) -> Option<(Self, Pointer, &str)> {
        let Body::Snapshot(text) = &self.body else { return None };
        let pointer = Pointer::new(bucket, &self.digest);
        let body = Body::Pointer { pointer: pointer.clone(), octets: text.len() };
        Some((Self { body, zone: self.zone.clone(), meta: self.meta.clone(), ..*self }, pointer, text))
    }

    /// The same message with the body that its pointer pointed to.
    #[must_use]
    pub fn with_body(&self, body: String) -> Self {
        Self { body: Body::Snapshot(body), zone: self.zone.clone(), meta: self.meta.clone(), ..*self }
    }

    /// The attributes.
    pub fn attributes(&self) -> Vec<Attribute> {
        let text = |name, value| Attribute { name, data_type: "String", value };
        // A struct of numbers, strings and options always serialises.
        let meta = serde_json::to_string(&self.meta).unwrap_or_default();
        let mut all = vec![
            text(attribute::ZONE, self.zone.to_string()),
            text(attribute::SERIAL, self.serial.to_string()),
            text(attribute::DIGEST, self.digest.to_string()),
            text(attribute::REASON, self.reason.to_string()),
            text(attribute::META, meta),
        ];
        if let Body::Pointer { octets, .. } = &self.body {
            let (name, value) = (attribute::PAYLOAD_SIZE, octets.to_string());
            all.push(Attribute { name, data_type: "Number", value });
        }
        all
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
        self.body.as_text().len() + self.attributes().iter().map(Attribute::octets).sum::<usize>()
    }

    /// Decodes the body and holds it against the attributes.
    pub fn snapshot(&self, limits: Limits) -> Result<Snapshot, MessageError> {
        let snapshot = Snapshot::decode(&self.octets_of_snapshot()?, limits)?;
        let zone = snapshot.zone();
        agree(attribute::ZONE, &self.zone, zone.apex())?;
        agree(attribute::SERIAL, &self.serial, &zone.serial())?;
        agree(attribute::DIGEST, &self.digest, &snapshot.digest())?;
        Ok(snapshot)
    }

    /// The snapshot's octets as they were encoded, not looked at.
    pub fn octets_of_snapshot(&self) -> Result<Vec<u8>, MessageError> {
        match &self.body {
            Body::Snapshot(text) => Ok(BASE64.decode(text)?),
            Body::Pointer { pointer, .. } => Err(MessageError::Elsewhere(pointer.clone())),
        }
    }
}

impl Body {
    /// As SQS is given it.
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Snapshot(text) => text.into(),
            Self::Pointer { pointer, .. } => pointer.to_string().into(),
        }
    }
}

impl Attribute {
    /// What SQS counts of it.
    pub const fn octets(&self) -> usize {
        self.name.len() + self.data_type.len() + self.value.len()
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
mod tests;
