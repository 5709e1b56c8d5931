//! The fast path: what changed came with the snapshot, so the hosted zone is not read.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_sdk_route53::types::{AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecordSet, RrType};
use secondary53_tests::strict::{Config, ZoneSpec};
use secondary53_tests::zones::reference;
use secondary53_zone::delta::Delta;
use secondary53_zone::message::{Approval, Message, Meta, Reason};
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::Zone;

use super::log::Log;
use super::proxy::Fate;
use super::{ID, World, client, held, message, message_since, record, zone};

/// Of the SOA, and of what changes.
const TWO: &[(&str, usize)] = &[("ChangeResourceRecordSets", 1), ("ListResourceRecordSets", 1)];

impl World {
    /// Delivers what changed, which must be taken; the calls that it took.
    async fn follow(&self, base: &Zone, next: &Zone, reason: Reason) -> Vec<(&'static str, usize)> {
        self.calls();
        let mut sent = message_since(base, next, reason);
        // So that zones of a few names may lose some of them unread.
        sent.meta.approved = vec![Approval::MassDeletion];
        assert_eq!(self.deliver(vec![record("1", &sent)]).await, Vec::<String>::new());
        assert_eq!(self.serial(), next.serial().0);
        self.calls().into_iter().collect()
    }
}

#[tokio::test]
async fn one_record_costs_two_calls_whatever_the_size_of_the_zone() {
    for records in [100, 1_000, 10_000] {
        let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
        let world = World::with(Config { zones, max_rrsets: 20_000, ..Config::default() }).await;
        let base = reference(records).unwrap();
        world.sync(&base, Reason::Initial).await;
        let next = secondary53_tests::zones::one_changed(&base).unwrap();
        assert_eq!(world.follow(&base, &next, Reason::Notify).await, TWO, "{records}");
        let hosted = world.hosted();
        // A full comparison finds nothing left to do.
        world.sync(&next, Reason::Audit).await;
        assert_eq!((world.hosted(), world.calls().contains_key("ChangeResourceRecordSets")), (hosted, false));
        assert!(Log::text().contains("path=\"fast\""));
        // And the same once more costs one.
        assert_eq!(world.follow(&base, &next, Reason::Refresh).await, [("ListResourceRecordSets", 1)]);
    }
}

#[tokio::test]
async fn beyond_the_quota_that_everyone_has_it_is_asked_for_only_where_rrsets_come() {
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let world = World::with(Config { zones, max_rrsets: 10_200, ..Config::default() }).await;
    let hosts: String = (0..10_100).map(|number| format!("h{number} A 192.0.2.1\n")).collect();
    let with = |serial, record: &str| zone(serial, &format!("{hosts}{record}"));
    let base = with(7, "");
    world.sync(&base, Reason::Initial).await;
    let with_one = with(8, "new A 192.0.2.1\n");
    let calls = world.follow(&base, &with_one, Reason::Notify).await;
    assert_eq!(calls, [("ChangeResourceRecordSets", 1), ("GetHostedZoneLimit", 1), ("ListResourceRecordSets", 1)]);
    // What changes or goes takes no room.
    let with_other = with(9, "new A 192.0.2.2\n");
    assert_eq!(world.follow(&with_one, &with_other, Reason::Notify).await, TWO);
    let without = with(10, "");
    assert_eq!(world.follow(&with_other, &without, Reason::Notify).await, TWO);
}

#[tokio::test]
async fn whatever_changes_at_a_name_is_done_as_by_a_full_comparison() {
    let world = World::start().await;
    let steps = [
        "w A 192.0.2.1",
        "w A 192.0.2.2\nw A 192.0.2.1\nv TXT \"v\"",
        "w 60 A 192.0.2.2\nv TXT \"v\"\nu.v MX 1 w",
        "w CNAME x\nv TXT \"v\"\nu.v MX 1 w",
        "w MX 1 x\nw A 192.0.2.1\n@ MX 1 w",
        "",
    ];
    let zones: Vec<Zone> = (7..).zip(steps).map(|(serial, records)| zone(serial, records)).collect();
    world.sync(&zones[0], Reason::Initial).await;
    for pair in zones.windows(2) {
        assert_eq!(world.follow(&pair[0], &pair[1], Reason::Notify).await, TWO);
        let after = world.hosted();
        world.sync(&pair[1], Reason::Audit).await;
        assert_eq!((world.hosted(), world.calls().contains_key("ChangeResourceRecordSets")), (after, false));
    }
}

#[tokio::test]
async fn what_deletes_more_than_a_little_is_read_and_counted() {
    let hosts = |count: usize, serial| {
        zone(serial, &(0..count).map(|number| format!("h{number} A 192.0.2.1\n")).collect::<String>())
    };
    let world = World::start().await;
    let zones: Vec<Zone> = [(20, 7), (17, 8), (13, 9), (8, 10)].map(|(count, serial)| hosts(count, serial)).into();
    world.sync(&zones[0], Reason::Initial).await;
    for (pair, lists, serial) in [(&zones[0..2], 1, 8), (&zones[1..3], 2, 9), (&zones[2..4], 2, 9)] {
        world.calls();
        let sent = message_since(&pair[0], &pair[1], Reason::Notify);
        // The last is too much, and nowhere to be put aside.
        assert_eq!(world.deliver(vec![record("1", &sent)]).await.len(), usize::from(pair[1].serial().0 == 10));
        assert_eq!((world.calls()["ListResourceRecordSets"], world.serial()), (lists, serial));
    }
}

#[tokio::test]
async fn what_someone_else_did_to_an_rrset_that_changes_is_found_in_the_same_invocation() {
    let (base, next) = (zone(7, "w A 192.0.2.1\nv A 192.0.2.1"), zone(8, "w A 192.0.2.2\nv A 192.0.2.1"));
    let world = World::start().await;
    world.sync(&base, Reason::Initial).await;
    world.server.seed(ID, &[("w.example.com.", "A", 60, &["198.51.100.1"])]).unwrap();
    let calls = world.follow(&base, &next, Reason::Notify).await;
    // The SOA and a refusal; all of the zone, and the change.
    assert_eq!(calls, [("ChangeResourceRecordSets", 2), ("ListResourceRecordSets", 2)]);
    let both =
        |w: &'static str| held(&[("w.example.com.", "A", 300, &[w]), ("v.example.com.", "A", 300, &["192.0.2.1"])]);
    assert_eq!(world.hosted(), both("192.0.2.2"));
}

#[tokio::test]
async fn what_someone_else_did_elsewhere_stays_until_a_full_comparison() {
    let zones: Vec<Zone> = (7..12).map(|serial| zone(serial, &format!("w A 192.0.2.{serial}"))).collect();
    let world = World::start().await;
    let stray = || world.server.seed(ID, &[("stray.example.com.", "A", 60, &["198.51.100.1"])]).unwrap();
    world.sync(&zones[0], Reason::Initial).await;
    stray();
    assert_eq!(world.follow(&zones[0], &zones[1], Reason::Notify).await, TWO);
    assert_eq!(world.hosted().len(), 2);
    // Each of these compares in full, though it brings what changed.
    for (pair, reason) in zones[1..].windows(2).zip([Reason::Audit, Reason::Resend, Reason::Replay]) {
        world.follow(&pair[0], &pair[1], reason).await;
        assert_eq!(world.hosted().len(), 1, "{reason}");
        stray();
    }
}

#[tokio::test]
async fn who_asked_for_a_full_comparison_gets_it_though_news_came_behind() {
    let (base, next) = (zone(7, "w A 192.0.2.1"), zone(8, "w A 192.0.2.2"));
    let world = World::start().await;
    world.sync(&base, Reason::Initial).await;
    world.server.seed(ID, &[("stray.example.com.", "A", 60, &["198.51.100.1"])]).unwrap();
    let line = vec![
        record("audit", &message(&base, Reason::Audit)),
        record("news", &message_since(&base, &next, Reason::Notify)),
    ];
    assert_eq!(world.deliver(line).await, Vec::<String>::new());
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.2"])]));
}

#[tokio::test]
async fn a_hosted_zone_at_another_serial_or_never_synced_is_read() {
    let zones: Vec<Zone> = (1..4).map(|serial| zone(serial, &format!("w A 192.0.2.{serial}"))).collect();
    let world = World::start().await;
    // Route 53's own serial is 1, and means nothing.
    world.follow(&zones[0], &zones[1], Reason::Notify).await;
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.2"])]));
    // What led from 1 to 3 does not start at 2.
    let calls = world.follow(&zones[0], &zones[2], Reason::Notify).await;
    assert_eq!(calls, [("ChangeResourceRecordSets", 1), ("ListResourceRecordSets", 2)]);
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.3"])]));
}

#[tokio::test]
async fn values_in_another_spelling_come_out_right() {
    let (base, next) = (zone(7, "w AAAA 2001:db8::1\nm MX 10 mx"), zone(8, "w AAAA 2001:db8::2\nm MX 20 mx"));
    let world = World::start().await;
    world
        .server
        .seed(
            ID,
            &[
                ("w.example.com.", "AAAA", 300, &["2001:0DB8:0::1"]),
                ("m.example.com.", "MX", 300, &["10 MX.Example.com"]),
            ],
        )
        .unwrap();
    world.sync(&base, Reason::Initial).await;
    world.follow(&base, &next, Reason::Notify).await;
    assert_eq!(
        world.hosted(),
        held(&[
            ("w.example.com.", "AAAA", 300, &["2001:db8::2"]),
            ("m.example.com.", "MX", 300, &["20 mx.example.com."])
        ])
    );
}

#[tokio::test]
async fn what_was_left_out_stays_out_and_comes_when_it_can() {
    // 401 values are too many: what was there stays.
    let values = |count: usize, third: usize| -> String {
        (0..count).map(|i| format!("many A 10.{third}.{}.{}\n", i / 256, i % 256)).collect()
    };
    let zones = [values(2, 0), values(401, 0), values(401, 1), values(3, 2), values(401, 3), String::new()];
    let zones: Vec<Zone> = (7..).zip(zones).map(|(serial, records)| zone(serial, &records)).collect();
    let world = World::start().await;
    world.sync(&zones[0], Reason::Initial).await;
    for (pair, (count, calls)) in zones.windows(2).zip([(2, 2), (2, 2), (3, 4), (3, 2), (3, 2)]) {
        let took: usize = world.follow(&pair[0], &pair[1], Reason::Notify).await.iter().map(|(_, count)| count).sum();
        let hosted = world.hosted();
        assert_eq!((hosted.values().map(|(_, values)| values.len()).sum::<usize>(), took), (count, calls));
    }
    // What the primary no longer has, and what was left out last, is for the next full comparison.
    world.sync_approved(zones.last().unwrap(), Reason::Audit).await;
    assert!(world.hosted().is_empty());
}

#[tokio::test]
async fn where_something_stands_that_is_not_ours_it_stays() {
    let world = World::start().await;
    let target = AliasTarget::builder().hosted_zone_id("Z2ALIAS").dns_name("lb.example.net.");
    let target = target.evaluate_target_health(false).build().unwrap();
    let alias = ResourceRecordSet::builder().name("alias.example.com").r#type(RrType::A).alias_target(target);
    let change = Change::builder().action(ChangeAction::Create).resource_record_set(alias.build().unwrap());
    let batch = ChangeBatch::builder().changes(change.build().unwrap()).build().unwrap();
    let others = client(&world.server.endpoint());
    others.change_resource_record_sets().hosted_zone_id(ID).change_batch(batch).send().await.unwrap();

    let zones = ["alias A 192.0.2.1", "alias A 192.0.2.2", "alias A 192.0.2.2\nw A 192.0.2.1", "w A 192.0.2.1"];
    let zones: Vec<Zone> = (7..).zip(zones).map(|(serial, records)| zone(serial, records)).collect();
    world.sync(&zones[0], Reason::Initial).await;
    for pair in zones.windows(2) {
        world.follow(&pair[0], &pair[1], Reason::Notify).await;
        let view = world.server.zone(ID).unwrap();
        assert_eq!(view.rrset("alias.example.com.", "A").map(|rrset| rrset.values.len()), Some(0));
    }
    assert!(world.hosted().contains_key(&("w.example.com.".to_owned(), "A".to_owned())));
}

#[tokio::test]
async fn a_delta_that_does_not_lead_to_the_zone_is_passed_over() {
    let (base, next) = (zone(7, "w A 192.0.2.1\nv A 192.0.2.1"), zone(8, "w A 192.0.2.2"));
    let world = World::start().await;
    world.sync(&base, Reason::Initial).await;
    // It leads to another zone of this serial, in which nothing goes.
    let other = zone(8, "w A 192.0.2.2\nv A 192.0.2.1");
    let delta = Delta::between(&Snapshot::new(base), &other, usize::MAX);
    let meta = Meta { records: next.record_count(), relay: "test".into(), ..Meta::default() };
    let sent = Message::new(&Snapshot::new(next).with_delta(delta), Reason::Notify, meta).unwrap();
    assert_eq!(world.deliver(vec![record("1", &sent)]).await, Vec::<String>::new());
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.2"])]));
}

#[tokio::test]
async fn an_answer_that_is_lost_is_a_change_that_is_made() {
    let (base, next) = (zone(7, "w A 192.0.2.1"), zone(8, "w A 192.0.2.2"));
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let world = World::behind(Config { zones, ..Config::default() }, |_| Fate::Answered).await;
    world.sync(&base, Reason::Initial).await;
    let lost = AtomicBool::new(false);
    world.meddle(move |line| {
        let is_first = line.starts_with("POST") && !lost.swap(true, Ordering::Relaxed);
        if is_first { Fate::AnswerLost } else { Fate::Answered }
    });
    world.follow(&base, &next, Reason::Notify).await;
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.2"])]));
}

#[tokio::test]
async fn more_than_a_request_holds_is_several_and_the_serial_is_in_the_last() {
    let hosts = |count: usize, second: u8| -> String {
        (0..count).map(|i| format!("h{i} A 10.{second}.{}.{}\n", i / 256, i % 256)).collect()
    };
    let (base, next) = (zone(7, &hosts(2_000, 0)), zone(8, &hosts(2_000, 1)));
    let world = World::start().await;
    world.sync(&base, Reason::Initial).await;
    let calls = world.follow(&base, &next, Reason::Notify).await;
    assert_eq!(calls, [("ChangeResourceRecordSets", 5), ("ListResourceRecordSets", 1)]);
    assert!(world.hosted().values().all(|(_, values)| values[0].starts_with("10.1.")));
}

/// A serial says that the zone is complete at it, but a later one may have been begun.
#[tokio::test(start_paused = true)]
async fn what_was_begun_and_superseded_is_read() {
    let hosts =
        |count: usize| -> String { (0..count).map(|i| format!("h{i} A 10.0.{}.{}\n", i / 256, i % 256)).collect() };
    let (base, begun) = (zone(7, "w A 192.0.2.1"), zone(8, &format!("w A 192.0.2.1\n{}", hosts(2_500))));
    let next = zone(9, "w A 192.0.2.2");
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let world = World::behind(Config { zones, ..Config::default() }, |_| Fate::Answered).await;
    world.sync(&base, Reason::Initial).await;
    let changes = AtomicUsize::new(0);
    world.meddle(move |line| {
        let is_second = line.starts_with("POST") && changes.fetch_add(1, Ordering::Relaxed) > 0;
        if is_second { Fate::RequestLost } else { Fate::Answered }
    });
    let begun = message(&begun, Reason::Notify);
    assert_eq!(world.deliver(vec![record("8", &begun)]).await, ["8"]);
    assert_eq!((world.serial(), world.hosted().len() > 900), (7, true));
    world.meddle(|_| Fate::Answered);
    let mut next = message_since(&base, &next, Reason::Notify);
    next.meta.approved = vec![Approval::MassDeletion];
    let line = vec![record("8", &begun), record("9", &next)];
    assert_eq!(world.deliver(line).await, Vec::<String>::new());
    assert_eq!((world.serial(), world.hosted()), (9, held(&[("w.example.com.", "A", 300, &["192.0.2.2"])])));
}

#[tokio::test]
async fn a_soa_that_someone_else_has_changed_is_no_serial_to_go_by() {
    let (base, next) = (zone(7, "w A 192.0.2.1"), zone(8, "w A 192.0.2.2"));
    let world = World::start().await;
    world.sync(&base, Reason::Initial).await;
    let soa = world.server.zone(ID).unwrap().rrset("example.com.", "SOA").unwrap().values[0].clone();
    world.server.seed(ID, &[("example.com.", "SOA", 900, &[&soa])]).unwrap();
    let calls = world.follow(&base, &next, Reason::Notify).await;
    assert_eq!(calls, [("ChangeResourceRecordSets", 1), ("ListResourceRecordSets", 2)]);
}
