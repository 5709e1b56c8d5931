//! What the hosted zone holds, read through Route 53's own API: nothing here knows how the stand-in works inside.

use std::collections::BTreeMap;

use aws_sdk_route53::Client;
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::config::{BehaviorVersion, Region};
use aws_sdk_route53::error::{BuildError, DisplayErrorContext};
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecordSet, RrType};
use aws_smithy_http_client::Builder as HttpClientBuilder;

use super::StackError;
use super::ministack::{REGION, credentials};
use super::wait::{GENEROUS, until};

/// A hosted zone at an endpoint of Route 53's API.
#[derive(Clone, Debug)]
pub struct HostedZone {
    client: Client,
    /// Without `/hostedzone/`.
    pub id: String,
    /// `example.com`, without a dot at the end.
    pub name: String,
}

/// An RRset as Route 53 shows it: time to live in seconds, values sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rrset {
    /// Seconds.
    pub ttl: i64,
    /// In Route 53's text form.
    pub values: Vec<String>,
}

/// By owner (as Route 53 writes it, without the dot at the end) and type.
pub type Rrsets = BTreeMap<(String, String), Rrset>;

/// A client that retries little: a stand-in on loopback that does not answer is broken.
pub fn client(endpoint: &str) -> Client {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static(REGION))
        .credentials_provider(credentials())
        .retry_config(RetryConfig::standard().with_max_attempts(10))
        .http_client(HttpClientBuilder::new().build_http())
        .build();
    Client::from_conf(config)
}

impl HostedZone {
    /// Makes a public hosted zone for `name`.
    ///
    /// # Errors
    /// Route 53 refuses.
    pub async fn create(client: &Client, name: &str) -> Result<Self, StackError> {
        let action = || format!("create the hosted zone {name}");
        let reference = format!("{:032x}", rand::random::<u128>());
        let answer = client.create_hosted_zone().name(name).caller_reference(reference).send().await;
        let answer = answer.map_err(|error| StackError::step(action(), &DisplayErrorContext(&error)))?;
        let zone = answer.hosted_zone.ok_or_else(|| StackError::step(action(), &"the answer has no hosted zone"))?;
        let id = zone.id().trim_start_matches("/hostedzone/").to_owned();
        Ok(Self { client: client.clone(), id, name: name.to_owned() })
    }

    /// Everything it holds.
    ///
    /// # Errors
    /// Route 53 refuses.
    pub async fn rrsets(&self) -> Result<Rrsets, StackError> {
        let mut held = Rrsets::new();
        let mut page = self.client.list_resource_record_sets().hosted_zone_id(&self.id);
        loop {
            let answer = page.send().await.map_err(|error| self.failed("list", &DisplayErrorContext(&error)))?;
            for set in answer.resource_record_sets() {
                let mut values: Vec<_> =
                    set.resource_records().iter().map(|record| record.value().to_owned()).collect();
                values.sort();
                let owner = set.name().trim_end_matches('.').to_owned();
                let rrset = Rrset { ttl: set.ttl().unwrap_or_default(), values };
                held.insert((owner, set.r#type().as_str().to_owned()), rrset);
            }
            if !answer.is_truncated() {
                return Ok(held);
            }
            page = self
                .client
                .list_resource_record_sets()
                .hosted_zone_id(&self.id)
                .set_start_record_name(answer.next_record_name)
                .set_start_record_type(answer.next_record_type)
                .set_start_record_identifier(answer.next_record_identifier);
        }
    }

    /// The serial of its SOA.
    ///
    /// # Errors
    /// Route 53 refuses, or the SOA is not one.
    pub async fn serial(&self) -> Result<u32, StackError> {
        let answer = self
            .client
            .list_resource_record_sets()
            .hosted_zone_id(&self.id)
            .start_record_name(&self.name)
            .start_record_type(RrType::Soa)
            .max_items(1)
            .send()
            .await
            .map_err(|error| self.failed("read the SOA of", &DisplayErrorContext(&error)))?;
        let soa = answer.resource_record_sets().first().and_then(|set| set.resource_records().first());
        let value = soa.map(|record| record.value().to_owned()).unwrap_or_default();
        let serial = value.split_whitespace().nth(2).and_then(|serial| serial.parse().ok());
        serial.ok_or_else(|| self.failed("read the SOA of", &value))
    }

    /// Waits until its SOA says `serial`, which means that the zone is complete at it.
    ///
    /// # Errors
    /// It does not for long; Route 53 refuses.
    pub async fn reaches(&self, serial: u32) -> Result<(), StackError> {
        let event = format!("serial {serial} in the hosted zone {}", self.name);
        let reached = until(GENEROUS, &event, async || Ok((self.serial().await? == serial).then_some(()))).await;
        match reached {
            Err(StackError::Waited { event, limit, .. }) => {
                let detail = format!("; it holds {:?}", self.rrsets().await?);
                Err(StackError::Waited { event, limit, detail })
            }
            other => other,
        }
    }

    /// Puts an alias there, which is nobody's but Route 53's.
    ///
    /// # Errors
    /// Route 53 refuses.
    pub async fn alias(&self, name: &str, target: &str) -> Result<(), StackError> {
        let batch = alias_batch(&self.id, name, target).map_err(|error| self.failed("make an alias in", &error))?;
        let sent = self.client.change_resource_record_sets().hosted_zone_id(&self.id).change_batch(batch).send().await;
        sent.map(drop).map_err(|error| self.failed("make an alias in", &DisplayErrorContext(&error)))
    }

    fn failed(&self, verb: &str, reason: &dyn std::fmt::Display) -> StackError {
        StackError::step(format!("{verb} the hosted zone {}", self.name), reason)
    }
}

fn alias_batch(zone_id: &str, name: &str, target: &str) -> Result<ChangeBatch, BuildError> {
    let target = aws_sdk_route53::types::AliasTarget::builder()
        .hosted_zone_id(zone_id)
        .dns_name(target)
        .evaluate_target_health(false)
        .build()?;
    let set = ResourceRecordSet::builder().name(name).r#type(RrType::A).alias_target(target).build()?;
    let change = Change::builder().action(ChangeAction::Create).resource_record_set(set).build()?;
    ChangeBatch::builder().changes(change).build()
}
