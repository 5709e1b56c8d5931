//! `transfer::incremental`, fed with a stream of messages as TCP carries them, onto a zone of a few records. What it accepts
//! must be a zone, with the announced serial; what has no end must be refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secondary53_fuzz::{LIMITS, keeps_its_promises};
use secondary53_relay::transfer::incremental::{Base, Incremental, Outcome};
use secondary53_relay::transfer::{Progress, Refusal};
use secondary53_zone::snapshot::Exact;
use secondary53_zone::{Name, Rtype, Snapshot, ZoneBuilder};

fuzz_target!(|stream: &[u8]| {
    let messages: Vec<_> = messages(stream).collect();
    // The ID is that of the first message: whoever sends a transfer knows it.
    let id = messages.first().and_then(|first| first.first_chunk()).map_or(0, |id| u16::from_be_bytes(*id));
    let base = base();
    let ours = base.serial();
    let mut incremental = Incremental::new(base, id, LIMITS);
    let mut done = false;
    for message in messages {
        let progress = incremental.message(message);
        assert!(!done || progress == Err(Refusal::AfterTheEnd));
        match progress {
            Ok(progress) => done = progress == Progress::Done,
            Err(_) => return,
        }
    }
    match incremental.finish() {
        Ok(outcome) => {
            assert!(done, "an outcome without an end");
            match outcome {
                Outcome::Current(serial) => assert!(!(serial > ours)),
                Outcome::Transferred(came) => {
                    keeps_its_promises(&came.zone);
                    assert!(came.zone.rrsets().all(|rrset| !rrset.rtype().is_of_signing()));
                    if let Some(since) = came.since {
                        assert!(since == ours && came.zone.serial() > ours && came.exact.is_some());
                    }
                }
            }
        }
        Err(error) => assert!(done || matches!(error, Refusal::Short { .. }), "{error}"),
    }
});

/// Serial 1; the seeds are what leads on from it.
fn base() -> Base {
    let apex: Name = "example.com".parse().expect("a name");
    let www: Name = "www.example.com".parse().expect("a name");
    let mut builder = ZoneBuilder::new(apex.clone(), LIMITS);
    let soa = [apex.as_wire(), apex.as_wire(), &1_u32.to_be_bytes(), &[0; 16]].concat();
    builder.push(apex.by_ref(), Rtype::SOA, 60, &soa).expect("a record");
    for last in [1, 2] {
        builder.push(www.by_ref(), Rtype::A, 60, &[192, 0, 2, last]).expect("a record");
    }
    let snapshot = Snapshot::new(builder.build().expect("a zone").zone);
    Base::of(snapshot.with_exact(Some(Exact { signed: false, zonemd: false })), true).expect("an exact zone")
}

fn messages(mut stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = stream.split_first_chunk()?;
        let (message, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        stream = rest;
        Some(message)
    })
}
