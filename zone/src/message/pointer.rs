//! The claim check: where a body is that does not fit a message.
//!
//! The form is the one that the Amazon SQS Extended Client Library made conventional, so that whoever receives with that
//! library gets the body itself: a JSON array of the name of a class and an object.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::zone::Digest;

/// Of the pointer's class, in the library's Java.
const CLASS: &str = "software.amazon.payloadoffloading.PayloadS3Pointer";

/// What the keys of all objects begin with, so that permissions can name them.
pub const PREFIX: &str = "snapshots/";

/// An object of S3 that holds a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Its bucket.
    #[serde(rename = "s3BucketName")]
    pub bucket: String,
    /// Its key.
    #[serde(rename = "s3Key")]
    pub key: String,
}

impl Pointer {
    /// Where the snapshot with this digest belongs. The same zone at the same serial is the same object, whichever relay puts
    /// it there.
    pub fn new(bucket: &str, digest: &Digest) -> Self {
        Self { bucket: bucket.to_owned(), key: format!("{PREFIX}{digest}") }
    }

    /// Whether the key is one that [`Pointer::new`] gives for this digest.
    pub fn is_of(&self, digest: &Digest) -> bool {
        self.key.strip_prefix(PREFIX).is_some_and(|rest| rest == digest.to_string())
    }

    /// Reads a body. None where it is something else: base64 has no brackets.
    pub fn parse(body: &str) -> Option<Self> {
        let (class, pointer): (String, Self) = serde_json::from_str(body).ok()?;
        (class == CLASS).then_some(pointer)
    }
}

/// As a message's body has it.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&(CLASS, self)).map_err(|_| fmt::Error)?)
    }
}
