//! The worker against the strict hosted zone: events in, a hosted zone that is what the primary's zone was, out.
//!
//! What Route 53 takes and silently does not do must never be asked for; every test holds that.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod creation;
mod dead_letters;
mod denied;
mod fast;
mod faults;
mod generated;
mod guards;
mod log;
mod lost;
mod marks;
mod mirror;
mod overflow;
mod panics;
mod poison;
mod proxy;
mod quota;
mod rates;
mod refusals;
mod scale;
mod sqs;
mod types;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_route53::Client;
use aws_sdk_route53::config::{BehaviorVersion, Credentials, Region};
use lambda_runtime::{Context, LambdaEvent};
use log::Log;
use proxy::{Fate, Proxy};
use secondary53_aws::Https;
use secondary53_lambda::guard::Policy;
use secondary53_lambda::handler::{self, Worker};
use secondary53_lambda::overflow::Overflow;
use secondary53_lambda::pace::{Backoff, Pace, Rate};
use secondary53_lambda::quarantine::Quarantine;
use secondary53_lambda::queue::Queue;
use secondary53_lambda::refusals::Refusals;
use secondary53_lambda::room::Room;
use secondary53_lambda::route53::Route53;
use secondary53_lambda::turns::Turns;
use secondary53_tests::primary::ZoneFile;
use secondary53_tests::strict::{Config, Server, ZoneSpec, in_vain};
use secondary53_tests::zones::{Contents, zone_of};
use secondary53_zone::delta::Delta;
use secondary53_zone::message::{Approval, Message, Meta, Reason};
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::{Limits, Zone};

const ID: &str = "Z1EXAMPLE";

/// Longer than any test takes.
const INVOCATION: Duration = Duration::from_mins(5);

/// Where nothing is throttled nobody need wait.
const UNLIMITED: Pace = {
    const ANY: Rate = Rate { burst: u32::MAX, per_second: u32::MAX };
    const SOON: Backoff = Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(4) };
    Pace { requests: ANY, changes: ANY, workers: 1, throttled: SOON, unanswered: SOON }
};

struct World {
    server: Arc<Server>,
    worker: Worker,
    /// Between the two, where a test asked for it.
    proxy: Option<(Proxy, Judgement)>,
}

/// What a proxy asks for a request's fate; a test can change its mind.
type Judgement = Arc<Mutex<Box<dyn FnMut(&str) -> Fate + Send>>>;

/// `serial` and records below `$ORIGIN example.com.`, TTL 300 where none is given.
fn zone(serial: u32, records: &str) -> Zone {
    let head =
        format!("$TTL 300\n@ 3600 SOA ns1 host {serial} 3600 600 1209600 300\n@ NS ns1\n@ NS ns2.example.net.\n");
    // Indented text is easier on the eye; in a zone file it would mean "the same owner".
    let records: Vec<&str> = records.lines().map(str::trim_start).collect();
    zone_of(&ZoneFile::parse_in("example.com", &(head + &records.join("\n"))).unwrap()).unwrap()
}

fn message(zone: &Zone, reason: Reason) -> Message {
    let meta = Meta { records: zone.record_count(), relay: "test".into(), ..Meta::default() };
    Message::new(&Snapshot::new(zone.clone()), reason, meta).unwrap()
}

/// The same with what changed since `base`.
fn message_since(base: &Zone, zone: &Zone, reason: Reason) -> Message {
    let delta = Delta::between(&Snapshot::new(base.clone()), zone, usize::MAX);
    let meta = Meta { records: zone.record_count(), relay: "test".into(), ..Meta::default() };
    Message::new(&Snapshot::new(zone.clone()).with_delta(delta), reason, meta).unwrap()
}

/// As the event source mapping hands it to the function.
fn record(id: &str, message: &Message) -> serde_json::Value {
    let attributes: serde_json::Map<_, _> = message
        .attributes()
        .into_iter()
        .map(|it| (it.name.to_owned(), serde_json::json!({"stringValue": it.value, "dataType": it.data_type})))
        .collect();
    serde_json::json!({
        "messageId": id,
        "receiptHandle": "r",
        "body": message.body.as_text(),
        "attributes": {"MessageGroupId": message.group_id()},
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
    })
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::for_tests())
        .endpoint_url(endpoint)
        .http_client(Https::new().shared())
        .build();
    Client::from_conf(config)
}

impl World {
    async fn start() -> Self {
        Self::with(Config { zones: vec![ZoneSpec::public("example.com").with_id(ID)], ..Config::default() }).await
    }

    async fn with(config: Config) -> Self {
        let server = Arc::new(Server::start(config).await.unwrap());
        let worker = Self::worker(&server.endpoint());
        Self { server, worker, proxy: None }
    }

    /// With a network between worker and API: `judge` takes the first line of each request.
    async fn behind(config: Config, judge: impl FnMut(&str) -> Fate + Send + 'static) -> Self {
        let server = Arc::new(Server::start(config).await.unwrap());
        let judgement: Judgement = Arc::new(Mutex::new(Box::new(judge)));
        let asked = Arc::clone(&judgement);
        let proxy = Proxy::start(&server.endpoint(), move |line| asked.lock().unwrap()(line)).await;
        let worker = Self::worker(&proxy.endpoint());
        Self { server, worker, proxy: Some((proxy, judgement)) }
    }

    /// From now on the network does this.
    fn meddle(&self, judge: impl FnMut(&str) -> Fate + Send + 'static) {
        *self.proxy.as_ref().unwrap().1.lock().unwrap() = Box::new(judge);
    }

    fn worker(endpoint: &str) -> Worker {
        Log::start();
        let sqs = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let sqs = aws_sdk_sqs::Client::from_conf(sqs);
        Worker {
            route53: Route53::with_turns(&client(endpoint), Turns::new(UNLIMITED, handler::clock)),
            overflow: Overflow::new(overflow::objects("http://127.0.0.1:1"), Vec::new()),
            quarantine: Quarantine::new(sqs.clone(), None),
            queue: Queue::new(sqs, None),
            limits: Limits::default(),
            clock: handler::clock,
            policy: Policy::default(),
            refusals: Refusals::default(),
            creation: None,
            room: Room::of(Limits::default()),
        }
    }

    /// The ids that must come again.
    async fn deliver(&self, records: Vec<serde_json::Value>) -> Vec<String> {
        self.deliver_for(INVOCATION, records).await
    }

    /// The same in an invocation of this length.
    async fn deliver_for(&self, invocation: Duration, records: Vec<serde_json::Value>) -> Vec<String> {
        let event = serde_json::from_value(serde_json::json!({ "Records": records })).unwrap();
        let mut context = Context::default();
        let deadline = (self.worker.clock)() + invocation;
        context.deadline = u64::try_from(deadline.as_millis()).unwrap();
        let response = self.worker.handle(LambdaEvent::new(event, context)).await;
        let calls = self.server.calls();
        let vain = in_vain(&calls).next();
        assert!(vain.is_none(), "asked for what Route 53 does not do: {vain:?}");
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    /// Delivers one snapshot, which must be taken.
    async fn sync(&self, zone: &Zone, reason: Reason) {
        assert_eq!(self.deliver(vec![record("1", &message(zone, reason))]).await, Vec::<String>::new());
    }

    /// Delivers one that an operator let delete what it likes.
    async fn sync_approved(&self, zone: &Zone, reason: Reason) {
        let mut approved = message(zone, reason);
        approved.meta.approved = vec![Approval::MassDeletion];
        assert_eq!(self.deliver(vec![record("1", &approved)]).await, Vec::<String>::new());
    }

    fn serial(&self) -> u32 {
        self.server.zone(ID).unwrap().serial
    }

    /// Name and type to TTL and values, the apex's NS and SOA left out.
    fn hosted(&self) -> Contents {
        self.server.zone(ID).unwrap().contents()
    }

    /// How often an action was asked for since the last time.
    fn calls(&self) -> BTreeMap<&'static str, usize> {
        let mut calls = BTreeMap::new();
        for call in self.server.calls() {
            *calls.entry(call.action).or_default() += 1;
        }
        self.server.reset_calls();
        calls
    }
}

/// Name, type, TTL and values.
type Row<'a> = (&'a str, &'a str, u32, &'a [&'a str]);

fn held(rows: &[Row<'_>]) -> Contents {
    rows.iter()
        .map(|(name, rtype, ttl, values)| {
            let mut values: Vec<String> = values.iter().map(ToString::to_string).collect();
            values.sort();
            (((*name).to_owned(), (*rtype).to_owned()), (*ttl, values))
        })
        .collect()
}
