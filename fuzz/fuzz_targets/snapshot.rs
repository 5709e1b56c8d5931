//! `Snapshot::decode`, fed twice: with the octets as they are, and with the octets as a body behind an intact header and
//! frame, which an arbitrary frame hardly ever reaches. What it accepts must be a zone, and must come back; and a delta that leads to it must do so.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secondary53_fuzz::{LIMITS, comes_back, keeps_its_promises};
use secondary53_zone::{Delta, Limits, Snapshot, Zone, ZoneBuilder};
use secondary53_zone::snapshot::{MAGIC, SnapshotError, VERSION};

/// Magic and version.
const BEFORE_DIGEST: usize = 5;
const DIGEST: usize = 48;

fuzz_target!(|input: &[u8]| {
    // The first octet says which; seeds are snapshots behind a 0, and bodies behind a 1.
    match input.split_first() {
        Some((0, octets)) => read(octets.to_vec()),
        Some((_, body)) => read(framed(body)),
        None => {}
    }
});

/// Both sides are zones; and one that leads to the zone leads there from what it gives when it is taken back.
fn leads_back_and_forth(zone: &Zone, delta: &Delta) {
    keeps_its_promises(delta.before());
    keeps_its_promises(delta.after());
    if delta.leads_to(zone) {
        let base = taken_back(zone, delta);
        assert_eq!(Snapshot::new(base.clone()).digest(), delta.base_digest());
        assert_eq!(&delta.apply(&base, Limits::default()).expect("a zone"), zone);
    }
}

fn taken_back(zone: &Zone, delta: &Delta) -> Zone {
    let mut builder = ZoneBuilder::new(zone.apex().clone(), Limits::default());
    let kept = zone.rrsets().filter(|rrset| delta.after().get(rrset.owner(), rrset.rtype()).is_none());
    for rrset in kept.chain(delta.before().rrsets()) {
        for rdata in rrset.rdata() {
            builder.push(rrset.owner(), rrset.rtype(), rrset.ttl(), rdata).expect("records of zones");
        }
    }
    builder.build().expect("a zone").zone
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut octets = [&MAGIC[..], &[VERSION], &[0; DIGEST]].concat();
    let mut rest = body.len();
    while rest > 0x7f {
        octets.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    octets.push(rest as u8);
    octets.extend(zstd::bulk::compress(body, 1).expect("zstd compresses"));
    octets
}

fn read(mut octets: Vec<u8>) {
    let mut read = Snapshot::decode(&octets, LIMITS);
    // No fuzzer finds SHA-384: it is told the digest, and the rest is its own.
    if let Err(SnapshotError::Digest { found, .. }) = read {
        octets[BEFORE_DIGEST..BEFORE_DIGEST + DIGEST].copy_from_slice(&found.0);
        read = Snapshot::decode(&octets, LIMITS);
        assert!(read.is_ok(), "with the digest that was found: {read:?}");
    }
    if let Ok(snapshot) = read {
        keeps_its_promises(snapshot.zone());
        comes_back(&snapshot);
        if let Some(delta) = snapshot.delta() {
            leads_back_and_forth(snapshot.zone(), delta);
        }
    }
}
