use proptest::prelude::*;
use secondary53_zone::snapshot::Snapshot;

use super::*;
use crate::hosted::sort_hosted;
use crate::model::{hosted_of, name, with_serial, zone, zones};

fn plan(hosted: &[HostedRrset], desired: &Zone) -> Plan {
    Plan::new(hosted, desired).unwrap()
}

fn foreign(owner: &str, rtype: Rtype, foreign: Foreign) -> HostedRrset {
    let text = RrsetText { name: name(owner), rtype, ttl: 0, values: Vec::new() };
    HostedRrset { text, foreign: Some(foreign) }
}

proptest! {
    #[test]
    fn a_zone_against_itself_is_no_change(zone in zones()) {
        prop_assert!(plan(&hosted_of(&zone), &zone).is_empty());
    }

    #[test]
    fn a_deltas_plan_is_that_of_a_full_comparison(base in zones(), next in zones()) {
        let (base, next) = (with_serial(&base, 7), with_serial(&next, 8));
        let (fast, full) = (of_delta(&base, &next), plan(&hosted_of(&base), &next));
        // How many RRsets there are, only a listing tells to the last one.
        prop_assert_eq!(Plan { there: full.there, ..fast }, full);
    }
}

fn of_delta(base: &Zone, next: &Zone) -> Plan {
    let ttl = base.get(base.apex().by_ref(), Rtype::SOA).unwrap().ttl();
    let delta = Delta::between(&Snapshot::new(base.clone()), next, usize::MAX).unwrap();
    Plan::of_delta(&delta, next, &HostedSoa { soa: base.soa().clone(), ttl })
}

#[test]
fn what_was_left_out_before_is_not_deleted() {
    let with = |serial: u32, rdata: &[u8]| {
        let zone = crate::model::zone_with(|builder| {
            let owner = name("t.example.com");
            builder.push(owner.by_ref(), Rtype::TLSA, 300, rdata).unwrap();
            builder.push(owner.by_ref(), Rtype::LOC, 300, &[serial.to_be_bytes()[3]; 16]).unwrap();
        });
        with_serial(&zone, serial)
    };
    // Route 53 lists no usage 9.
    let (good, bad) = ([&[3, 1, 1][..], &[7; 32]].concat(), [&[9, 1, 1][..], &[7; 32]].concat());
    let comes = of_delta(&with(7, &bad), &with(8, &good));
    assert_eq!(comes.counts(), Counts { created: 1, ..Counts::default() });
    assert_eq!(comes.untranslated, BTreeMap::from([(Rtype::LOC, 1)]));
    // What the hosted zone has stays, and so does the name.
    let goes = of_delta(&with(7, &good), &with(8, &bad));
    assert_eq!((goes.names.len(), goes.left_out.len()), (0, 1));
    assert!(goes.soa.is_some());
}

#[test]
fn spelling_and_order_are_no_change() {
    let desired = zone(&[
        ("a", Rtype::A, 300, "192.0.2.1"),
        ("a", Rtype::A, 300, "192.0.2.2"),
        ("c", Rtype::CNAME, 300, "www.example.net."),
        ("t", Rtype::TXT, 300, "\"a\" \"b\""),
        ("x", Rtype::AAAA, 300, "2001:db8::1"),
    ]);
    let mut hosted = hosted_of(&desired);
    let spell = |hosted: &mut Vec<HostedRrset>, owner: &str, values: &[&str]| {
        let rrset = hosted.iter_mut().find(|rrset| rrset.text.name == name(owner)).unwrap();
        rrset.text.values = values.iter().map(ToString::to_string).collect();
    };
    spell(&mut hosted, "a.example.com", &["192.0.2.2", "192.0.2.1"]);
    spell(&mut hosted, "c.example.com", &["WWW.Example.NET"]);
    spell(&mut hosted, "t.example.com", &["\"a\"\"b\""]);
    spell(&mut hosted, "x.example.com", &["2001:0DB8:0:0::1"]);
    assert!(plan(&hosted, &desired).is_empty());
    // And what differs, differs.
    spell(&mut hosted, "t.example.com", &["\"ab\""]);
    assert_eq!(plan(&hosted, &desired).counts(), Counts { changed: 1, ..Counts::default() });
}

/// RDATA that keeps its case (RFC 9460 §2.2), or was written by someone who did not lower it, has the text of its
/// lower-case twin: that is no change, and no second value.
#[test]
fn records_that_differ_in_case_alone_are_one_value_and_no_change() {
    let desired = crate::model::zone_with(|builder| {
        for rdata in [b"\x00\x0a\x02MX\x00", b"\x00\x0a\x02mX\x00", b"\x00\x0b\x02mx\x00"] {
            builder.push(name("m.example.com").by_ref(), Rtype::MX, 300, rdata).unwrap();
        }
    });
    let empty = plan(&hosted_of(&zone(&[])), &desired);
    let [NameChanges { changes, .. }] = empty.names.as_slice() else { panic!("{empty:?}") };
    let [Change::Create(new)] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(new.values, ["10 mx.", "11 mx."]);
    let there = hosted_of(&zone(&[("m", Rtype::MX, 300, "11 MX."), ("m", Rtype::MX, 300, "10 mx.")]));
    assert!(plan(&there, &desired).is_empty());
}

#[test]
fn a_ttl_is_a_change_and_the_old_text_is_kept_as_it_was() {
    let mut hosted = hosted_of(&zone(&[("c", Rtype::CNAME, 300, "www.example.net.")]));
    hosted.last_mut().unwrap().text.values = vec!["WWW.example.net".into()];
    let plan = plan(&hosted, &zone(&[("c", Rtype::CNAME, 60, "www.example.net.")]));
    let [NameChanges { changes, .. }] = plan.names.as_slice() else { panic!("{plan:?}") };
    let [Change::Replace { old, new }] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((old.ttl, old.values[0].as_str()), (300, "WWW.example.net"));
    assert_eq!((new.ttl, new.values[0].as_str()), (60, "www.example.net."));
}

#[test]
fn what_is_not_ours_stays_and_collisions_are_said() {
    let desired = zone(&[
        ("alias", Rtype::A, 300, "192.0.2.1"),
        ("alias", Rtype::TXT, 300, "\"beside\""),
        ("cname", Rtype::CNAME, 300, "x."),
        ("routed", Rtype::A, 300, "192.0.2.1"),
    ]);
    let mut hosted = hosted_of(&zone(&[]));
    hosted.push(foreign("alias.example.com", Rtype::A, Foreign::Alias));
    hosted.push(foreign("cname.example.com", Rtype::A, Foreign::TrafficPolicy));
    // Weighted CNAMEs: two entries of one name and type.
    hosted.push(foreign("routed.example.com", Rtype::CNAME, Foreign::Routed));
    hosted.push(foreign("routed.example.com", Rtype::CNAME, Foreign::Routed));
    hosted.push(foreign("unrelated.example.com", Rtype::A, Foreign::Alias));
    sort_hosted(&mut hosted);
    let plan = plan(&hosted, &desired);
    let collisions: Vec<_> = plan.collisions.iter().map(|(name, rtype)| format!("{name} {rtype}")).collect();
    assert_eq!(collisions, ["alias.example.com. A", "cname.example.com. CNAME", "routed.example.com. A"]);
    assert_eq!(plan.kept.len(), 5);
    assert_eq!(plan.counts(), Counts { created: 1, ..Counts::default() });
}

#[test]
fn what_route_53_cannot_hold_is_left_out_and_its_place_left_alone() {
    let many: Vec<(String, String)> =
        (0..401).map(|i| ("many".to_owned(), format!("10.0.{}.{}", i / 256, i % 256))).collect();
    let mut records: Vec<(&str, Rtype, u32, &str)> =
        many.iter().map(|(owner, value)| (owner.as_str(), Rtype::A, 300, value.as_str())).collect();
    let string = format!("\"{}\"", "\\001".repeat(255));
    let long = [string.as_str(); 4].join(" ");
    records.push(("long", Rtype::TXT, 300, &long));
    records.push(("*.wild", Rtype::NS, 300, "ns."));
    let desired = zone(&records);
    let mut hosted = hosted_of(&zone(&[("many", Rtype::A, 300, "192.0.2.1"), ("gone", Rtype::A, 300, "192.0.2.1")]));
    sort_hosted(&mut hosted);
    let plan = plan(&hosted, &desired);
    let said: Vec<_> = plan.left_out.iter().map(|left| format!("{} {}: {}", left.name, left.rtype, left.why)).collect();
    assert_eq!(
        said,
        [
            "long.example.com. TXT: a value has 4091 characters, and Route 53 takes 4000",
            "many.example.com. A: it has 401 values, and Route 53 takes 400",
            "*.wild.example.com. NS: Route 53 has no NS at a wildcard",
        ]
    );
    assert_eq!(plan.counts(), Counts { deleted: 1, ..Counts::default() });
}

#[test]
fn four_hundred_values_are_held() {
    let many: Vec<String> = (0..400).map(|i| format!("10.0.{}.{}", i / 256, i % 256)).collect();
    let records: Vec<_> = many.iter().map(|value| ("many", Rtype::A, 300, value.as_str())).collect();
    let plan = plan(&hosted_of(&zone(&[])), &zone(&records));
    assert_eq!((plan.counts().created, plan.left_out.len()), (1, 0));
}

#[test]
fn types_that_route_53_does_not_have_are_counted_by_type() {
    let odd =
        [Rtype::LOC, Rtype::URI, Rtype::DNAME, Rtype::HINFO, Rtype::DNSKEY, Rtype::RRSIG, Rtype::NSEC, Rtype(65280)];
    let desired = crate::model::zone_with(|builder| {
        for rtype in odd {
            builder.push(name("h.example.com").by_ref(), rtype, 300, b"\x00").unwrap();
        }
        builder.push(name("i.example.com").by_ref(), Rtype(65280), 300, b"\x00").unwrap();
        builder.push(name("i.example.com").by_ref(), Rtype(65280), 300, b"\x01").unwrap();
    });
    let plan = plan(&hosted_of(&zone(&[])), &desired);
    let counted = odd.map(|rtype| (rtype, if rtype == Rtype(65280) { 3 } else { 1 }));
    assert_eq!(plan.untranslated, BTreeMap::from(counted));
    assert!(plan.is_empty() && plan.left_out.is_empty());
}

#[test]
fn a_service_with_a_refused_key_is_left_out_whole_and_alone() {
    let target = |key: u16| [b"\x00\x01\x01t\x00".as_slice(), &key.to_be_bytes(), b"\x00\x02\x01\xbb"].concat();
    let desired = crate::model::zone_with(|builder| {
        for (owner, rtype, key) in [
            ("good", Rtype::HTTPS, 3),
            ("mixed", Rtype::HTTPS, 3),
            ("mixed", Rtype::HTTPS, 65280),
            ("mixed", Rtype::SVCB, 3),
            ("malformed", Rtype::SVCB, 4),
        ] {
            builder.push(name(&format!("{owner}.example.com")).by_ref(), rtype, 300, &target(key)).unwrap();
        }
    });
    let mut hosted = hosted_of(&zone(&[("mixed", Rtype::HTTPS, 300, "1 old."), ("gone", Rtype::HTTPS, 300, "1 .")]));
    sort_hosted(&mut hosted);
    let plan = plan(&hosted, &desired);
    let said: Vec<_> = plan.left_out.iter().map(|left| format!("{} {}: {}", left.name, left.rtype, left.why)).collect();
    assert_eq!(
        said,
        [
            "malformed.example.com. SVCB: the value of its parameter ipv4hint is malformed",
            "mixed.example.com. HTTPS: Route 53 does not know its parameter key65280",
        ]
    );
    // Part of an RRset says something else than the whole: what is hosted of it stays.
    assert_eq!(plan.counts(), Counts { created: 2, changed: 0, deleted: 1 });
}

#[test]
fn the_case_of_a_services_target_is_no_change_and_makes_no_second_value() {
    let rdata = |target: &[u8], port: u8| [b"\x00\x01\x01", target, b"\x00\x00\x03\x00\x02\x01", &[port]].concat();
    let desired = crate::model::zone_with(|builder| {
        for (target, port) in [(b"T", 1), (b"t", 1), (b"T", 2)] {
            builder.push(name("h.example.com").by_ref(), Rtype::HTTPS, 300, &rdata(target, port)).unwrap();
        }
    });
    let created = plan(&hosted_of(&zone(&[])), &desired);
    let [NameChanges { changes, .. }] = created.names.as_slice() else { panic!("{created:?}") };
    let [Change::Create(text)] = changes.as_slice() else { panic!("{changes:?}") };
    let mut values = text.values.clone();
    values.sort();
    assert_eq!(values, ["1 t. port=257", "1 t. port=258"]);
    let mut hosted = hosted_of(&zone(&[]));
    hosted.push(HostedRrset { text: text.clone(), foreign: None });
    assert!(plan(&hosted, &desired).is_empty());
    hosted.last_mut().unwrap().text.values = vec!["1 T port=\"258\"".into(), "1 t. port=0257".into()];
    assert!(plan(&hosted, &desired).is_empty());
    hosted.last_mut().unwrap().text.values.pop();
    assert_eq!(plan(&hosted, &desired).counts(), Counts { changed: 1, ..Counts::default() });
}

#[test]
fn ds_is_held_below_the_apex_and_not_at_it() {
    let ds = format!("1 13 2 {}", "AB".repeat(32));
    let records = [("@", Rtype::DS, 300, ds.as_str()), ("sub", Rtype::NS, 300, "ns."), ("sub", Rtype::DS, 300, &ds)];
    let plan = plan(&hosted_of(&zone(&[])), &zone(&records));
    let [LeftOut { name: owner, rtype: Rtype::DS, why: WhyLeftOut::DsAtApex }] = plan.left_out.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(*owner, name("example.com"));
    assert_eq!(plan.counts(), Counts { created: 2, ..Counts::default() });
}

#[test]
fn a_cname_at_the_apex_is_left_out() {
    let plan = plan(&hosted_of(&zone(&[])), &zone(&[("@", Rtype::CNAME, 300, "x.")]));
    assert!(matches!(plan.left_out.as_slice(), [LeftOut { why: WhyLeftOut::CnameAtApex, .. }]), "{plan:?}");
}

#[test]
fn a_value_of_just_4000_characters_is_held() {
    // Fifteen strings of 255, with quotes and a space after each, are 3,870 characters.
    let value = |last: usize| format!("{}\"{}\"", format!("\"{}\" ", "x".repeat(255)).repeat(15), "y".repeat(last));
    let (held, beyond) = (value(4000 - 3870 - 2), value(4000 - 3870 - 1));
    assert_eq!((held.len(), beyond.len()), (MAX_VALUE_CHARACTERS, MAX_VALUE_CHARACTERS + 1));
    for rtype in [Rtype::TXT, Rtype::SPF] {
        let plan = plan(&hosted_of(&zone(&[])), &zone(&[("a", rtype, 1, &held), ("b", rtype, 1, &beyond)]));
        assert_eq!(plan.counts(), Counts { created: 1, ..Counts::default() });
        let [LeftOut { why: WhyLeftOut::ValueTooLong(4001), .. }] = plan.left_out.as_slice() else {
            panic!("{plan:?}")
        };
    }
}

#[test]
fn an_rrset_of_just_32000_characters_is_held() {
    // Each value differs in its number; eight of 4,000 characters are 32,000.
    let value = |number: usize, last: usize| {
        format!(
            "\"{number}{}\" {}\"{}\"",
            "x".repeat(254),
            format!("\"{}\" ", "x".repeat(255)).repeat(14),
            "y".repeat(last)
        )
    };
    // A character less in one value, and a value of two beside it.
    for (rest, left_out) in [(vec![value(7, 128)], 0), (vec![value(7, 127), "\"\"".to_owned()], 1)] {
        let values: Vec<String> = (0..7).map(|number| value(number, 128)).chain(rest).collect();
        assert_eq!(values.iter().map(String::len).sum::<usize>(), MAX_RRSET_CHARACTERS + left_out);
        let records: Vec<_> = values.iter().map(|value| ("t", Rtype::TXT, 300, value.as_str())).collect();
        let plan = plan(&hosted_of(&zone(&[])), &zone(&records));
        assert_eq!(plan.left_out.len(), left_out, "{:?}", plan.left_out);
        assert_eq!(plan.counts().created, 1 - left_out);
    }
}

#[test]
fn times_of_the_soa_beyond_31_bits_are_cut() {
    let soa = "ns1.example.com. host.example.com. 8 4294967295 2147483648 2147483647 3000000000";
    let desired = crate::model::with_soa(soa);
    let plan = plan(&hosted_of(&zone(&[])), &desired);
    let values = plan.soa.unwrap().values;
    assert_eq!(values, ["ns1.example.com. host.example.com. 8 2147483647 2147483647 2147483647 2147483647"]);
}

#[test]
fn the_apex_ns_is_left_alone_and_the_soa_keeps_its_names() {
    let desired = zone(&[("@", Rtype::NS, 60, "ns.elsewhere.")]);
    let mut hosted = hosted_of(&zone(&[]));
    hosted[0].text.values = vec!["ns-1.awsdns-01.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400".into()];
    let text = RrsetText {
        name: name("example.com"),
        rtype: Rtype::NS,
        ttl: 172_800,
        values: vec!["ns-1.awsdns-01.com.".into()],
    };
    hosted.push(HostedRrset { text, foreign: None });
    sort_hosted(&mut hosted);
    let plan = plan(&hosted, &desired);
    assert!(plan.names.is_empty(), "{plan:?}");
    let soa = plan.soa.unwrap();
    assert_eq!(soa.values, ["ns-1.awsdns-01.com. awsdns-hostmaster.amazon.com. 7 3600 600 1209600 300"]);
    assert_eq!(soa.ttl, 3600);
}

#[test]
fn a_hosted_zone_without_a_soa_is_an_error() {
    assert_eq!(Plan::new(&[], &zone(&[])), Err(HostedError::NoSoa));
}
