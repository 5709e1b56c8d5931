//! What a guard holds back, what it lets pass, and what an operator can say.

use secondary53_lambda::guard::Policy;
use secondary53_tests::strict::{Config, ZoneSpec};
use secondary53_zone::Zone;
use secondary53_zone::message::{Approval, Reason};
use serde_json::{Value, json};

use super::dead_letters::{DeadLetters, one, world};
use super::log::Log;
use super::{ID, World, held, message, record, zone};

/// `count` names with an address each.
fn hosts(serial: u32, count: usize) -> Zone {
    zone(serial, &(0..count).map(|i| format!("h{i} A 10.0.{}.{}\n", i / 256, i % 256)).collect::<String>())
}

#[tokio::test]
async fn a_zone_that_lost_too_much_is_held_until_an_operator_approves_it() {
    let (world, dead) = world().await;
    world.sync(&hosts(7, 20), Reason::Initial).await;
    world.calls();
    // Seven of twenty are 35 %.
    let less = message(&hosts(8, 13), Reason::Notify);
    let mut event = record("m-8", &less);
    event["attributes"]["SentTimestamp"] = "1800000000001".into();
    event["attributes"]["ApproximateFirstReceiveTimestamp"] = "1800000000002".into();
    event["attributes"]["ApproximateReceiveCount"] = "1".into();
    assert_eq!(world.deliver(vec![event]).await, Vec::<String>::new());
    assert!(!world.calls().contains_key("ChangeResourceRecordSets"));
    assert_eq!((world.hosted().len(), world.serial()), (20, 7));

    let letter = one(&dead);
    let mut note = letter.note;
    assert!(note["at_ms"].take().as_u64().unwrap() > 1_700_000_000_000);
    let reason = note["reason"].take();
    assert!(reason.as_str().unwrap().starts_with("7 of the 20 RRsets in the hosted zone would be deleted"), "{reason}");
    assert_eq!(
        note,
        json!({
            "outcome": "held", "needs": "mass_deletion", "plan": {"create": 0, "change": 0, "delete": 7},
            "message_id": "m-8", "sent_at_ms": 1_800_000_000_001_u64, "received_at_ms": 1_800_000_000_002_u64,
            "attempts": 1, "at_ms": null, "reason": null,
        })
    );
    assert_eq!(letter.group, "example.com.");
    assert!(Log::text().contains("held"), "{}", Log::text());

    // The zone goes on with what is not too much: 30 % is as much as may be.
    world.sync(&hosts(9, 14), Reason::Notify).await;
    assert_eq!((world.hosted().len(), world.serial()), (14, 9));
    assert_eq!(dead.take().len(), 0);

    // Approved, an empty zone is an empty zone; and the next one is asked about again.
    let mut empty = message(&zone(10, ""), Reason::Replay);
    world.deliver(vec![record("m-10", &empty)]).await;
    assert_eq!((one(&dead).note["outcome"].as_str(), world.hosted().len()), (Some("held"), 14));
    empty.meta.approved = vec![Approval::MassDeletion];
    assert_eq!(world.deliver(vec![record("m-10-again", &empty)]).await, Vec::<String>::new());
    assert_eq!((world.hosted().len(), world.serial()), (0, 10));
    assert_eq!(dead.take().len(), 0);
}

#[tokio::test]
async fn all_is_too_much_however_little_it_is() {
    let (world, dead) = world().await;
    world.sync(&hosts(7, 1), Reason::Initial).await;
    world.sync(&zone(8, "v A 192.0.2.1"), Reason::Notify).await;
    assert_eq!(one(&dead).note["plan"], json!({"create": 1, "change": 0, "delete": 1}));
    // A CNAME in an address's place loses nothing.
    world.sync(&zone(9, "h0 CNAME x"), Reason::Notify).await;
    world.sync(&hosts(10, 9), Reason::Notify).await;
    // Of fewer than ten any may go, but not all.
    world.sync(&hosts(11, 1), Reason::Notify).await;
    assert_eq!((world.hosted().len(), world.serial(), dead.take().len()), (1, 11, 0));
}

#[tokio::test]
async fn what_a_hosted_zone_held_before_its_first_sync_counts_too() {
    let (world, dead) = world().await;
    let by_hand: Vec<String> = (0..20).map(|i| format!("old{i}.example.com.")).collect();
    let by_hand: Vec<_> = by_hand.iter().map(|name| (name.as_str(), "A", 60, &["198.51.100.1"][..])).collect();
    world.server.seed(ID, &by_hand).unwrap();
    world.sync(&hosts(7, 50), Reason::Initial).await;
    assert_eq!((one(&dead).note["outcome"].as_str(), world.serial()), (Some("held"), 1));
    assert_eq!(world.hosted().len(), 20);
}

#[tokio::test]
async fn how_much_is_too_much_can_be_set() {
    let (mut world, dead) = world().await;
    world.worker.policy = Policy { percent: 0, min_rrsets: 1 };
    world.sync(&hosts(7, 3), Reason::Initial).await;
    world.sync(&hosts(8, 2), Reason::Notify).await;
    assert_eq!((world.serial(), dead.take().len()), (7, 1));
    world.worker.policy = Policy { percent: 100, min_rrsets: 0 };
    world.sync(&hosts(8, 1), Reason::Notify).await;
    assert_eq!((world.serial(), dead.take().len()), (8, 0));
}

#[tokio::test]
async fn an_approval_is_for_its_own_message_whatever_comes_with_it() {
    let (world, dead) = world().await;
    world.sync(&hosts(7, 20), Reason::Initial).await;
    let mut approved = message(&hosts(8, 10), Reason::Replay);
    approved.meta.approved = vec![Approval::MassDeletion];
    // One event: the newer one is no reason to pass the approved one over, and does not profit from it.
    let next = message(&hosts(9, 3), Reason::Notify);
    let failed = world.deliver(vec![record("approved", &approved), record("next", &next)]).await;
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!((world.hosted().len(), world.serial()), (10, 8));
    assert_eq!(one(&dead).message, Some(next));
}

#[tokio::test]
async fn a_rollback_needs_an_operator_and_is_not_superseded() {
    let (world, dead) = world().await;
    world.sync(&zone(9, "w A 192.0.2.9"), Reason::Initial).await;
    let mut back = message(&zone(5, "w A 192.0.2.5"), Reason::Resend);
    assert_eq!(world.deliver(vec![record("stale", &back)]).await, Vec::<String>::new());
    assert_eq!((world.serial(), dead.take().len()), (9, 0));
    assert!(Log::text().contains("stale"), "{}", Log::text());

    back.meta.approved = vec![Approval::Rollback];
    let events = vec![
        record("before", &message(&zone(10, "w A 192.0.2.10"), Reason::Notify)),
        record("back", &back),
        record("after", &message(&zone(6, "w A 192.0.2.6"), Reason::Notify)),
    ];
    world.calls();
    assert_eq!(world.deliver(events).await, Vec::<String>::new());
    assert_eq!(world.serial(), 6);
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.6"])]));
    // What came before it was passed over.
    assert_eq!(world.calls()["ChangeResourceRecordSets"], 2);
}

#[tokio::test]
async fn a_damaged_rollback_does_not_swallow_what_came_before_it() {
    let (world, dead) = world().await;
    world.sync(&zone(9, "w A 192.0.2.9"), Reason::Initial).await;
    let mut back = message(&zone(5, ""), Reason::Resend);
    back.meta.approved = vec![Approval::Rollback];
    let mut damaged = record("back", &back);
    damaged["body"] = "UzUzWg==".into();
    let before = record("before", &message(&zone(10, "w A 192.0.2.10"), Reason::Notify));
    assert_eq!(world.deliver(vec![before, damaged]).await, Vec::<String>::new());
    assert_eq!((world.serial(), one(&dead).note["outcome"].as_str()), (10, Some("undecodable")));
}

#[tokio::test]
async fn what_the_function_has_no_room_for_is_put_aside_with_what_to_do() {
    let (mut world, dead) = world().await;
    world.worker.limits.records = 20;
    world.sync(&hosts(7, 20), Reason::Initial).await;
    let note = one(&dead).note;
    let reason = note["reason"].as_str().unwrap();
    assert!(reason.contains("more than 20 records") && reason.contains("give it more memory and replay"), "{note}");
    assert_eq!(world.serial(), 1);
}

#[tokio::test]
async fn a_signed_zone_and_another_zone_are_held_by_name() {
    let (world, dead) = world().await;
    let outcome = |dead: &DeadLetters| one(dead).note["outcome"].as_str().map(str::to_owned);
    let signed = zone(7, "@ TYPE48 \\# 5 0101030d00\nw A 192.0.2.1");
    world.sync(&signed, Reason::Initial).await;
    assert_eq!((outcome(&dead), world.serial()), (Some("signed".to_owned()), 1));

    let other = World::with(Config { zones: vec![ZoneSpec::public("example.net").with_id(ID)], ..Config::default() });
    let mut other = other.await;
    other.worker.quarantine = dead.quarantine();
    let mut named = message(&zone(7, "w A 192.0.2.1"), Reason::Initial);
    named.meta.hosted_zone_id = Some(ID.to_owned());
    assert_eq!(other.deliver(vec![record("1", &named)]).await, Vec::<String>::new());
    assert_eq!((outcome(&dead), other.serial()), (Some("other_zone".to_owned()), 1));
    // Nothing has a plan: nothing was compared.
    assert_eq!(other.calls().into_iter().collect::<Vec<_>>(), [("GetHostedZone", 1)]);
}

#[tokio::test]
async fn what_has_no_hosted_zone_is_put_aside_with_the_command_that_makes_one() {
    let mut world = World::with(Config::default()).await;
    let dead = DeadLetters::start().await;
    world.worker.quarantine = dead.quarantine();
    world.sync(&zone(7, ""), Reason::Initial).await;
    let Value::String(reason) = one(&dead).note["reason"].take() else { panic!("no reason") };
    assert!(reason.contains("aws route53 create-hosted-zone --name example.com."), "{reason}");
}
