//! One zone, from a snapshot to Route 53: guard, read, compare, change.
//!
//! ```text
//!  read ──▶ compare ──▶ apply ──▶ done
//!   ▲                     │
//!   └──── refused ◀───────┤            someone else changed the zone, or an answer was lost: it is read anew
//!                         ▼
//!               refused, and nothing has changed: isolate ──▶ the rest is applied, the serial stays
//! ```

use secondary53_zone::delta::Delta;
use secondary53_zone::rrset::Rtype;
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::Zone;

use crate::batch::{Action, Batches, Item};
use crate::guard::{self, Held, Passed, Terms, Verdict};
use crate::hosted::{HostedError, HostedRrset, HostedSoa};
use crate::isolate::{Isolation, Refused};
use crate::plan::Plan;
use crate::refusals::Refusals;
use crate::route53::{HostedZone, Route53Error};

/// How often at most a zone is read and compared anew because Route 53 refused a batch. Each time something must have
/// changed since: someone else is at work, or a batch was applied and its answer lost. So this is a bound on the patience
/// with others, not on the batches of a zone.
const MAX_ATTEMPTS: u32 = 50;
/// How often at most bad RRsets are searched for. A second search has something to find only where someone else was at work
/// during the first.
const MAX_SEARCHES: u32 = 3;

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
    /// A guard holds it, and nothing was done.
    Held {
        /// Which, and why.
        held: Held,
        /// What would have been done, where it came to that.
        plan: Option<Plan>,
    },
    /// Route 53 refused some of it. The rest was done, and the serial is as it was.
    Refused {
        /// What is left to do.
        plan: Plan,
        /// What was refused.
        refused: Vec<Refused>,
    },
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
    terms: Terms<'_>,
    refusals: &Refusals,
) -> Result<Outcome, Route53Error> {
    let desired = snapshot.zone();
    if let Err(held) = guard::on_zone(&hosted.name, desired) {
        return Ok(Outcome::Held { held, plan: None });
    }
    let mut done = None;
    if terms.trusts_serial {
        // One call, and mostly the only one: relays repeat themselves.
        let soa = hosted.soa().await?;
        match guard::on_serial(&soa, desired.serial(), terms) {
            Verdict::Proceed => {}
            Verdict::Unchanged => return Ok(Outcome::Unchanged),
            Verdict::Stale => return Ok(Outcome::Stale),
        }
        if let Some(plan) = fast(hosted, snapshot, &soa, terms, refusals) {
            match send(hosted, &Batches::of(&plan), desired).await {
                Ok(batches) => return Ok(Outcome::Applied { plan, batches, path: Path::Fast }),
                Err(Route53Error::InvalidChangeBatch(words)) => {
                    tracing::warn!(zone = %desired.apex(), serial = %desired.serial(), %words, "what changed does not fit the hosted zone: reading it");
                    done = Some(plan);
                }
                Err(error) => return Err(error),
            }
        }
    }
    let mut before: Option<(Plan, String)> = None;
    let mut found: Option<Vec<Refused>> = None;
    let mut searches = 0;
    for _ in 0..MAX_ATTEMPTS {
        let there = hosted.list().await?;
        // Read with all the rest, so that what was compared is what was guarded.
        let full = Terms { trusts_serial: false, ..terms };
        if guard::on_serial(&soa_of(&there)?, desired.serial(), full) == Verdict::Stale {
            return Ok(Outcome::Stale);
        }
        let plan = Plan::new(&there, desired)?;
        if plan.is_empty() {
            refusals.forget(&hosted.id);
            // After a refusal: the answer to the last batch was lost, and the SDK sent it again.
            return Ok(done.map_or(Outcome::Unchanged, |plan| {
                let batches = Batches::of(&plan).batches.len();
                Outcome::Applied { plan, batches, path: Path::Full }
            }));
        }
        if let Err(held) = guard::on_plan(&plan, terms) {
            return Ok(Outcome::Held { held, plan: Some(plan) });
        }
        let (good, known) = refusals.split(&hosted.id, &plan);
        if good.is_empty()
            && let Some(mut refused) = found.take()
        {
            // Searched for just now, and nobody has changed anything since. What is not to be done any more was done, and its
            // answer lost.
            refused.retain(|refused| plan.names.iter().any(|name| name.name == refused.name));
            return Ok(Outcome::Refused { plan, refused });
        }
        if let Some((_, words)) = before.take_if(|(before, _)| *before == plan) {
            // Nothing has changed since, so neither would the answer: Route 53 means it.
            if good.names.is_empty() {
                return Ok(Outcome::Refused { refused: soa_refused(&plan, words), plan });
            }
            if hosted.assured_quota() >= plan.size_at_most() && plan.size_at_most() > plan.there {
                // Whatever its words: that there is no room is a reason that is no RRset's own.
                if hosted.quota().await? < plan.size_at_most() {
                    continue;
                }
            }
            searches += 1;
            if searches > MAX_SEARCHES {
                return Err(Route53Error::Unsettled(words));
            }
            tracing::warn!(zone = %desired.apex(), serial = %desired.serial(), %words, "a batch is refused: looking for what is bad in it");
            let batches = match fit(hosted, &Plan { soa: None, ..good }).await? {
                Ok(batches) => batches,
                Err(held) => return Ok(Outcome::Held { held, plan: Some(plan) }),
            };
            // Had any batch been applied, the plan would be another: it was the first that was refused.
            let isolation = Isolation::of_refused(batches.batches, &words);
            let mut refused = search(hosted, isolation, desired).await?;
            let known = known.names.iter().map(|name| Refused::of(name, &words));
            refused.extend(known);
            refusals.remember(&hosted.id, &plan, &refused);
            found = (!refused.is_empty()).then_some(refused);
            done.get_or_insert(plan);
            continue;
        }
        found = None;
        if !good.is_empty() {
            let batches = match fit(hosted, &good).await? {
                Ok(batches) => batches,
                Err(held) => return Ok(Outcome::Held { held, plan: Some(plan) }),
            };
            match send(hosted, &batches, desired).await {
                Ok(batches) if known.is_empty() => {
                    refusals.forget(&hosted.id);
                    return Ok(Outcome::Applied { plan, batches, path: Path::Full });
                }
                Ok(_) => {}
                Err(Route53Error::InvalidChangeBatch(words)) => {
                    tracing::warn!(zone = %desired.apex(), serial = %desired.serial(), %words, "a batch was refused: reading the zone anew");
                    done = Some(plan.clone());
                    before = Some((plan, words));
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        // What was refused the last time is asked for again, apart.
        let refused = search(hosted, Isolation::of_known(Batches::of(&known).batches), desired).await?;
        refusals.remember(&hosted.id, &plan, &refused);
        if !refused.is_empty() {
            return Ok(Outcome::Refused { plan: known, refused });
        }
        // It is good now: what is left is the serial.
        done = Some(plan);
    }
    Err(Route53Error::Unsettled(before.map(|(_, words)| words).unwrap_or_default()))
}

/// The plan of the fast path, where that can be taken.
fn fast(
    hosted: &HostedZone<'_>,
    snapshot: &Snapshot,
    soa: &HostedSoa,
    terms: Terms<'_>,
    refusals: &Refusals,
) -> Option<Plan> {
    let starts_here = |delta: &&Delta| Plan::is_done_in(soa, delta.before()) && !soa.is_route_53s_own();
    let delta = snapshot.delta().filter(starts_here)?;
    if refusals.is_any(&hosted.id) {
        // Some of a later serial was applied: the hosted zone is not what its serial says.
        return None;
    }
    if !delta.leads_to(snapshot.zone()) {
        tracing::warn!(zone = %snapshot.zone().apex(), "the snapshot's delta does not lead to its zone: passed over");
        return None;
    }
    let plan = Plan::of_delta(delta, snapshot.zone(), soa);
    // Where it could matter, all is read and counted.
    let is_plain = guard::on_delta(&plan, terms) && plan.size_at_most() <= hosted.assured_quota();
    is_plain.then_some(plan)
}

/// Applies a plan batch by batch. Where it stops, the serial in Route 53 is still the old one: it rides in the last batch.
pub async fn apply(
    hosted: &mut HostedZone<'_>,
    passed: Passed<'_>,
    desired: &Zone,
) -> Result<Result<usize, Held>, Route53Error> {
    match fit(hosted, passed.plan()).await? {
        Ok(batches) => Ok(Ok(send(hosted, &batches, desired).await?)),
        Err(held) => Ok(Err(held)),
    }
}

/// Cuts a plan into requests that keep the hosted zone within its quota. That is asked for only where it could matter.
async fn fit(hosted: &mut HostedZone<'_>, plan: &Plan) -> Result<Result<Batches, Held>, Route53Error> {
    if plan.size_at_most() <= hosted.assured_quota() {
        return Ok(Ok(Batches::of(plan)));
    }
    let quota = hosted.quota().await?;
    if let Err(held) = guard::on_quota(plan, quota) {
        return Ok(Err(held));
    }
    let room = quota.saturating_sub(plan.there);
    let fits = plan.size_at_most() <= quota;
    Ok(Ok(if fits { Batches::of(plan) } else { Batches::within(plan, room) }))
}

async fn send(hosted: &mut HostedZone<'_>, all: &Batches, desired: &Zone) -> Result<usize, Route53Error> {
    for name in &all.not_atomic {
        tracing::warn!(zone = %desired.apex(), %name, "its changes do not fit one request: not atomic");
    }
    let comment = comment_of(desired);
    for batch in &all.batches {
        hosted.change(batch, &comment).await?;
    }
    Ok(all.batches.len())
}

/// Applies what Route 53 takes of it, and gives what it does not.
async fn search(
    hosted: &mut HostedZone<'_>,
    mut isolation: Isolation,
    desired: &Zone,
) -> Result<Vec<Refused>, Route53Error> {
    let comment = comment_of(desired);
    while let Some(batch) = isolation.next_batch() {
        match hosted.change(&batch, &comment).await {
            Ok(()) => isolation.accepted(),
            Err(Route53Error::InvalidChangeBatch(words)) => isolation.refused(&words),
            Err(error) => return Err(error),
        }
    }
    Ok(isolation.into_refused())
}

fn comment_of(desired: &Zone) -> String {
    format!("secondary53: serial {} of {}", desired.serial(), desired.apex())
}

/// Where nothing else is left to do.
fn soa_refused(plan: &Plan, words: String) -> Vec<Refused> {
    let of = |soa: &crate::hosted::RrsetText| Refused {
        name: soa.name.clone(),
        items: vec![Item { action: Action::Upsert, rrset: soa.clone() }],
        words,
    };
    plan.soa.as_ref().map(of).into_iter().collect()
}

/// What the SOA says among the RRsets of a hosted zone.
pub fn soa_of(there: &[HostedRrset]) -> Result<HostedSoa, Route53Error> {
    let soa = there.iter().find(|rrset| rrset.text.rtype == Rtype::SOA).ok_or(HostedError::NoSoa)?;
    Ok(HostedSoa::read(&soa.text)?)
}
