//! Whether what was changed has reached all of Route 53's name servers.

use aws_sdk_route53::types::ChangeStatus;

use super::{HostedZone, Route53Error};

impl HostedZone<'_> {
    /// Whether the change that was made last is INSYNC, and so all before it ("`GetChange`", Amazon Route 53 API Reference). One
    /// call, and none where nothing was changed.
    pub async fn is_in_sync(&mut self) -> Result<bool, Route53Error> {
        let Some(id) = self.last_change.clone() else { return Ok(true) };
        let request = self.client.get_change().id(id);
        let answer = self.attempts("GetChange").ask(|| request.clone().send()).await?;
        Ok(answer.change_info().is_some_and(|info| *info.status() == ChangeStatus::Insync))
    }
}
