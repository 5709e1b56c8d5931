//! The rate limits and `PriorRequestNotComplete`, on a clock that the test holds.

use secondary53_tests::strict::{CHANGES, REQUESTS};

use crate::*;

/// Turns that an event on the same machine is waited for; each lets every other task run.
const TURNS: usize = 1_000_000;

fn throttling() -> Refusal {
    Refusal { code: "Throttling".to_owned(), message: "Rate exceeded".to_owned() }
}

#[tokio::test]
async fn requests_are_throttled_per_action() {
    let world = World::with(|config| config.request_rate = Some(REQUESTS)).await;
    let get = || world.client.get_hosted_zone().id(ZONE).send();
    for _ in 0..50 {
        get().await.unwrap();
    }
    let error = get().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    assert_eq!(Refusal::of(&error), throttling());
    world.client.list_hosted_zones().send().await.unwrap();
    world.clock.advance(Duration::from_millis(100));
    get().await.unwrap();
    assert_eq!(Refusal::of(&get().await.unwrap_err()), throttling());
    let throttled = world.server.calls().iter().filter(|call| call.code() == Some("Throttling")).count();
    assert_eq!(throttled, 2);
}

#[tokio::test]
async fn changes_are_throttled_and_an_upsert_costs_two() {
    let world = World::with(|config| config.change_rate = Some(CHANGES)).await;
    world.send(hosts(1_000)).await.unwrap();
    let upserts: Vec<_> = (0..250).map(|at| upsert(&format!("u{at}.example.com"), "A", &["192.0.2.1"])).collect();
    world.send(upserts).await.unwrap();
    let one_more = || vec![upsert("more.example.com", "A", &["192.0.2.1"])];
    assert_eq!(world.send(one_more()).await.unwrap_err(), throttling());
    world.clock.advance(Duration::from_millis(19));
    assert_eq!(world.send(one_more()).await.unwrap_err(), throttling());
    world.clock.advance(Duration::from_millis(1));
    world.send(one_more()).await.unwrap();
    assert_eq!(world.zone().rrsets.len(), 1_253);
}

#[tokio::test]
async fn a_zone_takes_one_batch_at_a_time() {
    let world = World::with(|config| {
        config.zones.push(ZoneSpec::public("example.net").with_id("Z2"));
        config.processing = Duration::from_secs(2);
    })
    .await;
    let client = world.client.clone();
    let first = tokio::spawn(async move { send(&client, ZONE, hosts(1)).await });
    until(|| world.server.is_busy(ZONE)).await;
    assert_eq!(world.zone().rrsets.len(), 2, "not applied before it is processed");

    let refusal = world.send(vec![create("second.example.com", "A", &["192.0.2.1"])]).await.unwrap_err();
    assert_eq!(refusal.code, "PriorRequestNotComplete");
    let client = world.client.clone();
    let other = vec![create("a.example.net", "A", &["192.0.2.1"])];
    let elsewhere = tokio::spawn(async move { send(&client, "Z2", other).await });
    until(|| world.server.is_busy("Z2")).await;

    world.clock.advance(Duration::from_secs(2));
    first.await.unwrap().unwrap();
    elsewhere.await.unwrap().unwrap();
    assert_eq!(world.zone().rrsets.len(), 3);
    assert!(!world.server.is_busy(ZONE));
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_undo_its_batch() {
    let world = World::with(|config| config.processing = Duration::from_secs(2)).await;
    let client = world.client.clone();
    let lost = tokio::spawn(async move { send(&client, ZONE, hosts(1)).await });
    until(|| world.server.is_busy(ZONE)).await;
    lost.abort();
    assert!(lost.await.unwrap_err().is_cancelled());
    world.clock.advance(Duration::from_secs(2));
    until(|| !world.server.is_busy(ZONE)).await;
    assert_eq!(world.zone().rrsets.len(), 3);
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..TURNS {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("what was waited for did not happen");
}
