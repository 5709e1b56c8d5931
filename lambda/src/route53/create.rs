//! Makes the hosted zone of a zone that has none, where the function was told to.

use std::time::Duration;

use aws_sdk_route53::types::HostedZoneConfig;
use secondary53_zone::name::Name;
use secondary53_zone::zone::Digest;

use super::{HostedZone, Route53, Route53Error, bare_id};
use crate::value;

const OPERATION: &str = "CreateHostedZone";

/// How hosted zones are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Creation {
    /// A reusable delegation set: the name servers that the new zone shares. Without it, it has its own.
    pub delegation_set_id: Option<String>,
}

impl Route53 {
    /// As [`Route53::find_by`], by name; where there is none, a public one is made. The digest is of the snapshot that asks
    /// for it, so that two workers with the same message make one hosted zone.
    pub async fn find_or_create(
        &self,
        name: &Name,
        creation: &Creation,
        digest: Digest,
        stop_at: Option<Duration>,
    ) -> Result<HostedZone<'_>, Route53Error> {
        match self.find_by(name, None, stop_at).await {
            Err(Route53Error::NoHostedZone(_)) => {}
            found => return found,
        }
        let mut calls = 0;
        let created = self.hosted(name, None, stop_at).create(creation, digest, &mut calls).await?;
        // Looked for once more, whoever made it: where two were faster than the list, that is said.
        match self.find_by(name, None, stop_at).await {
            // The message comes again, and by then it is there.
            Err(Route53Error::NoHostedZone(_)) => {
                let message = format!("hosted zone {created} was made and is not listed yet");
                Err(Route53Error::Unavailable { operation: OPERATION, message })
            }
            Ok(mut hosted) => {
                tracing::warn!(zone = %name, id = hosted.id, "hosted zone made: now its parent must delegate to it");
                hosted.calls += calls;
                Ok(hosted)
            }
            error => error,
        }
    }
}

impl HostedZone<'_> {
    /// Its id, or words for it.
    async fn create(mut self, creation: &Creation, digest: Digest, calls: &mut u32) -> Result<String, Route53Error> {
        let config = HostedZoneConfig::builder().comment("Made by secondary53").build();
        let request = self.client.create_hosted_zone().name(value::name_text(self.name.by_ref()));
        let request = request.hosted_zone_config(config).set_delegation_set_id(creation.delegation_set_id.clone());
        // 128 characters at most ("CreateHostedZone", Amazon Route 53 API Reference); this is 108.
        let request = request.caller_reference(format!("secondary53-{digest}"));
        let answer = self.attempts(OPERATION).ask(|| request.clone().send()).await;
        *calls = self.calls;
        match answer {
            Ok(answer) => Ok(answer.hosted_zone().map(|zone| bare_id(zone.id()).to_owned()).unwrap_or_default()),
            // By this worker, which had no answer, or by another one.
            Err(Route53Error::AlreadyMade) => Ok("of this snapshot".to_owned()),
            Err(error) => Err(error),
        }
    }
}
