//! A plan and its batches: time, and the most memory held at once, for the reference zone.
//!
//! Before the measurements it prints what does not depend on the machine: how many requests a first sync takes, and the
//! fewest that Route 53's limits allow.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up cannot go on")]

use divan::{AllocProfiler, Bencher};
use secondary53_lambda::batch::{Batches, MAX_CHARACTERS, MAX_ELEMENTS};
use secondary53_lambda::plan::Plan;
use secondary53_tests::hosted::{fresh, holding};
use secondary53_tests::zones::reference;
use secondary53_zone::zone::{Limits, Zone, ZoneBuilder};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    for records in [100, 1_000, 10_000, 100_000] {
        let zone = reference(records).expect("the reference zone");
        let plan = Plan::new(&fresh(&zone), &zone).expect("a plan");
        let batches = Batches::of(&plan).batches;
        let items = || batches.iter().flat_map(|batch| &batch.items);
        let values = || items().flat_map(|item| &item.rrset.values);
        // The SOA is UPSERTed and counts twice.
        let soa = plan.soa.iter().flat_map(|soa| &soa.values).map(String::len).sum::<usize>();
        let (elements, characters) = (values().count() + 1, values().map(String::len).sum::<usize>() + soa);
        let least = elements.div_ceil(MAX_ELEMENTS).max(characters.div_ceil(MAX_CHARACTERS));
        println!("first sync of {records} records: {} requests, {least} at least", batches.len());
    }
    divan::main();
}

/// Every record changes, half of the records, none.
#[divan::bench(args = [10_000])]
fn all_changed(bencher: Bencher<'_, '_>, records: usize) {
    measure(bencher, records, 1);
}

#[divan::bench(args = [10_000])]
fn nothing_changed(bencher: Bencher<'_, '_>, records: usize) {
    measure(bencher, records, usize::MAX);
}

#[divan::bench(args = [10_000])]
fn first_sync(bencher: Bencher<'_, '_>, records: usize) {
    let zone = reference(records).expect("the reference zone");
    let hosted = fresh(&zone);
    bencher.bench_local(|| Batches::of(&Plan::new(&hosted, &zone).expect("a plan")));
}

/// The TTL of every n-th RRset differs.
fn measure(bencher: Bencher<'_, '_>, records: usize, every: usize) {
    let zone = reference(records).expect("the reference zone");
    let hosted = holding(&with_other_ttls(&zone, every));
    bencher.bench_local(|| Batches::of(&Plan::new(&hosted, &zone).expect("a plan")));
}

fn with_other_ttls(zone: &Zone, every: usize) -> Zone {
    let mut builder = ZoneBuilder::new(zone.apex().clone(), Limits::default());
    for (number, rrset) in zone.rrsets().enumerate() {
        let ttl = rrset.ttl() + u32::from((number + 1).is_multiple_of(every));
        for rdata in rrset.rdata() {
            builder.push(rrset.owner(), rrset.rtype(), ttl, rdata).expect("a record of a zone");
        }
    }
    builder.build().expect("a zone").zone
}
