//! A hosted zone that is neither at its serial nor at the next one says so, whoever comes next.

use std::sync::atomic::{AtomicUsize, Ordering};

use secondary53_tests::strict::{Config, ZoneSpec};
use secondary53_zone::message::{Approval, Reason};

use super::dead_letters::{DeadLetters, world};
use super::proxy::Fate;
use super::{ID, World, held, message, message_since, record, zone};

fn hosts(count: usize) -> String {
    (0..count).map(|i| format!("h{i} A 10.0.{}.{}\n", i / 256, i % 256)).collect()
}

fn is_marked(world: &World) -> bool {
    let soa = world.server.zone(ID).unwrap().rrset("example.com.", "SOA").unwrap().values[0].clone();
    soa.contains(" secondary53-unfinished.awsdns-hostmaster.amazon.com. ")
}

/// A worker that remembers nothing.
fn cold(world: &mut World, dead: &DeadLetters) {
    world.worker = World::worker(&world.server.endpoint());
    world.worker.quarantine = dead.quarantine();
}

#[tokio::test]
async fn what_was_refused_in_part_is_read_by_a_worker_that_does_not_know() {
    let (mut world, dead) = world().await;
    let base = zone(7, "w A 192.0.2.1\nbad A 192.0.2.1");
    world.sync(&base, Reason::Initial).await;
    assert!(!is_marked(&world));
    world.server.protect(ID, "bad.example.com", "A").unwrap();
    world.sync(&zone(8, "w A 192.0.2.1\nbad A 192.0.2.8\nnew A 192.0.2.8"), Reason::Notify).await;
    assert_eq!((world.serial(), world.hosted().len(), dead.take().len(), is_marked(&world)), (7, 3, 1, true));
    // Of what came with 8 and went with 9 a delta from 7 tells nothing.
    cold(&mut world, &dead);
    let next = zone(9, "w A 192.0.2.9\nbad A 192.0.2.1");
    let sent = message_since(&base, &next, Reason::Notify);
    assert_eq!(world.deliver(vec![record("9", &sent)]).await, Vec::<String>::new());
    let both = [("w.example.com.", "A", 300, &["192.0.2.9"][..]), ("bad.example.com.", "A", 300, &["192.0.2.1"])];
    assert_eq!((world.serial(), world.hosted(), is_marked(&world)), (9, held(&both), false));
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_read_by_a_worker_that_does_not_know() {
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let mut world = World::behind(Config { zones, ..Config::default() }, |_| Fate::Answered).await;
    let dead = DeadLetters::start().await;
    let base = zone(7, "w A 192.0.2.1");
    world.sync(&base, Reason::Initial).await;
    let changes = AtomicUsize::new(0);
    world.meddle(move |line| {
        let is_second = line.starts_with("POST") && changes.fetch_add(1, Ordering::Relaxed) > 0;
        if is_second { Fate::RequestLost } else { Fate::Answered }
    });
    let begun = message(&zone(8, &format!("w A 192.0.2.1\n{}", hosts(2_500))), Reason::Notify);
    assert_eq!(world.deliver(vec![record("8", &begun)]).await, ["8"]);
    assert_eq!((world.serial(), world.hosted().len() > 900, is_marked(&world)), (7, true, true));
    cold(&mut world, &dead);
    let mut next = message_since(&base, &zone(9, "w A 192.0.2.9"), Reason::Notify);
    next.meta.approved = vec![Approval::MassDeletion];
    assert_eq!(world.deliver(vec![record("9", &next)]).await, Vec::<String>::new());
    let one = [("w.example.com.", "A", 300, &["192.0.2.9"][..])];
    assert_eq!((world.serial(), world.hosted(), is_marked(&world)), (9, held(&one), false));
}

#[tokio::test]
async fn a_serial_that_is_marked_is_not_taken_for_the_zones() {
    let (mut world, dead) = world().await;
    let base = zone(7, "w A 192.0.2.1\nbad A 192.0.2.1");
    world.sync(&base, Reason::Initial).await;
    world.server.protect(ID, "bad.example.com", "A").unwrap();
    world.sync(&zone(8, "w A 192.0.2.8\nbad A 192.0.2.8"), Reason::Notify).await;
    assert!(is_marked(&world));
    dead.take();
    // The primary was put back, and a relay that knows of nothing else says 7 again.
    cold(&mut world, &dead);
    world.sync(&base, Reason::Notify).await;
    let both = [("w.example.com.", "A", 300, &["192.0.2.1"][..]), ("bad.example.com.", "A", 300, &["192.0.2.1"])];
    assert_eq!((world.serial(), world.hosted(), is_marked(&world)), (7, held(&both), false));
    world.calls();
    world.sync(&base, Reason::Notify).await;
    assert_eq!(world.calls().into_iter().collect::<Vec<_>>(), [("ListResourceRecordSets", 1)]);
}

#[tokio::test]
async fn nothing_more_is_asked_for_than_without_a_mark() {
    let (world, dead) = world().await;
    // A hosted zone that was never synced has nothing to mark.
    world.sync(&zone(7, &hosts(998)), Reason::Initial).await;
    assert_eq!(world.calls()["ChangeResourceRecordSets"], 1);
    world.sync(&zone(8, &(hosts(998) + "w A 192.0.2.1")), Reason::Notify).await;
    assert_eq!(world.calls()["ChangeResourceRecordSets"], 1);
    world.sync(&zone(9, &(hosts(2_990) + "w A 192.0.2.1")), Reason::Notify).await;
    assert_eq!((world.calls()["ChangeResourceRecordSets"], is_marked(&world), dead.take().len()), (2, false, 0));
}
