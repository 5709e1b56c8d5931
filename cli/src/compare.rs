//! A zone beside its hosted zone, by the worker's own functions.

use secondary53_lambda::guard::{self, Held, Terms, Verdict};
use secondary53_lambda::hosted::HostedSoa;
use secondary53_lambda::plan::Plan;
use secondary53_lambda::route53::{HostedZone, Route53, Route53Error};
use secondary53_lambda::sync::soa_of;
use secondary53_zone::zone::Zone;

use crate::{Failed, aws};

/// Both, and the difference.
pub struct Compared<'a> {
    /// What Route 53 holds.
    pub hosted: HostedZone<'a>,
    /// Its SOA.
    pub soa: HostedSoa,
    /// The primary's zone.
    pub desired: Zone,
    /// What would make the one the other.
    pub plan: Plan,
    /// How many RRsets the hosted zone may have, where that could matter.
    quota: Option<usize>,
}

/// Why the worker would not apply a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The hosted zone's serial is not older.
    Stale,
    /// A guard holds it.
    Held(Held),
}

impl<'a> Compared<'a> {
    /// Reads the hosted zone and compares it in full, whatever the serial.
    pub async fn read(route53: &'a Route53, desired: Zone, id: Option<&str>) -> Result<Self, Failed> {
        let stop_at = Some(aws::stop_at());
        let mut hosted = route53.find_by(desired.apex(), id, stop_at).await.map_err(|error| told(&error))?;
        let there = hosted.list().await.map_err(|error| told(&error))?;
        let soa = soa_of(&there).map_err(|error| told(&error))?;
        let plan = Plan::new(&there, &desired).map_err(|error| Failed(error.to_string()))?;
        let mut quota = None;
        if plan.size_at_most() > hosted.assured_quota() {
            // Who may not ask is told by Route 53, once it is too much.
            quota = hosted.quota().await.ok();
        }
        Ok(Self { hosted, soa, desired, plan, quota })
    }

    /// What would keep the worker from applying it on these terms.
    pub fn stop(&self, terms: Terms<'_>) -> Option<Stop> {
        let full = Terms { trusts_serial: false, ..terms };
        if let Err(held) = guard::on_zone(&self.hosted.name, &self.desired) {
            return Some(Stop::Held(held));
        }
        if guard::on_serial(&self.soa, self.desired.serial(), full) == Verdict::Stale {
            return Some(Stop::Stale);
        }
        let on_quota = || self.quota.map_or(Ok(()), |quota| guard::on_quota(&self.plan, quota));
        guard::on_plan(&self.plan, full).map(|_| ()).and_then(|()| on_quota()).err().map(Stop::Held)
    }
}

/// What Route 53 says, and what to do about it.
pub fn told(error: &Route53Error) -> Failed {
    match error {
        // The worker's words are for who reads the dead-letter queue.
        Route53Error::NoHostedZone(name) => {
            return Failed(format!(
                "no hosted zone has the name {name} in this account: create it (aws route53 create-hosted-zone --name {name} \
                 --caller-reference {name}), or is it another account's (--profile)?"
            ));
        }
        // Nothing is too late here but what somebody stopped: `aws::stop_at`.
        Route53Error::OutOfTime { .. } => return Failed("stopped: nothing was changed".to_owned()),
        Route53Error::SeveralHostedZones { name, kind, count } => {
            return Failed(format!("{count} {kind} hosted zones have the name {name}: name one by --hosted-zone-id"));
        }
        _ => {}
    }
    let code = match error {
        Route53Error::Refused { code, .. } => Some(code.as_str()),
        Route53Error::Denied(_) => Some("AccessDenied"),
        // The worker has no more to go by than whether it helps to ask again, and puts the code first.
        Route53Error::Unavailable { message, .. } => message.split(": ").next(),
        _ => None,
    };
    let remedy = code.and_then(aws::remedy).map(|remedy| format!("; {remedy}")).unwrap_or_default();
    Failed(format!("{error}{remedy}"))
}
