//! NOTIFY (RFC 1996): read, authorised, answered. No I/O, no clock.
//!
//! In this order, and nothing is answered before the source is known:
//!
//! | what came                                   | what goes back                  |
//! | ------------------------------------------- | ------------------------------- |
//! | less than a header, or a response (QR = 1)   | nothing                         |
//! | anything, from a source of no zone here      | REFUSED, the header alone       |
//! | another opcode than NOTIFY                   | NOTIMP, the header alone        |
//! | what does not read; another QTYPE than SOA   | FORMERR, the header alone       |
//! | a TSIG that is not the last record           | FORMERR, the question echoed    |
//! | a signature that does not count               | NOTAUTH, BADKEY, BADSIG, BADTIME or BADTRUNC |
//! | a zone, or a class, that is not here         | NOTAUTH, the question echoed    |
//! | a zone of which the source is no primary     | REFUSED, the question echoed    |
//! | unsigned, or another key than the primary's  | REFUSED, the question echoed    |
//! | a NOTIFY from a primary of the zone          | NOERROR, AA, the question echoed |
//!
//! A stranger learns the same from every request, so not which zones are here. No answer to one is longer than its request, and
//! over UDP [`listen`](crate::listen) has only so many strangers heard in a second.
//!
//! A key counts where its primary is and nowhere else. A signature is never left unread: a NOTIFY that is signed with what
//! no primary at its source has as its key is answered BADKEY (RFC 8945 §5.2.1), also for a zone whose primaries have
//! none. The answer to a good signature is signed, whatever it says.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use ipnet::IpNet;
use secondary53_zone::{Name, NameRef, Rtype, Serial, Soa, rdata};
use slotmap::new_key_type;

use crate::tsig::{self, Key, Rejection, Signed};
use crate::wire::{CLASS_IN, HEADER, Header, Walk, WireError};

/// Opcode NOTIFY (RFC 1996 §2).
const NOTIFY: u8 = 4;

new_key_type! {
    /// Which zone. Once the zone is gone it is nobody's: no later zone has the same.
    pub struct ZoneKey;
}

/// Who may notify of which zone.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    zones: HashMap<Name, (ZoneKey, List)>,
    /// The lists that there are, each once, and how many zones have it: ten thousand share a few.
    lists: Vec<(List, usize)>,
}

type List = Arc<[Arc<Source>]>;

/// Where the NOTIFY of a primary come from, and what they are signed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its addresses.
    pub nets: Vec<IpNet>,
    /// Its key; without one, its NOTIFY are not signed.
    pub key: Option<Arc<Key>>,
}

/// A NOTIFY that a primary of the zone sent. Only [`hear`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorised {
    zone: ZoneKey,
    serial: Option<Serial>,
}

/// What came of a datagram, or of a message on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What goes back, if anything does.
    pub reply: Option<Vec<u8>>,
    /// What came of it.
    pub outcome: Result<Authorised, Unheard>,
}

/// Why a message is no NOTIFY for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// Not even a header.
    #[error("it is shorter than a header")]
    Noise,
    /// QR is set. To answer it could make two servers answer one another for ever.
    #[error("it is a response")]
    Response,
    /// The source is a primary of no zone here.
    #[error("its source is a primary of no zone here")]
    Stranger,
    /// Another opcode.
    #[error("its opcode is {0}, not NOTIFY")]
    Opcode(u8),
    /// It does not read.
    #[error("it is malformed: {0}")]
    Malformed(#[from] WireError),
    /// No question, or several (RFC 1996 §3.7 has one).
    #[error("it holds {0} questions, not one")]
    Questions(u16),
    /// RFC 1996 §3.7 defines SOA alone.
    #[error("it asks for {0}, not SOA")]
    Type(Rtype),
    /// The zone is not here.
    #[error("zone {0} is not here")]
    UnknownZone(Name),
    /// The zone is here, and the source is a primary of another one.
    #[error("its source is no primary of zone {0}")]
    NotItsPrimary(Name),
    /// Its signature does not count.
    #[error(transparent)]
    Signature(#[from] Rejection),
    /// The primary has a key, and this is not signed.
    #[error("it is not signed, and the primary of zone {0} at its source has a key")]
    NotSigned(Name),
    /// It is signed with the key of another primary at the same source.
    #[error("it is signed with another key than that of the primary of zone {0}")]
    OtherKey(Name),
}

/// A NOTIFY that reads, from whomever.
struct Parsed {
    zone: Name,
    class: u16,
    serial: Option<Serial>,
    /// The question's octets as they came, so that the echo is exact.
    question: Vec<u8>,
}

impl Sources {
    /// Adds a zone, in the place of one of the same name; `key` is what [`Authorised::zone`] gives back for it.
    pub fn insert(&mut self, zone: Name, key: ZoneKey, sources: &[Arc<Source>]) {
        self.remove(&zone);
        let list = match self.lists.iter_mut().find(|(list, _)| **list == *sources) {
            Some((list, zones)) => {
                *zones += 1;
                Arc::clone(list)
            }
            None => {
                let list: List = sources.into();
                self.lists.push((Arc::clone(&list), 1));
                list
            }
        };
        self.zones.insert(zone, (key, list));
    }

    /// Takes a zone out.
    pub fn remove(&mut self, zone: &Name) {
        let Some((_, its)) = self.zones.remove(zone) else { return };
        if let Some((_, zones)) = self.lists.iter_mut().find(|(list, _)| Arc::ptr_eq(list, &its)) {
            *zones -= 1;
        }
        self.lists.retain(|(_, zones)| *zones > 0);
    }

    /// The key of a zone, if it is here.
    pub fn find(&self, zone: &Name) -> Option<ZoneKey> {
        self.zones.get(zone).map(|(key, _)| *key)
    }

    /// Whether the source may notify of any zone.
    pub fn know(&self, source: IpAddr) -> bool {
        // A socket for both families shows IPv4 sources as ::ffff:192.0.2.1.
        self.at(source.to_canonical()).next().is_some()
    }

    fn key(&self, source: IpAddr, name: &[u8], algorithm: tsig::Algorithm) -> Option<Arc<Key>> {
        let mut keys = self.at(source).filter_map(|known| known.key.as_ref());
        keys.find(|key| key.name().as_wire() == name && key.algorithm() == algorithm).cloned()
    }

    fn at(&self, source: IpAddr) -> impl Iterator<Item = &Arc<Source>> {
        self.lists.iter().flat_map(|(list, _)| &**list).filter(move |known| known.has(source))
    }
}

impl Source {
    fn has(&self, source: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(&source))
    }
}

impl Authorised {
    /// Which zone, by the key that [`Sources::insert`] was given.
    pub const fn zone(&self) -> ZoneKey {
        self.zone
    }

    /// The serial that the primary hints at (RFC 1996 §3.7), never to be relied upon (§3.11).
    pub const fn serial(&self) -> Option<Serial> {
        self.serial
    }
}

/// Reads a message from `source`, and says what goes back. `now` is in seconds since 1970-01-01T00:00:00Z.
pub fn hear(message: &[u8], source: IpAddr, sources: &Sources, now: u64) -> Heard {
    let source = source.to_canonical();
    let Ok((header, walk)) = Walk::begin(message) else {
        return Heard { reply: None, outcome: Err(Unheard::Noise) };
    };
    if header.is_response() {
        return Heard { reply: None, outcome: Err(Unheard::Response) };
    }
    if !sources.know(source) {
        let reply = reply(message, ResponseCode::Refused, &[]);
        return Heard { reply: Some(reply), outcome: Err(Unheard::Stranger) };
    }
    let opened = tsig::open(message, |name, algorithm| sources.key(source, name, algorithm), now);
    let parsed = if header.opcode() == NOTIFY { parse(header, walk) } else { Err(Unheard::Opcode(header.opcode())) };
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(why) => {
            let code = if let Unheard::Opcode(_) = why { ResponseCode::NotImp } else { ResponseCode::FormErr };
            let reply = sealed(reply(message, code, &[]), opened.ok().flatten(), now);
            return Heard { reply: Some(reply), outcome: Err(why) };
        }
    };
    let signed = match opened {
        Ok(signed) => signed,
        Err(rejected) => {
            let malformed = matches!(rejected.why(), Rejection::Misfit(_));
            let code = if malformed { ResponseCode::FormErr } else { ResponseCode::NotAuth };
            let mut reply = reply(message, code, &parsed.question);
            let why = rejected.seal(&mut reply);
            return Heard { reply: Some(reply), outcome: Err(why.into()) };
        }
    };
    let question = parsed.question.clone();
    let outcome = authorise(parsed, source, signed.as_ref().map(Signed::key), sources);
    let code = match &outcome {
        Ok(_) => ResponseCode::NoError,
        Err(Unheard::UnknownZone(_)) => ResponseCode::NotAuth,
        Err(_) => ResponseCode::Refused,
    };
    Heard { reply: Some(sealed(reply(message, code, &question), signed, now)), outcome }
}

fn authorise(parsed: Parsed, source: IpAddr, key: Option<&Arc<Key>>, sources: &Sources) -> Result<Authorised, Unheard> {
    let Parsed { zone, class, serial, .. } = parsed;
    let Some((here, primaries)) = sources.zones.get(&zone).filter(|_| class == CLASS_IN) else {
        return Err(Unheard::UnknownZone(zone));
    };
    let mut at_source = primaries.iter().filter(|primary| primary.has(source)).peekable();
    if at_source.peek().is_none() {
        return Err(Unheard::NotItsPrimary(zone));
    }
    match key {
        _ if at_source.any(|primary| primary.key.as_ref() == key) => Ok(Authorised { zone: *here, serial }),
        None => Err(Unheard::NotSigned(zone)),
        Some(_) => Err(Unheard::OtherKey(zone)),
    }
}

fn parse(header: Header, mut walk: Walk<'_>) -> Result<Parsed, Unheard> {
    if header.questions != 1 {
        return Err(Unheard::Questions(header.questions));
    }
    let message = walk.message();
    let mut name = Vec::new();
    let question = walk.question(&mut name)?;
    let echo = message.get(HEADER..walk.passed()).unwrap_or_default().to_vec();
    if question.rtype != Rtype::SOA {
        return Err(Unheard::Type(question.rtype));
    }
    let mut owner = Vec::new();
    let mut serial = None;
    for _ in 0..header.answers {
        let record = walk.record(&mut owner)?;
        if record.rtype == Rtype::SOA && record.class == question.class && owner == name {
            let mut soa = Vec::new();
            // A hint that does not read is no hint; the NOTIFY stands.
            let read = rdata::push_canonical(Rtype::SOA, message, record.rdata.start, record.rdata.end, &mut soa)
                .and_then(|()| Soa::from_rdata(&soa));
            serial = serial.or(read.ok().map(|soa| soa.serial));
        }
    }
    // The other sections mean nothing (RFC 1996 §3.7), but what is not a message is none.
    for _ in 0..u32::from(header.authorities) + u32::from(header.additionals) {
        walk.record(&mut owner)?;
    }
    walk.end()?;
    let (zone, _) = NameRef::split_from(&name).map_err(WireError::from)?;
    Ok(Parsed { zone: zone.to_name(), class: question.class, serial, question: echo })
}

/// RFC 1996 §4.7: the request's ID and question, QR and AA; the opcode as it came.
fn reply(request: &[u8], code: ResponseCode, question: &[u8]) -> Vec<u8> {
    const QR: u8 = 0x80;
    const OPCODE: u8 = 0x78;
    const AA: u8 = 0x04;
    const RD: u8 = 0x01;
    let mut reply = Vec::with_capacity(HEADER + question.len());
    reply.extend_from_slice(&request[..2]);
    let authority = if code == ResponseCode::NoError { AA } else { 0 };
    reply.push(QR | request[2] & (OPCODE | RD) | authority);
    reply.push(code.low());
    reply.extend_from_slice(&[0, u8::from(!question.is_empty()), 0, 0, 0, 0, 0, 0]);
    reply.extend_from_slice(question);
    reply
}

fn sealed(mut reply: Vec<u8>, signed: Option<Signed>, now: u64) -> Vec<u8> {
    if let Some(signed) = signed {
        signed.seal(&mut reply, now);
    }
    reply
}

#[cfg(test)]
mod tests;
