//! The account's hosted zones, from the strict hosted zone.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use secondary53_relay::discover::{Account, Found};
use secondary53_tests::strict::{self, Clock, ManualClock, Rate, Server, ZoneSpec};

/// Three pages of Route 53's.
const ZONES: usize = 205;

fn account(endpoint: &str) -> Account {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()));
    Account::new(&config.build())
}

async fn route53(config: strict::Config) -> Server {
    Server::start(config).await.unwrap()
}

#[tokio::test]
async fn all_public_hosted_zones_are_found_page_by_page() {
    let zone = |number: usize| {
        let spec = ZoneSpec::public(&format!("zone-{number}.example")).with_id(&format!("Z{number:04}"));
        ZoneSpec { private: number % 5 == 4, ..spec }
    };
    let mut zones: Vec<_> = (0..ZONES).map(zone).collect();
    zones.push(ZoneSpec::public("0/26.2.0.192.in-addr.arpa").with_id("ZREVERSE"));
    let server = route53(strict::Config { zones, ..strict::Config::default() }).await;
    let found = account(&server.endpoint()).hosted_zones().await.unwrap();
    let mut expected: Vec<_> = (0..ZONES)
        .filter(|number| number % 5 != 4)
        .map(|number| Found { name: format!("zone-{number}.example").parse().unwrap(), id: format!("Z{number:04}") })
        .collect();
    expected.push(Found { name: "0/26.2.0.192.in-addr.arpa".parse().unwrap(), id: "ZREVERSE".to_owned() });
    assert_eq!(found, expected);
    let calls: Vec<_> = server.calls().iter().map(|call| (call.action, call.status)).collect();
    assert_eq!(calls, [("ListHostedZones", 200); 3]);
}

#[tokio::test]
async fn an_account_without_hosted_zones_is_empty() {
    let server = route53(strict::Config::default()).await;
    assert_eq!(account(&server.endpoint()).hosted_zones().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_throttled_for_good_is_an_error_and_not_a_shorter_list() {
    // The clock stands still, so there is never another token.
    let rate = Rate { burst: 2, per_second: 1 };
    let zones = (0..ZONES).map(|number| ZoneSpec::public(&format!("zone-{number}.example"))).collect();
    let config = strict::Config {
        zones,
        request_rate: Some(rate),
        clock: Clock::Manual(ManualClock::at(Duration::ZERO)),
        ..strict::Config::default()
    };
    let server = route53(config).await;
    let error = account(&server.endpoint()).hosted_zones().await.unwrap_err().to_string();
    assert_eq!(error, "failed to list the account's hosted zones: Throttling: Rate exceeded");
    // Two pages, and three times the third.
    assert_eq!(server.calls().len(), 5);
    let nobody = secondary53_tests::stack::programs::free_address().unwrap();
    let error = account(&format!("http://{nobody}")).hosted_zones().await.unwrap_err().to_string();
    assert!(error.contains("failed to list the account's hosted zones: ") && error.contains("refused"), "{error}");
}
