//! What must not be applied, and what Route 53 does not take.

use secondary53_tests::strict::{Config, ZoneSpec};
use secondary53_zone::message::Reason;

use super::{ID, World, client, held, message, record, zone};

#[tokio::test]
async fn an_older_snapshot_is_dropped_whatever_its_reason() {
    let world = World::start().await;
    world.sync(&zone(9, "w A 192.0.2.9"), Reason::Initial).await;
    for reason in [Reason::Notify, Reason::Initial, Reason::Replay] {
        world.sync(&zone(8, "w A 192.0.2.8"), reason).await;
        assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.9"])]));
        assert_eq!(world.serial(), 9);
    }
}

#[tokio::test]
async fn a_first_serial_far_round_the_circle_is_taken_and_one_wraps() {
    let world = World::start().await;
    for serial in [3_000_000_000, u32::MAX, 5] {
        world.sync(&zone(serial, "w A 192.0.2.1"), Reason::Notify).await;
        assert_eq!(world.serial(), serial);
    }
}

#[tokio::test]
async fn an_unknown_hosted_zone_and_an_ambiguous_one_keep_the_message() {
    let none = World::with(Config::default()).await;
    let sent = message(&zone(7, ""), Reason::Initial);
    assert_eq!(none.deliver(vec![record("1", &sent)]).await, ["1"]);
    let twice = ["example.com", "example.com"].map(ZoneSpec::public).to_vec();
    let two = World::with(Config { zones: twice, ..Config::default() }).await;
    assert_eq!(two.deliver(vec![record("1", &sent)]).await, ["1"]);
    assert!(two.server.zones().iter().all(|zone| zone.serial == 1));
    // Named, it is found.
    let id = two.server.zones()[1].id.clone();
    let mut named = sent.clone();
    named.meta.hosted_zone_id = Some(id.clone());
    assert_eq!(two.deliver(vec![record("1", &named)]).await, Vec::<String>::new());
    assert_eq!(two.server.zone(&id).unwrap().serial, 7);
}

#[tokio::test]
async fn a_hosted_zone_of_another_name_is_not_touched() {
    let world =
        World::with(Config { zones: vec![ZoneSpec::public("example.net").with_id(ID)], ..Config::default() }).await;
    let mut named = message(&zone(7, "w A 192.0.2.1"), Reason::Initial);
    named.meta.hosted_zone_id = Some(ID.to_owned());
    assert_eq!(world.deliver(vec![record("1", &named)]).await, ["1"]);
    assert_eq!(world.serial(), 1);
    assert!(!world.calls().contains_key("ChangeResourceRecordSets"));
}

#[tokio::test]
async fn a_damaged_message_is_kept_and_blocks_no_other_zone() {
    let world = World::start().await;
    let good = record("good", &message(&zone(7, "w A 192.0.2.1"), Reason::Initial));
    let mut damaged = record("damaged", &message(&zone(8, ""), Reason::Notify));
    damaged["body"] = "UzUzWg==".into();
    damaged["attributes"]["MessageGroupId"] = "another".into();
    let garbage = serde_json::json!({"messageId": "garbage", "body": "hello", "attributes": {"MessageGroupId": "g"}, "messageAttributes": {}});
    let mut failed = world.deliver(vec![garbage, damaged, good]).await;
    failed.sort();
    // One zone is one line: what cannot be put aside holds the line up, and no other.
    assert_eq!(failed, ["damaged", "garbage", "good"]);
    assert_eq!(world.serial(), 7);
}

#[tokio::test]
async fn a_hosted_zone_that_was_made_anew_is_found() {
    let world = World::start().await;
    world.sync(&zone(7, "w A 192.0.2.1"), Reason::Initial).await;
    // A hosted zone must be bare to be deleted.
    world.sync_approved(&zone(8, ""), Reason::Notify).await;
    client(&world.server.endpoint()).delete_hosted_zone().id(ID).send().await.unwrap();
    let id = world.server.create_zone(&ZoneSpec::public("example.com")).unwrap();
    assert_ne!(id, ID);
    world.sync(&zone(9, "w A 192.0.2.2"), Reason::Notify).await;
    assert_eq!(world.server.zone(&id).unwrap().serial, 9);
}

#[tokio::test]
async fn of_equal_serials_the_last_one_wins_also_behind_a_damaged_one() {
    let world = World::start().await;
    let mut damaged = record("damaged", &message(&zone(9, ""), Reason::Notify));
    damaged["body"] = "UzUzWg==".into();
    let first = record("first", &message(&zone(8, "w A 192.0.2.1"), Reason::Notify));
    let last = record("last", &message(&zone(8, "w A 192.0.2.2"), Reason::Notify));
    world.deliver(vec![damaged, first, last]).await;
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.2"])]));
}

#[tokio::test]
async fn a_message_without_an_id_makes_the_whole_event_come_again() {
    let world = World::with(Config::default()).await;
    let mut nameless = record("x", &message(&zone(7, ""), Reason::Initial));
    nameless.as_object_mut().unwrap().remove("messageId");
    // An empty identifier is how AWS is told that it must take all of the batch back.
    assert_eq!(world.deliver(vec![nameless]).await, [""]);
}

#[tokio::test]
async fn hosted_zones_of_one_name_are_not_taken_for_one_another() {
    let private = ZoneSpec { private: true, ..ZoneSpec::public("example.com").with_id("ZPRIVATE") };
    let zones = vec![ZoneSpec::public("example.com"), private];
    let world = World::with(Config { zones, ..Config::default() }).await;
    let id = world.server.zones().iter().find(|zone| !zone.private).unwrap().id.clone();
    let outside = |serial, records| message(&zone(serial, records), Reason::Notify);
    let inside = |serial, records| {
        let mut inside = outside(serial, records);
        inside.meta.hosted_zone_id = Some("ZPRIVATE".to_owned());
        inside
    };
    let holds = |id: &str| {
        let view = world.server.zone(id).unwrap();
        (view.serial, view.rrset("w.example.com.", "A").map(|rrset| rrset.values.clone()))
    };
    // Side by side in one event: neither supersedes the other.
    let both = vec![record("inside", &inside(9, "w A 10.0.0.1")), record("outside", &outside(8, "w A 192.0.2.1"))];
    assert_eq!(world.deliver(both).await, Vec::<String>::new());
    assert_eq!(holds("ZPRIVATE"), (9, Some(vec!["10.0.0.1".to_owned()])));
    assert_eq!(holds(&id), (8, Some(vec!["192.0.2.1".to_owned()])));
    // And one after the other: where a message named the hosted zone, the next one's is looked up all the same.
    world.deliver(vec![record("inside", &inside(10, "w A 10.0.0.2"))]).await;
    world.deliver(vec![record("outside", &outside(11, "w A 192.0.2.2"))]).await;
    assert_eq!(holds("ZPRIVATE"), (10, Some(vec!["10.0.0.2".to_owned()])));
    assert_eq!(holds(&id), (11, Some(vec!["192.0.2.2".to_owned()])));
}

#[tokio::test]
async fn what_cannot_even_be_asked_is_not_asked_again() {
    let world = World::start().await;
    let name = "example.com".parse().unwrap();
    let error = world.worker.route53.find(&name, Some("")).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
}
