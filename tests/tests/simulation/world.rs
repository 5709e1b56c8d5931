//! The world that a seed makes: zones at their primary, a relay, a queue, two workers, Route 53, and somebody who edits.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_route53::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_route53::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use lambda_runtime::{Context, LambdaEvent};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use secondary53_aws::Objects;
use secondary53_lambda::guard::Policy;
use secondary53_lambda::handler::Worker;
use secondary53_lambda::overflow::Overflow;
use secondary53_lambda::pace::Pace;
use secondary53_lambda::quarantine::Quarantine;
use secondary53_lambda::queue::Queue;
use secondary53_lambda::refusals::Refusals;
use secondary53_lambda::room::Room;
use secondary53_lambda::route53::Route53;
use secondary53_lambda::turns::Turns;
use secondary53_tests::fifo::{self, Stored};
use secondary53_tests::primary::ZoneFile;
use secondary53_tests::strict::{CHANGES, Clock, Config, REQUESTS, Server, ZoneSpec, ZoneView};
use secondary53_tests::zones::{Contents, contents, zone_of, zone_text};
use secondary53_zone::delta::Delta;
use secondary53_zone::message::{Message, Meta, Reason};
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::{self, Limits};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::network::{self, Fate, Faults};

/// As in the template.
pub const WORKERS: u32 = 2;
/// As long as Lambda lets a function run, where things go wrong: short, so that it often is too short.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The same in the template.
const WHOLE_TIMEOUT: Duration = Duration::from_mins(5);
const MAIN: &str = "https://sqs.eu-west-1.amazonaws.com/000000000000/main.fifo";
const DEAD: &str = "https://sqs.eu-west-1.amazonaws.com/000000000000/main-dlq.fifo";

/// What all parts see.
pub struct Shared {
    pub route53: Server,
    pub queue: Mutex<fifo::Queue>,
    pub zones: Mutex<Vec<Zone>>,
    pub seed: u64,
    /// Who share the account's rates.
    workers: u32,
    timeout: Duration,
    clock: Clock,
    random: Mutex<StdRng>,
    faults: Mutex<Option<Faults>>,
    /// Whether Route 53 refuses RRsets now and then.
    spoils: bool,
    trace: Mutex<Vec<String>>,
}

/// A zone at its primary, and what is known of its hosted zone.
pub struct Zone {
    pub name: String,
    pub id: String,
    pub versions: BTreeMap<u32, Contents>,
    pub newest: u32,
    /// What each of the two relays knows that it sent last.
    sent: [Option<zone::Zone>; 2],
    /// Owner and type of what Route 53 refuses.
    bad: Vec<(String, &'static str)>,
    /// Of the hosted zone.
    serial: u32,
    /// Somebody has changed the hosted zone since it was last seen to be what its serial says.
    edited: bool,
}

thread_local! {
    /// When the world of this thread began, by the runtime's clock.
    static ORIGIN: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn origin() -> Instant {
    ORIGIN.get().unwrap()
}

/// The worker's clock, and everyone's.
fn clock() -> Duration {
    Clock::Tokio(origin()).now()
}

/// A world begins on this thread.
fn begin(seed: u64) {
    // The SDK's jitter is by this.
    fastrand::seed(seed);
    #[expect(clippy::disallowed_methods, reason = "time in a simulation is the runtime's")]
    ORIGIN.set(Some(Instant::now()));
}

fn specs(count: usize) -> Vec<ZoneSpec> {
    (0..count).map(|number| ZoneSpec::public(&format!("zone{number}.example."))).collect()
}

/// Workers so far, in all worlds.
static PROCESSES: AtomicU64 = AtomicU64::new(0);

impl Shared {
    pub fn new(seed: u64) -> Arc<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        begin(seed);
        let count = random.random_range(1..4);
        let config = Config {
            zones: specs(count),
            request_rate: random.random_bool(0.5).then_some(REQUESTS),
            change_rate: random.random_bool(0.5).then_some(CHANGES),
            processing: Duration::from_millis(random.random_range(0..2_000)),
            ..Config::default()
        };
        // Far apart on the circle, and about to wrap.
        let firsts = [1, 2, 3_000_000_000, u32::MAX - 2];
        let firsts: Vec<_> = (0..count).map(|_| firsts[random.random_range(0..4_usize)]).collect();
        let mut share = |most: u32| if random.random_bool(0.5) { random.random_range(0..most) } else { 0 };
        let faults = Faults {
            throttled: share(200),
            failed: share(100),
            lost_before: share(200),
            lost_after: share(200),
            slow: share(50),
            edited: share(50),
        };
        let spoils = random.random_bool(0.5);
        let mut shared = Self::of(seed, random, config, WORKERS, TIMEOUT);
        for (zone, first) in shared.zones.get_mut().unwrap().iter_mut().zip(firsts) {
            zone.newest = first;
        }
        shared.faults = Mutex::new(Some(faults));
        shared.spoils = spoils;
        Arc::new(shared)
    }

    /// One where nothing goes wrong, at Route 53's rates.
    pub fn calm_with(zones: usize, workers: u32) -> Arc<Self> {
        begin(0);
        let rates = Config { request_rate: Some(REQUESTS), change_rate: Some(CHANGES), ..Config::default() };
        let config = Config { zones: specs(zones), max_rrsets: 200_000, ..rates };
        Arc::new(Self::of(0, StdRng::seed_from_u64(0), config, workers, WHOLE_TIMEOUT))
    }

    fn of(seed: u64, random: StdRng, config: Config, workers: u32, timeout: Duration) -> Self {
        let clock = Clock::Tokio(origin());
        let route53 = Server::without_sockets(Config { clock: clock.clone(), ..config }).unwrap();
        let zone = |view: ZoneView| Zone {
            name: view.name,
            id: view.id,
            versions: BTreeMap::new(),
            newest: view.serial,
            serial: view.serial,
            sent: [None, None],
            bad: Vec::new(),
            edited: false,
        };
        Self {
            zones: Mutex::new(route53.zones().into_iter().map(zone).collect()),
            route53,
            queue: Mutex::default(),
            seed,
            workers,
            timeout,
            clock,
            random: Mutex::new(random),
            faults: Mutex::default(),
            spoils: false,
            trace: Mutex::default(),
        }
    }

    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    pub fn random<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.random.lock().unwrap())
    }

    pub fn note(&self, line: &str) {
        let at = origin().elapsed().as_millis();
        self.trace.lock().unwrap().push(format!("{at} {line}"));
    }

    pub fn trace(&self) -> Vec<String> {
        self.trace.lock().unwrap().clone()
    }

    /// From now on nothing goes wrong.
    pub fn calm(&self) {
        *self.faults.lock().unwrap() = None;
        for zone in self.zones.lock().unwrap().iter_mut() {
            for (owner, rtype) in zone.bad.drain(..) {
                self.route53.allow(&zone.id, &owner, rtype).unwrap();
            }
        }
    }

    /// Route 53 begins to refuse an RRset of a zone, or takes one that it refused.
    pub fn spoil(&self, index: usize) {
        if !self.spoils {
            return;
        }
        let Zone { name, id, bad, .. } = &mut self.zones.lock().unwrap()[index];
        let (number, kind, is_protected, mends) = self.random(|random| {
            (random.random_range(0..14), random.random_range(0..3_usize), random.random(), random.random_bool(0.4))
        });
        let (owner, rtype) = (format!("n{number}.{name}"), ["A", "TXT", "CNAME"][kind]);
        if let Some((owner, rtype)) = bad.pop_if(|_| mends) {
            self.route53.allow(id, &owner, rtype).unwrap();
            self.note(&format!("{owner} {rtype} is taken again"));
            return;
        }
        if is_protected {
            self.route53.protect(id, &owner, rtype).unwrap();
        } else {
            self.route53.refuse(id, &owner, rtype, "No.").unwrap();
        }
        self.note(&format!("{owner} {rtype} is refused"));
        bad.push((owner, rtype));
    }

    pub fn is_calm(&self) -> bool {
        self.faults.lock().unwrap().is_none()
    }

    /// What befalls a request, and how many milliseconds it takes on its way; somebody may edit a zone meanwhile.
    pub fn fate(&self, is_sqs: bool) -> (Fate, u64) {
        let faults = *self.faults.lock().unwrap();
        let Some(faults) = faults else { return (Fate::Answered, 1) };
        if !is_sqs && self.random(|random| random.random_range(0..1_000) < faults.edited) {
            self.edit();
        }
        self.random(|random| (faults.fate(random), random.random_range(1..300)))
    }

    fn edit(&self) {
        let mut zones = self.zones.lock().unwrap();
        let index = self.random(|random| random.random_range(0..zones.len()));
        let zone = &mut zones[index];
        let (name, gone) = self.random(|random| (random.random_range(0..16), random.random_bool(0.4)));
        let owner = format!("n{name}.{}", zone.name);
        let done = if gone {
            self.route53.remove(&zone.id, &owner, "A")
        } else {
            // Where a CNAME is in the way, they do not succeed either.
            self.route53.seed(&zone.id, &[(&owner, "A", 77, &["198.51.100.1"])]).is_ok()
        };
        zone.edited |= done;
        self.note(&format!("edited {owner} {done}"));
    }

    /// A batch was applied to a hosted zone: what a new serial says must be there, unless somebody else has had a hand in it.
    /// An old one says that the zone is on its way.
    pub fn changed(&self, id: &str) {
        let mut zones = self.zones.lock().unwrap();
        let zone = zones.iter_mut().find(|zone| zone.id == id).unwrap();
        let view = self.route53.zone(id).unwrap();
        if std::mem::replace(&mut zone.serial, view.serial) == view.serial {
            return;
        }
        let expected = &zone.versions[&view.serial];
        let is_there = view.contents() == *expected;
        assert!(
            is_there || zone.edited,
            "seed {}: serial {} of {} claims what is not there; {:#?}",
            self.seed,
            view.serial,
            zone.name,
            self.trace()
        );
        zone.edited &= !is_there;
    }

    /// The primary has a new version.
    pub fn publish(&self, index: usize) {
        let mut zones = self.zones.lock().unwrap();
        let Zone { name, versions, newest, .. } = &mut zones[index];
        let next = self.random(|random| next_of(name, versions, *newest, random));
        let step = self.random(|random| random.random_range(1..3));
        *newest = newest.wrapping_add(step);
        versions.insert(*newest, next);
        self.note(&format!("{name} is at {newest}"));
    }

    /// The primary has this, a serial on.
    pub fn put(&self, index: usize, next: Contents) {
        let Zone { versions, newest, .. } = &mut self.zones.lock().unwrap()[index];
        *newest = newest.wrapping_add(1);
        versions.insert(*newest, next);
    }

    /// One of the relays sends what the primary has, once or twice, and may end before it has noted that.
    pub fn send(&self, index: usize, reason: Reason) {
        let (relay, notes) = self.random(|random| (random.random_range(0..2_usize), random.random_bool(0.9)));
        let times = self.random(|random| random.random_range(1..3));
        self.send_by(relay, notes, times, index, reason);
    }

    /// This relay sends it so many times.
    pub fn send_by(&self, relay: usize, notes: bool, times: usize, index: usize, reason: Reason) {
        let message = {
            let mut zones = self.zones.lock().unwrap();
            let Zone { name, versions, newest, sent, .. } = &mut zones[index];
            let Some(contents) = versions.get(newest) else { return };
            let now_ms = u64::try_from(self.now().as_millis()).unwrap();
            let next = zone_at(name, *newest, contents);
            let message = message(&next, sent[relay].as_ref(), reason, now_ms);
            if notes {
                sent[relay] = Some(next);
            }
            message
        };
        let (now, request) = (self.now(), fifo::request(MAIN, &message));
        for _ in 0..times {
            self.queue.lock().unwrap().send(&request, now);
        }
        self.note(&format!("sent {} {} {reason}", message.zone, message.serial));
    }

    /// An operator looks at the dead-letter queue, and puts back what is there, approved where it was held.
    pub fn replay(&self) -> usize {
        let now = self.now();
        let mut queue = self.queue.lock().unwrap();
        let dead = std::mem::take(&mut queue.dead);
        for stored in &dead {
            self.note(&format!("replayed {} {:?}", stored.id, stored.quarantine()));
            queue.send(&replayed(stored, now), now);
        }
        dead.len()
    }

    fn worker(self: &Arc<Self>) -> Worker {
        let http = network::client(self);
        let retry = RetryConfig::standard().with_max_attempts(10);
        // What the SDK may spend on retries it counts for the process, and this is another one.
        let process = PROCESSES.fetch_add(1, Ordering::Relaxed);
        let partition = |service: &str| RetryPartition::new(format!("{service} {process}"));
        let route53 = aws_sdk_route53::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .endpoint_url("http://route53.invalid")
            .retry_config(retry.clone())
            .retry_partition(partition("route53"))
            .http_client(http.clone());
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::for_tests())
            .endpoint_url("http://sqs.invalid")
            .retry_config(retry)
            .retry_partition(partition("sqs"))
            .http_client(http);
        let sqs = aws_sdk_sqs::Client::from_conf(sqs.build());
        Worker {
            route53: Route53::with_turns(
                &aws_sdk_route53::Client::from_conf(route53.build()),
                Turns::new(Pace::of(self.workers), clock),
            ),
            overflow: Overflow::new(no_objects(), Vec::new()),
            quarantine: Quarantine::new(sqs.clone(), Some(DEAD.to_owned())),
            queue: Queue::new(sqs, Some(MAIN.to_owned())),
            limits: Limits::default(),
            clock,
            policy: Policy::default(),
            refusals: Refusals::default(),
            creation: None,
            room: Room::of(Limits::default()),
        }
    }
}

/// Takes batches until it is stopped, warm until it dies.
pub async fn work(shared: Arc<Shared>) {
    const PAUSE: Duration = Duration::from_secs(1);
    let mut warm = None;
    loop {
        let now = shared.now();
        let batch = shared.random(|random| shared.queue.lock().unwrap().receive(random, now));
        if batch.is_empty() {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let worker = warm.get_or_insert_with(|| shared.worker());
        if !invoke(&shared, worker, &batch).await {
            warm = None;
        }
    }
}

/// One invocation; `false` where the worker did not outlive it.
async fn invoke(shared: &Arc<Shared>, worker: &Worker, batch: &[Stored]) -> bool {
    let records: Vec<Value> = batch.iter().map(Stored::record).collect();
    let event = serde_json::from_value(json!({ "Records": records })).unwrap();
    let mut context = Context::default();
    context.deadline = u64::try_from((clock() + shared.timeout).as_millis()).unwrap();
    let dies = !shared.is_calm() && shared.random(|random| random.random_bool(0.2));
    let polls = if dies { shared.random(|random| random.random_range(1..300)) } else { usize::MAX };
    let handled = dying(worker.handle(LambdaEvent::new(event, context)), polls);
    let ids: Vec<_> = batch.iter().map(|message| message.id.as_str()).collect();
    let Ok(Some(response)) = tokio::time::timeout(shared.timeout, handled).await else {
        shared.note(&format!("a worker died over {ids:?}"));
        return false;
    };
    let failed: Vec<_> = response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    shared.note(&format!("handled {ids:?}, failed {failed:?}"));
    assert!(failed.iter().all(|id| ids.contains(&id.as_str())), "seed {}: {failed:?} of {ids:?}", shared.seed);
    let mut blocked: Vec<&str> = Vec::new();
    for message in batch {
        if failed.contains(&message.id) {
            blocked.push(&message.group);
        } else {
            // Nothing behind a failed message of its group may count as done.
            assert!(!blocked.contains(&message.group.as_str()), "seed {}: {failed:?} of {ids:?}", shared.seed);
            // SQS is at least once: that it was handled may not be heard.
            let is_heard = shared.is_calm() || shared.random(|random| random.random_bool(0.95));
            if is_heard {
                shared.queue.lock().unwrap().delete(&message.id);
            }
        }
    }
    true
}

/// Gives a future so many polls, and none where it needs more: it dies at whatever it waits for then.
async fn dying<T>(future: impl Future<Output = T>, mut polls: usize) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        let polled = future.as_mut().poll(context).map(Some);
        if polls == 0 && polled.is_pending() { Poll::Ready(None) } else { polled }
    })
    .await
}

/// No zone here is so large that it would be looked for.
fn no_objects() -> Objects {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url("http://s3.invalid")
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()));
    Objects::new(&config.build())
}

/// Another zone altogether; or a few names changed, some of them to what they were before; or what came since an older version
/// is taken back.
fn next_of(apex: &str, versions: &BTreeMap<u32, Contents>, newest: u32, random: &mut StdRng) -> Contents {
    let fresh = contents(apex, random);
    let Some(last) = versions.get(&newest).filter(|_| random.random_bool(0.7)) else { return fresh };
    let older = versions.values().rev().nth(random.random_range(0..versions.len().min(4))).unwrap_or(last);
    let mut next = if random.random_bool(0.4) { older.clone() } else { last.clone() };
    for _ in 0..random.random_range(1..4) {
        let owner = format!("n{}.{apex}", random.random_range(0..14));
        let from = if random.random_bool(0.3) { older } else { &fresh };
        next.retain(|(name, _), _| *name != owner);
        next.extend(
            from.iter().filter(|((name, _), _)| *name == owner).map(|(key, rrset)| (key.clone(), rrset.clone())),
        );
    }
    next
}

fn zone_at(name: &str, serial: u32, contents: &Contents) -> zone::Zone {
    let text = format!("$TTL 300\n@ 3600 SOA ns1 host {serial} 3600 600 1209600 300\n@ NS ns1\n");
    zone_of(&ZoneFile::parse_in(name, &(text + &zone_text(contents))).unwrap()).unwrap()
}

/// With what has changed since what was sent before, where there is such a thing and the reason is one that makes use of it.
fn message(zone: &zone::Zone, before: Option<&zone::Zone>, reason: Reason, now_ms: u64) -> Message {
    let meta = Meta {
        records: zone.record_count(),
        relay: "simulated".into(),
        transferred_at_ms: now_ms,
        notified_at_ms: Some(now_ms),
        ..Meta::default()
    };
    let base = before.filter(|_| reason.trusts_serial());
    let delta = base.and_then(|base| Delta::between(&Snapshot::new(base.clone()), zone, usize::MAX));
    Message::new(&Snapshot::new(zone.clone()).with_delta(delta), reason, meta).unwrap()
}

/// As `dlq replay` and `dlq approve` send it.
fn replayed(stored: &Stored, now: Duration) -> Value {
    let mut attributes = stored.attributes.clone();
    let note = stored.quarantine();
    attributes.remove("quarantine");
    let text = |value: &str| json!({"DataType": "String", "StringValue": value});
    attributes.insert("reason".to_owned(), text(Reason::Replay.as_str()));
    if note.is_some_and(|note| note["outcome"] == "held") {
        let mut meta: Value = serde_json::from_str(attributes["meta"]["StringValue"].as_str().unwrap()).unwrap();
        meta["approved"] = json!(["mass_deletion"]);
        attributes.insert("meta".to_owned(), text(&meta.to_string()));
    }
    json!({
        "QueueUrl": MAIN,
        "MessageBody": stored.body,
        "MessageGroupId": stored.group,
        "MessageDeduplicationId": format!("replay-{}-{}", stored.id, now.as_millis()),
        "MessageAttributes": attributes,
    })
}
