//! The account's rates, and zones that take longer than an invocation. Time jumps from one event to the next.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use secondary53_lambda::pace::Pace;
use secondary53_lambda::queue::Queue;
use secondary53_lambda::route53::Route53;
use secondary53_lambda::turns::Turns;
use secondary53_tests::primary::ZoneFile;
use secondary53_tests::strict::{CHANGES, Clock, Config, REQUESTS, ZoneSpec};
use secondary53_tests::zones::zone_of;
use secondary53_zone::message::{Message, Reason};
use tokio::time::Instant;

use super::log::Log;
use super::proxy::Fate;
use super::sqs::Sqs;
use super::{ID, World, client, message, record, zone};

/// As `infra/template.yaml` has it.
const INVOCATION: Duration = Duration::from_mins(5);
const QUEUE: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/secondary53.fifo";

thread_local! {
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Tokio's, as the stand-in has it. A test's runtime has one thread.
fn clock() -> Duration {
    Clock::Tokio(BEGUN.get().unwrap()).now()
}

fn config(names: &[&str]) -> Config {
    BEGUN.set(Some(BEGUN.get().unwrap_or_else(|| {
        #[expect(clippy::disallowed_methods, reason = "the test's clock, which it has paused")]
        Instant::now()
    })));
    let zones = names.iter().map(|name| match *name {
        "example.com" => ZoneSpec::public(name).with_id(ID),
        other => ZoneSpec::public(other),
    });
    Config {
        zones: zones.collect(),
        max_rrsets: 200_000,
        request_rate: Some(REQUESTS),
        change_rate: Some(CHANGES),
        clock: Clock::Tokio(BEGUN.get().unwrap()),
        ..Config::default()
    }
}

impl World {
    /// One of so many workers.
    fn pace(&mut self, workers: u32) {
        let endpoint = self.proxy.as_ref().map_or_else(|| self.server.endpoint(), |(proxy, _)| proxy.endpoint());
        self.worker.route53 = Route53::with_turns(&client(&endpoint), Turns::new(Pace::of(workers), clock));
        self.worker.clock = clock;
    }

    fn throttled(&self) -> usize {
        self.server.calls().iter().filter(|call| call.code() == Some("Throttling")).count()
    }
}

fn hosts(count: usize) -> String {
    (0..count).map(|i| format!("h{i} A 10.{}.{}.{}\n", i >> 16, (i >> 8) & 255, i & 255)).collect()
}

fn other_zone(name: &str, serial: u32, records: &str) -> Message {
    let text = format!("$TTL 300\n@ SOA ns host {serial} 1 1 1 1\n{records}");
    message(&zone_of(&ZoneFile::parse_in(name, &text).unwrap()).unwrap(), Reason::Notify)
}

/// With what the queue says of it.
fn received(id: &str, message: &Message, count: u32) -> serde_json::Value {
    let mut record = record(id, message);
    record["receiptHandle"] = format!("receipt of {id}").into();
    record["attributes"]["ApproximateReceiveCount"] = count.to_string().into();
    record["eventSourceARN"] = "arn:aws:sqs:eu-west-1:123456789012:secondary53.fifo".into();
    record
}

#[tokio::test(start_paused = true)]
async fn one_worker_alone_is_never_throttled() {
    let names = ["example.com", "example.net", "example.org"];
    let mut world = World::with(config(&names)).await;
    world.pace(1);
    // More changes than the bucket holds.
    let large = message(&zone(7, &hosts(3_000)), Reason::Initial);
    let others = names[1..].iter().map(|name| other_zone(name, 7, &hosts(700)));
    let all = std::iter::once(large).chain(others).enumerate();
    let all = all.map(|(index, message)| record(&index.to_string(), &message)).collect();
    assert_eq!(world.deliver_for(INVOCATION, all).await, Vec::<String>::new());
    let changed: String = hosts(3_000).replace(" A 10.", " A 11.");
    let begun = clock();
    let mut failed = vec!["8".to_owned()];
    while !failed.is_empty() {
        failed = world.deliver_for(INVOCATION, vec![record("8", &message(&zone(8, &changed), Reason::Notify))]).await;
    }
    // 6,000 changes at 100 a second, but for what is there at once.
    assert!(clock() > begun + Duration::from_secs(45));
    assert_eq!((world.serial(), world.throttled()), (8, 0));
    assert!(world.server.zones().iter().all(|zone| zone.serial >= 7));
}

#[tokio::test(start_paused = true)]
async fn a_small_change_does_not_wait_for_a_large_zone() {
    let mut world = World::with(config(&["example.com", "example.net"])).await;
    world.pace(2);
    let small = |serial, address: &str| other_zone("example.net", serial, &format!("w A {address}\n"));
    assert_eq!(world.deliver_for(INVOCATION, vec![record("0", &small(1, "192.0.2.1"))]).await, Vec::<String>::new());
    world.server.reset_calls();
    let large = message(&zone(7, &hosts(5_000)), Reason::Initial);
    let both = vec![record("1", &large), record("2", &small(2, "192.0.2.2"))];
    assert_eq!(world.deliver_for(INVOCATION, both).await, Vec::<String>::new());
    let calls = world.server.calls();
    let changes: Vec<_> = calls.iter().filter(|call| call.action == "ChangeResourceRecordSets").collect();
    let at = changes.iter().position(|call| call.zone.as_deref() != Some(ID)).unwrap();
    assert!(changes.len() >= 6 && at <= 1, "the small zone's change came as number {at} of {}", changes.len());
    assert_eq!(world.serial(), 7);
}

#[tokio::test(start_paused = true)]
async fn who_is_throttled_by_others_backs_off_and_comes_through() {
    let mut world = World::with(config(&["example.com", "example.net"])).await;
    world.pace(2);
    world.deliver_for(INVOCATION, vec![record("0", &other_zone("example.net", 1, ""))]).await;
    let id = world.server.zones().iter().find(|zone| zone.name == "example.net.").unwrap().id.clone();
    // Someone else has used up the account's changes.
    let others = client(&world.server.endpoint());
    let change = |action, number: u32| {
        let record = ResourceRecord::builder().value("192.0.2.9").build().unwrap();
        let set = ResourceRecordSet::builder().name(format!("x{number}.example.com")).r#type(RrType::A).ttl(1);
        let set = set.resource_records(record).build().unwrap();
        Change::builder().action(action).resource_record_set(set).build().unwrap()
    };
    for action in [ChangeAction::Create, ChangeAction::Delete] {
        let changes = (0..749).map(|number| change(action.clone(), number)).collect();
        let batch = ChangeBatch::builder().set_changes(Some(changes)).build().unwrap();
        others.change_resource_record_sets().hosted_zone_id(ID).change_batch(batch).send().await.unwrap();
    }
    let changed = other_zone("example.net", 2, &hosts(400));
    assert_eq!(world.deliver_for(INVOCATION, vec![record("1", &changed)]).await, Vec::<String>::new());
    assert_eq!(world.server.zone(&id).unwrap().serial, 2);
    // Waits that double: not one attempt after the other.
    assert!((1..10).contains(&world.throttled()), "{} times", world.throttled());
    assert!(Log::text().contains(&format!("throttles={}", world.throttled())));
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_takes_longer_than_an_invocation_goes_on_in_the_next() {
    let sqs = Sqs::start().await;
    let mut world = World::with(config(&["example.com"])).await;
    world.pace(2);
    world.worker.queue = Queue::new(sqs.client(), None);
    let invocation = Duration::from_secs(30);
    let large = message(&zone(7, &hosts(6_000)), Reason::Initial);
    let (mut there, mut times) = (0, 1);
    while world.deliver_for(invocation, vec![received("1", &large, times)]).await == ["1"] {
        let (before, now) = (there, world.hosted().len());
        there = now;
        assert!(now > before, "no progress from {now} on");
        assert_eq!(world.serial(), 1);
        // At once, however often it came: it got ahead.
        let mut asked = sqs.asked();
        assert_eq!(asked.pop(), Some((QUEUE.to_owned(), vec![("receipt of 1".to_owned(), 1)])));
        // And should it have crashed, soon after its end.
        assert_eq!(asked.len(), usize::from(times > 1));
        times += 1;
        assert!(times < 30);
    }
    assert_eq!((world.hosted().len(), world.serial()), (6_000, 7));
    assert!(times > 2, "{times} invocations");
    assert_eq!((sqs.asked().len(), world.throttled()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_fails_comes_again_in_seconds_and_then_more_rarely() {
    let sqs = Sqs::start().await;
    let unreachable = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&unreachable);
    let mut world = World::behind(config(&["example.com"]), move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Fate::RequestLost
    })
    .await;
    world.pace(2);
    world.worker.queue = Queue::new(sqs.client(), None);
    let sent = message(&zone(7, "w A 192.0.2.1"), Reason::Initial);
    let newer = message(&zone(8, "w A 192.0.2.2"), Reason::Notify);
    for (times, range) in [(1, 1..=2), (2, 2..=4), (5, 16..=32), (40, 450..=900)] {
        let line = vec![received("1", &sent, times), received("2", &newer, 1)];
        assert_eq!(world.deliver_for(INVOCATION, line).await, ["1", "2"]);
        // What waits behind comes with it, not before.
        let asked = sqs.asked();
        let [.., (url, entries)] = asked.as_slice() else { panic!("{asked:?}") };
        let [(_, first), (_, second)] = entries.as_slice() else { panic!("{asked:?}") };
        assert_eq!((url.as_str(), first), (QUEUE, second));
        assert!(range.contains(first), "{first} seconds after {times} times");
    }
    assert!(unreachable.load(Ordering::Relaxed) > 20);
    world.meddle(|_| Fate::Answered);
    assert_eq!(world.deliver_for(INVOCATION, vec![received("1", &sent, 41)]).await, Vec::<String>::new());
    assert_eq!(world.serial(), 7);
}
