//! AXFR, put together (RFC 5936): messages in, a zone out. No I/O, no clock.
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

use std::collections::BTreeMap;

use secondary53_zone::zone::Built;
use secondary53_zone::{Limits, Name, NameRef, Rtype, Serial, Soa, Zone, ZoneBuilder, ZoneError};
use secondary53_zone::{rdata, rdata::RdataError};

use crate::wire::{CLASS_IN, Header, Record, Walk, WireError};

/// A transfer on its way in.
#[derive(Debug)]
pub struct Assembly {
    id: u16,
    apex: Name,
    builder: ZoneBuilder,
    opening: Opening,
    closed: bool,
    stripped: BTreeMap<Rtype, usize>,
    messages: usize,
    octets: usize,
    /// The owner of the record at hand; kept for its memory alone.
    owner: Vec<u8>,
}

/// The record that opens and closes the transfer.
#[derive(Debug, Default)]
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
         bogus for every validating resolver. Let the primary offer an unsigned copy; strip_dnssec is not supported yet"
    )]
    Signed,
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
        Self {
            id,
            builder: ZoneBuilder::new(apex.clone(), limits),
            apex,
            opening: Opening::default(),
            closed: false,
            stripped: BTreeMap::new(),
            messages: 0,
            octets: 0,
            owner: Vec::new(),
        }
    }

    /// Takes the next message, without its length.
    pub fn message(&mut self, message: &[u8]) -> Result<Progress, Refusal> {
        self.messages += 1;
        self.octets += message.len();
        if self.closed {
            return Err(Refusal::AfterTheEnd);
        }
        let number = self.messages;
        let malformed = |error| Refusal::Malformed { message: number, error };
        let (header, mut walk) = Walk::begin(message).map_err(malformed)?;
        self.check(header).map_err(|error| Refusal::Stray { message: number, error })?;
        for _ in 0..header.questions {
            let question = walk.question(&mut self.owner).map_err(malformed)?;
            if question.rtype != Rtype::AXFR || question.class != CLASS_IN || self.owner != self.apex.as_wire() {
                return Err(Refusal::Stray { message: number, error: Stray::Question });
            }
        }
        for _ in 0..header.answers {
            let record = walk.record(&mut self.owner).map_err(malformed)?;
            self.record(message, record)?;
        }
        // OPT or TSIG may stand here, and nothing of a zone does (RFC 5936 §2.2.5).
        for _ in 0..header.additionals {
            walk.record(&mut self.owner).map_err(malformed)?;
        }
        walk.end().map_err(malformed)?;
        Ok(if self.closed { Progress::Done } else { Progress::More })
    }

    /// Makes the zone. This sorts it: some hundreds of milliseconds for a million records.
    pub fn finish(self) -> Result<Transferred, Refusal> {
        if !self.closed {
            return Err(Refusal::Short { records: self.builder.record_count() });
        }
        let Built { zone, uneven_ttls } = self.builder.build()?;
        Ok(Transferred { zone, stripped: self.stripped, uneven_ttls, messages: self.messages, octets: self.octets })
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

    fn record(&mut self, message: &[u8], record: Record) -> Result<(), Refusal> {
        let Record { rtype, class, ttl, rdata } = record;
        if self.closed {
            return Err(Refusal::AfterTheEnd);
        }
        // `expand` wrote one whole name.
        let (owner, _) = NameRef::split_from(&self.owner)
            .map_err(|error| Refusal::Malformed { message: self.messages, error: WireError::Name(error) })?;
        if class != CLASS_IN {
            return Err(Refusal::OtherClass { owner: owner.to_name(), rtype, class });
        }
        let at_apex = owner == self.apex.by_ref();
        let opened = !self.opening.rdata.is_empty();
        if rtype == Rtype::SOA && at_apex {
            let bad = |error| Refusal::BadRdata { owner: owner.to_name(), rtype, error };
            let mut soa = Vec::new();
            rdata::push_canonical(rtype, message, rdata.start, rdata.end, &mut soa).map_err(bad)?;
            if opened {
                return self.close(ttl, &soa);
            }
            Soa::from_rdata(&soa).map_err(bad)?;
            self.builder.push(owner, rtype, ttl, &soa)?;
            self.opening = Opening { ttl, rdata: soa };
            return Ok(());
        }
        if !opened {
            return Err(Refusal::NoOpeningSoa { owner: owner.to_name(), rtype });
        }
        if rtype == Rtype::DNSKEY && at_apex {
            return Err(Refusal::Signed);
        }
        if rtype.is_of_signing() && owner.is_within(self.apex.by_ref()) {
            *self.stripped.entry(rtype).or_default() += 1;
            return Ok(());
        }
        let written = self.builder.push_with(owner, rtype, ttl, |out| {
            rdata::push_canonical(rtype, message, rdata.start, rdata.end, out).map_err(Pushed::Rdata)
        });
        written.map_err(|pushed| match pushed {
            Pushed::Zone(error) => Refusal::Zone(error),
            Pushed::Rdata(error) => Refusal::BadRdata { owner: owner.to_name(), rtype, error },
        })
    }

    fn close(&mut self, ttl: u32, closing: &[u8]) -> Result<(), Refusal> {
        if self.opening.rdata == closing && self.opening.ttl == ttl {
            self.closed = true;
            return Ok(());
        }
        let serial = |rdata| Soa::from_rdata(rdata).map_or(Serial(0), |soa| soa.serial);
        Err(Refusal::ClosingSoaDiffers { opening: serial(&self.opening.rdata), closing: serial(closing) })
    }
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
