//! The whole chain in real processes while requests to AWS go wrong, and while the worker is killed: what the primary has is in
//! the hosted zone in the end, and nothing is put aside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its functions")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Pid, Signal, kill_process};
use secondary53_tests::primary::{Config as PrimaryConfig, Primary, ZoneFile};
use secondary53_tests::stack::chain::{Chain, Detours, Layout};
use secondary53_tests::stack::microburst::Microburst;
use secondary53_tests::stack::wait::{GENEROUS, unix_ms, until};
use secondary53_tests::stack::{StackError, pass_over_missing, programs};
use secondary53_tests::strict::{self, ZoneSpec, in_vain};
use secondary53_tests::zones::{Contents, contents, zone_text};
use serde_json::{Value, json};
use tempfile::TempDir;

const ZONE: &str = "example.com";
/// Route 53's own is 1.
const FIRST: u32 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_befalls_a_request_nothing_is_lost() -> Result<(), StackError> {
    pass_over_missing(go_through_faults().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_again_and_again_loses_nothing() -> Result<(), StackError> {
    pass_over_missing(kill_workers().await)
}

/// What microburst does to three of ten requests: to Route 53, and to SQS.
fn faults() -> Vec<(&'static str, Value, Value)> {
    let same = |name, fault: Value| (name, fault.clone(), fault);
    let error = |code: &str, status: u16| json!({"error": {"code": code, "status": status, "message": "so it is"}});
    vec![
        ("throttled", error("Throttling", 400), error("ThrottlingException", 400)),
        ("busy", error("PriorRequestNotComplete", 400), error("RequestThrottled", 400)),
        ("broken", error("InternalFailure", 500), error("InternalError", 500)),
        ("away", error("ServiceUnavailable", 503), error("ServiceUnavailable", 503)),
        same("slow", json!({"latency": {"min": 50, "max": 500}})),
        same("hangs", json!({"timeout_ms": 1_000})),
        same("reset before", json!({"reset": true})),
        // It is done, and the answer does not come or not whole.
        same("reset after", json!({"response": {"abort_bytes": 0}})),
        same("cut short", json!({"response": {"abort_frac": 0.5}})),
    ]
}

/// A primary whose zone changes by a seed, and all that is behind it.
struct World {
    chain: Chain,
    primary: Primary,
    id: String,
    random: StdRng,
    serial: u32,
    wanted: Contents,
    _dir: TempDir,
}

impl World {
    async fn start(
        route53: strict::Server,
        dir: TempDir,
        ministack: SocketAddr,
        detours: Detours,
    ) -> Result<Self, StackError> {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let wanted = contents("example.com.", &mut random);
        let primary = Primary::start(PrimaryConfig::new().zone(zone_file(FIRST, &wanted))).await.unwrap();
        let layout = Layout::anywhere(dir.path(), primary.address(), programs::free_address()?, ZONE)?;
        let id = route53.zones()[0].id.clone();
        let chain = Chain::start(Layout { ministack, detours, ..layout }, route53).await?;
        let world = Self { chain, primary, id, random, serial: FIRST, wanted, _dir: dir };
        world.settles().await?;
        Ok(world)
    }

    /// The primary has a new version, and says so.
    async fn publish(&mut self) {
        self.serial += 1;
        self.wanted = contents("example.com.", &mut self.random);
        self.primary.set_zone(zone_file(self.serial, &self.wanted));
        self.primary.notify(self.chain.listen()).await.unwrap();
    }

    /// The hosted zone is the primary's.
    async fn settles(&self) -> Result<(), StackError> {
        self.chain.reaches(&self.id, self.serial).await?;
        let is_same = self.chain.route53.zone(&self.id).unwrap().contents() == self.wanted;
        assert!(is_same, "the hosted zone at {} is not the primary's", self.serial);
        Ok(())
    }

    /// Nothing waits, nothing was put aside, and nothing was asked for in vain.
    async fn ends(&self) -> Result<(), StackError> {
        self.settles().await?;
        let (ministack, queues) = (&self.chain.ministack, &self.chain.queues);
        until(GENEROUS, "an empty queue", async || Ok((ministack.depth(&queues.main).await? == 0).then_some(())))
            .await?;
        assert_eq!(ministack.depth(&queues.dead_letter).await?, 0, "{}", ministack.process.last_words());
        let calls = self.chain.route53.calls();
        assert_eq!(in_vain(&calls).count(), 0);
        Ok(())
    }
}

async fn route53() -> strict::Server {
    let config = strict::Config { zones: vec![ZoneSpec::public(ZONE)], ..strict::Config::default() };
    strict::Server::start(config).await.unwrap()
}

/// By chance much goes from one version to the next, and that is no mistake here.
fn may_delete() -> BTreeMap<&'static str, String> {
    BTreeMap::from([("MASS_DELETION_PERCENT", "100".to_owned())])
}

fn zone_file(serial: u32, contents: &Contents) -> ZoneFile {
    let head = format!("$TTL 300\n@ 3600 SOA ns1 host {serial} 3600 600 1209600 300\n@ NS ns1\n");
    ZoneFile::parse_in(ZONE, &(head + &zone_text(contents))).unwrap()
}

async fn go_through_faults() -> Result<(), StackError> {
    const CHANGES: usize = 2;
    let (dir, route53) = (tempfile::tempdir().unwrap(), route53().await);
    // Behind the second, which is there before it.
    let ministack = programs::free_address()?;
    let to_route53 = Microburst::start(dir.path(), "before-route53", &route53.endpoint()).await?;
    let to_sqs = Microburst::start(dir.path(), "before-sqs", &format!("http://{ministack}")).await?;
    let mut worker = may_delete();
    worker.insert("AWS_ENDPOINT_URL_ROUTE_53", to_route53.endpoint.clone());
    worker.insert("AWS_ENDPOINT_URL_SQS", to_sqs.endpoint.clone());
    let detours = Detours { worker, sqs: Some(to_sqs.endpoint.clone()), ..Detours::default() };
    let mut world = World::start(route53, dir, ministack, detours).await?;
    for (name, route53, sqs) in faults() {
        let rule = |fault: &Value| {
            let mut rule = json!({"service": "*", "probability": 0.3});
            rule.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
            json!([rule])
        };
        to_route53.rules(&rule(&route53)).await?;
        to_sqs.rules(&rule(&sqs)).await?;
        for _ in 0..CHANGES {
            world.publish().await;
            world.settles().await?;
        }
        println!("{name}: {} and {} so far", to_route53.fired().await?, to_sqs.fired().await?);
    }
    assert!(to_route53.fired().await? > 0);
    to_route53.rules(&json!([])).await?;
    to_sqs.rules(&json!([])).await?;
    world.publish().await;
    world.ends().await
}

/// `SECONDARY53_KILL_SECONDS=300` goes on for so long.
async fn kill_workers() -> Result<(), StackError> {
    const SECONDS: u64 = 15;
    let seconds = std::env::var("SECONDARY53_KILL_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let (dir, route53) = (tempfile::tempdir().unwrap(), route53().await);
    // What a crash leaves comes again only after the invocation's end: so that is soon.
    let timeout = Some(Duration::from_secs(5));
    let detours = Detours { worker: may_delete(), timeout, ..Detours::default() };
    let mut world = World::start(route53, dir, programs::free_address()?, detours).await?;
    let (end, mut killed) = (unix_ms() + 1_000 * seconds, 0);
    while unix_ms() < end {
        world.publish().await;
        // In the middle of it, wherever that is.
        let calls = world.chain.route53.calls().len() + world.random.random_range(1..5);
        until(GENEROUS, "some calls", async || {
            let is_there = world.chain.route53.serial(&world.id) == Some(world.serial);
            Ok((is_there || world.chain.route53.calls().len() >= calls).then_some(()))
        })
        .await?;
        killed += kill(&world)?;
        if world.random.random_bool(0.3) {
            world.settles().await?;
        }
    }
    world.publish().await;
    world.ends().await?;
    println!("{} versions, {killed} workers killed", world.serial);
    assert!(killed > 0);
    Ok(())
}

/// How many there were.
fn kill(world: &World) -> Result<usize, StackError> {
    let is_worker = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "bootstrap")
    };
    let workers: Vec<i32> = world.chain.ministack.process.members()?.into_iter().filter(is_worker).collect();
    let ended =
        workers.iter().filter_map(|pid| Pid::from_raw(*pid)).filter(|pid| kill_process(*pid, Signal::KILL).is_ok());
    Ok(ended.count())
}
