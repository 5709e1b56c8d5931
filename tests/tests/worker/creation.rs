//! Hosted zones that are made because a zone has none.

use std::sync::atomic::{AtomicBool, Ordering};

use secondary53_lambda::route53::Creation;
use secondary53_tests::strict::{Config, ZoneSpec};
use secondary53_zone::message::Reason;

use super::dead_letters::{DeadLetters, one};
use super::proxy::Fate;
use super::{World, message, record, zone};

async fn world(config: Config) -> (World, DeadLetters) {
    let mut world = World::behind(config, |_| Fate::Answered).await;
    let dead = DeadLetters::start().await;
    world.worker.quarantine = dead.quarantine();
    world.worker.creation = Some(Creation::default());
    (world, dead)
}

#[tokio::test]
async fn a_zone_without_a_hosted_zone_gets_one_and_only_one() {
    // A name that begins alike is another.
    let (world, _dead) = world(Config { zones: vec![ZoneSpec::public("example.com.mx")], ..Config::default() }).await;
    world.sync(&zone(7, "w A 192.0.2.1"), Reason::Initial).await;
    world.sync(&zone(8, "w A 192.0.2.2"), Reason::Notify).await;
    let zones = world.server.zones();
    let made: Vec<_> = zones.iter().filter(|zone| zone.name == "example.com.").collect();
    assert_eq!((zones.len(), made.len(), made[0].serial, made[0].private), (2, 1, 8, false));
    assert_eq!(made[0].rrset("w.example.com.", "A").unwrap().values, ["192.0.2.2"]);
    assert_eq!(world.calls()["CreateHostedZone"], 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_one() {
    let (world, dead) = world(Config::default()).await;
    let lost = AtomicBool::new(false);
    world.meddle(move |line| {
        let is_first = line.starts_with("POST") && line.contains("/hostedzone ") && !lost.swap(true, Ordering::Relaxed);
        if is_first { Fate::AnswerLost } else { Fate::Answered }
    });
    world.sync(&zone(7, "w A 192.0.2.1"), Reason::Initial).await;
    let zones = world.server.zones();
    assert_eq!((zones.len(), zones[0].serial, dead.take().len()), (1, 7, 0));
    assert_eq!(world.calls()["CreateHostedZone"], 2);
}

#[tokio::test]
async fn it_is_not_made_for_a_zone_that_names_one_or_is_signed_or_is_there() {
    let (world, _dead) = world(Config { zones: vec![ZoneSpec::public("example.com")], ..Config::default() }).await;
    world.sync(&zone(7, "w A 192.0.2.1"), Reason::Initial).await;
    assert!(!world.calls().contains_key("CreateHostedZone"));
    let (world, dead) = self::world(Config::default()).await;
    let mut named = message(&zone(7, "w A 192.0.2.1"), Reason::Initial);
    named.meta.hosted_zone_id = Some("ZNONE".to_owned());
    assert_eq!(world.deliver(vec![record("1", &named)]).await, Vec::<String>::new());
    assert_eq!(one(&dead).note["outcome"], "no_hosted_zone");
    world.sync(&zone(7, "@ TYPE48 \\# 5 0101030d00"), Reason::Initial).await;
    assert_eq!(one(&dead).note["outcome"], "no_hosted_zone");
    assert!(!world.calls().contains_key("CreateHostedZone") && world.server.zones().is_empty());
}

#[tokio::test]
async fn a_delegation_set_that_is_none_is_said() {
    let (mut world, dead) = world(Config::default()).await;
    world.worker.creation = Some(Creation { delegation_set_id: Some("NOTTHERE".to_owned()) });
    world.sync(&zone(7, "w A 192.0.2.1"), Reason::Initial).await;
    let note = one(&dead).note;
    let reason = note["reason"].as_str().unwrap();
    assert!(note["outcome"] == "refused" && reason.contains("NoSuchDelegationSet"), "{note}");
    assert!(world.server.zones().is_empty());
}
