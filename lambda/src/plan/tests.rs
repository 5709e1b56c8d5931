use proptest::prelude::*;

use super::*;
use crate::hosted::sort_hosted;
use crate::model::{hosted_of, name, zone, zones};

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
fn types_that_are_not_translated_are_counted_and_left_alone() {
    let desired = crate::model::zone_with(|builder| {
        for (owner, rtype) in
            [("h.example.com", Rtype::HTTPS), ("h.example.com", Rtype(65280)), ("i.example.com", Rtype(65280))]
        {
            builder.push(name(owner).by_ref(), rtype, 300, b"\x00\x01\x00").unwrap();
        }
    });
    let mut hosted = hosted_of(&zone(&[]));
    for owner in ["gone.example.com", "h.example.com"] {
        let text = RrsetText { name: name(owner), rtype: Rtype::HTTPS, ttl: 300, values: vec!["1 .".into()] };
        hosted.push(HostedRrset { text, foreign: None });
    }
    let plan = plan(&hosted, &desired);
    assert_eq!(plan.untranslated, BTreeMap::from([(Rtype::HTTPS, 1), (Rtype(65280), 2)]));
    assert_eq!(plan.counts(), Counts { deleted: 1, ..Counts::default() });
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
