//! AXFR, put together (RFC 5936): messages in, a zone out. No I/O, no clock. [`incremental`]: the same for IXFR.
//!
//! ```text
//!             SOA                record                  the SOA again
//!   Opening ───────▶ Within ────────────────▶ Within ─────────────────▶ Closed ──▶ finish()
//!      │                │                        │                         │
//!      └────────────────┴────── anything else ───┴── anything at all ──────┴──▶ Refusal
//! ```
//!
//! Complete or refused, never short. Only [`Assembly::finish`] gives a zone, and only once the closing SOA has come. A
//! refusal is final: what was read is dropped with the assembly.
//!
//! What belongs to the signing of the zone is laid aside, for a ZONEMD covers it too, and dropped before the zone is made.

pub mod incremental;

use std::collections::BTreeMap;

use secondary53_zone::edit::EditError;
use secondary53_zone::snapshot::Exact;
use secondary53_zone::zone::Built;
use secondary53_zone::zonemd::{self, Checked, ZonemdError};
use secondary53_zone::{Limits, Name, NameRef, Rtype, Serial, Soa, Zone, ZoneBuilder, ZoneError};
use secondary53_zone::{rdata, rdata::RdataError};

use crate::wire::{CLASS_IN, Header, Record, Walk, WireError};

/// A transfer on its way in.
#[derive(Debug)]
pub struct Assembly {
    messages: Messages,
    whole: Whole,
}

/// The messages of a transfer, each of them checked.
#[derive(Debug)]
struct Messages {
    id: u16,
    /// AXFR or IXFR.
    asked: Rtype,
    apex: Name,
    count: usize,
    octets: usize,
    /// The owner of the record at hand; kept for its memory alone.
    owner: Vec<u8>,
}

/// A zone that comes whole, record by record.
#[derive(Debug)]
struct Whole {
    apex: Name,
    strip_dnssec: bool,
    builder: ZoneBuilder,
    /// Records that belong to signing. They are counted like the others, and dropped in the end.
    aside: ZoneBuilder,
    opening: Opening,
    closed: bool,
    stripped: BTreeMap<Rtype, usize>,
}

/// The record that opens and closes the transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Opening {
    ttl: u32,
    /// Canonical; empty until it has come.
    rdata: Vec<u8>,
}

/// Whether more messages are to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The closing SOA has not come yet.
    More,
    /// It has: [`Assembly::finish`] makes the zone.
    Done,
}

/// A whole zone, as the primary sent it but for what belongs to its signing.
#[derive(Debug)]
pub struct Transferred {
    /// The zone.
    pub zone: Zone,
    /// Records left out because they belong to the signing of the zone, by type.
    pub stripped: BTreeMap<Rtype, usize>,
    /// RRsets whose records had different TTLs: all have the lowest now (RFC 2181 §5.2).
    pub uneven_ttls: Vec<(Name, Rtype)>,
    /// What its ZONEMD says (RFC 8976).
    pub zonemd: Checked,
    /// Whether the zone is the primary's to the record, so that an incremental transfer may start from it.
    pub exact: Option<Exact>,
    /// The serial from which it came as differences; `None` where it came whole.
    pub since: Option<Serial>,
    /// Messages that it came in.
    pub messages: usize,
    /// Octets of them, without the two of each that frame it.
    pub octets: usize,
}

/// Why a transfer is no zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The message does not read.
    #[error("message {message} is malformed: {error}")]
    Malformed {
        /// Which one, from 1.
        message: usize,
        /// What is wrong with it.
        error: WireError,
    },
    /// The message is not one of this transfer.
    #[error("message {message} {error}")]
    Stray {
        /// Which one, from 1.
        message: usize,
        /// What is wrong with it.
        error: Stray,
    },
    /// The first record is not the SOA.
    #[error("it does not begin with the SOA of the zone, but with {rtype} at {owner}")]
    NoOpeningSoa {
        /// The owner of the first record.
        owner: Name,
        /// Its type.
        rtype: Rtype,
    },
    /// The second SOA at the apex is not the first again (RFC 5936 §2.2): the zone changed while it was sent.
    #[error("the closing SOA (serial {closing}) is not the opening one (serial {opening}) again")]
    ClosingSoaDiffers {
        /// The serial of the first.
        opening: Serial,
        /// The serial of the second.
        closing: Serial,
    },
    /// Something follows the closing SOA.
    #[error("records follow the closing SOA")]
    AfterTheEnd,
    /// It was asked for its zone before its end.
    #[error("it ended before the closing SOA, after {records} records")]
    Short {
        /// How many records had come.
        records: usize,
    },
    /// A record of another class.
    #[error("{rtype} at {owner} is of class {class}, not IN")]
    OtherClass {
        /// The owner of the record.
        owner: Name,
        /// Its type.
        rtype: Rtype,
        /// Its class.
        class: u16,
    },
    /// RDATA in which a name must be found, and cannot be.
    #[error("{rtype} at {owner} is malformed: {error}")]
    BadRdata {
        /// The owner of the record.
        owner: Name,
        /// Its type.
        rtype: Rtype,
        /// What is wrong with it.
        error: RdataError,
    },
    /// The zone is signed.
    #[error(
        "the zone is signed (DNSKEY at its apex): published without its signatures under a DS at the parent it would be \
         bogus for every validating resolver. Let the primary offer an unsigned copy, or, once the parent has no DS, set \
         strip_dnssec = true for this zone"
    )]
    Signed,
    /// The zone is not the one that its ZONEMD speaks of.
    #[error("{0}: what came is not what was published (RFC 8976)")]
    Zonemd(#[from] ZonemdError),
    /// Differences that do not follow one another from our serial to the announced one.
    #[error("its differences do not lead from serial {from} to {announced}: {what}")]
    Gap {
        /// Where they would have to begin.
        from: Serial,
        /// Where they would have to end.
        announced: Serial,
        /// What is wrong with them.
        what: &'static str,
    },
    /// Differences that were made for another zone than ours.
    #[error("its differences are not from our copy: {0}")]
    Inconsistent(#[from] EditError),
    /// Differences that lead to a zone which cannot be held against its ZONEMD.
    #[error("it publishes a ZONEMD that only the whole zone can be held against")]
    Unverifiable,
    /// Differences that leave an RRset with different TTLs: what the primary makes of it, only the whole zone shows.
    #[error("its differences leave {rtype} at {owner} with different TTLs")]
    UnevenTtls {
        /// The owner of the RRset.
        owner: Name,
        /// Its type.
        rtype: Rtype,
    },
    /// The records do not make a zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

/// Why a message is not one of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stray {
    /// Another ID than the request's.
    #[error("has another ID than the request")]
    Id,
    /// QR is clear.
    #[error("is a request, not a response")]
    NotAResponse,
    /// Another opcode than QUERY.
    #[error("has opcode {0}, not QUERY")]
    Opcode(u8),
    /// TC is set.
    #[error("is truncated")]
    Truncated,
    /// An RCODE other than NOERROR.
    #[error("says {}", rcode(*.0))]
    Rcode(u8),
    /// A question that was not asked.
    #[error("answers another question")]
    Question,
    /// The answer section is empty.
    #[error("holds no record")]
    Empty,
    /// Records in the authority section (RFC 5936 §2.2.4 forbids them).
    #[error("holds records of authority")]
    Authority,
}

impl Assembly {
    /// A transfer of `apex` that was asked for with `id`.
    pub fn new(apex: Name, id: u16, limits: Limits) -> Self {
        Self { messages: Messages::new(apex.clone(), id, Rtype::AXFR), whole: Whole::new(apex, limits) }
    }

    /// Whether a zone that is signed is taken nonetheless, without what belongs to its signing.
    #[must_use]
    pub fn strip_dnssec(mut self, strip: bool) -> Self {
        self.whole.strip_dnssec = strip;
        self
    }

    /// Takes the next message, without its length.
    pub fn message(&mut self, message: &[u8]) -> Result<Progress, Refusal> {
        let Self { messages, whole } = self;
        if whole.closed {
            return Err(Refusal::AfterTheEnd);
        }
        messages.take(message, |owner, record| whole.record(owner, message, record))?;
        Ok(if whole.closed { Progress::Done } else { Progress::More })
    }

    /// Makes the zone. This sorts it: some hundreds of milliseconds for a million records, and as much again where it has a
    /// ZONEMD.
    pub fn finish(self) -> Result<Transferred, Refusal> {
        self.whole.finish(&self.messages)
    }
}

impl Messages {
    const fn new(apex: Name, id: u16, asked: Rtype) -> Self {
        Self { id, asked, apex, count: 0, octets: 0, owner: Vec::new() }
    }

    /// Takes a message apart; each record of the answer goes to `record`, with its owner.
    fn take(
        &mut self,
        message: &[u8],
        mut record: impl FnMut(NameRef<'_>, Record) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.count += 1;
        self.octets += message.len();
        let number = self.count;
        let malformed = |error| Refusal::Malformed { message: number, error };
        let (header, mut walk) = Walk::begin(message).map_err(malformed)?;
        self.check(header).map_err(|error| Refusal::Stray { message: number, error })?;
        for _ in 0..header.questions {
            let question = walk.question(&mut self.owner).map_err(malformed)?;
            if question.rtype != self.asked || question.class != CLASS_IN || self.owner != self.apex.as_wire() {
                return Err(Refusal::Stray { message: number, error: Stray::Question });
            }
        }
        for _ in 0..header.answers {
            let found = walk.record(&mut self.owner).map_err(malformed)?;
            // The walk wrote one whole name.
            let (owner, _) = NameRef::split_from(&self.owner).map_err(|error| malformed(WireError::Name(error)))?;
            if found.class != CLASS_IN {
                let Record { rtype, class, .. } = found;
                return Err(Refusal::OtherClass { owner: owner.to_name(), rtype, class });
            }
            record(owner, found)?;
        }
        // OPT or TSIG may stand here, and nothing of a zone does (RFC 5936 §2.2.5).
        for _ in 0..header.additionals {
            walk.record(&mut self.owner).map_err(malformed)?;
        }
        walk.end().map_err(malformed)
    }

    fn check(&self, header: Header) -> Result<(), Stray> {
        // RFC 5936 §2.2.1: every message of the transfer, not the first alone.
        check(header, self.id)?;
        if header.answers == 0 {
            return Err(Stray::Empty);
        }
        if header.authorities != 0 {
            return Err(Stray::Authority);
        }
        Ok(())
    }
}

impl Whole {
    fn new(apex: Name, limits: Limits) -> Self {
        Self {
            strip_dnssec: false,
            builder: ZoneBuilder::new(apex.clone(), limits),
            aside: ZoneBuilder::new(apex.clone(), limits),
            apex,
            opening: Opening::default(),
            closed: false,
            stripped: BTreeMap::new(),
        }
    }

    fn record(&mut self, owner: NameRef<'_>, message: &[u8], record: Record) -> Result<(), Refusal> {
        let Record { rtype, ttl, rdata, .. } = record;
        if self.closed {
            return Err(Refusal::AfterTheEnd);
        }
        let at_apex = owner == self.apex.by_ref();
        let opened = !self.opening.rdata.is_empty();
        if rtype == Rtype::SOA && at_apex {
            let soa = Opening { ttl, rdata: soa(owner, message, rdata)? };
            return if opened { self.close(&soa) } else { self.open(soa) };
        }
        if !opened {
            return Err(Refusal::NoOpeningSoa { owner: owner.to_name(), rtype });
        }
        if rtype == Rtype::DNSKEY && at_apex && !self.strip_dnssec {
            return Err(Refusal::Signed);
        }
        let place = if rtype.is_of_signing() && owner.is_within(self.apex.by_ref()) {
            *self.stripped.entry(rtype).or_default() += 1;
            &mut self.aside
        } else {
            &mut self.builder
        };
        let written = place.push_with(owner, rtype, ttl, |out| {
            rdata::push_canonical(rtype, message, rdata.start, rdata.end, out).map_err(Pushed::Rdata)
        });
        written.map_err(|pushed| match pushed {
            Pushed::Zone(error) => Refusal::Zone(error),
            Pushed::Rdata(error) => Refusal::BadRdata { owner: owner.to_name(), rtype, error },
        })
    }

    fn open(&mut self, soa: Opening) -> Result<(), Refusal> {
        self.builder.push(self.apex.by_ref(), Rtype::SOA, soa.ttl, &soa.rdata)?;
        self.opening = soa;
        Ok(())
    }

    fn close(&mut self, soa: &Opening) -> Result<(), Refusal> {
        if self.opening == *soa {
            self.closed = true;
            return Ok(());
        }
        Err(Refusal::ClosingSoaDiffers { opening: serial_of(&self.opening.rdata), closing: serial_of(&soa.rdata) })
    }

    fn finish(mut self, messages: &Messages) -> Result<Transferred, Refusal> {
        if !self.closed {
            return Err(Refusal::Short { records: self.builder.record_count() + self.aside.record_count() });
        }
        let zonemd = self.verify()?;
        let Self { builder, aside, stripped, .. } = self;
        drop(aside);
        let Built { zone, uneven_ttls } = builder.build()?;
        // A ZONEMD that cannot be verified now could not be after a difference either.
        let is_exact = uneven_ttls.is_empty() && !matches!(zonemd, Checked::Unsupported { .. });
        let signed = stripped.keys().any(|rtype| *rtype != Rtype::ZONEMD);
        let exact = Exact { signed, zonemd: zonemd != Checked::Absent };
        Ok(Transferred {
            zone,
            stripped,
            uneven_ttls,
            zonemd,
            exact: is_exact.then_some(exact),
            since: None,
            messages: messages.count,
            octets: messages.octets,
        })
    }

    /// Holds what came against the ZONEMD that came with it, before anything is evened out or dropped.
    fn verify(&mut self) -> Result<Checked, ZonemdError> {
        if !self.stripped.contains_key(&Rtype::ZONEMD) {
            return Ok(Checked::Absent);
        }
        let zonemds: Vec<_> = self.aside.rdata_of(self.apex.by_ref(), Rtype::ZONEMD).map(<[u8]>::to_vec).collect();
        let Self { builder, aside, opening, .. } = self;
        zonemd::check(serial_of(&opening.rdata), zonemds.iter().map(Vec::as_slice), |hash| {
            builder.digest_with(aside, hash)
        })
    }
}

/// The canonical RDATA of a SOA, which reads as one.
fn soa(owner: NameRef<'_>, message: &[u8], rdata: std::ops::Range<usize>) -> Result<Vec<u8>, Refusal> {
    let mut soa = Vec::new();
    rdata::push_canonical(Rtype::SOA, message, rdata.start, rdata.end, &mut soa)
        .and_then(|()| Soa::from_rdata(&soa).map(drop))
        .map_err(|error| Refusal::BadRdata { owner: owner.to_name(), rtype: Rtype::SOA, error })?;
    Ok(soa)
}

/// The serial in the RDATA of a SOA, which has been read before.
fn serial_of(soa: &[u8]) -> Serial {
    Soa::from_rdata(soa).map_or(Serial(0), |soa| soa.serial)
}

/// Whether the header is that of a good answer to the query with `id`.
pub(crate) fn check(header: Header, id: u16) -> Result<(), Stray> {
    if header.id != id {
        return Err(Stray::Id);
    }
    if !header.is_response() {
        return Err(Stray::NotAResponse);
    }
    if header.opcode() != 0 {
        return Err(Stray::Opcode(header.opcode()));
    }
    if header.rcode() != 0 {
        return Err(Stray::Rcode(header.rcode()));
    }
    if header.is_truncated() {
        return Err(Stray::Truncated);
    }
    Ok(())
}

/// What `push_with` may fail with: an error without an allocation on the way that a million records take.
enum Pushed {
    Zone(ZoneError),
    Rdata(RdataError),
}

impl From<ZoneError> for Pushed {
    fn from(error: ZoneError) -> Self {
        Self::Zone(error)
    }
}

/// The mnemonics of RFC 6895 §2.3.
pub(crate) fn rcode(code: u8) -> String {
    match code {
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED (does its access list allow this host the transfer?)".to_owned(),
        9 => "NOTAUTH (does it serve this zone, and without a key?)".to_owned(),
        other => format!("RCODE {other}"),
    }
}

#[cfg(test)]
mod tests;
