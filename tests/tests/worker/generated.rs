//! The strict hosted zone takes every value that we write: zones of generated RRsets of all types, at owners of every kind.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use secondary53_lambda::batch::MAX_VALUE_CHARACTERS;
use secondary53_lambda::value::{self, HELD};
use secondary53_tests::rdata;
use secondary53_zone::message::Reason;
use secondary53_zone::name::Name;
use secondary53_zone::rrset::Rtype;
use secondary53_zone::zone::{Limits, MAX_TTL, Zone, ZoneBuilder};

use super::World;

const ZONES: usize = 4;
/// RRsets of each type in a zone: with 16 types beside the SOA, 4 times 800.
const RRSETS: usize = 50;

#[tokio::test]
async fn every_value_that_is_written_is_taken() {
    let mut runner = TestRunner::default();
    for _ in 0..ZONES {
        let world = World::start().await;
        let zone = generated(&mut runner);
        world.sync(&zone, Reason::Initial).await;
        assert_eq!(world.serial(), zone.serial().0);
        let hosted = world.hosted();
        let mut expected = BTreeMap::new();
        for rrset in zone.rrsets().filter(|rrset| rrset.rtype() != Rtype::SOA) {
            let text = |octets| value::to_text(rrset.rtype(), octets).unwrap();
            let mut values: Vec<String> = rrset.rdata().map(text).collect();
            values.sort();
            let key = (value::name_text(rrset.owner()), rrset.rtype().to_string());
            expected.insert(key, (rrset.ttl(), values));
        }
        assert_eq!(hosted, expected);
        for rtype in HELD.map(|rtype| rtype.to_string()).iter().filter(|rtype| *rtype != "SOA") {
            let count = hosted.keys().filter(|(_, held)| held == rtype).count();
            assert!(count > RRSETS / 4, "{count} RRsets of type {rtype}");
        }
        // What was read back is what is desired.
        world.calls();
        world.sync(&zone, Reason::Audit).await;
        assert!(!world.calls().contains_key("ChangeResourceRecordSets"));
    }
}

fn generated(runner: &mut TestRunner) -> Zone {
    let apex = Name::parse("example.com").unwrap();
    let mut builder = ZoneBuilder::new(apex.clone(), Limits::default());
    let soa = rdata::held(Rtype::SOA).new_tree(runner).unwrap().current();
    builder.push(apex.by_ref(), Rtype::SOA, 3600, &soa).unwrap();
    let mut taken = BTreeSet::new();
    for rtype in HELD.into_iter().filter(|rtype| *rtype != Rtype::SOA) {
        // TXT of many octets that need an escape; that it is left out is tested elsewhere.
        let fits = move |rdata: &Vec<u8>| value::to_text(rtype, rdata).unwrap().len() <= MAX_VALUE_CHARACTERS;
        let values = rdata::held(rtype).prop_filter("too long for a value", fits);
        let most = if rtype == Rtype::CNAME { 1 } else { 4 };
        let rrset = (rdata::owner(&apex), 0..=MAX_TTL, vec(values, 1..=most));
        for _ in 0..RRSETS {
            let (owner, ttl, values) = rrset.new_tree(runner).unwrap().current();
            let is_wildcard = owner.by_ref().labels().next() == Some(b"*");
            if (rtype == Rtype::NS && is_wildcard) || !taken.insert(owner.clone()) {
                continue;
            }
            for value in values {
                builder.push(owner.by_ref(), rtype, ttl, &value).unwrap();
            }
        }
    }
    builder.build().unwrap().zone
}
