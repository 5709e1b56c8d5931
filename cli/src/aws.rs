//! Credentials, region and endpoints, as every AWS tool takes them.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_types::region::Region;
use secondary53_aws::{Https, chain};
use secondary53_lambda::handler;
use secondary53_lambda::pace::Pace;
use secondary53_lambda::route53::Route53;
use secondary53_lambda::turns::Turns;

use crate::args::Aws;
use crate::terminal::printable;
use crate::{Failed, interrupt};

/// A person waits.
const ATTEMPTS: u32 = 5;
const CONNECT: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(30);
/// Where Route 53's one endpoint is, for an operator who has set no region.
const GLOBAL: &str = "us-east-1";
/// Longer than any command takes, and short enough to be added to the time of day.
const LONG: Duration = Duration::from_hours(24 * 365);

/// What to do where AWS does not take the credentials, or there are none.
const REMEDY: &str = "set AWS_PROFILE or pass --profile, or log in anew; for a profile of IAM Identity Center: \
                      aws sso login, then eval \"$(aws configure export-credentials --format env)\"";

/// Reads it all. Credentials are asked for here, so that what is wrong with them is told before anything else.
///
/// `region` is what a queue's URL says, which counts for more than what is set for every tool, and less than an argument.
pub async fn config(args: &Aws, region: Option<String>) -> Result<SdkConfig, Failed> {
    let mut of_profile = ProfileFileRegionProvider::builder();
    if let Some(profile) = &args.profile {
        of_profile = of_profile.profile_name(profile);
    }
    let said = args.region.clone().or(region).map(Region::new);
    let region = RegionProviderChain::first_try(said)
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(of_profile.build())
        .or_else(GLOBAL);
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region)
        .http_client(Https::new().shared())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts);
    if let Some(profile) = &args.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &args.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let config = loader.load().await;
    let provider = config.credentials_provider();
    let provider = provider.ok_or_else(|| Failed(format!("failed to find AWS credentials: {REMEDY}")))?;
    let found = provider.provide_credentials().await;
    found.map_err(|error| match error {
        // What was tried is a list of many lines, and the same for everybody.
        CredentialsError::CredentialsNotLoaded(_) => Failed(format!(
            "failed to find AWS credentials, in the environment, a profile, a container or an instance: {REMEDY}"
        )),
        error => Failed(format!("failed to find AWS credentials ({}): {REMEDY}", printable(&chain(&error)))),
    })?;
    Ok(config)
}

/// Route 53, at all of the account's pace: whoever types a command waits for it. Once [`interrupt`] was told to stop, nothing
/// more is asked, wherever [`stop_at`] is set.
pub fn route53(config: &SdkConfig) -> Route53 {
    Route53::with_turns(&aws_sdk_route53::Client::new(config), Turns::new(Pace::of(1), clock))
}

/// When the work on a hosted zone is to stop: [`secondary53_lambda::route53::HostedZone::stop_at`].
pub fn stop_at() -> Duration {
    handler::clock() + LONG
}

/// The time of day, until somebody wants it to end: then it is too late for everything.
fn clock() -> Duration {
    let late = if interrupt::is_told() { 2 * LONG } else { Duration::ZERO };
    handler::clock() + late
}

/// What AWS says, in a line, and what to do about it where that is the credentials.
pub fn told<E, R>(error: &SdkError<E, R>) -> String
where
    SdkError<E, R>: ProvideErrorMetadata + std::error::Error,
{
    match error.code() {
        Some(code) => {
            let words = error.message().map(|words| format!(": {words}")).unwrap_or_default();
            format!("{code}{words}{}", remedy(code).map(|remedy| format!("; {remedy}")).unwrap_or_default())
        }
        None => chain(error),
    }
}

/// What to do about one of AWS's codes, where a person can do anything ("Common errors", Amazon SQS API Reference and
/// Amazon Route 53 API Reference).
pub fn remedy(code: &str) -> Option<&'static str> {
    match code {
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => Some(REMEDY),
        "AccessDenied" | "AccessDeniedException" => Some("docs/cli.md says what a command needs"),
        "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" => {
            Some("name the queues by --queue-url and --dlq-url (the stack's outputs have them), or mend --region")
        }
        _ => None,
    }
}
