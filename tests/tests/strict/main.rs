//! The strict hosted zone, asked by the real SDK and by real DNS messages: row by row what Route 53 takes and refuses.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod batches;
mod binary;
mod dns;
mod limits;
mod listing;
mod pages;
mod rates;
mod values;
mod zones;

use std::time::Duration;

use aws_sdk_route53::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::ProvideErrorMetadata,
    types::{Change, ChangeAction, ChangeBatch, ChangeInfo, ResourceRecord, ResourceRecordSet, RrType},
};
use secondary53_aws::Https;
use secondary53_tests::strict::{Clock, Config, ManualClock, Server, ZoneSpec, ZoneView};

const ZONE: &str = "Z1EXAMPLE";

/// No answer takes as long as this; a test that waits longer has failed.
const GENEROUS: Duration = Duration::from_secs(30);

/// A stand-in with `example.com.` in it, and a client of it.
struct World {
    server: Server,
    client: Client,
    clock: ManualClock,
}

impl World {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let clock = ManualClock::at(Duration::from_millis(1_800_000_000_123));
        let mut config = Config {
            zones: vec![ZoneSpec::public("example.com").with_id(ZONE)],
            clock: Clock::Manual(clock.clone()),
            ..Config::default()
        };
        adjust(&mut config);
        let server = Server::start(config).await.unwrap();
        let client = client(&server.endpoint());
        Self { server, client, clock }
    }

    async fn send(&self, changes: Vec<Change>) -> Result<ChangeInfo, Refusal> {
        send(&self.client, ZONE, changes).await
    }

    fn zone(&self) -> ZoneView {
        self.server.zone(ZONE).unwrap()
    }

    /// The values of an RRset, as they stand.
    fn values(&self, name: &str, rtype: &str) -> Option<Vec<String>> {
        self.zone().rrset(name, rtype).map(|set| set.values.clone())
    }
}

/// The text of an `InvalidChangeBatch`.
#[track_caller]
fn refused(outcome: Result<ChangeInfo, Refusal>) -> String {
    let Refusal { code, message } = outcome.expect_err("the batch should have been refused");
    assert_eq!(code, "InvalidChangeBatch", "{message}");
    message
}

/// An error of the API.
#[derive(Debug, PartialEq)]
struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    fn of(error: &impl ProvideErrorMetadata) -> Self {
        Self {
            code: error.code().unwrap_or_default().to_owned(),
            message: error.message().unwrap_or_default().to_owned(),
        }
    }
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(Https::new().shared())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(GENEROUS).build())
        .build();
    Client::from_conf(config)
}

async fn send(client: &Client, zone: &str, changes: Vec<Change>) -> Result<ChangeInfo, Refusal> {
    let batch = ChangeBatch::builder().set_changes(Some(changes)).build().unwrap();
    let sent = client.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch).send().await;
    sent.map(|output| output.change_info.unwrap()).map_err(|error| Refusal::of(&error))
}

fn set(name: &str, rtype: &str, ttl: i64, values: &[&str]) -> ResourceRecordSet {
    let records = values.iter().map(|value| ResourceRecord::builder().value(*value).build().unwrap()).collect();
    ResourceRecordSet::builder()
        .name(name)
        .r#type(RrType::from(rtype))
        .ttl(ttl)
        .set_resource_records(Some(records))
        .build()
        .unwrap()
}

fn change(action: ChangeAction, set: ResourceRecordSet) -> Change {
    Change::builder().action(action).resource_record_set(set).build().unwrap()
}

fn create(name: &str, rtype: &str, values: &[&str]) -> Change {
    change(ChangeAction::Create, set(name, rtype, 300, values))
}

fn delete(name: &str, rtype: &str, values: &[&str]) -> Change {
    change(ChangeAction::Delete, set(name, rtype, 300, values))
}

fn upsert(name: &str, rtype: &str, values: &[&str]) -> Change {
    change(ChangeAction::Upsert, set(name, rtype, 300, values))
}

/// `count` RRsets to create, from `h0` on, of one address each.
fn hosts(count: usize) -> Vec<Change> {
    (0..count).map(|at| create(&format!("h{at}.example.com"), "A", &["192.0.2.1"])).collect()
}
