//! The TSIG record (RFC 8945 §4.2): found at the end of a message, taken off, put on.

use secondary53_zone::{Name, NameRef, Rtype, name};

use super::key::{Algorithm, Key, Running};
use super::{Compared, FUDGE, time48};
use crate::wire::{HEADER, Walk, WireError};

const TSIG: Rtype = Rtype(250);
const CLASS_ANY: u16 = 255;

/// Why something is no TSIG of the message that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The message does not read, so there is no telling.
    #[error("cannot be looked for: {0}")]
    Wire(#[from] WireError),
    /// Not the last record of the additional section, or one of several.
    #[error("is not the last record, or not the only one")]
    Place,
    /// A field has a value or a length that it cannot have.
    #[error("does not read")]
    Field,
}

/// A TSIG in a message.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Where it begins; it ends where the message ends.
    start: usize,
    /// The name of the key, in lower case.
    pub(super) owner: Vec<u8>,
    /// The name of the algorithm, in lower case.
    pub(super) algorithm: Vec<u8>,
    pub(super) variables: Variables,
    pub(super) mac: Vec<u8>,
    /// The ID that the message had when it was signed; a forwarder may have given it another.
    id: u16,
}

/// What a TSIG says, and its signature covers.
#[derive(Clone, Debug)]
pub(super) struct Variables {
    /// Seconds since 1970-01-01T00:00:00Z; 48 bits.
    pub(super) time: u64,
    /// How many seconds the clocks may differ.
    pub(super) fudge: u16,
    pub(super) error: u16,
    pub(super) other: Vec<u8>,
}

/// The TSIG of a message, if it has one (RFC 8945 §5.2).
pub(super) fn find(message: &[u8]) -> Result<Option<Found>, Misfit> {
    let (header, mut walk) = Walk::begin(message)?;
    let mut owner = Vec::new();
    for _ in 0..header.questions {
        walk.question(&mut owner)?;
    }
    let records = u32::from(header.answers) + u32::from(header.authorities) + u32::from(header.additionals);
    for number in 1..=records {
        let start = walk.passed();
        let record = walk.record(&mut owner)?;
        if record.rtype != TSIG {
            continue;
        }
        if number < records || header.additionals == 0 {
            return Err(Misfit::Place);
        }
        walk.end()?;
        if record.class != CLASS_ANY || record.ttl != 0 {
            return Err(Misfit::Field);
        }
        return read(message, start, owner, record.rdata.start).map(Some);
    }
    walk.end()?;
    Ok(None)
}

fn read(message: &[u8], start: usize, owner: Vec<u8>, rdata: usize) -> Result<Found, Misfit> {
    let mut algorithm = Vec::new();
    let at = name::expand(message, rdata, &mut algorithm).map_err(WireError::from)?;
    let mut rest = message.get(at..).ok_or(Misfit::Field)?;
    let time = take(&mut rest, 6)?.iter().fold(0, |time, octet| time << 8 | u64::from(*octet));
    let fudge = take_u16(&mut rest)?;
    let length = take_u16(&mut rest)?;
    let mac = take(&mut rest, length.into())?.to_vec();
    let id = take_u16(&mut rest)?;
    let error = take_u16(&mut rest)?;
    let length = take_u16(&mut rest)?;
    let other = take(&mut rest, length.into())?.to_vec();
    if !rest.is_empty() {
        return Err(Misfit::Field);
    }
    Ok(Found { start, owner, algorithm, variables: Variables { time, fudge, error, other }, mac, id })
}

fn take<'a>(rest: &mut &'a [u8], octets: usize) -> Result<&'a [u8], Misfit> {
    let (taken, left) = rest.split_at_checked(octets).ok_or(Misfit::Field)?;
    *rest = left;
    Ok(taken)
}

fn take_u16(rest: &mut &[u8]) -> Result<u16, Misfit> {
    take(rest, 2).map(|octets| octets.iter().fold(0, |value, octet| value << 8 | u16::from(*octet)))
}

impl Found {
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.wire() == self.algorithm)
    }

    pub(super) fn is_of(&self, key: &Key) -> bool {
        self.owner == key.name().as_wire() && self.algorithm == key.algorithm().wire()
    }

    /// For a person: which key, and which algorithm.
    pub(super) fn key_name(&self) -> String {
        let text = |wire| NameRef::split_from(wire).map_or_else(|_| Name::root(), |(name, _)| name.to_name());
        format!("the key {} ({})", text(&self.owner), text(&self.algorithm).to_string().trim_end_matches('.'))
    }

    /// Takes in the message as it was before this was added (RFC 8945 §4.3.2): with the ID of then, and one record less.
    pub(super) fn digest(&self, message: &[u8], running: &mut Running) {
        let (header, body) = message[..self.start].split_at(HEADER);
        let [a, b] = self.id.to_be_bytes();
        let count = u16::from_be_bytes([header[10], header[11]]).wrapping_sub(1).to_be_bytes();
        running.update(&[a, b]);
        running.update(&header[2..10]);
        running.update(&count);
        running.update(body);
    }

    pub(super) fn compare(&self, running: Running) -> Compared {
        running.compare(&self.mac)
    }

    /// Takes it off the message.
    pub(super) fn strip(&self, message: &mut Vec<u8>) {
        message.truncate(self.start);
        let count = u16::from_be_bytes([message[10], message[11]]).wrapping_sub(1);
        message[10..HEADER].copy_from_slice(&count.to_be_bytes());
    }
}

impl Variables {
    /// Those of a message that is signed now.
    pub(super) const fn now(time: u64) -> Self {
        Self { time, fudge: FUDGE, error: 0, other: Vec::new() }
    }

    pub(super) const fn holds_at(&self, now: u64) -> bool {
        self.time.abs_diff(now) <= self.fudge as u64
    }

    /// The server's time that goes with BADTIME (RFC 8945 §5.2.3).
    pub(super) fn other_time(&self) -> Option<u64> {
        let time = self.other.iter().fold(0, |time, octet| time << 8 | u64::from(*octet));
        (self.other.len() == 6).then_some(time)
    }

    /// RFC 8945 §4.3.3.
    pub(super) fn digest(&self, key: &Key, running: &mut Running) {
        running.update(key.name().as_wire());
        running.update(&CLASS_ANY.to_be_bytes());
        running.update(&[0; 4]);
        running.update(key.algorithm().wire());
        self.digest_timers(running);
        running.update(&self.error.to_be_bytes());
        running.update(&length(&self.other));
        running.update(&self.other);
    }

    /// All that those but the first of a sequence cover (RFC 8945 §5.3.1).
    pub(super) fn digest_timers(&self, running: &mut Running) {
        running.update(&time48(self.time));
        running.update(&self.fudge.to_be_bytes());
    }
}

/// Adds a TSIG to a message, which has a header and room in its count of records.
pub(super) fn push(message: &mut Vec<u8>, owner: &[u8], algorithm: &[u8], variables: &Variables, mac: &[u8]) {
    let Variables { time, fudge, error, other } = variables;
    let id = [message[0], message[1]];
    let count = u16::from_be_bytes([message[10], message[11]]).wrapping_add(1);
    message[10..HEADER].copy_from_slice(&count.to_be_bytes());
    message.extend_from_slice(owner);
    message.extend_from_slice(&TSIG.0.to_be_bytes());
    message.extend_from_slice(&CLASS_ANY.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    let rdata = [
        algorithm,
        &time48(*time),
        &fudge.to_be_bytes(),
        &length(mac),
        mac,
        &id,
        &error.to_be_bytes(),
        &length(other),
        other,
    ]
    .concat();
    message.extend_from_slice(&length(&rdata));
    message.extend_from_slice(&rdata);
}

fn length(octets: &[u8]) -> [u8; 2] {
    u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes()
}
