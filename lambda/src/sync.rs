//! One zone, from a snapshot to Route 53: guard, read, compare, change.

use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::Zone;

use crate::batch::Batches;
use crate::guard::{self, Verdict};
use crate::hosted::{HostedRrset, HostedSoa};
use crate::plan::Plan;
use crate::route53::{HostedZone, Route53Error};

/// How often a zone is read and compared anew because Route 53 refused a batch: someone else may have changed the zone
/// since it was read, or a batch was applied and its answer lost.
const ATTEMPTS: u32 = 2;

/// What became of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The hosted zone is now what the snapshot says, but for what the plan names.
    Applied {
        /// What was done; of several attempts, in the last one.
        plan: Plan,
        /// Requests that it took.
        batches: usize,
    },
    /// It was so already.
    Unchanged,
    /// The hosted zone is at a serial that is not older. Nothing was done.
    Stale,
}

/// Brings a hosted zone up to a snapshot.
pub async fn sync(
    hosted: &mut HostedZone<'_>,
    snapshot: &Snapshot,
    trusts_serial: bool,
) -> Result<Outcome, Route53Error> {
    let desired = snapshot.zone();
    if trusts_serial {
        // One call, and mostly the only one: relays repeat themselves.
        match guard::on_serial(&hosted.soa().await?, desired.serial(), true) {
            Verdict::Proceed => {}
            Verdict::Unchanged => return Ok(Outcome::Unchanged),
            Verdict::Stale => return Ok(Outcome::Stale),
        }
    }
    let mut attempt = 1;
    loop {
        let there = hosted.list().await?;
        // Read with all the rest, so that what was compared is what was guarded.
        if guard::on_serial(&soa_of(&there)?, desired.serial(), false) == Verdict::Stale {
            return Ok(Outcome::Stale);
        }
        let plan = Plan::new(&there, desired)?;
        if plan.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        match apply(hosted, &plan, desired).await {
            Ok(batches) => return Ok(Outcome::Applied { plan, batches }),
            Err(Route53Error::InvalidChangeBatch(words)) if attempt < ATTEMPTS => {
                tracing::warn!(zone = %desired.apex(), serial = %desired.serial(), %words, "a batch was refused: reading the zone anew");
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Applies a plan batch by batch. Where it stops, the serial in Route 53 is still the old one: it rides in the last batch.
pub async fn apply(hosted: &mut HostedZone<'_>, plan: &Plan, desired: &Zone) -> Result<usize, Route53Error> {
    let all = Batches::of(plan);
    for name in &all.not_atomic {
        tracing::warn!(zone = %desired.apex(), %name, "its changes do not fit one request: not atomic");
    }
    let comment = format!("secondary53: serial {} of {}", desired.serial(), desired.apex());
    for batch in &all.batches {
        hosted.change(batch, &comment).await?;
    }
    Ok(all.batches.len())
}

fn soa_of(there: &[HostedRrset]) -> Result<HostedSoa, Route53Error> {
    use secondary53_zone::rrset::Rtype;
    let soa = there.iter().find(|rrset| rrset.text.rtype == Rtype::SOA).ok_or(crate::hosted::HostedError::NoSoa)?;
    Ok(HostedSoa::read(&soa.text)?)
}
