//! The snapshot on its way to SQS.
//!
//! While a queue cannot be reached, the newest snapshot of each zone waits, and only the newest: what it replaces would be
//! superseded on arrival. So what waits is one message of at most 1 MiB for each zone, however long it takes. A zone of
//! several queues has an [`Outbox`] for each, so that one that is down holds up no other. What is due stands in line at its
//! queue's [`Post`], and a gate there says how much of it may be sent: all, or one message in a while that tries.
//!
//! Newest is what was taken last from the primaries. That is not always the highest serial: an audit brings the same one
//! again, and an operator may have accepted an older one.
//!
//! What stands in line together goes in one request, up to what SQS takes. A snapshot beyond one message goes to the queue's
//! bucket first, and the message says where it is.

mod gate;
mod outbox;
mod post;
mod refusal;
mod sender;

use std::time::Duration;

use secondary53_zone::message::{MAX_OCTETS, Message, Meta, QUARANTINE_OCTETS, Reason};
use secondary53_zone::{Name, Snapshot};

pub use self::gate::Said;
pub use self::outbox::{Outbox, Outgoing, Turn};
pub use self::post::Post;
pub use self::refusal::SendError;
pub use self::sender::Sender;
pub(crate) use self::sender::aws;
use crate::config;

/// Why a snapshot cannot be put into a message.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// zstd would not.
    #[error("failed to encode zone {0}: {1}")]
    Encode(Name, std::io::Error),
    /// It does not fit.
    #[error("failed to send zone {zone}: its snapshot of {records} records takes {}", too_large(*octets))]
    TooLarge {
        /// The zone.
        zone: Name,
        /// Its records.
        records: usize,
        /// What the message would take.
        octets: usize,
    },
}

/// The wait after the first failure; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait: how late it is seen, at most, that a queue is back.
pub const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Puts a snapshot into a message, which fits unless one of its queues has a bucket for what does not: `overflows`.
pub fn pack(snapshot: Snapshot, reason: Reason, meta: Meta, overflows: bool) -> Result<Message, PackError> {
    let (zone, records) = (snapshot.zone().apex().clone(), snapshot.zone().record_count());
    let message = Message::of(snapshot, reason, meta).map_err(|error| PackError::Encode(zone.clone(), error))?;
    // The worker must be able to put it aside as it came, with a note on why.
    if !overflows && !message.fits() {
        return Err(PackError::TooLarge { zone, records, octets: message.octets() });
    }
    Ok(message)
}

/// What a queue is sent a zone as: its URL and, where there is one, the hosted zone to bring up to it.
pub(crate) fn target(queue: &config::Queue, hosted_zone_id: Option<&str>) -> String {
    hosted_zone_id.map_or_else(|| queue.url.clone(), |id| format!("{} {id}", queue.url))
}

/// What it takes, what there is, and what an operator does about it.
fn too_large(octets: usize) -> String {
    let room = MAX_OCTETS - QUARANTINE_OCTETS;
    format!(
        "{octets} octets, and an SQS message {room}; give the queue an overflow_bucket in the relay's configuration"
    )
}

/// The wait after a failure that so many others came before. Half of it is chance, so that who failed together does not try
/// together.
fn wait(failures: u32, chance: u32) -> Duration {
    let wait = (FIRST_WAIT * 2_u32.saturating_pow(failures.min(16))).min(LONGEST_WAIT);
    wait / 2 + (wait / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
