//! The relay is killed at any moment, and has a second one beside it.

use std::time::Duration;

use secondary53_tests::stack::ministack::Ministack;
use secondary53_tests::stack::{StackError, pass_over_missing, programs};
use secondary53_zone::Serial;
use tempfile::TempDir;

use super::outage::{QUEUE, ZONES, change, config, have, name, primary_of_all, sent_all, serials, zone};
use super::process::Place;
use super::sqs::Sqs;

/// How often it is killed.
const CRASHES: u32 = 25;

/// Each life of it ends by SIGKILL once some more messages have arrived at the queue, answered or not: while it transfers,
/// sends, waits for the answer or stores.
#[tokio::test]
async fn whenever_it_is_killed_the_newest_of_each_zone_is_the_last_to_arrive() {
    let seed = std::env::var("SECONDARY53_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("SECONDARY53_SEED={seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let (primary, sqs) = (primary_of_all().await, Sqs::start().await);
    let place = Place::new(sqs.address, &config(&primary, QUEUE));
    let mut newest = [1; ZONES];
    for _ in 0..CRASHES {
        // Some change while it is dead, and some while it lives.
        for _ in 0..chance.usize(..6) {
            let number = chance.usize(..ZONES);
            newest[number] += 1;
            primary.set_zone(zone(number, newest[number]));
        }
        let arrived = sqs.arrived();
        let relay = place.run().await;
        let changes = chance.usize(1..10);
        for _ in 0..changes {
            let number = chance.usize(..ZONES);
            newest[number] += 1;
            change(&primary, &relay, [number], newest[number]).await;
        }
        // One change or more comes through, so this does.
        sqs.wait_for_arrived(arrived + 1).await;
        for _ in 0..chance.u32(..2_000) {
            tokio::task::yield_now().await;
        }
        relay.kill().await;
    }
    let relay = place.run().await;
    let accepted = sqs.wait_until(|accepted| (0..ZONES).all(|number| have(accepted, [number], newest[number]))).await;
    for (number, newest) in newest.iter().enumerate() {
        relay.logged(&["serial", &format!("zone={}.", name(number)), &format!("serial={newest}")]).await;
    }
    assert!(relay.stop().await.success());
    for (zone, serials) in serials(&accepted) {
        assert!(serials.is_sorted_by_key(|serial| serial.0), "{zone}: {serials:?}");
    }
    // What it knows by now is what was sent: another life of it sends nothing.
    let (good, log) = place.once().await;
    assert!(good && !log.contains("sent zone="), "{log}");
    assert_eq!(sqs.accepted().len(), accepted.len());
}

#[tokio::test]
async fn two_relays_side_by_side_cost_one_message_for_each_change() -> Result<(), StackError> {
    pass_over_missing(run_side_by_side().await)
}

async fn run_side_by_side() -> Result<(), StackError> {
    const CHANGES: [u32; 3] = [2, 3, 4];
    let (directory, address) = (TempDir::new().unwrap(), programs::free_address()?);
    let ministack = Ministack::start(directory.path(), address).await?;
    let queues = ministack.queue_pair("main", Duration::from_mins(5)).await?;
    let primary = primary_of_all().await;
    let places = [(); 2].map(|()| Place::new(address, &config(&primary, &queues.main)));
    let relays = [places[0].run().await, places[1].run().await];
    for relay in &relays {
        sent_all(relay, 1).await;
    }
    assert_eq!(ministack.depth(&queues.main).await?, u32::try_from(ZONES).unwrap());
    for serial in CHANGES {
        change(&primary, &relays[0], 0..ZONES, serial).await;
        change(&primary, &relays[1], 0..ZONES, serial).await;
        for relay in &relays {
            sent_all(relay, serial).await;
        }
    }
    let changes = ZONES * (1 + CHANGES.len());
    assert_eq!(ministack.depth(&queues.main).await?, u32::try_from(changes).unwrap());
    // The first message of each zone is its first serial, whoever sent it.
    let first = ministack.take(&queues.main).await?;
    let serial = first.message_attributes().unwrap()["serial"].string_value().unwrap();
    assert_eq!(serial.parse::<u32>().map(Serial).unwrap(), Serial(1));
    for relay in relays {
        assert!(relay.stop().await.success());
    }
    Ok(())
}
