//! A zone: a set of RRsets in canonical form and order.
//!
//! All octets of a zone stand in one buffer, and a record is sixteen octets that point into it. A million records come to
//! some tens of megabytes that way, and to no allocation each. The only way to a [`Zone`] is [`ZoneBuilder::build`], so
//! what it promises holds for every zone there is: sorted (RFC 4034 §6.1), no record twice (RFC 2181 §5), one TTL for each
//! RRset (RFC 2181 §5.2), every owner within the apex, one SOA and that at the apex.

mod in_order;

use std::cmp::Ordering;
use std::fmt;

use crate::name::{Name, NameRef, extend_lowered};
use crate::rdata::{self, RdataError, Value};
use crate::rrset::{Record, Rrset, Rtype};
use crate::serial::Serial;
use crate::zonemd::{self, Hash};

use in_order::InOrder;

/// The largest TTL (RFC 2181 §8).
pub const MAX_TTL: u32 = (1 << 31) - 1;

/// What a zone may come to, so that a primary gone wild cannot take the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records of all types, duplicates counted.
    pub records: usize,
    /// Octets of owners and RDATA as they are kept; at most [`Limits::MAX_OCTETS`].
    pub octets: usize,
}

impl Limits {
    /// More than a 32-bit offset reaches cannot be asked for.
    pub const MAX_OCTETS: usize = u32::MAX as usize;
}

impl Default for Limits {
    /// A million records, 256 MiB.
    fn default() -> Self {
        Self { records: 1_000_000, octets: 256 << 20 }
    }
}

const _: () = assert!(Limits::MAX_OCTETS >= 256 << 20);

/// A zone at one serial.
#[derive(Clone)]
pub struct Zone {
    apex: Name,
    soa: Soa,
    octets: Vec<u8>,
    /// In canonical order. Those of one owner have it at one place.
    records: Vec<Record>,
    /// Where it was computed as the records came.
    digest: Option<Digest>,
}

/// What the SOA of a zone says (RFC 1035 §3.3.13). Times in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The primary's name.
    pub mname: Name,
    /// The mailbox of who is responsible, as a name.
    pub rname: Name,
    /// The version of the zone.
    pub serial: Serial,
    /// Until the next look at the primary.
    pub refresh: u32,
    /// Until the next look after a failed one.
    pub retry: u32,
    /// Until a zone that could not be refreshed is no longer valid.
    pub expire: u32,
    /// The TTL of negative answers (RFC 2308 §4).
    pub minimum: u32,
}

impl Soa {
    /// Reads uncompressed RDATA.
    pub fn from_rdata(rdata: &[u8]) -> Result<Self, RdataError> {
        let fields = rdata::fields(Rtype::SOA).unwrap_or(&[]);
        match rdata::values(fields, rdata)?.as_slice() {
            [
                Value::Name(mname),
                Value::Name(rname),
                Value::Number(serial),
                Value::Number(refresh),
                Value::Number(retry),
                Value::Number(expire),
                Value::Number(minimum),
            ] => Ok(Self {
                mname: mname.to_name(),
                rname: rname.to_name(),
                serial: Serial(*serial),
                refresh: *refresh,
                retry: *retry,
                expire: *expire,
                minimum: *minimum,
            }),
            _ => Err(RdataError::CutShort),
        }
    }
}

/// The digest of a zone's data: ZONEMD's scheme SIMPLE with SHA-384 (RFC 8976 §3.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 48]);

/// Why records do not make a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// No SOA at the apex.
    #[error("zone {0} has no SOA at its apex")]
    NoSoa(Name),
    /// Two SOAs at the apex that differ.
    #[error("zone {0} has more than one SOA at its apex")]
    SeveralSoas(Name),
    /// A SOA below the apex: the start of another zone, here by mistake.
    #[error("zone {apex} holds a SOA at {owner}, below its apex")]
    SoaBelowApex {
        /// The zone.
        apex: Name,
        /// Where the SOA is.
        owner: Name,
    },
    /// The SOA's RDATA does not read.
    #[error("the SOA of zone {apex} is malformed: {error}")]
    BadSoa {
        /// The zone.
        apex: Name,
        /// What is wrong with it.
        error: RdataError,
    },
    /// An owner that is not the apex or below it.
    #[error("zone {apex} was given a record of {owner}, which is outside it")]
    OutsideZone {
        /// The zone.
        apex: Name,
        /// The stray owner.
        owner: Name,
    },
    /// A type that only queries and messages have.
    #[error("zone {apex} was given a record of type {rtype} at {owner}: not a type of data (RFC 6895 §3.1)")]
    MetaType {
        /// The zone.
        apex: Name,
        /// The owner of the record.
        owner: Name,
        /// The type.
        rtype: Rtype,
    },
    /// More records than allowed.
    #[error("zone {apex} has more than {limit} records")]
    TooManyRecords {
        /// The zone.
        apex: Name,
        /// [`Limits::records`].
        limit: usize,
    },
    /// More octets than allowed.
    #[error("zone {apex} has more than {limit} octets of owners and RDATA")]
    TooManyOctets {
        /// The zone.
        apex: Name,
        /// [`Limits::octets`].
        limit: usize,
    },
    /// RDATA of more than 65,535 octets.
    #[error("zone {apex} was given RDATA of more than 65,535 octets at {owner}")]
    RdataTooLong {
        /// The zone.
        apex: Name,
        /// The owner of the record.
        owner: Name,
    },
}

impl Zone {
    /// The name of the zone.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// What its SOA says.
    pub fn soa(&self) -> &Soa {
        &self.soa
    }

    /// The SOA's serial.
    pub fn serial(&self) -> Serial {
        self.soa.serial
    }

    /// How many records it has, the SOA among them.
    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// Its RRsets in canonical order: by owner (RFC 4034 §6.1), then by type.
    pub fn rrsets(&self) -> impl Iterator<Item = Rrset<'_>> {
        self.records
            .chunk_by(|a, b| a.rtype == b.rtype && a.owner_at == b.owner_at)
            .map(|records| Rrset { octets: &self.octets, records })
    }

    /// The RRset of an owner and a type.
    pub fn get(&self, owner: NameRef<'_>, rtype: Rtype) -> Option<Rrset<'_>> {
        let wanted = (owner, rtype);
        let key = |record: &Record| (record.owner(&self.octets), record.rtype);
        let start = self.records.partition_point(|record| key(record) < wanted);
        let count = self.records[start..].partition_point(|record| key(record) == wanted);
        (count > 0).then(|| Rrset { octets: &self.octets, records: &self.records[start..start + count] })
    }

    /// All RRsets of an owner, by type.
    pub fn at<'a>(&'a self, owner: NameRef<'_>) -> impl Iterator<Item = Rrset<'a>> {
        let start = self.records.partition_point(|record| record.owner(&self.octets) < owner);
        let count = self.records[start..].partition_point(|record| record.owner(&self.octets) == owner);
        self.records[start..start + count]
            .chunk_by(|a, b| a.rtype == b.rtype)
            .map(|records| Rrset { octets: &self.octets, records })
    }

    /// The digest of everything in it, as a ZONEMD record would hold it (RFC 8976 §3.3.1): the records in canonical order
    /// and wire form, but for ZONEMD records at the apex and the signature over them.
    pub fn digest(&self) -> Digest {
        if let Some(digest) = self.digest {
            return digest;
        }
        let mut digest = Digest([0; 48]);
        digest.0.copy_from_slice(&self.digest_by(Hash::Sha384));
        digest
    }

    /// The same by any hash algorithm of RFC 8976: 48 or 64 octets.
    pub fn digest_by(&self, hash: Hash) -> Vec<u8> {
        zonemd::simple(hash, self.apex.by_ref(), self.records.iter().map(|record| (self.octets.as_slice(), record)))
    }

    /// Where this record stands among the records, and its TTL.
    pub(crate) fn find(&self, owner: NameRef<'_>, rtype: Rtype, rdata: &[u8]) -> Option<(usize, u32)> {
        let key = |record: &Record| (record.owner(&self.octets), record.rtype, record.rdata(&self.octets));
        let at = self.records.partition_point(|record| key(record) < (owner, rtype, rdata));
        let found = self.records.get(at).filter(|record| key(record) == (owner, rtype, rdata))?;
        Some((at, found.ttl))
    }

    /// A builder that holds its records, but for those that `keep` says no to, in the memory of this zone.
    pub(crate) fn into_builder(mut self, limits: Limits, mut keep: impl FnMut(usize) -> bool) -> ZoneBuilder {
        let mut index = 0;
        self.records.retain(|_| {
            index += 1;
            keep(index - 1)
        });
        let (octets, records) = (self.octets, self.records);
        ZoneBuilder { octets, records, in_order: None, ..ZoneBuilder::new(self.apex, limits) }
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.apex == other.apex && self.records.len() == other.records.len() && self.rrsets().eq(other.rrsets())
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({} serial {}, {} records)", self.apex, self.serial(), self.record_count())
    }
}

/// Takes records in any order and makes a [`Zone`] of them.
#[derive(Debug)]
pub struct ZoneBuilder {
    apex: Name,
    limits: Limits,
    octets: Vec<u8>,
    records: Vec<Record>,
    /// So long as they come so.
    in_order: Option<InOrder>,
    state: State,
}

/// What was done to the records that a builder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    AsTheyCame,
    /// They were sorted.
    Sorted,
    /// They came so that nothing had to be done, and this is their digest.
    Canonical(Digest),
}

/// A zone, and what had to be evened out to make it one.
#[derive(Debug)]
pub struct Built {
    /// The zone.
    pub zone: Zone,
    /// RRsets whose records had different TTLs: all have the lowest now (RFC 2181 §5.2).
    pub uneven_ttls: Vec<(Name, Rtype)>,
}

impl ZoneBuilder {
    /// An empty one.
    pub fn new(apex: Name, limits: Limits) -> Self {
        let limits = Limits { octets: limits.octets.min(Limits::MAX_OCTETS), ..limits };
        Self {
            apex,
            limits,
            octets: Vec::new(),
            records: Vec::new(),
            in_order: Some(InOrder::default()),
            state: State::AsTheyCame,
        }
    }

    /// Takes a record that stands in canonical form already.
    pub fn push(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), ZoneError> {
        self.push_with(owner, rtype, ttl, |out| {
            out.extend_from_slice(rdata);
            Ok(())
        })
    }

    /// Takes a record whose canonical RDATA `write` appends to a buffer. `write` may only append.
    pub fn push_with<E: From<ZoneError>>(
        &mut self,
        owner: NameRef<'_>,
        rtype: Rtype,
        ttl: u32,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.records.len() == self.limits.records {
            return Err(ZoneError::TooManyRecords { apex: self.apex.clone(), limit: self.limits.records }.into());
        }
        if rtype.is_meta() {
            return Err(ZoneError::MetaType { apex: self.apex.clone(), owner: owner.to_name(), rtype }.into());
        }
        // Records of one owner mostly come together: they share its octets, and it was checked once.
        let is_its = |last: &&Record| last.owner(&self.octets).as_wire().eq_ignore_ascii_case(owner.as_wire());
        let known = self.records.last().filter(is_its).map(|last| last.owner_at);
        if known.is_none() && !owner.is_within(self.apex.by_ref()) {
            return Err(ZoneError::OutsideZone { apex: self.apex.clone(), owner: owner.to_name() }.into());
        }
        let begun = self.octets.len();
        if known.is_none() {
            extend_lowered(&mut self.octets, owner.as_wire());
        }
        let rdata_at = self.octets.len();
        let written = write(&mut self.octets).and_then(|()| Ok(self.measure(owner, begun, rdata_at)?));
        let (owner_at, rdata_at, rdata_len) = written.inspect_err(|_| self.octets.truncate(begun))?;
        // RFC 2181 §8: a TTL with its first bit set is taken as zero.
        let ttl = if ttl > MAX_TTL { 0 } else { ttl };
        let record = Record { owner_at: known.unwrap_or(owner_at), rdata_at, ttl, rtype, rdata_len };
        let Self { apex, octets, records, .. } = self;
        self.in_order.take_if(|in_order| !in_order.take(apex.by_ref(), octets, records, &record));
        self.state = State::AsTheyCame;
        self.records.push(record);
        Ok(())
    }

    fn measure(&self, owner: NameRef<'_>, begun: usize, rdata_at: usize) -> Result<(u32, u32, u16), ZoneError> {
        if self.octets.len() > self.limits.octets {
            return Err(ZoneError::TooManyOctets { apex: self.apex.clone(), limit: self.limits.octets });
        }
        let rdata_len = u16::try_from(self.octets.len() - rdata_at)
            .map_err(|_| ZoneError::RdataTooLong { apex: self.apex.clone(), owner: owner.to_name() })?;
        let offset = |at| {
            u32::try_from(at)
                .map_err(|_| ZoneError::TooManyOctets { apex: self.apex.clone(), limit: self.limits.octets })
        };
        Ok((offset(begun)?, offset(rdata_at)?, rdata_len))
    }

    /// How many records it holds, duplicates counted.
    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// The RDATA of the records that an owner has of a type, as they came.
    pub fn rdata_of(&self, owner: NameRef<'_>, rtype: Rtype) -> impl Iterator<Item = &[u8]> {
        let is_wanted = move |record: &&Record| record.rtype == rtype && record.owner(&self.octets) == owner;
        self.records.iter().filter(is_wanted).map(|record| record.rdata(&self.octets))
    }

    /// The digest (RFC 8976 §3.3.1) of all records here and in `aside`, each with the TTL that it came with.
    pub fn digest_with(&mut self, aside: &mut Self, hash: Hash) -> Vec<u8> {
        self.sort();
        aside.sort();
        let mut here = self.records.iter().map(|record| (self.octets.as_slice(), record)).peekable();
        let mut there = aside.records.iter().map(|record| (aside.octets.as_slice(), record)).peekable();
        let mut before: Option<(&[u8], &Record)> = None;
        let merged = std::iter::from_fn(|| {
            loop {
                let next = match (here.peek(), there.peek()) {
                    (Some(a), Some(b)) if order(*b, *a).is_lt() => there.next(),
                    (None, _) => there.next(),
                    (Some(_), _) => here.next(),
                }?;
                // One that is there twice counts once.
                if before.replace(next).is_none_or(|before| order(before, next).is_ne()) {
                    return Some(next);
                }
            }
        });
        zonemd::simple(hash, self.apex.by_ref(), merged)
    }

    fn sort(&mut self) {
        if self.state != State::AsTheyCame {
            return;
        }
        let Self { apex, octets, records, .. } = self;
        // Once only: what comes after this is not followed.
        let in_order = self.in_order.take();
        self.state = match in_order.and_then(|in_order| in_order.settle(apex.by_ref(), octets, records)) {
            Some(digest) => State::Canonical(digest),
            None => {
                // They may be close to it, which the standard library's sort notices.
                records.sort_by(|a, b| order((octets, a), (octets, b)));
                State::Sorted
            }
        };
    }

    /// Makes the zone.
    pub fn build(mut self) -> Result<Built, ZoneError> {
        self.sort();
        let Self { apex, octets, mut records, state, .. } = self;
        let mut uneven_ttls = Vec::new();
        if let State::Canonical(digest) = state {
            let soa = only_soa(&apex, &octets, &records)?;
            return Ok(Built { zone: Zone { apex, soa, octets, records, digest: Some(digest) }, uneven_ttls });
        }
        // Records of one owner that did not come together brought it more than once: the first is all of theirs now.
        let mut before: Option<Record> = None;
        for record in &mut records {
            let same = before.filter(|before| before.owner(&octets) == record.owner(&octets));
            record.owner_at = same.map_or(record.owner_at, |before| before.owner_at);
            before = Some(*record);
        }
        for rrset in records.chunk_by_mut(|a, b| a.rtype == b.rtype && a.owner_at == b.owner_at) {
            let lowest = rrset.iter().map(|record| record.ttl).min().unwrap_or(0);
            if rrset.iter().any(|record| record.ttl != lowest) {
                for record in rrset.iter_mut() {
                    record.ttl = lowest;
                }
                uneven_ttls.push((rrset[0].owner(&octets).to_name(), rrset[0].rtype));
            }
        }
        // Sorted, so what is alike is adjacent, but for its place in the octets.
        records.dedup_by(|a, b| a.rtype == b.rtype && a.owner_at == b.owner_at && a.rdata(&octets) == b.rdata(&octets));
        let soa = only_soa(&apex, &octets, &records)?;
        Ok(Built { zone: Zone { apex, soa, octets, records, digest: None }, uneven_ttls })
    }
}

/// The canonical order of records (RFC 4034 §6), each with the octets that it points into.
fn order((a_octets, a): (&[u8], &Record), (b_octets, b): (&[u8], &Record)) -> Ordering {
    let is_one_owner = a.owner_at == b.owner_at && std::ptr::eq(a_octets, b_octets);
    let owners = if is_one_owner { Ordering::Equal } else { a.owner(a_octets).cmp(&b.owner(b_octets)) };
    owners.then(a.rtype.cmp(&b.rtype)).then_with(|| a.rdata(a_octets).cmp(b.rdata(b_octets)))
}

fn only_soa(apex: &Name, octets: &[u8], records: &[Record]) -> Result<Soa, ZoneError> {
    let mut found = None;
    for record in records.iter().filter(|record| record.rtype == Rtype::SOA) {
        let owner = record.owner(octets);
        if owner != apex.by_ref() {
            return Err(ZoneError::SoaBelowApex { apex: apex.clone(), owner: owner.to_name() });
        }
        let soa =
            Soa::from_rdata(record.rdata(octets)).map_err(|error| ZoneError::BadSoa { apex: apex.clone(), error })?;
        if found.replace(soa).is_some() {
            return Err(ZoneError::SeveralSoas(apex.clone()));
        }
    }
    found.ok_or_else(|| ZoneError::NoSoa(apex.clone()))
}

impl fmt::Display for Digest {
    /// In hexadecimal, lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 96 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 96 hexadecimal digits (SHA-384)")]
pub struct BadDigest;

impl std::str::FromStr for Digest {
    type Err = BadDigest;
    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let mut digest = [0; 48];
        let pairs = text.as_bytes().chunks_exact(2);
        if text.len() != 2 * digest.len() {
            return Err(BadDigest);
        }
        for (octet, pair) in digest.iter_mut().zip(pairs) {
            let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *octet = digit(pair[0]).zip(digit(pair[1])).map(|(high, low)| high << 4 | low).ok_or(BadDigest)?;
        }
        Ok(Self(digest))
    }
}

#[cfg(test)]
mod tests;
