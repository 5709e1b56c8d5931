//! The figures that do not depend on the machine: API calls, batches, octets of a record, allocations. What makes one of them
//! worse by more than 5 % fails here and says so. Whoever makes one better writes the new figure down.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its functions")]

use std::alloc::System;
use std::fmt::Write as _;

use secondary53_lambda::batch::Batches;
use secondary53_lambda::plan::Plan;
use secondary53_tests::calls::costs;
use secondary53_tests::hosted::{fresh, holding};
use secondary53_tests::primary::ZoneFile;
use secondary53_tests::zones::{one_changed, reference, zone_of};
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::{Limits, Zone, ZoneBuilder};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Of the reference zone, unless it says otherwise.
const FIGURES: &[(&str, usize)] = &[
    ("snapshot of 100 records, octets", 2505),
    ("snapshot of 10,000 records, octets", 131_986),
    ("snapshot of a directory of 10,000 records, octets", 35_320),
    ("10,000 records into a zone and its digest, allocations", 47),
    ("encoding 10,000 records, allocations", 598),
    ("decoding 10,000 records, allocations", 16_121),
    ("planning the first sync of 10,000 records, allocations", 105_484),
    ("planning nothing for 10,000 records, allocations", 61_186),
    ("batches of 100 records", 1),
    ("batches of 1,000 records", 1),
    ("batches of 10,000 records", 10),
    ("batches of 100,000 records", 101),
    ("10,000 records, first sync, calls", 11),
    ("10,000 records, one record changed, and the relay says what, calls", 2),
    ("10,000 records, one record changed, and the zone is read, calls", 33),
    ("10,000 records, nothing changed, calls", 1),
    ("10,000 records, nothing changed, compared in full, calls", 31),
];

/// In a file of its own, and one test alone: what another one allocated would be counted too.
#[test]
fn no_figure_is_worse_than_it_was() {
    let mut found: Vec<(String, usize)> = Vec::new();
    let mut note = |what: &str, figure| found.push((what.to_owned(), figure));
    let zone = reference(10_000).unwrap();

    let octets = |zone: Zone| Snapshot::new(zone).encode().unwrap().len();
    note("snapshot of 100 records, octets", octets(reference(100).unwrap()));
    note("snapshot of 10,000 records, octets", octets(zone.clone()));
    note("snapshot of a directory of 10,000 records, octets", octets(directory()));

    let (snapshot, allocated) = allocations(|| Snapshot::new(copy(&zone)));
    note("10,000 records into a zone and its digest, allocations", allocated);
    let (octets, allocated) = allocations(|| snapshot.encode().unwrap());
    note("encoding 10,000 records, allocations", allocated);
    let (_, allocated) = allocations(|| Snapshot::decode(&octets, Limits::default()).unwrap());
    note("decoding 10,000 records, allocations", allocated);

    let hosted = fresh(&zone);
    let (_, allocated) = allocations(|| Batches::of(&Plan::new(&hosted, &zone).unwrap()));
    note("planning the first sync of 10,000 records, allocations", allocated);
    let hosted = holding(&zone);
    let next = one_changed(&zone).unwrap();
    let (_, allocated) = allocations(|| Batches::of(&Plan::new(&hosted, &next).unwrap()));
    note("planning nothing for 10,000 records, allocations", allocated);

    for (records, what) in [(100, "100"), (1_000, "1,000"), (10_000, "10,000"), (100_000, "100,000")] {
        let zone = reference(records).unwrap();
        let plan = Plan::new(&fresh(&zone), &zone).unwrap();
        note(&format!("batches of {what} records"), Batches::of(&plan).batches.len());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for cost in runtime.block_on(costs(10_000)).unwrap() {
        note(&format!("10,000 records, {}, calls", cost.what), cost.calls);
    }

    let was = |what: &str| FIGURES.iter().find(|(name, _)| *name == what).map(|(_, was)| *was);
    let names: Vec<_> = found.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(names, FIGURES.iter().map(|(what, _)| *what).collect::<Vec<_>>());
    let mut worse = String::new();
    for (what, is) in &found {
        let was = was(what).unwrap();
        println!("{is:>9}  {what} (written down: {was})");
        if is * 100 > was * 105 {
            write!(worse, "\n  {what}: {was} before, {is} now").unwrap();
        }
    }
    assert!(worse.is_empty(), "more than 5 % worse:{worse}");
}

/// What came of it, and how often memory was asked for.
fn allocations<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let outcome = run();
    let change = region.change();
    (outcome, change.allocations + change.reallocations)
}

/// The zone again, record by record.
fn copy(zone: &Zone) -> Zone {
    let mut builder = ZoneBuilder::new(zone.apex().clone(), Limits::default());
    for rrset in zone.rrsets() {
        for rdata in rrset.rdata() {
            builder.push(rrset.owner(), rrset.rtype(), rrset.ttl(), rdata).unwrap();
        }
    }
    builder.build().unwrap().zone
}

/// Machines with an address each, as a directory service registers them.
fn directory() -> Zone {
    const KINDS: [&str; 4] = ["pc", "lap", "srv", "prn"];
    let mut text =
        "$ORIGIN example.com.\n@ 3600 IN SOA ns1 hostmaster 1 3600 600 1209600 300\n@ 3600 IN NS ns1\n".to_owned();
    let mut random = 1_u32;
    for number in 0..9_998 {
        // Scattered, and the same every time (Marsaglia's xorshift).
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let (kind, [_, a, b, c]) = (KINDS[random as usize % KINDS.len()], random.to_be_bytes());
        writeln!(text, "{kind}-{number} 1200 IN A 10.{}.{b}.{c}", a % 16).unwrap();
    }
    zone_of(&ZoneFile::parse(&text).unwrap()).unwrap()
}
