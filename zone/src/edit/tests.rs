use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::zone::ZoneBuilder;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn soa(serial: u32) -> Vec<u8> {
    [&[0, 0][..], &serial.to_be_bytes(), &[0; 16]].concat()
}

type Records = BTreeMap<(Name, Rtype, Vec<u8>), u32>;

fn zone(records: &Records) -> Zone {
    let mut builder = ZoneBuilder::new(name("example"), Limits::default());
    for ((owner, rtype, rdata), ttl) in records {
        builder.push(owner.by_ref(), *rtype, *ttl, rdata).unwrap();
    }
    builder.build().unwrap().zone
}

fn one(owner: &str, rdata: &str, ttl: u32) -> ((Name, Rtype, Vec<u8>), u32) {
    ((name(owner), Rtype::TXT, rdata.as_bytes().to_vec()), ttl)
}

fn small() -> Records {
    let soa = ((name("example"), Rtype::SOA, soa(1)), 60);
    [soa, one("a.example", "1", 60), one("a.example", "2", 60), one("b.example", "1", 60)].into()
}

#[test]
fn what_does_not_fit_the_zone_is_refused_by_name() {
    let edit = || Edit::new(zone(&small()), Limits::default());
    let (a, c) = (name("a.example"), name("c.example"));
    let not_there = |owner: &Name| Err(EditError::NotThere { owner: owner.clone(), rtype: Rtype::TXT });
    let already = |owner: &Name| Err(EditError::AlreadyThere { owner: owner.clone(), rtype: Rtype::TXT });
    assert_eq!(edit().delete(c.by_ref(), Rtype::TXT, 60, b"1".to_vec()), not_there(&c));
    assert_eq!(edit().delete(a.by_ref(), Rtype::TXT, 60, b"3".to_vec()), not_there(&a));
    assert_eq!(edit().delete(a.by_ref(), Rtype::TXT, 61, b"1".to_vec()), not_there(&a));
    assert_eq!(edit().add(a.by_ref(), Rtype::TXT, 60, b"1".to_vec()), already(&a));
    assert_eq!(edit().add(a.by_ref(), Rtype::TXT, 61, b"1".to_vec()), already(&a));
    let mut twice = edit();
    twice.delete(a.by_ref(), Rtype::TXT, 60, b"1".to_vec()).unwrap();
    assert_eq!(twice.delete(a.by_ref(), Rtype::TXT, 60, b"1".to_vec()), not_there(&a));
    let mut twice = edit();
    twice.add(c.by_ref(), Rtype::TXT, 60, b"1".to_vec()).unwrap();
    assert_eq!(twice.add(c.by_ref(), Rtype::TXT, 60, b"1".to_vec()), already(&c));
}

#[test]
fn a_record_may_come_back_and_an_rrset_may_go() {
    let mut edit = Edit::new(zone(&small()), Limits::default());
    let (a, b, c) = (name("a.example"), name("b.example"), name("c.example"));
    // Only the TTL.
    for rdata in [b"1", b"2"] {
        edit.delete(a.by_ref(), Rtype::TXT, 60, rdata.to_vec()).unwrap();
        edit.add(a.by_ref(), Rtype::TXT, 61, rdata.to_vec()).unwrap();
    }
    edit.delete(b.by_ref(), Rtype::TXT, 60, b"1".to_vec()).unwrap();
    edit.add(c.by_ref(), Rtype::TXT, MAX_TTL + 1, b"1".to_vec()).unwrap();
    edit.delete(c.by_ref(), Rtype::TXT, MAX_TTL + 1, b"1".to_vec()).unwrap();
    let built = edit.finish().unwrap();
    let mut wanted: Records = [one("a.example", "1", 61), one("a.example", "2", 61)].into();
    wanted.insert((name("example"), Rtype::SOA, soa(1)), 60);
    assert_eq!((built.zone, built.uneven_ttls), (zone(&wanted), vec![]));
}

#[test]
fn changes_are_bounded() {
    let limits = Limits { records: 4, ..Limits::default() };
    let mut edit = Edit::new(zone(&small()), limits);
    let a = name("a.example");
    for _ in 0..2 {
        edit.delete(a.by_ref(), Rtype::TXT, 60, b"1".to_vec()).unwrap();
        edit.add(a.by_ref(), Rtype::TXT, 60, b"1".to_vec()).unwrap();
    }
    assert_eq!(edit.delete(a.by_ref(), Rtype::TXT, 60, b"1".to_vec()), Err(EditError::TooMuch(5)));
    // And the zone that comes of them too.
    let mut edit = Edit::new(zone(&small()), limits);
    edit.add(a.by_ref(), Rtype::TXT, 60, b"3".to_vec()).unwrap();
    assert!(matches!(edit.finish(), Err(ZoneError::TooManyRecords { limit: 4, .. })));
}

fn any_records() -> impl Strategy<Value = Records> {
    // One TTL for each RRset, as a zone has it.
    let owner = proptest::sample::select(vec!["example", "a.example", "b.a.example", "z.example"]);
    let rrset = (owner, 16..18_u16, 1..4_u32, proptest::collection::btree_set("[ab]{0,2}", 1..4));
    proptest::collection::vec(rrset, 0..12).prop_map(|rrsets| {
        let mut records: Records = [((name("example"), Rtype::SOA, soa(1)), 60)].into();
        let mut seen = std::collections::BTreeSet::new();
        for (owner, rtype, ttl, values) in rrsets {
            if seen.insert((owner, rtype)) {
                let of = |rdata: String| ((name(owner), Rtype(rtype), rdata.into_bytes()), ttl);
                records.extend(values.into_iter().map(of));
            }
        }
        records
    })
}

proptest! {
    /// From any zone to any other, by way of any third, and it is the other.
    #[test]
    fn the_difference_applied_is_the_other_zone(path in proptest::collection::vec(any_records(), 2..4)) {
        let mut edit = Edit::new(zone(&path[0]), Limits::default());
        for pair in path.windows(2) {
            let (old, new) = (&pair[0], &pair[1]);
            for ((owner, rtype, rdata), ttl) in old.iter().filter(|(key, ttl)| new.get(key) != Some(ttl)) {
                edit.delete(owner.by_ref(), *rtype, *ttl, rdata.clone()).unwrap();
            }
            for ((owner, rtype, rdata), ttl) in new.iter().filter(|(key, ttl)| old.get(key) != Some(ttl)) {
                edit.add(owner.by_ref(), *rtype, *ttl, rdata.clone()).unwrap();
            }
        }
        let built = edit.finish().unwrap();
        let wanted = zone(path.last().unwrap());
        prop_assert_eq!(built.zone.digest(), wanted.digest());
        prop_assert_eq!(built.zone, wanted);
    }
}
