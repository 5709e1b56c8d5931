use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn soa() -> Vec<u8> {
    let numbers = [2_018_031_900_u32, 1800, 900, 604_800, 86400].map(u32::to_be_bytes).concat();
    [name("ns1.example").as_wire(), name("admin.example").as_wire(), &numbers].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn ipv6(text: &str) -> Vec<u8> {
    text.parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec()
}

/// The zone `example.` of RFC 8976, Appendix A, and more.
fn example(more: &[(&str, Rtype, u32, Vec<u8>)]) -> Built {
    let apex = name("example");
    let mut builder = ZoneBuilder::new(apex, Limits::default());
    // Out of order, as a primary may send them.
    for (owner, rtype, ttl, rdata) in more {
        builder.push(name(owner).by_ref(), *rtype, *ttl, rdata).unwrap();
    }
    for (owner, rtype, ttl, rdata) in [
        ("ns2.example", Rtype::AAAA, 3600, ipv6("2001:db8::63")),
        ("ns1.example", Rtype::A, 3600, vec![203, 0, 113, 63]),
        // One over the zone stands in it and is not counted: RFC 8976 §3.3.1.
        ("example", Rtype::ZONEMD, 86400, vec![1; 54]),
        ("example", Rtype::NS, 86400, name("ns2.example").as_wire().to_vec()),
        ("example", Rtype::NS, 86400, name("ns1.example").as_wire().to_vec()),
        ("example", Rtype::SOA, 86400, soa()),
    ] {
        builder.push(name(owner).by_ref(), rtype, ttl, &rdata).unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn the_digest_is_that_of_rfc_8976_appendix_a_1() {
    assert_eq!(
        example(&[]).zone.digest().to_string(),
        "c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c"
    );
}

#[test]
fn the_digest_is_that_of_rfc_8976_appendix_a_2() {
    let once = text("I must be digested just once");
    let mail = |preference: u8, exchange: &str| [&[0, preference], name(exchange).as_wire()].concat();
    let allowed = b"allowed but ignored. allowed but ignored. allowe";
    let non_apex = [&2_018_031_900_u32.to_be_bytes()[..], &[1, 1], allowed].concat();
    let mut records = vec![
        ("occluded.sub.example", Rtype::TXT, 7200, text("I'm occluded but must be digested")),
        ("sub.example", Rtype::NS, 7200, name("ns1.example").as_wire().to_vec()),
        ("duplicate.example", Rtype::TXT, 300, once.clone()),
        ("duplicate.example", Rtype::TXT, 300, once),
        ("UPPERCASE.example", Rtype::TXT, 3600, text("canonicalize uppercase owner names")),
        ("*.example", Rtype::PTR, 777, name("dont-forget-about-wildcards.example").as_wire().to_vec()),
        ("mail.example", Rtype::MX, 3600, mail(20, "MAIL1.example")),
        ("mail.example", Rtype::MX, 3600, mail(10, "Mail2.Example")),
        ("non-apex.example", Rtype::ZONEMD, 900, non_apex),
    ];
    for address in ["5:61", "3:62", "4:63", "1:65", "2:64"] {
        records.push(("sortme.example", Rtype::AAAA, 3600, ipv6(&format!("2001:db8::{address}"))));
    }
    assert_eq!(
        example(&records).zone.digest().to_string(),
        "a3b69bad980a3504e1cffcb0fd6397f93848071c93151f552ae2f6b1711d4bd2d8b39808226d7b9db71e34b72077f8fe"
    );
}

#[test]
fn an_rrset_has_the_lowest_of_its_ttls_and_no_record_twice() {
    let built = example(&[
        ("w.example", Rtype::A, 300, vec![192, 0, 2, 2]),
        ("W.example", Rtype::A, 60, vec![192, 0, 2, 1]),
        // The same record with another TTL counts towards the lowest and is not there twice.
        ("w.example", Rtype::A, 30, vec![192, 0, 2, 2]),
        ("w.example", Rtype::TXT, MAX_TTL, text("x")),
        // RFC 2181 §8.
        ("v.example", Rtype::TXT, MAX_TTL + 1, text("x")),
    ]);
    assert_eq!(built.uneven_ttls, [(name("w.example"), Rtype::A)]);
    let get = |owner: &str, rtype| {
        let rrset = built.zone.get(name(owner).by_ref(), rtype)?;
        Some((rrset.ttl(), rrset.rdata().map(<[u8]>::to_vec).collect::<Vec<_>>()))
    };
    assert_eq!(get("w.example", Rtype::A), Some((30, vec![vec![192, 0, 2, 1], vec![192, 0, 2, 2]])));
    assert_eq!(get("w.example", Rtype::TXT).unwrap().0, MAX_TTL);
    assert_eq!(get("v.example", Rtype::TXT).unwrap().0, 0);
    assert_eq!(get("u.example", Rtype::A), None);
}

#[test]
fn an_owner_is_one_owner_in_any_case() {
    let mut builder = ZoneBuilder::new(name("example"), Limits::default());
    builder.push(name("example").by_ref(), Rtype::SOA, 60, &soa()).unwrap();
    for (owner, last) in [(b"\x01w\x07example\0", 1), (b"\x01W\x07example\0", 2)] {
        let (owner, _) = NameRef::split_from(owner).unwrap();
        builder.push(owner, Rtype::A, 60, &[192, 0, 2, last]).unwrap();
    }
    let zone = builder.build().unwrap().zone;
    assert!(zone.digest.is_some(), "it came in order");
    assert_eq!(zone.rrsets().map(|rrset| rrset.rdata().len()).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn what_is_no_zone_is_refused_by_name() {
    let build = |records: &[(&str, Rtype, Vec<u8>)], limits| {
        let mut builder = ZoneBuilder::new(name("example"), limits);
        for (owner, rtype, rdata) in records {
            builder.push(name(owner).by_ref(), *rtype, 1, rdata)?;
        }
        builder.build().map(|built| built.zone)
    };
    let refused = |records: &[(&str, Rtype, Vec<u8>)]| build(records, Limits::default()).unwrap_err();
    let other = [&soa()[..soa().len() - 1], &[1]].concat();
    assert!(matches!(refused(&[]), ZoneError::NoSoa(_)));
    assert!(matches!(
        refused(&[("example", Rtype::SOA, soa()), ("example", Rtype::SOA, other)]),
        ZoneError::SeveralSoas(_)
    ));
    assert!(matches!(refused(&[("a.example", Rtype::SOA, soa())]), ZoneError::SoaBelowApex { .. }));
    assert!(matches!(refused(&[("example", Rtype::SOA, vec![0])]), ZoneError::BadSoa { .. }));
    assert!(matches!(refused(&[("anexample", Rtype::A, vec![])]), ZoneError::OutsideZone { .. }));
    assert!(matches!(refused(&[("example", Rtype::ANY, vec![])]), ZoneError::MetaType { .. }));
    assert!(matches!(refused(&[("example", Rtype::TXT, vec![0; 65536])]), ZoneError::RdataTooLong { .. }));
    // Twice the same SOA, as an AXFR brings it, is one.
    assert!(build(&[("example", Rtype::SOA, soa()), ("example", Rtype::SOA, soa())], Limits::default()).is_ok());
    // At the limits, and one beyond.
    let octets = name("example").as_wire().len() + soa().len();
    for (records, limit, is_taken) in [(1, octets, true), (0, octets, false), (1, octets - 1, false)] {
        let built = build(&[("example", Rtype::SOA, soa())], Limits { records, octets: limit });
        assert_eq!(built.is_ok(), is_taken, "{built:?}");
    }
}

proptest! {
    /// Whatever the order in which records come: one zone, in the order of RFC 4034 §6.1, by a slower reading of it.
    #[test]
    fn records_of_any_order_make_one_canonical_zone(
        records in proptest::collection::vec(
            (proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..4), 0..4), 256..260_u16, "[ab]{0,3}"),
            0..40,
        ),
        seed in any::<u64>(),
    ) {
        let build = |records: &[(Vec<Vec<u8>>, u16, String)]| {
            let mut builder = ZoneBuilder::new(name("example"), Limits::default());
            builder.push(name("example").by_ref(), Rtype::SOA, 1, &soa()).unwrap();
            for (labels, rtype, rdata) in records {
                let owner = Name::from_labels(labels.iter().map(Vec::as_slice).chain([&b"example"[..]])).unwrap();
                builder.push(owner.by_ref(), Rtype(*rtype), 1, rdata.as_bytes()).unwrap();
            }
            builder.build().unwrap().zone
        };
        let zone = build(&records);
        let mut shuffled = records;
        let by = usize::try_from(seed % 41).unwrap() % shuffled.len().max(1);
        shuffled.rotate_left(by);
        shuffled.reverse();
        prop_assert_eq!(build(&shuffled).digest(), zone.digest());
        let mut keys = Vec::new();
        for rrset in zone.rrsets() {
            let mut labels: Vec<Vec<u8>> = rrset.owner().labels().map(<[u8]>::to_vec).collect();
            labels.reverse();
            for rdata in rrset.rdata() {
                keys.push((labels.clone(), rrset.rtype(), rdata.to_vec()));
            }
            let found = zone.get(rrset.owner(), rrset.rtype()).unwrap();
            prop_assert_eq!(found, rrset);
        }
        prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", keys);
        prop_assert_eq!(keys.len(), zone.record_count());
    }
    /// What comes in canonical order but for its first record, as a transfer does, or in another order, or with something
    /// that has to be evened out: the zone and its digest are what sorting makes of the records.
    #[test]
    fn what_came_in_order_is_what_sorting_makes_of_it(
        records in proptest::collection::btree_set(
            (proptest::collection::vec("[ab]", 0..3), prop_oneof![Just(1_u16), Just(6), Just(16), Just(63), Just(300)], "[ab]{0,2}"),
            0..40,
        ),
        disturbance in 0..5,
        at in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let apex = name("example");
        let owned = |labels: &[String]| {
            Name::from_labels(labels.iter().map(String::as_bytes).chain([&b"example"[..]])).unwrap()
        };
        let mut records: Vec<_> = records
            .into_iter()
            .filter(|(_, rtype, _)| *rtype != 6)
            .map(|(labels, rtype, rdata)| (owned(&labels), Rtype(rtype), 60, rdata.into_bytes()))
            .chain([(apex.clone(), Rtype::SOA, 60, soa())])
            .collect();
        let key = |(owner, rtype, _, rdata): &(Name, Rtype, u32, Vec<u8>)| (owner.clone(), *rtype, rdata.clone());
        records.sort_by_key(key);
        let opening = records.iter().position(|(_, rtype, ..)| *rtype == Rtype::SOA).unwrap();
        // As it comes in a transfer.
        records[..=opening].rotate_right(1);
        let (at, to) = (at.index(records.len()), to.index(records.len()));
        match disturbance {
            0 => {}
            1 => records.swap(at, to),
            2 => records.insert(to, records[at].clone()),
            3 => records[at].2 = 59,
            // Another one than the SOA comes first.
            _ => {
                records[..=opening].rotate_left(1);
                records[..=at].rotate_right(1);
            }
        }
        let mut followed = ZoneBuilder::new(apex.clone(), Limits::default());
        let mut sorted = ZoneBuilder { in_order: None, ..ZoneBuilder::new(apex, Limits::default()) };
        for (owner, rtype, ttl, rdata) in &records {
            followed.push(owner.by_ref(), *rtype, *ttl, rdata).unwrap();
            sorted.push(owner.by_ref(), *rtype, *ttl, rdata).unwrap();
        }
        let (followed, sorted) = (followed.build(), sorted.build());
        let (followed, sorted) = match (followed, sorted) {
            (Ok(followed), Ok(sorted)) => (followed, sorted),
            (followed, sorted) => {
                prop_assert_eq!(followed.err(), sorted.err());
                return Ok(());
            }
        };
        prop_assert_eq!(&followed.zone, &sorted.zone);
        for zone in [&followed.zone, &sorted.zone] {
            let places: Vec<_> = zone.records.iter().map(|record| (record.owner(&zone.octets), record.owner_at)).collect();
            prop_assert!(places.windows(2).all(|two| (two[0].0 == two[1].0) == (two[0].1 == two[1].1)), "{:?}", places);
        }
        prop_assert_eq!(followed.zone.digest(), sorted.zone.digest());
        prop_assert_eq!(sorted.zone.digest, None);
        prop_assert_eq!(followed.uneven_ttls, sorted.uneven_ttls);
        if disturbance == 0 || disturbance == 4 {
            prop_assert!(followed.zone.digest.is_some(), "it came in order");
        }
    }
}
