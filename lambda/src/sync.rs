//! One zone, from a snapshot to Route 53: guard, read, compare, change.

use secondary53_zone::delta::Delta;
use secondary53_zone::rrset::Rtype;
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::Zone;

use crate::batch::Batches;
use crate::guard::{self, Verdict};
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
        /// How it was found out what to do.
        path: Path,
    },
    /// It was so already.
    Unchanged,
    /// The hosted zone is at a serial that is not older. Nothing was done.
    Stale,
}

/// How it was found out what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The snapshot said what changed: a request to read the SOA, and those that change something.
    Fast,
    /// All of the hosted zone was read.
    Full,
}

impl Path {
    /// As the log has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Full => "full",
        }
    }
}

/// Brings a hosted zone up to a snapshot.
///
/// The fast path is taken where the hosted zone's serial is the one that the snapshot's delta starts from, and nobody asked
/// for a full comparison. The serial says that the zone is complete at it, and what someone else did meanwhile to an RRset
/// that changes is found by Route 53, which then refuses; what they did elsewhere is found by the next full comparison.
pub async fn sync(
    hosted: &mut HostedZone<'_>,
    snapshot: &Snapshot,
    trusts_serial: bool,
) -> Result<Outcome, Route53Error> {
    let desired = snapshot.zone();
    let mut refused: Option<(Plan, String)> = None;
    if trusts_serial {
        // One call, and mostly the only one: relays repeat themselves.
        let soa = hosted.soa().await?;
        match guard::on_serial(&soa, desired.serial(), true) {
            Verdict::Proceed => {}
            Verdict::Unchanged => return Ok(Outcome::Unchanged),
            Verdict::Stale => return Ok(Outcome::Stale),
        }
        if let Some(plan) = fast(snapshot, &soa) {
            match apply(hosted, &plan, desired).await {
                Ok(batches) => return Ok(Outcome::Applied { plan, batches, path: Path::Fast }),
                Err(Route53Error::InvalidChangeBatch(words)) => {
                    tracing::warn!(zone = %desired.apex(), serial = %desired.serial(), %words, "what changed does not fit the hosted zone: reading it");
                    refused = Some((plan, words));
                }
                Err(error) => return Err(error),
            }
        }
    }
    for _ in 0..MAX_ATTEMPTS {
        let there = hosted.list().await?;
        // Read with all the rest, so that what was compared is what was guarded.
        if guard::on_serial(&soa_of(&there)?, desired.serial(), false) == Verdict::Stale {
            return Ok(Outcome::Stale);
        }
        let plan = Plan::new(&there, desired)?;
        match refused {
            // Refused though done: the answer to the last batch was lost, and the SDK sent it again.
            Some((done, _)) if plan.is_empty() => {
                let batches = Batches::of(&done).batches.len();
                return Ok(Outcome::Applied { plan: done, batches, path: Path::Full });
            }
            // Nothing has changed since, so neither would the answer: Route 53 means it.
            Some((before, words)) if before == plan => return Err(Route53Error::InvalidChangeBatch(words)),
            _ => {}
        }
        if plan.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        match apply(hosted, &plan, desired).await {
            Ok(batches) => return Ok(Outcome::Applied { plan, batches, path: Path::Full }),
            Err(Route53Error::InvalidChangeBatch(words)) => {
                tracing::warn!(zone = %desired.apex(), serial = %desired.serial(), %words, "a batch was refused: reading the zone anew");
                refused = Some((plan, words));
            }
            Err(error) => return Err(error),
        }
    }
    Err(Route53Error::Unsettled(refused.map(|(_, words)| words).unwrap_or_default()))
}

/// The plan of the fast path, where that can be taken.
fn fast(snapshot: &Snapshot, soa: &HostedSoa) -> Option<Plan> {
    let starts_here = |delta: &&Delta| delta.base() == soa.soa.serial && !soa.is_route_53s_own();
    let delta = snapshot.delta().filter(starts_here)?;
    if !delta.leads_to(snapshot.zone()) {
        tracing::warn!(zone = %snapshot.zone().apex(), "the snapshot's delta does not lead to its zone: passed over");
        return None;
    }
    Some(Plan::of_delta(delta, snapshot.zone(), soa))
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

/// What the SOA says among the RRsets of a hosted zone.
pub fn soa_of(there: &[HostedRrset]) -> Result<HostedSoa, Route53Error> {
    let soa = there.iter().find(|rrset| rrset.text.rtype == Rtype::SOA).ok_or(HostedError::NoSoa)?;
    Ok(HostedSoa::read(&soa.text)?)
}
