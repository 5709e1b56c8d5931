use proptest::prelude::*;

use super::*;
use crate::name::Name;
use crate::rdata::{Field, fields};
use crate::zone::ZoneBuilder;

const TYPES: [u16; 22] = [1, 2, 5, 12, 13, 15, 16, 28, 29, 33, 35, 39, 43, 44, 52, 64, 65, 99, 256, 257, 1234, 65280];

fn apex() -> Name {
    Name::parse("example.com").unwrap()
}

/// A name of lower-case octets, some within the apex and some not.
fn any_name() -> impl Strategy<Value = Name> {
    let label = prop_oneof![
        4 => "[a-c0-2_-]{1,4}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 1..=63),
    ];
    (proptest::collection::vec(label, 0..4), any::<bool>()).prop_filter_map("too long", |(labels, within)| {
        let tail: &[&[u8]] = if within { &[b"example", b"com"] } else { &[] };
        Name::from_labels(labels.iter().map(Vec::as_slice).chain(tail.iter().copied())).ok()
    })
}

fn any_field(field: Field) -> BoxedStrategy<Vec<u8>> {
    let string = proptest::collection::vec(any::<u8>(), 0..40)
        .prop_map(|text| [vec![u8::try_from(text.len()).unwrap()], text].concat());
    let octets = |count| proptest::collection::vec(any::<u8>(), count).boxed();
    match field {
        Field::Name | Field::PlainName => any_name().prop_map(|name| name.as_wire().to_vec()).boxed(),
        Field::U8 => octets(1),
        Field::U16 => octets(2),
        Field::U32 | Field::Ipv4 => octets(4),
        Field::Ipv6 => octets(16),
        Field::CharacterString => string.boxed(),
        Field::CharacterStrings => proptest::collection::vec(string, 1..4).prop_map(|s| s.concat()).boxed(),
        Field::QuotedRest | Field::HexRest => proptest::collection::vec(any::<u8>(), 0..30).boxed(),
    }
}

fn any_record() -> impl Strategy<Value = (Name, Rtype, u32, Vec<u8>)> {
    let rdata = proptest::sample::select(&TYPES[..]).prop_flat_map(|code| {
        let noise = proptest::collection::vec(any::<u8>(), 0..40);
        let proper = match fields(Rtype(code)) {
            None => noise.clone().boxed(),
            Some(fields) => fields
                .iter()
                .map(|field| any_field(*field))
                .collect::<Vec<_>>()
                .prop_map(|parts| parts.concat())
                .boxed(),
        };
        (Just(Rtype(code)), prop_oneof![9 => proper, 1 => noise.boxed()])
    });
    let owner = any_name().prop_map(|name| {
        if name.by_ref().is_within(apex().by_ref()) {
            return name;
        }
        let labels: Vec<Vec<u8>> = name.by_ref().labels().map(<[u8]>::to_vec).collect();
        Name::from_labels(labels.iter().map(Vec::as_slice).chain([&b"example"[..], b"com"])).unwrap_or_else(|_| apex())
    });
    (owner, rdata, any::<u32>()).prop_map(|(owner, (rtype, rdata), ttl)| (owner, rtype, ttl, rdata))
}

fn any_zone() -> impl Strategy<Value = Zone> {
    proptest::collection::vec(any_record(), 0..60).prop_map(|records| {
        let mut builder = ZoneBuilder::new(apex(), Limits::default());
        builder.push(apex().by_ref(), Rtype::SOA, 3600, &soa_rdata()).unwrap();
        for (owner, rtype, ttl, rdata) in records {
            builder.push(owner.by_ref(), rtype, ttl, &rdata).unwrap();
        }
        builder.build().unwrap().zone
    })
}

fn at_serial(zone: &Zone, serial: u8) -> Zone {
    let mut builder = ZoneBuilder::new(zone.apex().clone(), Limits::default());
    for rrset in zone.rrsets() {
        for rdata in rrset.rdata() {
            let mut rdata = rdata.to_vec();
            if rrset.rtype() == Rtype::SOA {
                let last_of_serial = rdata.len() - 17;
                rdata[last_of_serial] = serial;
            }
            builder.push(rrset.owner(), rrset.rtype(), rrset.ttl(), &rdata).unwrap();
        }
    }
    builder.build().unwrap().zone
}

fn soa_rdata() -> Vec<u8> {
    let numbers = [7_u32, 3600, 600, 86400, 300].map(u32::to_be_bytes).concat();
    [b"\x03ns1\x07example\x03com\x00\x04host\x00".to_vec(), numbers].concat()
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(zone in any_zone(), exact in any::<Option<(bool, bool)>>()) {
        let exact = exact.map(|(signed, zonemd)| Exact { signed, zonemd });
        let snapshot = Snapshot::new(zone).with_exact(exact);
        let octets = snapshot.encode().unwrap();
        let back = Snapshot::decode(&octets, Limits::default()).unwrap();
        prop_assert_eq!(back, snapshot);
    }

    #[test]
    fn a_delta_is_decoded_and_changes_nothing_of_the_zone(base in any_zone(), zone in any_zone()) {
        let base = Snapshot::new(at_serial(&base, 6));
        let plain = Snapshot::new(zone);
        let delta = Delta::between(&base, plain.zone(), usize::MAX).unwrap();
        let snapshot = plain.clone().with_delta(Some(delta));
        let octets = snapshot.encode().unwrap();
        let back = Snapshot::decode(&octets, Limits::default()).unwrap();
        prop_assert!(back.delta().unwrap().leads_to(plain.zone()));
        prop_assert_eq!(&back, &snapshot);
        // A reader that does not know the section has the same zone.
        prop_assert_eq!(back.with_delta(None), plain);
    }

    /// Whatever stands in the section, the zone is there; and what comes of it is no delta of this zone, or the right one.
    #[test]
    fn a_damaged_delta_costs_nothing_but_itself(zone in any_zone(), at in any::<proptest::sample::Index>(), with in any::<u8>()) {
        let base = Snapshot::new(at_serial(&small().into_zone(), 6));
        let delta = Delta::between(&base, &zone, usize::MAX);
        let snapshot = Snapshot::new(zone).with_delta(delta.clone());
        let without = body_of(&snapshot.clone().with_delta(None)).len();
        let mut body = body_of(&snapshot);
        // Behind the section's kind and length.
        let begin = without + 1 + body[without + 1..].iter().position(|octet| octet & 0x80 == 0).unwrap() + 1;
        let at = begin + at.index(body.len() - begin);
        body[at] = with;
        let mut octets = framed(&body);
        octets[5..53].copy_from_slice(&snapshot.digest().0);
        let back = Snapshot::decode(&octets, Limits::default()).unwrap();
        prop_assert_eq!(back.zone(), snapshot.zone());
        let fits = back.delta().is_some_and(|delta| delta.leads_to(snapshot.zone()));
        prop_assert!(!fits || back.delta() == delta.as_ref());
    }

    #[test]
    fn arbitrary_octets_are_an_error(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Snapshot::decode(&octets, Limits::default()).is_err());
    }

    /// Behind an intact frame nothing may panic either, whatever stands in it.
    #[test]
    fn an_arbitrary_body_is_an_error(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Snapshot::decode(&framed(&body), Limits::default()).is_err());
    }

    /// A body with octets changed is refused, or comes to the very same zone: the digest sees to it.
    #[test]
    fn a_changed_body_is_never_another_zone(zone in any_zone(), at in any::<proptest::sample::Index>(), with in any::<u8>()) {
        let snapshot = Snapshot::new(zone);
        let mut body = body_of(&snapshot);
        let at = at.index(body.len());
        body[at] = with;
        let mut octets = framed(&body);
        octets[5..53].copy_from_slice(&snapshot.digest().0);
        if let Ok(decoded) = Snapshot::decode(&octets, Limits::default()) {
            prop_assert_eq!(decoded.zone(), snapshot.zone());
        }
    }

    #[test]
    fn a_cut_snapshot_is_an_error(zone in any_zone(), at in any::<proptest::sample::Index>()) {
        let octets = Snapshot::new(zone).encode().unwrap();
        let cut = &octets[..at.index(octets.len())];
        prop_assert!(Snapshot::decode(cut, Limits::default()).is_err());
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut octets = [&MAGIC[..], &[VERSION], &[0; 48]].concat();
    columns::push_number(&mut octets, body.len());
    octets.extend(zstd::bulk::compress(body, 1).unwrap());
    octets
}

fn body_of(snapshot: &Snapshot) -> Vec<u8> {
    let octets = snapshot.encode().unwrap();
    let frame = octets[53..].iter().position(|octet| octet & 0x80 == 0).unwrap() + 54;
    zstd::bulk::decompress(&octets[frame..], 1 << 20).unwrap()
}

fn small() -> Snapshot {
    let mut builder = ZoneBuilder::new(apex(), Limits::default());
    builder.push(apex().by_ref(), Rtype::SOA, 3600, &soa_rdata()).unwrap();
    Snapshot::new(builder.build().unwrap().zone)
}

#[test]
fn a_bomb_is_refused_before_it_unfolds() {
    let mut octets = [&MAGIC[..], &[VERSION], &[0; 48]].concat();
    let body = vec![0; 200 << 20];
    columns::push_number(&mut octets, body.len());
    octets.extend(zstd::bulk::compress(&body, 3).unwrap());
    assert!(octets.len() < 64 << 10, "a bomb that is no bomb: {} octets", octets.len());
    assert!(matches!(Snapshot::decode(&octets, Limits::default()), Err(SnapshotError::TooLarge { .. })));
    // One that lies about its size stops where it said that it would.
    let mut octets = [&MAGIC[..], &[VERSION], &[0; 48]].concat();
    columns::push_number(&mut octets, 1000);
    octets.extend(zstd::bulk::compress(&body, 3).unwrap());
    assert!(matches!(Snapshot::decode(&octets, Limits::default()), Err(SnapshotError::Zstd(_))));
}

#[test]
fn limits_hold_while_decoding() {
    let octets = small().encode().unwrap();
    let refused = Snapshot::decode(&octets, Limits { records: 0, ..Limits::default() });
    assert!(matches!(refused, Err(SnapshotError::Zone(ZoneError::TooManyRecords { .. }))), "{refused:?}");
    let refused = Snapshot::decode(&octets, Limits { octets: 20, ..Limits::default() });
    assert!(matches!(refused, Err(SnapshotError::TooLarge { .. })), "{refused:?}");
}

/// One octet of a body can stand for a TTL of four, or for an RRset's form: both are held while the records are read, so
/// both must be within what a zone of so many records can have.
#[test]
fn tables_are_no_larger_than_the_zone_may_be() {
    let body = |distinct_ttls: usize, rrsets: usize| {
        let column = |octets: &[u8]| {
            let mut column = Vec::new();
            columns::push_number(&mut column, octets.len());
            [column, octets.to_vec()].concat()
        };
        let mut contents = apex().as_wire().to_vec();
        contents.extend([&b""[..]; 5].map(column).concat());
        contents.extend(column(&vec![2; rrsets]));
        contents.extend(column(&vec![0; distinct_ttls]));
        contents.extend(column(b""));
        contents.extend(column(b""));
        let mut body = vec![1];
        columns::push_number(&mut body, contents.len());
        [body, contents].concat()
    };
    let limits = Limits { records: 1000, ..Limits::default() };
    let decode = |distinct_ttls, rrsets| Snapshot::decode(&framed(&body(distinct_ttls, rrsets)), limits).unwrap_err();
    assert!(matches!(decode(0, 1001), SnapshotError::Zone(ZoneError::TooManyRecords { limit: 1000, .. })));
    assert!(matches!(decode(11, 10), SnapshotError::Corrupt("it has more distinct TTLs than RRsets")));
    assert!(matches!(decode(10, 10), SnapshotError::CutShort(_)));
}

#[test]
fn sections_of_unknown_kinds_are_skipped_and_a_second_zone_is_not() {
    let snapshot = small();
    let body = body_of(&snapshot);
    let with = |more: &[u8]| {
        let mut octets = framed(&[more, &body].concat());
        octets[5..53].copy_from_slice(&snapshot.digest().0);
        Snapshot::decode(&octets, Limits::default())
    };
    assert_eq!(with(&[99, 3, 1, 2, 3]).unwrap(), snapshot);
    assert!(matches!(with(&body), Err(SnapshotError::Corrupt(_))));
    // A flag that is not known stands for something else that is amiss.
    assert_eq!(with(&[2, 1, 3]).unwrap().exact(), Some(Exact { signed: true, zonemd: true }));
    assert_eq!(with(&[2, 1, 4]).unwrap().exact(), None);
    for bad in [&[2, 0][..], &[2, 2, 0, 0]] {
        assert!(with(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn surplus_and_versions_are_named() {
    let octets = small().encode().unwrap();
    let decode = |octets: &[u8]| Snapshot::decode(octets, Limits::default()).unwrap_err().to_string();
    let again = zstd::bulk::compress(b"", 1).unwrap();
    for surplus in [&b"x"[..], &again] {
        assert_eq!(decode(&[&octets[..], surplus].concat()), "the snapshot has surplus octets after its frame");
    }
    assert_eq!(decode(b"PK\x03\x04"), "not a snapshot: it does not begin with S53Z");
    let mut newer = octets;
    newer[4] = 2;
    assert_eq!(decode(&newer), "the snapshot has version 2, and this program reads version 1: update it");
}

#[test]
fn regular_zones_are_not_taken_for_bombs() {
    // A $GENERATE of names that all have one address: nothing in it is new after the first few.
    let mut builder = ZoneBuilder::new(apex(), Limits::default());
    builder.push(apex().by_ref(), Rtype::SOA, 3600, &soa_rdata()).unwrap();
    for number in 0..50_000 {
        let owner = Name::parse(&format!("{number:06}.example.com")).unwrap();
        builder.push(owner.by_ref(), Rtype::A, 60, &[192, 0, 2, 1]).unwrap();
    }
    let generated = Snapshot::new(builder.build().unwrap().zone);
    // Some records that no resolver would ask for twice, each as large as a record can be.
    let mut builder = ZoneBuilder::new(apex(), Limits::default());
    builder.push(apex().by_ref(), Rtype::SOA, 3600, &soa_rdata()).unwrap();
    for number in 0..20 {
        let text = [&[255][..], &[b'a' + number; 255]].concat().repeat(255);
        builder.push(apex().by_ref(), Rtype::TXT, 60, &text).unwrap();
    }
    let filled = Snapshot::new(builder.build().unwrap().zone);
    for snapshot in [generated, filled] {
        let octets = snapshot.encode().unwrap();
        let back = Snapshot::decode(&octets, Limits::default());
        assert_eq!(back.map_err(|error| error.to_string()), Ok(snapshot));
    }
}

#[test]
fn a_large_zone_whose_owners_come_more_than_once_is_encoded_and_decoded() {
    let mut builder = ZoneBuilder::new(apex(), Limits::default());
    builder.push(apex().by_ref(), Rtype::SOA, 3600, &soa_rdata()).unwrap();
    for (rtype, rdata) in [(Rtype::A, &[192, 0, 2, 1][..]), (Rtype::AAAA, &[0x20; 16])] {
        for host in 0..10_000 {
            builder.push(Name::parse(&format!("host{host}.example.com")).unwrap().by_ref(), rtype, 300, rdata).unwrap();
        }
    }
    let zone = builder.build().unwrap().zone;
    assert_eq!(zone.rrsets().count(), 20_001);
    let host = Name::parse("host42.example.com").unwrap();
    assert_eq!(zone.at(host.by_ref()).map(|rrset| rrset.rtype()).collect::<Vec<_>>(), [Rtype::A, Rtype::AAAA]);
    let octets = Snapshot::new(zone.clone()).encode().unwrap();
    assert_eq!(*Snapshot::decode(&octets, Limits::default()).unwrap().zone(), zone);
}
