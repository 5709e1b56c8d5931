use proptest::prelude::*;

use super::*;
use crate::name::Name;
use crate::rrset::Rtype;

const ALL: usize = usize::MAX;

/// Few owners, types and values, so that two zones share some; `@` is the apex.
fn zone(serial: u32, records: &[(&str, u16, u32, u8)]) -> Zone {
    let apex = Name::parse("example.com").unwrap();
    let mut builder = ZoneBuilder::new(apex.clone(), Limits::default());
    let soa = [&[0, 0][..], &serial.to_be_bytes(), &[0; 16]].concat();
    builder.push(apex.by_ref(), Rtype::SOA, 60, &soa).unwrap();
    for (owner, rtype, ttl, value) in records {
        let owner = if *owner == "@" { "example.com".to_owned() } else { format!("{owner}.example.com") };
        builder.push(Name::parse(&owner).unwrap().by_ref(), Rtype(*rtype), *ttl, &[*value; 4]).unwrap();
    }
    builder.build().unwrap().zone
}

fn zones() -> impl Strategy<Value = (Zone, Zone)> {
    let owner = proptest::sample::select(&["@", "a", "b", "x.b", "*", "z"][..]);
    let record = || (owner.clone(), 1..3_u16, 0..2_u32, 0..3_u8);
    let records = || proptest::collection::vec(record(), 0..20);
    (records(), records(), 1..4_u32).prop_map(|(a, b, more)| (zone(7, &a), zone(7 + more, &b)))
}

proptest! {
    #[test]
    fn applied_to_its_base_it_gives_the_zone((base, next) in zones()) {
        let base = Snapshot::new(base);
        let delta = Delta::between(&base, &next, ALL).unwrap();
        prop_assert_eq!((delta.base(), delta.base_digest()), (base.zone().serial(), base.digest()));
        prop_assert_eq!(delta.apply(base.zone(), Limits::default()).unwrap(), next.clone());
        prop_assert!(delta.leads_to(&next));
        // And the other way round.
        let back = Delta::between(&Snapshot::new(next), base.zone(), ALL).unwrap();
        prop_assert_eq!((back.before(), back.after()), (delta.after(), delta.before()));
    }

    /// No RRset that is alike on both sides is in it.
    #[test]
    fn it_is_no_larger_than_it_must_be((base, next) in zones()) {
        let delta = Delta::between(&Snapshot::new(base.clone()), &next, ALL).unwrap();
        for rrset in delta.before().rrsets() {
            prop_assert_ne!(next.get(rrset.owner(), rrset.rtype()), Some(rrset));
            prop_assert_eq!(base.get(rrset.owner(), rrset.rtype()), Some(rrset));
        }
        let count = side_by_side(delta.before().rrsets(), delta.after().rrsets()).count();
        prop_assert!(Delta::between(&Snapshot::new(base.clone()), &next, count).is_some());
        prop_assert_eq!(Delta::between(&Snapshot::new(base), &next, count - 1), None);
    }

    /// One that has lost an RRset of either side, or was made for another zone, is found out.
    #[test]
    fn one_that_does_not_fit_is_found_out((base, next) in zones(), (other, _) in zones(), at in any::<proptest::sample::Index>()) {
        let delta = Delta::between(&Snapshot::new(base.clone()), &next, ALL).unwrap();
        let without = |side: &Zone, at: usize| {
            let mut builder = ZoneBuilder::new(side.apex().clone(), Limits::default());
            for (_, rrset) in side.rrsets().enumerate().filter(|(index, rrset)| *index != at || rrset.rtype() == Rtype::SOA) {
                push(Some(rrset), &mut builder).unwrap();
            }
            builder.build().unwrap().zone
        };
        for (side, is_old) in [(delta.before(), true), (delta.after(), false)] {
            let less = without(side, at.index(side.rrsets().count()));
            if less != *side {
                let mut short = delta.clone();
                *(if is_old { &mut short.old } else { &mut short.new }) = less;
                prop_assert!(!short.leads_to(&next));
            }
        }
        if other != base {
            let from_other = Delta { base_digest: Snapshot::new(other).digest(), ..delta };
            prop_assert!(!from_other.leads_to(&next));
        }
    }
}

#[test]
fn what_is_not_two_serials_of_one_zone_has_none() {
    let base = Snapshot::new(zone(7, &[("a", 1, 60, 1)]));
    assert_eq!(Delta::between(&base, &zone(7, &[("a", 1, 60, 2)]), ALL), None);
    let elsewhere = {
        let apex = Name::parse("example.net").unwrap();
        let mut builder = ZoneBuilder::new(apex.clone(), Limits::default());
        builder.push(apex.by_ref(), Rtype::SOA, 60, &[&[0, 0][..], &[0; 20]].concat()).unwrap();
        builder.build().unwrap().zone
    };
    assert_eq!(Delta::between(&base, &elsewhere, ALL), None);
    let delta = Delta::between(&base, &zone(8, &[]), ALL).unwrap();
    assert!(!delta.leads_to(&elsewhere));
    assert_eq!((delta.before().record_count(), delta.after().record_count()), (2, 1));
}
