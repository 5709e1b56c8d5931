//! What is said to a query: zones, scripts and a query in, an answer out. No socket.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use domain::base::iana::{Class, Opcode, Rcode, Rtype};

use super::message::{Header, Incoming, Query, Section, Writer};
use super::transfer::{Body, Script, Steps, steps, writer};
use super::{Behaviour, Forgery, Name, Packing, Record, SoaBehaviour, Transport, ZoneFile, newer};

/// UDP without EDNS (RFC 1035 §4.2.1), and the most that is sent with it.
const UDP_OCTETS: u16 = 512;
const UDP_OCTETS_MOST: u16 = 4096;

/// What is served, and how well.
#[derive(Default)]
pub(super) struct Served {
    pub zones: HashMap<Name, Arc<ZoneFile>>,
    /// The versions that each zone had before, the oldest first.
    histories: HashMap<Name, VecDeque<Arc<ZoneFile>>>,
    /// How many of them are kept.
    pub kept: usize,
    pub transfers: Script<Behaviour>,
    pub soa_answers: Script<SoaBehaviour>,
    pub packing: Packing,
}

pub(super) enum Answer {
    Nothing,
    Message(Vec<u8>),
    Transfer(Steps),
}

impl Served {
    /// Serves this zone. The one before it stays as its history, unless the serial does not lead forwards.
    pub fn set_zone(&mut self, zone: ZoneFile) {
        let (apex, serial) = (zone.apex().clone(), zone.serial());
        let before = self.zones.insert(apex.clone(), Arc::new(zone));
        let history = self.histories.entry(apex).or_default();
        match before {
            Some(before) if newer(serial, before.serial()) => history.push_back(before),
            _ => history.clear(),
        }
        history.drain(..history.len().saturating_sub(self.kept));
    }

    /// What leads from this serial to the zone (RFC 1995 §4), where that is known.
    fn differences(&self, zone: &Arc<ZoneFile>, from: u32) -> Option<Body> {
        let history = self.histories.get(zone.apex())?;
        let begin = history.iter().position(|version| version.serial() == from)?;
        let versions = || history.range(begin..).chain([zone]);
        Some(Body::differences(zone, versions().zip(versions().skip(1))))
    }

    pub fn answer(&mut self, incoming: &Incoming, transport: Transport) -> Answer {
        let query = match incoming {
            Incoming::Ignore => return Answer::Nothing,
            Incoming::Malformed { id, opcode } => return Answer::Message(malformed(*id, *opcode)),
            Incoming::Query(query) => query,
        };
        if query.opcode != Opcode::QUERY {
            return refusal(query, Rcode::NOTIMP);
        }
        if query.class != Class::IN {
            return refusal(query, Rcode::REFUSED);
        }
        match query.rtype {
            Rtype::AXFR | Rtype::IXFR => self.transfer(query, transport),
            _ => self.look_up(query, transport),
        }
    }

    fn transfer(&mut self, query: &Query, transport: Transport) -> Answer {
        // RFC 5936 §2.2.1: NOTAUTH where the name is not the apex of a zone of ours.
        let Some(zone) = self.zones.get(&query.name).cloned() else { return refusal(query, Rcode::NOTAUTH) };
        if query.rtype == Rtype::IXFR {
            let current = query.from_serial.is_some_and(|from| !newer(zone.serial(), from));
            // RFC 1995 §2, §4: nothing newer, or too much for UDP, is a single SOA.
            if current || transport == Transport::Udp {
                return self.finish(query, transport, Header::answering(query, Rcode::NOERROR), None, |message| {
                    message.record(Section::Answer, zone.soa()).is_ok()
                });
            }
        } else if transport == Transport::Udp {
            // RFC 5936 §4.2: AXFR over UDP is not defined.
            return refusal(query, Rcode::FORMERR);
        }
        let differences = query.from_serial.filter(|_| query.rtype == Rtype::IXFR);
        let body = differences.and_then(|from| self.differences(&zone, from)).unwrap_or(Body::Whole(zone));
        Answer::Transfer(steps(&body, query.clone(), &self.transfers.take(), self.packing))
    }

    fn look_up(&mut self, query: &Query, transport: Transport) -> Answer {
        let of_the_name = self.zones.values().filter(|zone| query.name.ends_with(zone.apex()));
        let Some(zone) = of_the_name.max_by_key(|zone| zone.apex().label_count()).cloned() else {
            return refusal(query, Rcode::REFUSED);
        };
        if query.rtype == Rtype::SOA && query.name == *zone.apex() {
            return self.soa(query, transport, &zone);
        }
        let here = || std::iter::once(zone.soa()).chain(zone.records()).filter(|record| record.owner == query.name);
        let wanted = |rtype: Rtype| query.rtype == rtype || query.rtype == Rtype::ANY;
        let mut answers: Vec<&Record> = here().filter(|record| wanted(record.rtype)).collect();
        if answers.is_empty() {
            answers = here().filter(|record| record.rtype == Rtype::CNAME).collect();
        }
        // A name that only has names below it exists too (RFC 8020 §2).
        let exists = query.name == *zone.apex() || zone.records().iter().any(|r| r.owner.ends_with(&query.name));
        let rcode = if exists { Rcode::NOERROR } else { Rcode::NXDOMAIN };
        self.finish(query, transport, Header::answering(query, rcode), None, |message| {
            if answers.is_empty() {
                return message.record(Section::Authority, zone.soa()).is_ok();
            }
            answers.iter().all(|record| message.record(Section::Answer, record).is_ok())
        })
    }

    fn soa(&mut self, query: &Query, transport: Transport, zone: &ZoneFile) -> Answer {
        let behaviour = self.soa_answers.take();
        let mut soa = zone.soa().clone();
        let mut forgery = None;
        match behaviour {
            SoaBehaviour::NoAnswer => return Answer::Nothing,
            SoaBehaviour::Serial(serial) => soa = soa.with_serial(serial),
            SoaBehaviour::Forge(forged) => forgery = Some(forged),
            SoaBehaviour::TruncatedOverUdp if transport == Transport::Udp => forgery = Some(Forgery::Truncated),
            SoaBehaviour::TruncatedOverUdp | SoaBehaviour::Honest | SoaBehaviour::EmptyAnswer => {}
        }
        let empty = behaviour == SoaBehaviour::EmptyAnswer
            || behaviour == SoaBehaviour::TruncatedOverUdp && forgery.is_some()
            || matches!(forgery, Some(Forgery::Rcode(_)));
        let header = Header::answering(query, Rcode::NOERROR);
        self.finish(query, transport, header, forgery, |message| empty || message.record(Section::Answer, &soa).is_ok())
    }

    /// Writes an answer of one message; truncated, where it is too large for UDP (RFC 2181 §9).
    fn finish(
        &self,
        query: &Query,
        transport: Transport,
        header: Header,
        forgery: Option<Forgery>,
        write: impl FnOnce(&mut Writer) -> bool,
    ) -> Answer {
        let limit = match transport {
            Transport::Udp => query.edns.unwrap_or(UDP_OCTETS).clamp(UDP_OCTETS, UDP_OCTETS_MOST),
            Transport::Tcp => u16::MAX,
        };
        let packing = Packing { octets: usize::from(limit), ..self.packing };
        let mut message = writer(query, header, true, forgery, packing);
        let whole = write(&mut message) && message.position() <= usize::from(limit);
        if !whole {
            message = writer(query, Header { truncated: true, ..header }, true, forgery, packing);
        }
        with_edns(&mut message, query);
        Answer::Message(message.finish())
    }
}

/// Header and question with an RCODE.
fn refusal(query: &Query, rcode: Rcode) -> Answer {
    let header = Header { authoritative: false, ..Header::answering(query, rcode) };
    let question = Some((&query.name, query.rtype, query.class));
    let mut message = Writer::new(header, question, Packing::default());
    with_edns(&mut message, query);
    Answer::Message(message.finish())
}

/// RFC 6891 §6.1.1: an answer to a query with OPT has one too. Where there is no room, the records go first.
fn with_edns(message: &mut Writer, query: &Query) {
    if query.edns.is_some() {
        let class = Class::from_int(UDP_OCTETS_MOST);
        let opt = Record { owner: Name::root_bytes(), class, rtype: Rtype::OPT, ttl: 0, rdata: Bytes::new() };
        let _no_room = message.record(Section::Additional, &opt);
    }
}

fn malformed(id: u16, opcode: Opcode) -> Vec<u8> {
    let header = Header {
        id,
        answer: true,
        opcode,
        authoritative: false,
        truncated: false,
        recursion_desired: false,
        rcode: Rcode::FORMERR,
    };
    Writer::new(header, None, Packing::default()).finish()
}
