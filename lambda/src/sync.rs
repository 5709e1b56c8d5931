//! One zone, from a snapshot to Route 53: guard, read, compare, change.

use secondary53_zone::rrset::Rtype;
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::Zone;

use crate::batch::Batches;
use crate::guard::{self, Held, Passed, Terms, Verdict};
use crate::hosted::{HostedError, HostedRrset, HostedSoa};
use crate::plan::Plan;
use crate::route53::{HostedZone, Route53Error};

/// How often at most a zone is read and compared anew because Route 53 refused a batch. Each time something must have
/// changed since: someone else is at work, or a batch was applied and its answer lost. So this is a bound on the patience
/// with others, not on the batches of a zone.
const MAX_ATTEMPTS: u32 = 50;

/// What became of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The hosted zone is now what the snapshot says, but for what the plan names.
    Applied {
        /// What was done; of several attempts, in the last one.
        plan: Plan,
        /// Requests that this takes.
        batches: usize,
    },
    /// It was so already.
    Unchanged,
    /// The hosted zone is at a serial that is not older. Nothing was done.
    Stale,
    /// A guard holds it, and nothing was done.
    Held {
        /// Which, and why.
        held: Held,
        /// What would have been done, where it came to that.
        plan: Option<Plan>,
    },
}

/// Brings a hosted zone up to a snapshot.
pub async fn sync(hosted: &mut HostedZone<'_>, snapshot: &Snapshot, terms: Terms<'_>) -> Result<Outcome, Route53Error> {
    let desired = snapshot.zone();
    if let Err(held) = guard::on_zone(&hosted.name, desired) {
        return Ok(Outcome::Held { held, plan: None });
    }
    if terms.trusts_serial {
        // One call, and mostly the only one: relays repeat themselves.
        match guard::on_serial(&hosted.soa().await?, desired.serial(), terms) {
            Verdict::Proceed => {}
            Verdict::Unchanged => return Ok(Outcome::Unchanged),
            Verdict::Stale => return Ok(Outcome::Stale),
        }
    }
    let mut refused: Option<(Plan, String)> = None;
    for _ in 0..MAX_ATTEMPTS {
        let there = hosted.list().await?;
        // Read with all the rest, so that what was compared is what was guarded.
        let full = Terms { trusts_serial: false, ..terms };
        if guard::on_serial(&soa_of(&there)?, desired.serial(), full) == Verdict::Stale {
            return Ok(Outcome::Stale);
        }
        let plan = Plan::new(&there, desired)?;
        match refused {
            // Refused though done: the answer to the last batch was lost, and the SDK sent it again.
            Some((done, _)) if plan.is_empty() => {
                let batches = Batches::of(&done).batches.len();
                return Ok(Outcome::Applied { plan: done, batches });
            }
            // Nothing has changed since, so neither would the answer: Route 53 means it.
            Some((before, words)) if before == plan => return Err(Route53Error::InvalidChangeBatch(words)),
            _ => {}
        }
        if plan.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let passed = match guard::on_plan(&plan, terms) {
            Ok(passed) => passed,
            Err(held) => return Ok(Outcome::Held { held, plan: Some(plan) }),
        };
        match apply(hosted, passed, desired).await {
            Ok(batches) => return Ok(Outcome::Applied { plan, batches }),
            Err(Route53Error::InvalidChangeBatch(words)) => {
                tracing::warn!(zone = %desired.apex(), serial = %desired.serial(), %words, "a batch was refused: reading the zone anew");
                refused = Some((plan, words));
            }
            Err(error) => return Err(error),
        }
    }
    Err(Route53Error::Unsettled(refused.map(|(_, words)| words).unwrap_or_default()))
}

/// Applies a plan batch by batch. Where it stops, the serial in Route 53 is still the old one: it rides in the last batch.
pub async fn apply(hosted: &mut HostedZone<'_>, passed: Passed<'_>, desired: &Zone) -> Result<usize, Route53Error> {
    let all = Batches::of(passed.plan());
    for name in &all.not_atomic {
        tracing::warn!(zone = %desired.apex(), %name, "its changes do not fit one request: not atomic");
    }
    let comment = format!("secondary53: serial {} of {}", desired.serial(), desired.apex());
    for batch in &all.batches {
        hosted.change(batch, &comment).await?;
    }
    Ok(all.batches.len())
}

/// What the SOA says among the RRsets of a hosted zone.
pub fn soa_of(there: &[HostedRrset]) -> Result<HostedSoa, Route53Error> {
    let soa = there.iter().find(|rrset| rrset.text.rtype == Rtype::SOA).ok_or(HostedError::NoSoa)?;
    Ok(HostedSoa::read(&soa.text)?)
}
