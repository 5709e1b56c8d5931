//! `transfer::Assembly`, fed with a stream of messages as TCP carries them (RFC 1035 §4.2.2). What it accepts must be a
//! zone, and the same zone when it is sent again; what has no end must be refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secondary53_fuzz::{LIMITS, keeps_its_promises};
use secondary53_relay::transfer::{Assembly, Progress, Refusal, Transferred};
use secondary53_zone::{Name, Rtype, Zone, rdata};

fuzz_target!(|stream: &[u8]| {
    let messages: Vec<_> = messages(stream).collect();
    // The ID is that of the first message: whoever sends a transfer knows it.
    let id = messages.first().and_then(|first| first.first_chunk()).map_or(0, |id| u16::from_be_bytes(*id));
    let mut assembly = Assembly::new(apex(), id, LIMITS);
    let mut done = false;
    for message in messages {
        assert!(!done || assembly.message(message) == Err(Refusal::AfterTheEnd));
        if done {
            return;
        }
        match assembly.message(message) {
            Ok(progress) => done = progress == Progress::Done,
            Err(_) => return,
        }
    }
    match assembly.finish() {
        Ok(Transferred { zone, .. }) => {
            assert!(done, "a zone without an end");
            is_canonical(&zone);
            keeps_its_promises(&zone);
            again(&zone);
        }
        Err(error) => assert!(done || matches!(error, Refusal::Short { .. }), "{error}"),
    }
});

fn apex() -> Name {
    "example.com".parse().expect("a name")
}

fn messages(mut stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = stream.split_first_chunk()?;
        let (message, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        stream = rest;
        Some(message)
    })
}

/// Names in RDATA are expanded and in lower case: to do it again changes nothing (RFC 4034 §6.2).
fn is_canonical(zone: &Zone) {
    for rrset in zone.rrsets() {
        assert!(!rrset.rtype().is_of_signing());
        for octets in rrset.rdata() {
            let mut again = Vec::new();
            rdata::push_canonical(rrset.rtype(), octets, 0, octets.len(), &mut again).expect("it was read once");
            assert_eq!(again, octets);
        }
    }
}

/// The zone as the plainest of servers sends it: one record in each message, nothing compressed.
fn again(zone: &Zone) {
    const ID: u16 = 7;
    let soa = || zone.rrsets().filter(|rrset| rrset.rtype() == Rtype::SOA);
    let others = zone.rrsets().filter(|rrset| rrset.rtype() != Rtype::SOA);
    let mut assembly = Assembly::new(apex(), ID, LIMITS);
    for rrset in soa().chain(others).chain(soa()) {
        for rdata in rrset.rdata() {
            let mut message = [ID.to_be_bytes(), [0x84, 0], [0, 0], [0, 1], [0, 0], [0, 0]].concat();
            message.extend(rrset.owner().as_wire());
            message.extend([rrset.rtype().0, 1].map(u16::to_be_bytes).concat());
            message.extend(rrset.ttl().to_be_bytes());
            message.extend(u16::try_from(rdata.len()).expect("it had a length").to_be_bytes());
            message.extend(rdata);
            assembly.message(&message).expect("what was accepted is accepted again");
        }
    }
    let done = assembly.finish().expect("what was accepted is accepted again");
    assert_eq!(&done.zone, zone);
    assert!(done.uneven_ttls.is_empty() && done.stripped.is_empty());
}
