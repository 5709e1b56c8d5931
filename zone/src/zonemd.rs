//! ZONEMD: the digest of a zone that stands in the zone (RFC 8976).
//!
//! A digest covers the records as the primary has them: the DNSSEC records among them, and each record with its own TTL. A
//! [`Zone`](crate::Zone) has neither, so what a primary publishes is verified on a [`ZoneBuilder`](crate::ZoneBuilder) before
//! it becomes a zone. Without DNSSEC's signature over it, ZONEMD guards against accidents, not against forgers (RFC 8976 §6.1).

use std::fmt;

use sha2::{Sha384, Sha512};

use crate::name::NameRef;
use crate::rrset::{Record, Rtype};
use crate::serial::Serial;

/// The only scheme there is: one digest over all records (RFC 8976 §2.2.2).
const SIMPLE: u8 = 1;
/// Octets of serial, scheme and hash algorithm, which stand before the digest (RFC 8976 §2.2).
const FIXED: usize = 6;

/// A hash algorithm of RFC 8976 §2.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// Algorithm 1, which every verifier knows.
    Sha384,
    /// Algorithm 2.
    Sha512,
}

/// What looking at the ZONEMD records of a zone has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// There are none.
    Absent,
    /// One of them is the digest of the zone.
    Verified(Hash),
    /// None has a scheme and a hash algorithm that are known here; those of one of them.
    Unsupported {
        /// Its scheme.
        scheme: u8,
        /// Its hash algorithm.
        hash: u8,
    },
}

/// Why the zone is not the one that its ZONEMD speaks of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZonemdError {
    /// It was made for another version of the zone.
    #[error("its ZONEMD is for serial {stated}, and its SOA has serial {serial}")]
    OtherSerial {
        /// The serial of the SOA.
        serial: Serial,
        /// The serial in the ZONEMD.
        stated: Serial,
    },
    /// The records come to another digest.
    #[error("its ZONEMD for serial {serial} ({hash}) says {stated}, and its records come to {found}")]
    OtherDigest {
        /// The serial of both.
        serial: Serial,
        /// The hash algorithm.
        hash: Hash,
        /// The digest in the ZONEMD, in hexadecimal.
        stated: String,
        /// The digest of the records, in hexadecimal.
        found: String,
    },
    /// Two of them have the same scheme and hash algorithm, so that neither counts (RFC 8976 §2.2).
    #[error("it has more than one ZONEMD for serial {serial} with {hash}")]
    Ambiguous {
        /// The serial of the SOA.
        serial: Serial,
        /// The hash algorithm.
        hash: Hash,
    },
    /// A ZONEMD that ends before its digest.
    #[error("its ZONEMD is cut short")]
    CutShort,
}

/// Holds the ZONEMD records of the apex (their RDATA) against a zone of this serial. `digest` is asked for the zone's digest,
/// and only where one is needed: it takes half a second for a million records.
///
/// RFC 8976 §4: it suffices that one of them verifies. Where none can be used because of its scheme or hash algorithm, the
/// zone counts as one without.
pub fn check<'a>(
    serial: Serial,
    zonemds: impl IntoIterator<Item = &'a [u8]>,
    mut digest: impl FnMut(Hash) -> Vec<u8>,
) -> Result<Checked, ZonemdError> {
    let mut outcome = Ok(Checked::Absent);
    let fail = |outcome: &mut Result<Checked, ZonemdError>, error| {
        // The first failure is told; a scheme that is not known is none.
        if outcome.is_ok() {
            *outcome = Err(error);
        }
    };
    let zonemds: Vec<_> = zonemds.into_iter().collect();
    for rdata in &zonemds {
        let Some((&[a, b, c, d, scheme, algorithm], stated)) = rdata.split_first_chunk::<FIXED>() else {
            fail(&mut outcome, ZonemdError::CutShort);
            continue;
        };
        let Some(hash) = Hash::of(scheme, algorithm) else {
            if outcome == Ok(Checked::Absent) {
                outcome = Ok(Checked::Unsupported { scheme, hash: algorithm });
            }
            continue;
        };
        let for_serial = Serial(u32::from_be_bytes([a, b, c, d]));
        if for_serial != serial {
            fail(&mut outcome, ZonemdError::OtherSerial { serial, stated: for_serial });
            continue;
        }
        let alike = |other: &&&[u8]| other.get(4..FIXED) == Some(&[scheme, algorithm]);
        if zonemds.iter().filter(alike).count() > 1 {
            fail(&mut outcome, ZonemdError::Ambiguous { serial, hash });
            continue;
        }
        let found = digest(hash);
        if found == stated {
            return Ok(Checked::Verified(hash));
        }
        let (stated, found) = (hex(stated), hex(&found));
        fail(&mut outcome, ZonemdError::OtherDigest { serial, hash, stated, found });
    }
    outcome
}

/// The digest of records that come in canonical order, none twice, each with the octets that it points into
/// (RFC 8976 §3.3.1): their wire form, but for the ZONEMD records at the apex and the signature over them.
pub(crate) fn simple<'a>(
    hash: Hash,
    apex: NameRef<'_>,
    records: impl Iterator<Item = (&'a [u8], &'a Record)>,
) -> Vec<u8> {
    match hash {
        Hash::Sha384 => simple_with::<Sha384>(apex, records),
        Hash::Sha512 => simple_with::<Sha512>(apex, records),
    }
}

fn simple_with<'a, H: sha2::Digest>(
    apex: NameRef<'_>,
    records: impl Iterator<Item = (&'a [u8], &'a Record)>,
) -> Vec<u8> {
    let mut digest = Simple::<H>::default();
    for (octets, record) in records {
        digest.record(apex, octets, record);
    }
    digest.finish()
}

/// A digest by scheme SIMPLE on its way (RFC 8976 §3.3.1).
#[derive(Debug)]
pub(crate) struct Simple<H> {
    hash: H,
    /// What was not hashed yet: a hash likes many octets at once.
    buffer: Vec<u8>,
}

impl<H: sha2::Digest> Default for Simple<H> {
    fn default() -> Self {
        Self { hash: H::new(), buffer: Vec::new() }
    }
}

impl<H: sha2::Digest> Simple<H> {
    /// Octets that are hashed at once.
    const BLOCK: usize = 32 << 10;

    /// Takes the next record in canonical order.
    pub(crate) fn record(&mut self, apex: NameRef<'_>, octets: &[u8], record: &Record) {
        const CLASS_IN: [u8; 2] = [0, 1];
        const TYPE_COVERED: usize = 2;
        let owner = record.owner(octets);
        let rdata = record.rdata(octets);
        let covers_zonemd = || rdata.get(..TYPE_COVERED) == Some(&Rtype::ZONEMD.0.to_be_bytes()[..]);
        let is_left_out = record.rtype == Rtype::ZONEMD || (record.rtype == Rtype::RRSIG && covers_zonemd());
        if is_left_out && owner == apex {
            return;
        }
        self.buffer.extend_from_slice(owner.as_wire());
        self.buffer.extend_from_slice(&record.rtype.0.to_be_bytes());
        self.buffer.extend_from_slice(&CLASS_IN);
        self.buffer.extend_from_slice(&record.ttl.to_be_bytes());
        self.buffer.extend_from_slice(&record.rdata_len.to_be_bytes());
        self.buffer.extend_from_slice(rdata);
        if self.buffer.len() >= Self::BLOCK {
            self.hash.update(&self.buffer);
            self.buffer.clear();
        }
    }

    /// The digest of what has come.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.hash.update(&self.buffer);
        self.hash.finalize().to_vec()
    }
}

impl Hash {
    fn of(scheme: u8, algorithm: u8) -> Option<Self> {
        match (scheme, algorithm) {
            (SIMPLE, 1) => Some(Self::Sha384),
            (SIMPLE, 2) => Some(Self::Sha512),
            _ => None,
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |text, octet| text + &format!("{octet:02x}"))
}

#[cfg(test)]
mod tests;
