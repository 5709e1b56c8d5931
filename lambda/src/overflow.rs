//! Snapshots that did not fit their message: got from S3, where the message says that they are.
//!
//! A message is not to be trusted with where this worker reads: the bucket must be one that its settings name, the key the one
//! that the message's digest gives.

use std::borrow::Cow;

use secondary53_aws::{Failure, Objects};
use secondary53_zone::message::{Body, Message, Pointer};
use secondary53_zone::name::Name;
use secondary53_zone::zone::Limits;

/// The buckets that may be read, and the way to them.
#[derive(Debug)]
pub struct Overflow {
    objects: Objects,
    buckets: Vec<String>,
}

/// Why a snapshot could not be got.
#[derive(Debug, thiserror::Error)]
pub enum OverflowError {
    /// The message points to where nobody but a forger would have it.
    #[error(
        "the message says that its snapshot is object {:?} of bucket {:?}, which this worker does not read: its OVERFLOW_BUCKET is \
         {allowed:?}, and the key must be that of the snapshot's digest",
        .pointer.key, .pointer.bucket
    )]
    Elsewhere {
        /// Where.
        pointer: Pointer,
        /// What the settings name.
        allowed: String,
    },
    /// There is no such object any more.
    #[error(
        "its snapshot, object {} of bucket {}, is not there ({code}): the bucket's lifecycle rule deletes what no queue can still \
         hold. Have the relay send the zone anew: secondary53-relay resend {zone}",
        .pointer.key, .pointer.bucket
    )]
    Gone {
        /// Of which zone.
        zone: Name,
        /// Where it was.
        pointer: Pointer,
        /// S3's code.
        code: String,
    },
    /// It is larger than a snapshot may be here.
    #[error("its snapshot takes more than {0} octets; give the function more memory if that is right")]
    TooLarge(usize),
    /// It is not text.
    #[error("its snapshot, object {} of bucket {}, is not base64", .0.key, .0.bucket)]
    NotText(Pointer),
    /// S3 refused, and asking again will not help.
    #[error(
        "S3 refused the snapshot, object {} of bucket {}: {failure}; the function needs s3:GetObject for it, and s3:ListBucket \
         to be told when an object is not there",
        .pointer.key, .pointer.bucket
    )]
    Refused {
        /// Where it is.
        pointer: Pointer,
        /// What S3 said.
        failure: Failure,
    },
    /// S3 was not reached; asking again may help.
    #[error("failed to get the snapshot from bucket {}: {failure}", .pointer.bucket)]
    Unavailable {
        /// Where it is.
        pointer: Pointer,
        /// What happened.
        failure: Failure,
    },
}

impl OverflowError {
    /// Whether the same request may succeed later, with nothing changed by anyone.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl Overflow {
    /// Reads from these buckets and from no other.
    pub const fn new(objects: Objects, buckets: Vec<String>) -> Self {
        Self { objects, buckets }
    }

    /// The message with its snapshot in it: as it is, or got from S3. An object may have no more octets than a snapshot may
    /// unfold to: what takes more does not fit the function's memory twice.
    pub async fn fetch<'a>(&self, message: &'a Message, limits: Limits) -> Result<Cow<'a, Message>, OverflowError> {
        let Body::Pointer { pointer, octets } = &message.body else { return Ok(Cow::Borrowed(message)) };
        if !self.buckets.contains(&pointer.bucket) || !pointer.is_of(&message.digest) {
            return Err(OverflowError::Elsewhere { pointer: pointer.clone(), allowed: self.buckets.join(",") });
        }
        if *octets > limits.octets {
            return Err(OverflowError::TooLarge(limits.octets));
        }
        let got = self.objects.get(&pointer.bucket, &pointer.key, limits.octets).await;
        let octets = got.map_err(|failure| error_of(message, pointer.clone(), failure))?;
        let text = String::from_utf8(octets.into()).map_err(|_| OverflowError::NotText(pointer.clone()))?;
        Ok(Cow::Owned(message.with_body(text)))
    }
}

/// By S3's code, never by its words ("Error responses", Amazon S3 API Reference).
fn error_of(message: &Message, pointer: Pointer, failure: Failure) -> OverflowError {
    if failure.is_transient() {
        return OverflowError::Unavailable { pointer, failure };
    }
    match failure {
        Failure::TooLarge(limit) => OverflowError::TooLarge(limit),
        Failure::Refused { code, .. } if code == "NoSuchKey" || code == "NoSuchBucket" => {
            OverflowError::Gone { zone: message.zone.clone(), pointer, code }
        }
        failure => OverflowError::Refused { pointer, failure },
    }
}
