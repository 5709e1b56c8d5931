//! How many RRsets a hosted zone may hold.

use aws_sdk_route53::types::HostedZoneLimitType;

use super::{HostedZone, Route53Error};
use crate::hosted::HostedError;

/// RRsets in a hosted zone, its NS and SOA among them, where AWS has granted no more ("Quotas", Amazon Route 53 Developer
/// Guide). It can only be raised.
pub const DEFAULT_QUOTA: usize = 10_000;

impl HostedZone<'_> {
    /// How many RRsets it may hold. One call, the first time that it is asked.
    pub async fn quota(&mut self) -> Result<usize, Route53Error> {
        if let Some(quota) = self.known_quota {
            return Ok(quota);
        }
        let request = self.client.get_hosted_zone_limit().hosted_zone_id(&self.id);
        let request = request.r#type(HostedZoneLimitType::MaxRrsetsByZone);
        let answer = self.attempts("GetHostedZoneLimit").ask(|| request.clone().send()).await?;
        let limit = answer.limit().map(aws_sdk_route53::types::HostedZoneLimit::value).unwrap_or_default();
        let quota = usize::try_from(limit).map_err(|_| HostedError::Quota(limit))?;
        self.known_quota = Some(quota);
        Ok(quota)
    }

    /// The least that the quota can be, as far as is known without asking.
    pub fn assured_quota(&self) -> usize {
        self.known_quota.unwrap_or(DEFAULT_QUOTA)
    }
}
