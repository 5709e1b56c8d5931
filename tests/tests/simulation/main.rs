//! The worker in a seeded world: a queue that delivers at least once, two workers that die at whatever they wait for, requests
//! and answers that are lost, throttled, slow or failed, two relays of which one does not know what the other has sent, RRsets
//! that Route 53 refuses, and somebody who edits the hosted zones meanwhile. Time is the runtime's and leaps, so an hour takes
//! milliseconds.
//!
//! At no moment does a serial in Route 53 claim what is not there. Once faults have stopped, each hosted zone is what its
//! primary has, and no queue holds anything.
//!
//! The first few seeds each time, so that what was tried once is what is tried elsewhere; `SECONDARY53_FIRST_SEEDS=10000` tries so
//! many of these. `SECONDARY53_SEEDS=10000` tries so many new ones; `SECONDARY53_SEED=7` that one alone, and prints what happened.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod network;
mod rates;
mod world;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rand::RngExt as _;
use secondary53_tests::strict::in_vain;
use secondary53_zone::message::Reason;
use tokio::task::{LocalSet, spawn_local};
use world::{Shared, work};

/// Seeds that are tried where nothing is said.
const FEW: u64 = 300;
/// For so long things go wrong.
const STORM: Duration = Duration::from_mins(40);
/// For so long at most it takes until all is well again: five receives of a message take an hour.
const CALM: Duration = Duration::from_hours(12);

async fn live_through(seed: u64) -> Vec<String> {
    let shared = Shared::new(seed);
    let workers = [spawn_local(work(Arc::clone(&shared))), spawn_local(work(Arc::clone(&shared)))];
    let zones = shared.zones.lock().unwrap().len();
    let end = shared.now() + STORM;
    while shared.now() < end {
        let (zone, wait, replays) = shared
            .random(|random| (random.random_range(0..zones), random.random_range(0..600), random.random_bool(0.1)));
        shared.publish(zone);
        let reason = shared.random(|random| if random.random_bool(0.8) { Reason::Notify } else { Reason::Refresh });
        shared.send(zone, reason);
        if replays {
            shared.replay();
        }
        shared.spoil(zone);
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
    shared.calm();
    shared.note("calm");
    // Once a day the relay sends each zone to be compared in full.
    for zone in 0..zones {
        shared.publish(zone);
        shared.send(zone, Reason::Notify);
        shared.send(zone, Reason::Audit);
    }
    let end = shared.now() + CALM;
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let is_empty = shared.queue.lock().unwrap().is_empty();
        // What is put aside an operator puts back, until nothing is.
        if is_empty && shared.replay() == 0 {
            break;
        }
        assert!(shared.now() < end, "seed {seed}: the queue is never empty: {:#?}", shared.trace());
    }
    for worker in workers {
        worker.abort();
        let ended = worker.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "seed {seed}: a worker panicked");
    }
    for zone in shared.zones.lock().unwrap().iter() {
        let view = shared.route53.zone(&zone.id).unwrap();
        assert_eq!(view.serial, zone.newest, "seed {seed}: {}: {:#?}", zone.name, shared.trace());
        assert_eq!(view.contents(), zone.versions[&zone.newest], "seed {seed}: {}: {:#?}", zone.name, shared.trace());
    }
    let calls = shared.route53.calls();
    let vain = in_vain(&calls).next();
    assert!(vain.is_none(), "seed {seed}: asked for what Route 53 does not do: {vain:?}");
    shared.trace()
}

fn run(seed: u64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, live_through(seed))
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn whatever_happens_the_hosted_zones_are_the_primarys_in_the_end() {
    if let Some(seed) = variable("SECONDARY53_SEED") {
        println!("{}", run(seed).join("\n"));
        return;
    }
    let (first, seeds) = match variable("SECONDARY53_SEEDS") {
        // Others each time: what is found is told by its seed.
        Some(seeds) => (rand::random_range(0..1 << 48), seeds),
        None => (0, variable("SECONDARY53_FIRST_SEEDS").unwrap_or(FEW)),
    };
    println!("seeds {first} to {}", first + seeds - 1);
    // A world is of its thread.
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for thread in 0..threads {
            let seeds = (first..first + seeds).skip(thread).step_by(threads);
            scope.spawn(move || seeds.for_each(|seed| drop(run(seed))));
        }
    });
}

#[test]
fn a_seed_reproduces_a_run() {
    for seed in [1, 2, 3] {
        let (first, again) = (run(seed), run(seed));
        let differs = first.iter().zip(&again).position(|(first, again)| first != again);
        let shown = differs.map(|at| (&first[at.saturating_sub(5)..=at], &again[at.saturating_sub(5)..=at]));
        assert!(first == again, "seed {seed}: {shown:#?}");
    }
}
