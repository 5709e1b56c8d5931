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
//! | a zone, or a class, that is not here         | NOTAUTH, the question echoed    |
//! | a zone of which the source is no primary     | REFUSED, the question echoed    |
//! | a NOTIFY from a primary of the zone          | NOERROR, AA, the question echoed |
//!
//! A stranger learns the same from every request, so not which zones are here. No answer is longer than its request.

use std::collections::HashMap;
use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use ipnet::IpNet;
use secondary53_zone::{Name, NameRef, Rtype, Serial, Soa, rdata};

use crate::wire::{CLASS_IN, HEADER, Header, Walk, WireError};

/// Opcode NOTIFY (RFC 1996 §2).
const NOTIFY: u8 = 4;

/// Who may notify of which zone.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    zones: HashMap<Name, (usize, Vec<IpNet>)>,
    /// Those of all zones, each once.
    all: Vec<IpNet>,
}

/// A NOTIFY that a primary of the zone sent. Only [`hear`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorised {
    zone: usize,
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
    /// Adds a zone; `index` is what [`Authorised::zone`] gives back for it.
    pub fn insert(&mut self, zone: Name, index: usize, sources: Vec<IpNet>) {
        for net in &sources {
            if !self.all.contains(net) {
                self.all.push(*net);
            }
        }
        self.zones.insert(zone, (index, sources));
    }

    /// Whether the source may notify of any zone.
    pub fn know(&self, source: IpAddr) -> bool {
        // A socket for both families shows IPv4 sources as ::ffff:192.0.2.1.
        let source = source.to_canonical();
        self.all.iter().any(|net| net.contains(&source))
    }
}

impl Authorised {
    /// Which zone, by the number that [`Sources::insert`] was given.
    pub const fn zone(&self) -> usize {
        self.zone
    }

    /// The serial that the primary hints at (RFC 1996 §3.7), never to be relied upon (§3.11).
    pub const fn serial(&self) -> Option<Serial> {
        self.serial
    }
}

/// Reads a message from `source`, and says what goes back.
pub fn hear(message: &[u8], source: IpAddr, sources: &Sources) -> Heard {
    let source = source.to_canonical();
    let Ok((header, walk)) = Walk::begin(message) else {
        return Heard { reply: None, outcome: Err(Unheard::Noise) };
    };
    if header.is_response() {
        return Heard { reply: None, outcome: Err(Unheard::Response) };
    }
    let refuse = |why, code, question: &[u8]| Heard { reply: Some(reply(message, code, question)), outcome: Err(why) };
    if !sources.know(source) {
        return refuse(Unheard::Stranger, ResponseCode::Refused, &[]);
    }
    if header.opcode() != NOTIFY {
        return refuse(Unheard::Opcode(header.opcode()), ResponseCode::NotImp, &[]);
    }
    let parsed = match parse(header, walk) {
        Ok(parsed) => parsed,
        Err(why) => return refuse(why, ResponseCode::FormErr, &[]),
    };
    let Parsed { zone, class, serial, question } = parsed;
    match sources.zones.get(&zone) {
        Some((index, nets)) if class == CLASS_IN => {
            if nets.iter().any(|net| net.contains(&source)) {
                let reply = Some(reply(message, ResponseCode::NoError, &question));
                return Heard { reply, outcome: Ok(Authorised { zone: *index, serial }) };
            }
            refuse(Unheard::NotItsPrimary(zone), ResponseCode::Refused, &question)
        }
        _ => refuse(Unheard::UnknownZone(zone), ResponseCode::NotAuth, &question),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRIMARY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const QUESTION: &[u8] = b"\x07Example\x03com\x00\x00\x06\x00\x01";

    fn sources() -> Sources {
        let mut sources = Sources::default();
        sources.insert("example.com".parse().unwrap(), 7, vec!["192.0.2.1/32".parse().unwrap()]);
        sources.insert("example.net".parse().unwrap(), 8, vec!["198.51.100.0/24".parse().unwrap()]);
        sources
    }

    fn message(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd];
        message.extend(flags.to_be_bytes());
        message.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
        message.extend_from_slice(rest);
        message
    }

    fn from_primary(flags: u16, counts: [u16; 4], rest: &[u8]) -> Heard {
        hear(&message(flags, counts, rest), PRIMARY, &sources())
    }

    fn code(heard: &Heard) -> u8 {
        heard.reply.as_ref().unwrap()[3] & 0x0f
    }

    /// As BIND sends it: opcode NOTIFY, AA, the new SOA in the answer section.
    fn with_hint(serial: u32) -> Vec<u8> {
        let mut rest = QUESTION.to_vec();
        rest.extend(b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x0e\x10");
        let mut soa = b"\x02ns\xc0\x0c\x01h\xc0\x0c".to_vec();
        soa.extend(serial.to_be_bytes());
        soa.extend([0; 16]);
        rest.extend(u16::try_from(soa.len()).unwrap().to_be_bytes());
        rest.extend(soa);
        rest
    }

    #[test]
    fn a_primary_is_heard_and_answered_as_rfc_1996_says() {
        let heard = from_primary(0x2400, [1, 1, 0, 0], &with_hint(2_026_112_301));
        let authorised = heard.outcome.unwrap();
        assert_eq!((authorised.zone(), authorised.serial()), (7, Some(Serial(2_026_112_301))));
        // The question comes back octet for octet, in the case that it came in.
        assert_eq!(heard.reply.unwrap(), message(0xa400, [1, 0, 0, 0], QUESTION));

        let bare = from_primary(0x2000, [1, 0, 0, 0], QUESTION);
        assert_eq!(bare.outcome.unwrap().serial(), None);
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert!(hear(&message(0x2000, [1, 0, 0, 0], QUESTION), mapped, &sources()).outcome.is_ok());
    }

    #[test]
    fn a_stranger_learns_nothing() {
        let stranger = "203.0.113.9".parse().unwrap();
        for (flags, counts, rest) in [
            (0x2000, [1, 0, 0, 0], QUESTION),
            (0x2000, [1, 0, 0, 0], &b"\x07unknown\x00\x00\x06\x00\x01"[..]),
            (0x2000, [1, 0, 0, 0], b"\xff"),
            (0x0000, [0, 0, 0, 0], b""),
        ] {
            let heard = hear(&message(flags, counts, rest), stranger, &sources());
            assert_eq!(heard.outcome, Err(Unheard::Stranger));
            let reply = heard.reply.unwrap();
            assert_eq!((reply.len(), reply[3]), (HEADER, 5));
        }
    }

    #[test]
    fn what_is_no_request_is_not_answered() {
        assert_eq!(
            from_primary(0xa000, [1, 0, 0, 0], QUESTION),
            Heard { reply: None, outcome: Err(Unheard::Response) }
        );
        assert_eq!(hear(&[0; 11], PRIMARY, &sources()), Heard { reply: None, outcome: Err(Unheard::Noise) });
    }

    #[test]
    fn the_codes_are_those_of_bind() {
        let other_type = b"\x07example\x03com\x00\x00\x01\x00\x01";
        let other_class = b"\x07example\x03com\x00\x00\x06\x00\x03";
        for (flags, counts, rest, expected) in [
            (0x0000, [1, 0, 0, 0], QUESTION, 4),
            (0x2800, [1, 0, 0, 0], QUESTION, 4),
            (0x2000, [0, 0, 0, 0], b"", 1),
            (0x2000, [2, 0, 0, 0], &[QUESTION, QUESTION].concat(), 1),
            (0x2000, [1, 0, 0, 0], &QUESTION[..QUESTION.len() - 1], 1),
            (0x2000, [1, 0, 0, 0], &[QUESTION, b"x"].concat(), 1),
            (0x2000, [1, 1, 0, 0], QUESTION, 1),
            (0x2000, [1, 0, 0, 0], other_type, 1),
            (0x2000, [1, 0, 0, 0], other_class, 9),
            (0x2000, [1, 0, 0, 0], b"\x03www\x07example\x03com\x00\x00\x06\x00\x01", 9),
            (0x2000, [1, 0, 0, 0], b"\x07example\x03net\x00\x00\x06\x00\x01", 5),
        ] {
            let heard = from_primary(flags, counts, rest);
            assert!(heard.outcome.is_err());
            assert_eq!(code(&heard), expected, "{:?}", heard.outcome);
        }
    }

    #[test]
    fn a_hint_that_does_not_read_is_no_hint() {
        let mut rest = QUESTION.to_vec();
        rest.extend(b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x0e\x10\x00\x01\xff");
        assert_eq!(from_primary(0x2400, [1, 1, 0, 0], &rest).outcome.unwrap().serial(), None);
    }

    proptest! {
        #[test]
        fn arbitrary_octets_are_never_heard_and_never_amplified(
            mut octets in proptest::collection::vec(any::<u8>(), 0..200),
            notify in any::<bool>(),
        ) {
            if let Some(flags) = octets.get_mut(2).filter(|_| notify) {
                *flags = 0x20;
            }
            let heard = hear(&octets, PRIMARY, &sources());
            prop_assert!(heard.reply.is_none_or(|reply| reply.len() <= octets.len()));
        }

        #[test]
        fn a_notify_with_an_octet_changed_does_no_harm(at in 0..60_usize, octet in any::<u8>()) {
            let mut octets = message(0x2400, [1, 1, 0, 0], &with_hint(1));
            let at = at % octets.len();
            octets[at] = octet;
            let heard = hear(&octets, PRIMARY, &sources());
            prop_assert!(heard.reply.is_none_or(|reply| reply.len() <= octets.len()));
        }
    }
}
