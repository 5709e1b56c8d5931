//! `notify::hear`, from a primary, from the primary of another zone, over IPv4 in IPv6, and from a stranger. What the table
//! in the module's documentation says must hold whatever comes.

#![no_main]

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use hickory_proto::op::{Message, OpCode};
use libfuzzer_sys::fuzz_target;
use secondary53_relay::notify::{Heard, Source, Sources, Unheard, ZoneKey, hear};
use slotmap::KeyData;

static SOURCES: LazyLock<Sources> = LazyLock::new(|| {
    let mut sources = Sources::default();
    let from = |nets| [Arc::new(Source { nets, key: None })];
    let net = |text: &str| text.parse().expect("a network");
    sources.insert("example.com".parse().expect("a name"), zone(0), &from(vec![net("192.0.2.1/32")]));
    sources.insert("example.net".parse().expect("a name"), zone(1), &from(vec![net("198.51.100.0/24"), net("2001:db8::/64")]));
    sources.insert("example.org".parse().expect("a name"), zone(2), &from(vec![net("192.0.2.1/32")]));
    sources
});

const HEADER: usize = 12;

fn zone(number: u64) -> ZoneKey {
    KeyData::from_ffi(number).into()
}

fuzz_target!(|input: &[u8]| {
    let Some((which, message)) = input.split_first() else { return };
    let (source, strange): (IpAddr, bool) = match which % 5 {
        0 => ([192, 0, 2, 1].into(), false),
        1 => ([198, 51, 100, 7].into(), false),
        2 => ([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201].into(), false),
        3 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(), false),
        _ => ([203, 0, 113, 9].into(), true),
    };
    let Heard { reply, outcome } = hear(message, source, &SOURCES, 1_800_000_000);
    match &reply {
        None => assert!(matches!(outcome, Err(Unheard::Noise | Unheard::Response))),
        Some(reply) => {
            // A TSIG of no key here is echoed (RFC 8945 §5.3.2), and its owner may have come compressed.
            assert!(reply.len() <= message.len() + 255, "amplified");
            assert_eq!(reply[..2], message[..2], "the ID");
            assert_eq!(reply[2] & 0xf8, 0x80 | message[2] & 0x78, "QR is set, the opcode is as it came");
            assert_eq!(reply[6..11], [0; 5], "no record goes back");
            if reply[11] == 1 {
                assert_eq!(reply[3], 9, "but a TSIG that is no good");
            } else {
                assert!(message[HEADER..].starts_with(&reply[HEADER..]), "the question is as it came");
                assert_eq!(reply.len() > HEADER, reply[5] == 1, "a question where one is counted");
            }
            if strange {
                assert_eq!((reply.len(), reply[3]), (HEADER, 5), "a stranger learns nothing");
            }
        }
    }
    let Ok(authorised) = outcome else { return };
    assert!(!strange);
    let reply = reply.expect("a NOTIFY is answered");
    assert_eq!((message[2] & 0xf8, reply[3], reply[5]), (0x20, 0, 1));
    assert_eq!(authorised.zone() == zone(1), matches!(which % 5, 1 | 3), "each source has its zones");
    // Another's reading of the same octets, where it reads them at all.
    if let Ok(theirs) = Message::from_vec(message) {
        assert_eq!((theirs.metadata.op_code, theirs.queries.len()), (OpCode::Notify, 1));
        let name = theirs.queries[0].name().to_lowercase().to_string();
        let at = [zone(0), zone(1), zone(2)].iter().position(|zone| *zone == authorised.zone()).expect("a zone");
        assert_eq!(name, ["example.com.", "example.net.", "example.org."][at]);
    }
});
