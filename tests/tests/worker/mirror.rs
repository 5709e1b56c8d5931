//! States that a primary goes through, each mirrored.

use secondary53_tests::strict::{Config, ZoneSpec};
use secondary53_zone::message::Reason;

use super::{ID, Row, World, client, held, message, record, zone};

#[tokio::test]
async fn records_stand_in_the_hosted_zone_right_to_the_octet() {
    let world = World::start().await;
    let records = r#"
        A.b       A     192.0.2.1
        a.b       A     192.0.2.2
        a.b       AAAA  2001:DB8::1
        *         CNAME WWW.Example.NET.
        0/25.rev  PTR   a\.b.example.net.
        @         MX    10 mx1
        @         MX    0 .
        _sip._tcp SRV   1 2 5060 sip
        t         TXT   "a\"b\\c;" "" "\195\169\000"
        @         CAA   128 issue "ca.example; x=1"
        sub       NS    ns.sub
        ns.sub    A     192.0.2.53
    "#;
    world.sync(&zone(7, records), Reason::Initial).await;
    assert_eq!(
        world.hosted(),
        held(&[
            ("a.b.example.com.", "A", 300, &["192.0.2.1", "192.0.2.2"]),
            ("a.b.example.com.", "AAAA", 300, &["2001:db8::1"]),
            ("\\052.example.com.", "CNAME", 300, &["www.example.net."]),
            ("0\\05725.rev.example.com.", "PTR", 300, &["a\\056b.example.net."]),
            ("example.com.", "MX", 300, &["10 mx1.example.com.", "0 ."]),
            ("_sip._tcp.example.com.", "SRV", 300, &["1 2 5060 sip.example.com."]),
            ("t.example.com.", "TXT", 300, &["\"a\\\"b\\\\c;\" \"\" \"\\303\\251\\000\""]),
            ("example.com.", "CAA", 300, &["128 issue \"ca.example; x=1\""]),
            ("sub.example.com.", "NS", 300, &["ns.sub.example.com."]),
            ("ns.sub.example.com.", "A", 300, &["192.0.2.53"]),
        ])
    );
    let view = world.server.zone(ID).unwrap();
    let soa = view.rrset("example.com.", "SOA").unwrap();
    assert!(soa.values[0].ends_with(" awsdns-hostmaster.amazon.com. 7 3600 600 1209600 300"), "{soa:?}");
    assert!(view.rrset("example.com.", "NS").unwrap().values.iter().all(|ns| ns.contains("awsdns")));
}

#[tokio::test]
async fn what_comes_changes_and_goes_in_one_request_each() {
    let world = World::start().await;
    let steps: &[(&str, &[Row<'_>])] = &[
        ("w A 192.0.2.1", &[("w.example.com.", "A", 300, &["192.0.2.1"])]),
        ("w A 192.0.2.2\nw A 192.0.2.1", &[("w.example.com.", "A", 300, &["192.0.2.1", "192.0.2.2"])]),
        ("w 60 A 192.0.2.2", &[("w.example.com.", "A", 60, &["192.0.2.2"])]),
        ("w CNAME x", &[("w.example.com.", "CNAME", 300, &["x.example.com."])]),
        (
            "w MX 1 x\nw A 192.0.2.1",
            &[("w.example.com.", "MX", 300, &["1 x.example.com."]), ("w.example.com.", "A", 300, &["192.0.2.1"])],
        ),
        ("", &[]),
    ];
    for (serial, (records, expected)) in (7..).zip(steps) {
        world.sync_approved(&zone(serial, records), Reason::Notify).await;
        assert_eq!(world.hosted(), held(expected), "{records}");
        assert_eq!(world.serial(), serial);
        assert_eq!(world.calls()["ChangeResourceRecordSets"], 1);
    }
}

#[tokio::test]
async fn nothing_new_costs_one_call_and_a_full_comparison_no_change() {
    let world = World::start().await;
    let same = zone(7, "w A 192.0.2.1");
    world.sync(&same, Reason::Initial).await;
    world.calls();
    world.sync(&same, Reason::Notify).await;
    assert_eq!(world.calls().into_iter().collect::<Vec<_>>(), [("ListResourceRecordSets", 1)]);
    world.sync(&same, Reason::Audit).await;
    assert_eq!(world.calls().into_iter().collect::<Vec<_>>(), [("ListResourceRecordSets", 1)]);
}

#[tokio::test]
async fn a_full_comparison_mends_what_someone_else_changed() {
    let world = World::start().await;
    let same = zone(7, "w A 192.0.2.1");
    world.sync(&same, Reason::Initial).await;
    world.server.seed(ID, &[("stray.example.com.", "A", 60, &["198.51.100.1"])]).unwrap();
    world.sync(&same, Reason::Resend).await;
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.1"])]));
}

#[tokio::test]
async fn zones_of_every_size_around_a_page_and_a_request() {
    for count in [1, 298, 299, 300, 301, 600, 998, 999, 1000, 1001, 1200] {
        let world = World::start().await;
        let records: String = (0..count).map(|i| format!("h{i} A 10.0.{}.{}\n", i / 256, i % 256)).collect();
        world.sync(&zone(7, &records), Reason::Initial).await;
        assert_eq!((world.hosted().len(), world.serial()), (count, 7));
        world.calls();
        // Every value changes: DELETE and CREATE of each.
        let changed = records.replace("A 10.", "A 11.");
        world.sync(&zone(8, &changed), Reason::Notify).await;
        assert!(world.hosted().values().all(|(_, values)| values[0].starts_with("11.")));
        assert_eq!(world.serial(), 8);
        let elements = 2 * count + 2;
        // Of more than one the first marks the SOA.
        let marks = if elements > 1000 { 2 } else { 0 };
        assert_eq!(world.calls()["ChangeResourceRecordSets"], (elements + marks).div_ceil(1000), "{count}");
        world.sync_approved(&zone(9, ""), Reason::Notify).await;
        assert_eq!((world.hosted().len(), world.serial()), (0, 9));
    }
}

#[tokio::test]
async fn what_is_not_ours_stays() {
    let world = World::start().await;
    let records = "alias A 192.0.2.1\nbeside TXT \"x\"";
    seed_foreign(&world).await;
    world.sync(&zone(7, records), Reason::Initial).await;
    let view = world.server.zone(ID).unwrap();
    let names: Vec<_> = view.rrsets.iter().map(|rrset| format!("{} {}", rrset.name, rrset.rtype)).collect();
    for kept in ["alias.example.com. A", "weighted.example.com. A", "beside.example.com. TXT"] {
        assert!(names.iter().any(|name| name == kept), "{kept} is missing from {names:?}");
    }
    assert_eq!(view.rrset("alias.example.com.", "A").unwrap().values.len(), 0);
    // And the zone as a whole counts as complete: the collision is known and said.
    assert_eq!(world.serial(), 7);
}

/// An alias and a weighted pair, made by the API as an operator would.
async fn seed_foreign(world: &World) {
    use aws_sdk_route53::types::{
        AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
    };
    let create = |set: ResourceRecordSet| {
        Change::builder().action(ChangeAction::Create).resource_record_set(set).build().unwrap()
    };
    let target =
        AliasTarget::builder().hosted_zone_id("Z2ALIAS").dns_name("lb.example.net.").evaluate_target_health(false);
    let alias =
        ResourceRecordSet::builder().name("alias.example.com").r#type(RrType::A).alias_target(target.build().unwrap());
    let weighted = |id: &str| {
        let record = ResourceRecord::builder().value("192.0.2.9").build().unwrap();
        let set = ResourceRecordSet::builder().name("weighted.example.com").r#type(RrType::A).ttl(60);
        create(set.set_identifier(id).weight(1).resource_records(record).build().unwrap())
    };
    let changes = vec![create(alias.build().unwrap()), weighted("a"), weighted("b")];
    let batch = ChangeBatch::builder().set_changes(Some(changes)).build().unwrap();
    let client = client(&world.server.endpoint());
    client.change_resource_record_sets().hosted_zone_id(ID).change_batch(batch).send().await.unwrap();
}

#[tokio::test]
async fn of_several_the_newest_wins_and_zones_go_side_by_side() {
    let zones = ["example.com", "example.com.mx"].map(ZoneSpec::public);
    let world = World::with(Config { zones: zones.to_vec(), ..Config::default() }).await;
    let of = |serial, records| message(&zone(serial, records), Reason::Notify);
    let other = {
        let text = "$TTL 300\n@ SOA ns host 3 1 1 1 1\nw A 192.0.2.9\n";
        let file = secondary53_tests::primary::ZoneFile::parse_in("example.com.mx", text).unwrap();
        message(&secondary53_tests::zones::zone_of(&file).unwrap(), Reason::Notify)
    };
    let failed = world
        .deliver(vec![
            record("1", &of(7, "w A 192.0.2.7")),
            record("2", &other),
            record("3", &of(9, "w A 192.0.2.9")),
            record("4", &of(8, "w A 192.0.2.8")),
        ])
        .await;
    assert_eq!(failed, Vec::<String>::new());
    let zones = world.server.zones();
    let serial = |name: &str| zones.iter().find(|zone| zone.name == name).unwrap().serial;
    assert_eq!((serial("example.com."), serial("example.com.mx.")), (9, 3));
    assert_eq!(world.calls()["ChangeResourceRecordSets"], 2);
}

#[tokio::test]
async fn what_route_53_has_no_type_for_does_not_hold_up_the_rest() {
    let world = World::start().await;
    // TYPE29 is LOC.
    let records = "w A 192.0.2.1\nw TYPE65280 \\# 2 0102\nl TYPE29 \\# 16 001216138B1D3B007FFA0A8000988000";
    world.sync(&zone(7, records), Reason::Initial).await;
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.1"])]));
    assert_eq!(world.serial(), 7);
}

#[tokio::test]
async fn names_and_values_as_long_as_they_can_be() {
    let world = World::start().await;
    // With `.example.com.` and the root 255 octets, and each octet of the labels an escape of four characters.
    let escaped = |octets: usize| "\\255".repeat(octets);
    let owner = format!("{}.{}.{}.{}", escaped(63), escaped(63), escaped(63), escaped(49));
    let target = format!("{}.{}.{}.{}.", escaped(63), escaped(63), escaped(63), escaped(61));
    // Fifteen strings of 255, and one that brings quotes, blanks and all to 4,000.
    let strings = [format!("\"{}\"", "x".repeat(255)).as_str(); 15].join(" ");
    let exact = format!("{strings} \"{}\"", "y".repeat(4000 - strings.len() - 3));
    assert_eq!(exact.len(), 4000);
    let records = format!("{owner} CNAME {target}\nt TXT {exact}\nlonger TXT {}", exact.replacen("\"y", "\"yy", 1));
    world.sync(&zone(7, &records), Reason::Initial).await;
    let hosted = world.hosted();
    assert_eq!(hosted.len(), 2, "{hosted:?}");
    assert_eq!(hosted[&("t.example.com.".to_owned(), "TXT".to_owned())].1, [exact]);
    assert_eq!(world.serial(), 7);
    world.sync_approved(&zone(8, ""), Reason::Notify).await;
    assert!(world.hosted().is_empty());
}

#[tokio::test]
async fn a_zone_with_an_odd_name_is_found() {
    let world = World::with(Config { zones: vec![ZoneSpec::public("0/25.2.0.192.in-addr.arpa")], ..Config::default() });
    let world = world.await;
    let text = "$TTL 300\n@ SOA ns host 3 1 1 1 1\n1 PTR w.example.net.\n";
    let file = secondary53_tests::primary::ZoneFile::parse_in("0/25.2.0.192.in-addr.arpa", text).unwrap();
    world.sync(&secondary53_tests::zones::zone_of(&file).unwrap(), Reason::Initial).await;
    assert_eq!(world.server.zones()[0].serial, 3);
}

#[tokio::test]
async fn cnames_and_addresses_change_places_across_many_names() {
    let world = World::start().await;
    // One half of the names holds a CNAME to the other half; then the other way round. Three elements a name and more
    // than one request.
    let state = |is_cname: fn(usize) -> bool| -> String {
        (0..900)
            .map(|index| {
                if is_cname(index) {
                    format!("h{index} CNAME h{}\n", (index + 1) % 900)
                } else {
                    format!("h{index} A 192.0.2.1\nh{index} A 192.0.2.2\n")
                }
            })
            .collect()
    };
    for (serial, is_cname) in
        (7..).zip([|index| index % 2 == 0, |index| index % 2 == 1, |index| index % 3 == 0] as [fn(usize) -> bool; 3])
    {
        world.sync(&zone(serial, &state(is_cname)), Reason::Notify).await;
        assert_eq!((world.hosted().len(), world.serial()), (900, serial));
    }
}
