//! How many RRsets a hosted zone may hold.

use secondary53_tests::strict::{Config, ZoneSpec};
use secondary53_zone::Zone;
use secondary53_zone::message::{Approval, Reason};
use serde_json::json;

use super::dead_letters::{DeadLetters, one};
use super::{ID, World, message, record, zone};

/// Names from one number up to another, with an address each.
fn hosts(serial: u32, range: std::ops::Range<usize>) -> Zone {
    zone(serial, &range.map(|i| format!("h{i} A 10.0.{}.{}\n", i / 256, i % 256)).collect::<String>())
}

async fn world(max_rrsets: u64) -> (World, DeadLetters) {
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let mut world = World::with(Config { zones, max_rrsets, ..Config::default() }).await;
    let dead = DeadLetters::start().await;
    world.worker.quarantine = dead.quarantine();
    (world, dead)
}

/// Whatever is refused on the way is a call in vain.
fn is_refused(world: &World) -> bool {
    world.server.calls().iter().any(|call| call.error.is_some())
}

#[tokio::test]
async fn near_its_quota_a_zone_is_asked_about_held_or_made_room_in_and_never_refused() {
    let (world, dead) = world(10_100).await;
    world.sync(&hosts(7, 0..10_090), Reason::Initial).await;
    assert_eq!((world.serial(), world.hosted().len(), is_refused(&world)), (7, 10_090, false));
    assert_eq!(world.calls()["GetHostedZoneLimit"], 1);
    // Held before anything is done.
    world.sync(&hosts(8, 0..10_099), Reason::Notify).await;
    let calls = world.calls();
    assert_eq!((calls["GetHostedZoneLimit"], calls.get("ChangeResourceRecordSets")), (1, None));
    let note = one(&dead).note;
    assert_eq!(note["outcome"], "over_quota");
    assert_eq!(note["plan"], json!({"create": 9, "change": 0, "delete": 0}));
    let reason = note["reason"].as_str().unwrap();
    assert!(reason.starts_with("the hosted zone would have 10101 RRsets, and its quota is 10100"), "{reason}");
    // A fifth of it renamed: more than there is room for, and in the end just so much.
    world.sync(&hosts(9, 2_000..12_098), Reason::Notify).await;
    assert_eq!((world.serial(), world.hosted().len(), is_refused(&world), dead.take().len()), (9, 10_098, false, 0));
}

#[tokio::test]
async fn a_quota_that_is_less_than_it_should_be_is_found_out() {
    // Less than AWS grants everyone, so nobody asks before Route 53 has refused.
    let (world, dead) = world(100).await;
    world.sync(&hosts(7, 0..98), Reason::Initial).await;
    world.calls();
    world.sync(&hosts(8, 0..99), Reason::Notify).await;
    assert_eq!(one(&dead).note["outcome"], "over_quota");
    let calls = world.calls();
    assert_eq!((calls["ChangeResourceRecordSets"], calls["GetHostedZoneLimit"]), (1, 1));
    // What fits in the end goes in all the same.
    let mut renamed = message(&hosts(9, 98..196), Reason::Notify);
    renamed.meta.approved = vec![Approval::MassDeletion];
    assert_eq!(world.deliver(vec![record("1", &renamed)]).await, Vec::<String>::new());
    assert_eq!((world.serial(), world.hosted().len(), dead.take().len()), (9, 98, 0));
}
