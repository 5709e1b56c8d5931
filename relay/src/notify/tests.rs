use proptest::prelude::*;

use super::*;

const PRIMARY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const NOW: u64 = 1_800_000_000;
const QUESTION: &[u8] = b"\x07Example\x03com\x00\x00\x06\x00\x01";

fn zone_key(number: u64) -> ZoneKey {
    slotmap::KeyData::from_ffi(number).into()
}

fn sources() -> Sources {
    let mut sources = Sources::default();
    let source = |net: &str| [Arc::new(Source { nets: vec![net.parse().unwrap()], key: None })];
    sources.insert("example.com".parse().unwrap(), zone_key(7), &source("192.0.2.1/32"));
    sources.insert("example.net".parse().unwrap(), zone_key(8), &source("198.51.100.0/24"));
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
    hear(&message(flags, counts, rest), PRIMARY, &sources(), NOW)
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
    assert_eq!((authorised.zone(), authorised.serial()), (zone_key(7), Some(Serial(2_026_112_301))));
    // The question comes back octet for octet, in the case that it came in.
    assert_eq!(heard.reply.unwrap(), message(0xa400, [1, 0, 0, 0], QUESTION));

    let bare = from_primary(0x2000, [1, 0, 0, 0], QUESTION);
    assert_eq!(bare.outcome.unwrap().serial(), None);
    let mapped = "::ffff:192.0.2.1".parse().unwrap();
    assert!(hear(&message(0x2000, [1, 0, 0, 0], QUESTION), mapped, &sources(), NOW).outcome.is_ok());
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
        let heard = hear(&message(flags, counts, rest), stranger, &sources(), NOW);
        assert_eq!(heard.outcome, Err(Unheard::Stranger));
        let reply = heard.reply.unwrap();
        assert_eq!((reply.len(), reply[3]), (HEADER, 5));
    }
}

#[test]
fn what_is_no_request_is_not_answered() {
    assert_eq!(from_primary(0xa000, [1, 0, 0, 0], QUESTION), Heard { reply: None, outcome: Err(Unheard::Response) });
    assert_eq!(hear(&[0; 11], PRIMARY, &sources(), NOW), Heard { reply: None, outcome: Err(Unheard::Noise) });
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
        let heard = hear(&octets, PRIMARY, &sources(), NOW);
        prop_assert!(heard.reply.is_none_or(|reply| reply.len() <= octets.len()));
    }

    #[test]
    fn a_notify_with_an_octet_changed_does_no_harm(at in 0..60_usize, octet in any::<u8>()) {
        let mut octets = message(0x2400, [1, 1, 0, 0], &with_hint(1));
        let at = at % octets.len();
        octets[at] = octet;
        let heard = hear(&octets, PRIMARY, &sources(), NOW);
        prop_assert!(heard.reply.is_none_or(|reply| reply.len() <= octets.len()));
    }
}

mod signed {
    use super::*;
    use crate::tsig::{Algorithm, Exchange, Fault, Key, Rejection};

    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const BOTH: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

    fn key(name: &str, secret: u8) -> Arc<Key> {
        Arc::new(Key::new(name.parse().unwrap(), Algorithm::Sha256, &[secret; 32]).unwrap())
    }

    /// example.com has a primary with a key, example.net one without, example.org one with another key; of all of them
    /// NOTIFY may come from the same third address.
    fn sources() -> Sources {
        let mut sources = Sources::default();
        for (index, (zone, address, key)) in [
            ("example.com", "192.0.2.1/32", Some(key("a.key", 1))),
            ("example.net", "192.0.2.2/32", None),
            ("example.org", "192.0.2.1/32", Some(key("b.key", 2))),
        ]
        .into_iter()
        .enumerate()
        {
            let nets = vec![address.parse().unwrap(), "192.0.2.3/32".parse().unwrap()];
            sources.insert(zone.parse().unwrap(), zone_key(index as u64), &[Arc::new(Source { nets, key })]);
        }
        sources
    }

    fn plain(zone: &[u8]) -> Vec<u8> {
        message(0x2000, [1, 0, 0, 0], &[zone, b"\0\0\x06\0\x01"].concat())
    }

    const COM: &[u8] = b"\x07example\x03com";
    const NET: &[u8] = b"\x07example\x03net";
    const ORG: &[u8] = b"\x07example\x03org";

    struct Told {
        outcome: Result<Authorised, Unheard>,
        rcode: u8,
        /// What the sender makes of the answer.
        verified: Result<(), Fault>,
    }

    fn notify(zone: &[u8], key: &Arc<Key>, source: IpAddr, now: u64) -> Told {
        let mut message = plain(zone);
        let mut exchange = Exchange::request(key, &mut message, NOW);
        let heard = hear(&message, source, &sources(), now);
        let rcode = code(&heard);
        let mut reply = heard.reply.unwrap();
        let verified = exchange.answer(&mut reply, now);
        if verified.is_ok() {
            assert_eq!(reply[12..], message[12..12 + zone.len() + 5], "the question is echoed");
        }
        Told { outcome: heard.outcome, rcode, verified }
    }

    #[test]
    fn the_key_of_the_primary_is_heard_and_the_answer_is_signed() {
        let told = notify(COM, &key("a.key", 1), PRIMARY, NOW);
        assert_eq!((told.outcome.unwrap().zone(), told.rcode, told.verified), (zone_key(0), 0, Ok(())));
        let told = notify(ORG, &key("b.key", 2), BOTH, NOW);
        assert_eq!((told.outcome.unwrap().zone(), told.rcode, told.verified), (zone_key(2), 0, Ok(())));
        let heard = hear(&plain(NET), OTHER, &sources(), NOW);
        assert_eq!(heard.outcome.unwrap().zone(), zone_key(1));
    }

    #[test]
    fn unsigned_is_refused_where_the_primary_has_a_key() {
        let heard = hear(&plain(COM), PRIMARY, &sources(), NOW);
        assert_eq!((code(&heard), heard.outcome), (5, Err(Unheard::NotSigned("example.com".parse().unwrap()))));
    }

    #[test]
    fn what_does_not_count_is_answered_as_rfc_8945_says() {
        const BADSIG: Fault = Fault::Told(16);
        const BADKEY: Fault = Fault::Told(17);
        let own = key("a.key", 1);
        // Unknown; of another primary; known to no primary at its source, and the zone has none.
        for (zone, key, source) in
            [(COM, key("c.key", 1), PRIMARY), (COM, key("a.key", 1), OTHER), (NET, key("a.key", 1), OTHER)]
        {
            let told = notify(zone, &key, source, NOW);
            assert!(matches!(told.outcome, Err(Unheard::Signature(Rejection::Key(_)))));
            assert_eq!((told.rcode, told.verified), (9, Err(BADKEY)));
        }
        let told = notify(COM, &key("a.key", 2), PRIMARY, NOW);
        assert_eq!(told.outcome, Err(Unheard::Signature(Rejection::Signature(own.name().clone()))));
        assert_eq!((told.rcode, told.verified), (9, Err(BADSIG)));
        let told = notify(COM, &own, PRIMARY, NOW + 301);
        assert_eq!(told.outcome, Err(Unheard::Signature(Rejection::Time(own.name().clone(), -301))));
        assert_eq!((told.rcode, told.verified), (9, Err(Fault::Clock(0))));
    }

    #[test]
    fn what_is_refused_for_another_reason_is_refused_under_the_signature() {
        // The key of another primary at the same source; a zone of another primary; no zone here; another opcode.
        let told = notify(COM, &key("b.key", 2), PRIMARY, NOW);
        assert_eq!(told.outcome, Err(Unheard::OtherKey("example.com".parse().unwrap())));
        assert_eq!((told.rcode, told.verified), (5, Ok(())));
        let told = notify(NET, &key("a.key", 1), PRIMARY, NOW);
        assert_eq!(told.outcome, Err(Unheard::NotItsPrimary("example.net".parse().unwrap())));
        assert_eq!((told.rcode, told.verified), (5, Ok(())));
        let told = notify(b"\x07unknown", &key("a.key", 1), PRIMARY, NOW);
        assert_eq!(told.outcome, Err(Unheard::UnknownZone("unknown".parse().unwrap())));
        assert_eq!((told.rcode, told.verified), (9, Ok(())));
        let mut update = message(0x2800, [1, 0, 0, 0], QUESTION);
        let mut exchange = Exchange::request(&key("a.key", 1), &mut update, NOW);
        let heard = hear(&update, PRIMARY, &sources(), NOW);
        assert_eq!((code(&heard), &heard.outcome), (4, &Err(Unheard::Opcode(5))));
        assert_eq!(exchange.answer(&mut heard.reply.unwrap(), NOW), Ok(()));
    }

    #[test]
    fn a_second_signature_is_a_format_error() {
        let mut message = plain(COM);
        for _ in 0..2 {
            Exchange::request(&key("a.key", 1), &mut message, NOW);
        }
        let heard = hear(&message, PRIMARY, &sources(), NOW);
        assert!(matches!(heard.outcome, Err(Unheard::Signature(Rejection::Misfit(_)))));
        assert_eq!((code(&heard), heard.reply.unwrap().len()), (1, 12 + QUESTION.len()));
    }

    #[test]
    fn a_stranger_learns_nothing_by_signing() {
        let mut message = plain(COM);
        Exchange::request(&key("a.key", 1), &mut message, NOW);
        let heard = hear(&message, "203.0.113.9".parse().unwrap(), &sources(), NOW);
        assert_eq!((heard.outcome, heard.reply.unwrap().len()), (Err(Unheard::Stranger), HEADER));
    }
}

#[test]
fn zones_come_and_go() {
    let net = |text: &str| [Arc::new(Source { nets: vec![text.parse().unwrap()], key: None })];
    let name = |text: &str| -> Name { text.parse().unwrap() };
    let [a, b]: [IpAddr; 2] = ["192.0.2.1", "198.51.100.1"].map(|address| address.parse().unwrap());
    let mut sources = Sources::default();
    for (zone, number) in [("example.com", 1), ("example.net", 2)] {
        sources.insert(name(zone), zone_key(number), &net("192.0.2.1/32"));
    }
    assert_eq!((sources.find(&name("example.net")), sources.lists.len()), (Some(zone_key(2)), 1));
    // The same name again is the same zone with other primaries.
    sources.insert(name("example.net"), zone_key(3), &net("198.51.100.0/24"));
    assert_eq!((sources.find(&name("example.net")), sources.know(a), sources.know(b)), (Some(zone_key(3)), true, true));
    sources.remove(&name("example.com"));
    sources.remove(&name("example.com"));
    assert_eq!((sources.find(&name("example.com")), sources.know(a), sources.know(b)), (None, false, true));
    sources.remove(&name("example.net"));
    assert!(!sources.know(b) && sources.lists.is_empty());
}
