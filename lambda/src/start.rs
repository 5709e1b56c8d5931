//! From the environment to a worker: the AWS clients and the log.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use secondary53_aws::{Https, Objects};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::handler::{self, Worker};
use crate::overflow::Overflow;
use crate::pace::Pace;
use crate::quarantine::Quarantine;
use crate::queue::Queue;
use crate::refusals::Refusals;
use crate::room::Room;
use crate::route53::Route53;
use crate::settings::Settings;
use crate::turns::Turns;

/// For SQS. Route 53 is asked again by [`crate::route53`] itself.
const ATTEMPTS: u32 = 10;
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// Where Route 53's one endpoint is, for an operator who has set no region.
const GLOBAL: &str = "us-east-1";
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Logs JSON, a line for each event, at the level that `RUST_LOG` says or `info`.
pub fn log() {
    let given = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let given = given.and_then(|text| text.parse::<Targets>().ok());
    let filter = given.unwrap_or_else(|| Targets::new().with_default(Level::INFO));
    let json = tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false);
    // A second call, in a test, changes nothing.
    _ = tracing_subscriber::registry().with(filter).with(json).try_init();
}

/// The AWS configuration of a program that works on Route 53: credentials, region and endpoints as every AWS tool takes
/// them, one HTTPS client.
pub async fn aws() -> SdkConfig {
    let retry = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF);
    // Not the whole default chain: outside of EC2 its last link waits for a metadata service that is not there.
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(GLOBAL);
    aws_config::defaults(BehaviorVersion::latest())
        .region(region)
        .http_client(Https::new().shared())
        .retry_config(retry)
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
        .load()
        .await
}

/// A worker with its clients.
pub async fn worker(settings: Settings) -> Worker {
    let aws = aws().await;
    let sqs = aws_sdk_sqs::Client::new(&aws);
    Worker {
        route53: Route53::with_turns(
            &aws_sdk_route53::Client::new(&aws),
            Turns::new(Pace::of(settings.workers), handler::clock),
        ),
        overflow: Overflow::new(Objects::new(&aws), settings.overflow_buckets),
        quarantine: Quarantine::new(sqs.clone(), settings.dlq_url),
        queue: Queue::new(sqs, settings.queue_url),
        limits: settings.limits,
        clock: handler::clock,
        policy: settings.policy,
        refusals: Refusals::default(),
        creation: settings.creation,
        room: Room::of(settings.limits),
    }
}
