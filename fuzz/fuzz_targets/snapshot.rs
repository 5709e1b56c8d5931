//! `Snapshot::decode`, fed twice: with the octets as they are, and with the octets as a body behind an intact header and
//! frame, which an arbitrary frame hardly ever reaches. What it accepts must be a zone, and must come back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secondary53_fuzz::{LIMITS, comes_back, keeps_its_promises};
use secondary53_zone::Snapshot;
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
    }
}
