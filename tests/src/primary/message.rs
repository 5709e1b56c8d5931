//! Writing DNS messages octet by octet, and reading the queries that come in.

use std::collections::HashMap;

use bytes::Bytes;
use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message::Message;
use domain::base::name::{ParsedName, ToName as _};
use domain::rdata::Soa;

use super::{Name, Packing, Record};

const HEADER: usize = 12;
/// A compression pointer has 14 bits (RFC 1035 §4.1.4).
const POINTER_REACH: usize = 1 << 14;

/// A query as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub id: u16,
    pub opcode: Opcode,
    pub recursion_desired: bool,
    pub name: Name,
    pub class: Class,
    pub rtype: Rtype,
    /// The UDP payload size of EDNS, where the query has an OPT record.
    pub edns: Option<u16>,
    /// The serial in the authority section: what an IXFR starts from (RFC 1995 §3).
    pub from_serial: Option<u32>,
}

/// What came in, if it is a query at all.
pub(super) enum Incoming {
    /// Less than a header, or an answer: nothing may be said to it, or two servers could keep each other busy.
    Ignore,
    /// A query that cannot be understood: FORMERR with this ID and opcode.
    Malformed {
        id: u16,
        opcode: Opcode,
    },
    Query(Query),
}

impl Incoming {
    pub fn read(octets: &[u8]) -> Self {
        let Ok(message) = Message::from_octets(Bytes::copy_from_slice(octets)) else { return Self::Ignore };
        let header = message.header();
        if header.qr() {
            return Self::Ignore;
        }
        let (id, opcode) = (header.id(), header.opcode());
        let Ok(question) = message.sole_question() else { return Self::Malformed { id, opcode } };
        let from_serial = message.authority().ok().and_then(|section| {
            let soa = section.limit_to::<Soa<ParsedName<Bytes>>>().next()?.ok()?;
            Some(soa.data().serial().into_int())
        });
        Self::Query(Query {
            id,
            opcode,
            recursion_desired: header.rd(),
            name: question.qname().to_name(),
            class: question.qclass(),
            rtype: question.qtype(),
            edns: message.opt().map(|opt| opt.udp_payload_size()),
            from_serial,
        })
    }
}

/// The parts of a header that an answer may choose; the rest is zero.
#[expect(clippy::struct_excessive_bools, reason = "they are the bits of RFC 1035 §4.1.1")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub id: u16,
    pub answer: bool,
    pub opcode: Opcode,
    pub authoritative: bool,
    pub truncated: bool,
    pub recursion_desired: bool,
    pub rcode: Rcode,
}

impl Header {
    /// An answer to this query. RFC 1035 §4.1.1: RD is copied.
    pub fn answering(query: &Query, rcode: Rcode) -> Self {
        Self {
            id: query.id,
            answer: true,
            opcode: query.opcode,
            authoritative: true,
            truncated: false,
            recursion_desired: query.recursion_desired,
            rcode,
        }
    }

    fn octets(self) -> [u8; 4] {
        let [id_high, id_low] = self.id.to_be_bytes();
        let flags = (u8::from(self.answer) << 7)
            | (self.opcode.to_int() << 3)
            | (u8::from(self.authoritative) << 2)
            | (u8::from(self.truncated) << 1)
            | u8::from(self.recursion_desired);
        [id_high, id_low, flags, self.rcode.to_int()]
    }
}

/// The sections that records are put into; they must be written in this order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Section {
    Answer = 1,
    Authority = 2,
    Additional = 3,
}

/// The record does not fit into the limit: the message is as it was.
#[derive(Debug)]
pub(super) struct Full;

/// A message being written. Suffixes are compressed only against the same octets, so that the case of names survives.
pub(super) struct Writer {
    octets: Vec<u8>,
    counts: [u16; 4],
    /// Where each suffix, in wire form, has been written.
    suffixes: HashMap<Vec<u8>, u16>,
    packing: Packing,
}

impl Writer {
    pub fn new(header: Header, question: Option<(&Name, Rtype, Class)>, packing: Packing) -> Self {
        let mut octets = vec![0; HEADER];
        octets[..4].copy_from_slice(&header.octets());
        let mut writer = Self { octets, counts: [0; 4], suffixes: HashMap::new(), packing };
        if let Some((name, rtype, class)) = question {
            writer.name(name.as_slice(), packing.compress_owners);
            writer.octets.extend(rtype.to_int().to_be_bytes());
            writer.octets.extend(class.to_int().to_be_bytes());
            writer.counts[0] = 1;
        }
        writer
    }

    /// Appends a record.
    pub fn record(&mut self, section: Section, record: &Record) -> Result<(), Full> {
        let start = self.octets.len();
        self.name(record.owner.as_slice(), self.packing.compress_owners);
        self.octets.extend(record.rtype.to_int().to_be_bytes());
        self.octets.extend(record.class.to_int().to_be_bytes());
        self.octets.extend(record.ttl.to_be_bytes());
        let length_at = self.octets.len();
        self.octets.extend([0, 0]);
        self.rdata(record.rtype, &record.rdata);
        let length = self.octets.len() - length_at - 2;
        match u16::try_from(length) {
            Ok(length) => self.octets[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes()),
            Err(_) => return self.undo(start),
        }
        self.count(section, start)
    }

    /// Appends octets that stand for a record, whatever they are.
    pub fn raw(&mut self, section: Section, octets: &[u8]) -> Result<(), Full> {
        let start = self.octets.len();
        self.octets.extend(octets);
        self.count(section, start)
    }

    /// Where the next octet will stand.
    pub fn position(&self) -> usize {
        self.octets.len()
    }

    /// Says that the section holds one record more than it does.
    pub fn overstate(&mut self, section: Section) {
        self.counts[section as usize] = self.counts[section as usize].saturating_add(1);
    }

    pub fn finish(mut self) -> Vec<u8> {
        for (count, place) in self.counts.iter().zip(self.octets[4..HEADER].chunks_exact_mut(2)) {
            place.copy_from_slice(&count.to_be_bytes());
        }
        self.octets
    }

    fn count(&mut self, section: Section, start: usize) -> Result<(), Full> {
        // The first record may exceed what the message was meant to hold, but never what TCP can frame.
        let alone = self.counts[1..].iter().all(|count| *count == 0);
        let limit = if alone { 65_535 } else { self.packing.octets.min(65_535) };
        let count = self.counts[section as usize].checked_add(1);
        match count {
            Some(count) if self.octets.len() <= limit => {
                self.counts[section as usize] = count;
                Ok(())
            }
            _ => self.undo(start),
        }
    }

    fn undo(&mut self, start: usize) -> Result<(), Full> {
        self.octets.truncate(start);
        self.suffixes.retain(|_, at| usize::from(*at) < start);
        Err(Full)
    }

    fn name(&mut self, mut name: &[u8], compress: bool) {
        while let [length, rest @ ..] = name {
            if *length == 0 {
                break;
            }
            if compress && let Some(at) = self.suffixes.get(name) {
                self.octets.extend((0xc000 | *at).to_be_bytes());
                return;
            }
            // Always remembered: a later name may be compressed against one that was not.
            if let Ok(at) = u16::try_from(self.octets.len())
                && usize::from(at) < POINTER_REACH
            {
                self.suffixes.insert(name.to_vec(), at);
            }
            let (label, after) = rest.split_at(usize::from(*length).min(rest.len()));
            self.octets.push(*length);
            self.octets.extend(label);
            name = after;
        }
        self.octets.push(0);
    }

    /// RFC 3597 §4: only the types of RFC 1035 may have names in their RDATA compressed.
    fn rdata(&mut self, rtype: Rtype, rdata: &[u8]) {
        let (before, names) = match rtype {
            Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::MB | Rtype::MD | Rtype::MF | Rtype::MG | Rtype::MR => (0, 1),
            Rtype::MX => (2, 1),
            Rtype::SOA | Rtype::MINFO => (0, 2),
            _ => (0, 0),
        };
        let mut rest = rdata;
        if self.packing.compress_rdata
            && let Some((number, mut after)) = rest.split_at_checked(before)
        {
            self.octets.extend(number);
            for _ in 0..names {
                let Some((name, behind)) = split_name(after) else { break };
                self.name(name, true);
                after = behind;
            }
            rest = after;
        }
        self.octets.extend(rest);
    }
}

/// A name in wire form that is not compressed, and what stands behind it.
fn split_name(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        match *octets.get(at)? {
            0 => return octets.split_at_checked(at + 1),
            length @ 1..=63 => at += usize::from(length) + 1,
            _ => return None,
        }
    }
}
