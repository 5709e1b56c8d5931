//! Answers that are lost though the change was made, and what someone else does meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use secondary53_tests::strict::{Config, ZoneSpec};
use secondary53_zone::message::Reason;

use super::proxy::Fate;
use super::{ID, World, held, zone};

fn example() -> Config {
    Config { zones: vec![ZoneSpec::public("example.com").with_id(ID)], ..Config::default() }
}

/// Only `POST` changes anything.
fn is_change(line: &str) -> bool {
    line.starts_with("POST") && line.contains("/rrset")
}

#[tokio::test]
async fn every_answer_lost_once_is_still_a_zone_that_is_synced() {
    // Each batch is carried out and its answer lost; the SDK sends it again and gets it refused.
    let count = AtomicUsize::new(0);
    let lose_every_other = move |line: &str| {
        let is_lost = is_change(line) && count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        if is_lost { Fate::AnswerLost } else { Fate::Answered }
    };
    let world = World::behind(example(), lose_every_other).await;
    let records: String = (0..4500).map(|i| format!("h{i} A 10.0.{}.{}\n", i / 256, i % 256)).collect();
    world.sync(&zone(7, &records), Reason::Initial).await;
    assert_eq!((world.hosted().len(), world.serial()), (4500, 7));
}

#[tokio::test]
async fn a_lost_request_is_sent_again() {
    let count = AtomicUsize::new(0);
    let lose_every_other = move |_: &str| {
        if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { Fate::RequestLost } else { Fate::Answered }
    };
    let world = World::behind(example(), lose_every_other).await;
    world.sync(&zone(7, "w A 192.0.2.1"), Reason::Initial).await;
    assert_eq!((world.hosted(), world.serial()), (held(&[("w.example.com.", "A", 300, &["192.0.2.1"])]), 7));
}

#[tokio::test]
async fn what_someone_else_does_between_reading_and_writing_is_seen() {
    let world = World::behind(example(), |_| Fate::Answered).await;
    world.sync(&zone(7, "w A 192.0.2.1\nv A 192.0.2.1"), Reason::Initial).await;
    let server = Arc::clone(&world.server);
    let times = AtomicUsize::new(0);
    world.meddle(move |line| {
        // Twice, so that reading it anew once is not enough.
        if is_change(line) && times.fetch_add(1, Ordering::Relaxed) < 2 {
            let address = format!("198.51.100.{}", times.load(Ordering::Relaxed));
            server.seed(ID, &[("w.example.com.", "A", 60, &[&address])]).unwrap();
        }
        Fate::Answered
    });
    world.sync(&zone(8, "w A 192.0.2.2\nv A 192.0.2.2"), Reason::Notify).await;
    assert_eq!(
        world.hosted(),
        held(&[("w.example.com.", "A", 300, &["192.0.2.2"]), ("v.example.com.", "A", 300, &["192.0.2.2"])])
    );
    assert_eq!(world.serial(), 8);
}
