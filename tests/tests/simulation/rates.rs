//! How near the worker comes to what Route 53's buckets allow, and how often it is throttled. Time is simulated, so neither
//! depends on the machine.

use std::sync::Arc;
use std::time::Duration;

use secondary53_tests::strict::{CHANGES, Call, REQUESTS, least};
use secondary53_tests::zones::Contents;
use secondary53_zone::message::Reason;
use tokio::task::{LocalSet, spawn_local};

use super::world::{Shared, work};

/// Far beyond what any of these takes.
const PATIENCE: Duration = Duration::from_hours(12);
/// In which empty buckets fill.
const PAUSE: Duration = Duration::from_mins(1);

/// What a load took.
#[derive(Debug)]
struct Taken {
    seconds: f64,
    least: f64,
    calls: usize,
    throttled: usize,
}

fn hosts(apex: &str, count: usize, second_octet: u8) -> Contents {
    let host = |i: usize| {
        let address = format!("10.{second_octet}.{}.{}", i >> 8 & 255, i & 255);
        ((format!("h{i}.{apex}"), "A".to_owned()), (300, vec![address]))
    };
    (0..count).map(host).collect()
}

async fn settle(shared: &Shared) {
    let end = shared.now() + PATIENCE;
    while !shared.queue.lock().unwrap().is_empty() {
        assert!(shared.now() < end, "the queue is never empty: {:#?}", shared.trace());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(shared.queue.lock().unwrap().dead.is_empty());
}

/// So many workers bring so many hosted zones of so many RRsets from what is there at first to what the first record of each
/// changes.
async fn take(workers: u32, zones: usize, rrsets: usize, is_first: bool) -> Taken {
    let shared = Shared::calm_with(zones, workers);
    let workers: Vec<_> = (0..workers).map(|_| spawn_local(work(Arc::clone(&shared)))).collect();
    let names: Vec<_> = shared.zones.lock().unwrap().iter().map(|zone| zone.name.clone()).collect();
    for (index, name) in names.iter().enumerate() {
        shared.put(index, hosts(name, rrsets, 0));
        shared.send_by(0, true, 1, index, Reason::Initial);
    }
    if !is_first {
        settle(&shared).await;
        tokio::time::sleep(PAUSE).await;
        shared.route53.reset_calls();
        for (index, name) in names.iter().enumerate() {
            let mut next = hosts(name, rrsets, 0);
            next.extend(hosts(name, 1, 9));
            shared.put(index, next);
            shared.send_by(0, true, 1, index, Reason::Notify);
        }
    }
    settle(&shared).await;
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    for zone in shared.zones.lock().unwrap().iter() {
        let view = shared.route53.zone(&zone.id).unwrap();
        assert_eq!((view.serial, view.contents()), (zone.newest, zone.versions[&zone.newest].clone()), "{}", zone.name);
    }
    taken(&shared.route53.calls())
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a day")]
fn taken(calls: &[Call]) -> Taken {
    let (first, last) = (calls.first().unwrap(), calls.last().unwrap());
    let throttled = calls.iter().filter(|call| call.code() == Some("Throttling")).count();
    let seconds = (last.at_ms - first.at_ms) as f64 / 1_000.0;
    Taken { seconds, least: least(calls, REQUESTS, CHANGES).as_secs_f64(), calls: calls.len(), throttled }
}

fn run(workers: u32, zones: usize, rrsets: usize, is_first: bool) -> Taken {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let taken = LocalSet::new().block_on(&runtime, take(workers, zones, rrsets, is_first));
    println!("{workers} workers, {zones} zones of {rrsets} RRsets, first: {is_first}: {taken:?}");
    taken
}

#[test]
fn a_first_sync_of_10_000_takes_no_longer_than_the_buckets_need() {
    let Taken { seconds, least, throttled, .. } = run(1, 1, 10_000, true);
    assert!(least > 80.0 && seconds <= least * 1.05, "{seconds} s, where {least} s would do");
    assert_eq!(throttled, 0);
}

#[test]
fn a_thousand_zones_changed_at_once_take_no_longer_than_the_buckets_need() {
    for workers in [1, 2] {
        let Taken { seconds, least, calls, throttled } = run(workers, 1_000, 10, false);
        // A look and a batch for each, and for some the hosted zone's id.
        assert!((2_000..=3_000).contains(&calls), "{calls} calls");
        assert!(least >= 95.0 && seconds <= least * 1.05, "{seconds} s, where {least} s would do, {workers} workers");
        let may_be = if workers == 1 { 0 } else { calls / 100 };
        assert!(throttled <= may_be, "{throttled} of {calls} calls were throttled, {workers} workers");
    }
}
