//! One zone, from a snapshot to Route 53: guard, read, compare, change.
//!
//! ```text
//!  read ──▶ compare ──▶ apply ──▶ done
//!   ▲                     │
//!   └──── refused ◀───────┤            someone else changed the zone, or an answer was lost: it is read anew
//!                         ▼
//!               refused, and nothing has changed: isolate ──▶ the rest is applied, the serial stays
//! ```

use std::collections::{HashMap, HashSet};

use secondary53_zone::delta::Delta;
use secondary53_zone::name::Name;
use secondary53_zone::rrset::Rtype;
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::Zone;

use crate::batch::{Action, Batch, Batches, Item, is_gone_meanwhile};
use crate::guard::{self, Held, Passed, Terms, Verdict};
use crate::hosted::{HostedError, HostedRrset, HostedSoa, RrsetText};
use crate::isolate::{Isolation, Refused, Rejection};
use crate::plan::{NameChanges, Plan};
use crate::refusals::{Refusals, Split};
use crate::route53::{HostedZone, Route53Error};

/// How often at most a zone is read and compared anew because Route 53 refused a batch. Each time something must have
/// changed since: someone else is at work, or a batch was applied and its answer lost. So this is a bound on the patience
/// with others, not on the batches of a zone.
const MAX_ATTEMPTS: u32 = 50;
/// How often at most bad RRsets are searched for. A second search has something to find only where someone else was at work
/// during the first.
const MAX_SEARCHES: u32 = 3;
/// Requests that IAM denies from the beginning of a search on, and no other answer. Then it is not a type or a name that the
/// function may not change, but this hosted zone.
const MAX_DENIALS: u32 = 8;

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
/// The fast path is taken where the hosted zone's SOA is the one that the snapshot's delta starts from, without a mark, and
/// nobody asked for a full comparison. Such a SOA says that the zone is complete at its serial, and what someone else did
/// meanwhile to an RRset that changes is found by Route 53, which then refuses; what they did elsewhere is found by the next
/// full comparison.
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
        if let Some(plan) = fast(hosted, snapshot, &soa, terms).await? {
            match send(hosted, &Batches::of(&plan), desired).await? {
                Ok(batches) => return Ok(Outcome::Applied { plan, batches, path: Path::Fast }),
                Err(Rejection { words, .. }) => {
                    tracing::warn!(zone = %desired.apex(), serial = %desired.serial(), %words, "what changed does not fit the hosted zone: reading it");
                    done = Some(plan);
                }
            }
        }
    }
    let mut before: Option<(Plan, Rejection)> = None;
    let mut found: Option<(Plan, Vec<Refused>)> = None;
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
        let split = refusals.split(&hosted.id, &plan);
        let good = &split.good;
        if let Some((_, mut refused)) = found.take_if(|(searched, refused)| is_all_refused(&plan, searched, refused)) {
            // Searched for just now, and nobody has changed anything since. What is not to be done any more was done, and its
            // answer lost.
            refused.retain(|refused| plan.names.iter().any(|name| name.name == refused.name));
            return Ok(Outcome::Refused { plan, refused });
        }
        if let Some((_, rejection)) = before.take_if(|(before, _)| before.does_the_same(&plan)) {
            // Nothing has changed since, so neither would the answer: Route 53 means it.
            if good.names.is_empty() {
                let refused = plan.soa.iter().map(|soa| soa_refused(soa, &rejection)).collect();
                return Ok(Outcome::Refused { refused, plan });
            }
            if !rejection.is_denied && hosted.assured_quota() >= plan.size_at_most() && plan.size_at_most() > plan.there
            {
                // Whatever its words: that there is no room is a reason that is no RRset's own. Who may not ask goes on without.
                match hosted.quota().await {
                    Ok(quota) if quota < plan.size_at_most() => continue,
                    Ok(_) | Err(Route53Error::Refused { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            searches += 1;
            if searches > MAX_SEARCHES {
                return Err(Route53Error::Unsettled(rejection.words.to_string()));
            }
            let words = &rejection.words;
            tracing::warn!(zone = %desired.apex(), serial = %desired.serial(), %words, "a batch is refused: looking for what is bad in it");
            let batches = match fit(hosted, &Plan { soa: None, mark: None, ..good.clone() }).await? {
                Ok(batches) => batches,
                Err(held) => return Ok(Outcome::Held { held, plan: Some(plan) }),
            };
            // Had any batch been applied, the plan would be another: it was the first that was refused.
            let isolation = Isolation::of_refused(batches.batches, &rejection);
            let mut begun = plan.mark.as_ref().map(|mark| &mark.begun);
            // Where some of it was found to be denied before, it is not the hosted zone.
            let denials = split.denied.is_empty().then_some(0);
            let mut refused = match search(hosted, isolation, &mut begun, rejection.is_denied, denials, desired).await?
            {
                Ok(refused) => refused,
                Err(refused) => return Ok(Outcome::Refused { refused: vec![refused], plan }),
            };
            let known = split.refused.names.iter().map(|name| Refused::of(name, &rejection));
            let denied = Rejection { is_denied: true, ..rejection.clone() };
            refused.extend(known.chain(split.denied.names.iter().map(|name| Refused::of(name, &denied))));
            refusals.remember(&hosted.id, &plan, &refused);
            done.get_or_insert_with(|| plan.clone());
            found = (!refused.is_empty()).then_some((plan, refused));
            continue;
        }
        found = None;
        if !good.is_empty() {
            let batches = match fit(hosted, good).await? {
                Ok(batches) => batches,
                Err(held) => return Ok(Outcome::Held { held, plan: Some(plan) }),
            };
            match send(hosted, &batches, desired).await? {
                Ok(batches) if split.is_all_good() => {
                    refusals.forget(&hosted.id);
                    return Ok(Outcome::Applied { plan, batches, path: Path::Full });
                }
                Ok(_) => {}
                Err(rejection) => {
                    let words = &rejection.words;
                    tracing::warn!(zone = %desired.apex(), serial = %desired.serial(), %words, "a batch was refused: reading the zone anew");
                    done = Some(plan.clone());
                    before = Some((plan, rejection));
                    continue;
                }
            }
        }
        let refused = match ask_again(hosted, &split, desired, terms.trusts_serial).await? {
            Ok(refused) => refused,
            Err(refused) => return Ok(Outcome::Refused { refused: vec![refused], plan }),
        };
        refusals.remember(&hosted.id, &plan, &refused);
        if !refused.is_empty() {
            let Split { refused: mut left, denied, .. } = split;
            left.names.extend(denied.names);
            return Ok(Outcome::Refused { plan: left, refused });
        }
        // It is good now: what is left is the serial.
        done = Some(plan);
    }
    Err(Route53Error::Unsettled(before.map(|(_, rejection)| rejection.words.to_string()).unwrap_or_default()))
}

/// Whether all that is left to do was searched for and refused. Not by what is remembered of it, for that has bounds.
fn is_all_refused(plan: &Plan, searched: &Plan, refused: &[Refused]) -> bool {
    let searched: HashMap<&Name, &NameChanges> = searched.names.iter().map(|name| (&name.name, name)).collect();
    let refused: HashSet<&Name> = refused.iter().map(|refused| &refused.name).collect();
    let is_refused = |name: &NameChanges| refused.contains(&name.name) && searched.get(&name.name) == Some(&name);
    !plan.names.is_empty() && plan.names.iter().all(is_refused)
}

/// The plan of the fast path, where that can be taken.
async fn fast(
    hosted: &mut HostedZone<'_>,
    snapshot: &Snapshot,
    soa: &HostedSoa,
    terms: Terms<'_>,
) -> Result<Option<Plan>, Route53Error> {
    let starts_here = |delta: &&Delta| Plan::is_done_in(soa, delta.before()) && !soa.is_route_53s_own();
    let Some(delta) = snapshot.delta().filter(starts_here) else { return Ok(None) };
    if !delta.leads_to(snapshot.zone()) {
        tracing::warn!(zone = %snapshot.zone().apex(), "the snapshot's delta does not lead to its zone: passed over");
        return Ok(None);
    }
    let plan = Plan::of_delta(delta, snapshot.zone(), soa);
    // Where it could matter, all is read and counted.
    let is_plain = guard::on_delta(&plan, terms) && has_room(hosted, &plan).await?;
    Ok(is_plain.then_some(plan))
}

/// Whether the hosted zone has room for all that comes. To ask for its quota is one call, and to read so large a zone more than
/// thirty.
async fn has_room(hosted: &mut HostedZone<'_>, plan: &Plan) -> Result<bool, Route53Error> {
    let size = plan.size_at_most();
    Ok(plan.counts().created == 0 || size <= hosted.assured_quota() || size <= hosted.quota().await?)
}

/// Applies a plan batch by batch. Where it stops, the serial in Route 53 is still the old one, for it rides in the last batch,
/// and the SOA is marked.
pub async fn apply(
    hosted: &mut HostedZone<'_>,
    passed: Passed<'_>,
    desired: &Zone,
) -> Result<Result<usize, Held>, Route53Error> {
    match fit(hosted, passed.plan()).await? {
        Ok(batches) => match send(hosted, &batches, desired).await? {
            Ok(batches) => Ok(Ok(batches)),
            Err(Rejection { words, is_denied: false }) => Err(Route53Error::InvalidChangeBatch(words.to_string())),
            Err(Rejection { words, is_denied: true }) => Err(Route53Error::Denied(words.to_string())),
        },
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

/// How many requests it took, or the answer to the first that was not taken.
async fn send(
    hosted: &mut HostedZone<'_>,
    all: &Batches,
    desired: &Zone,
) -> Result<Result<usize, Rejection>, Route53Error> {
    for name in &all.not_atomic {
        tracing::warn!(zone = %desired.apex(), %name, "its changes do not fit one request: not atomic");
    }
    for batch in &all.batches {
        if let Err(rejection) = ask(hosted, batch, desired).await? {
            return Ok(Err(rejection));
        }
    }
    Ok(Ok(all.batches.len()))
}

/// Asks for one batch. What made room for it is put back where it is refused.
async fn ask(
    hosted: &mut HostedZone<'_>,
    batch: &Batch,
    desired: &Zone,
) -> Result<Result<(), Rejection>, Route53Error> {
    let comment = comment_of(desired);
    let (Some(back), Some(old)) = (batch.put_back(), &batch.instead) else {
        return match hosted.change(batch, &comment).await {
            Ok(()) => Ok(Ok(())),
            Err(error) => rejection_of(error).map(Err),
        };
    };
    // What was there is gone: neither this nor to put it back is left undone for want of time.
    let Err(error) = hosted.change_at_any_time(batch, &comment).await else { return Ok(Ok(())) };
    let (zone, serial, name, rtype) = (desired.apex(), desired.serial(), &old.name, old.rtype);
    let became = match hosted.change_at_any_time(&back, &comment).await {
        Ok(()) => {
            tracing::warn!(%zone, %serial, %name, %rtype, %error, "not taken when it had made room for itself: put back as it was");
            "what was there had been deleted to make room, and was put back".to_owned()
        }
        // Mostly the answer was lost, and what is new is there.
        Err(failed) => {
            tracing::warn!(%zone, %serial, %name, %rtype, %error, %failed, "not taken when it had made room for itself, and what was there is not back");
            format!("what was there had been deleted to make room, and could not be put back: {failed}")
        }
    };
    let rejection = rejection_of(error)?;
    let words = format!("{} ({became})", rejection.words).into();
    Ok(Err(Rejection { words, ..rejection }))
}

/// An answer that is about the changes, and not about the day.
fn rejection_of(error: Route53Error) -> Result<Rejection, Route53Error> {
    match error {
        Route53Error::InvalidChangeBatch(words) => Ok(Rejection { words: words.into(), is_denied: false }),
        Route53Error::Denied(words) => Ok(Rejection { words: words.into(), is_denied: true }),
        error => Err(error),
    }
}

/// Applies what is taken of it, and gives what is not; or the SOA, where that may not be marked. Then nothing is done: the
/// hosted zone would be at no serial, and nobody could tell.
///
/// `denials` counts what IAM denied from the beginning on, where it may deny all of it. `mark` is what is still to be marked; it
/// rides with what is asked for first, and goes ahead where it could not be told which of the two was refused.
async fn search(
    hosted: &mut HostedZone<'_>,
    mut isolation: Isolation,
    mark: &mut Option<&RrsetText>,
    mut is_denied: bool,
    mut denials: Option<u32>,
    desired: &Zone,
) -> Result<Result<Vec<Refused>, Refused>, Route53Error> {
    while let Some(mut batch) = isolation.next_batch() {
        let mut is_alone = true;
        if let Some(begun) = *mark {
            let with_mark = batch.behind(upsert(begun)).filter(|_| !is_denied && !isolation.is_at_the_last_name());
            is_alone = with_mark.is_none();
            match with_mark {
                Some(with_mark) => batch = with_mark,
                None => match set_mark(hosted, begun, desired).await? {
                    Ok(()) => (*mark, denials) = (None, None),
                    Err(refused) => return Ok(Err(refused)),
                },
            }
        }
        match ask(hosted, &batch, desired).await? {
            Ok(()) => {
                (*mark, denials) = (None, None);
                isolation.accepted();
            }
            Err(_) if !is_alone && isolation.is_at_one_name() => {
                // It may be the one or the other.
                if let Some(begun) = mark.take()
                    && let Err(refused) = set_mark(hosted, begun, desired).await?
                {
                    return Ok(Err(refused));
                }
                denials = None;
            }
            Err(rejection) => {
                is_denied |= rejection.is_denied;
                denials = denials.filter(|_| rejection.is_denied).map(|denials| denials + 1);
                if denials.is_some_and(|denials| denials >= MAX_DENIALS) {
                    return Err(Route53Error::Denied(rejection.words.to_string()));
                }
                isolation.refused(&rejection);
            }
        }
    }
    Ok(Ok(isolation.into_refused()))
}

/// Marks the SOA and does nothing else.
async fn set_mark(
    hosted: &mut HostedZone<'_>,
    begun: &RrsetText,
    desired: &Zone,
) -> Result<Result<(), Refused>, Route53Error> {
    match ask(hosted, &Batch::of_items(vec![upsert(begun)]), desired).await? {
        Err(Rejection { words, is_denied: true }) => Err(Route53Error::Denied(words.to_string())),
        answer => Ok(answer.map_err(|rejection| soa_refused(begun, &rejection))),
    }
}

/// Asks once more for what was refused the last time, apart from all else. What would be gone meanwhile is asked for only where
/// the whole zone is to be compared, as in an audit or a replay: else it would be gone and back with each snapshot.
async fn ask_again(
    hosted: &mut HostedZone<'_>,
    split: &Split,
    desired: &Zone,
    spares: bool,
) -> Result<Result<Vec<Refused>, Refused>, Route53Error> {
    // Where something else was to do, that was marked.
    let mut mark = split.good.mark.as_ref().filter(|_| split.good.is_empty()).map(|mark| &mark.begun);
    let mut all = Vec::new();
    for (known, is_denied) in [(&split.refused, false), (&split.denied, true)] {
        let (unasked, names): (Vec<NameChanges>, Vec<_>) =
            known.names.iter().cloned().partition(|name| spares && is_gone_meanwhile(name));
        let words = "refused before; it would be gone meanwhile, so it is asked for again only in an audit, a resend or a replay";
        let rejection = Rejection { words: words.into(), is_denied };
        all.extend(unasked.iter().map(|name| Refused::of(name, &rejection)));
        let batches = Batches::of(&Plan { names, ..Plan::default() }).batches;
        match search(hosted, Isolation::of_known(batches), &mut mark, is_denied, Some(0), desired).await? {
            Ok(refused) => all.extend(refused),
            Err(soa) => return Ok(Err(soa)),
        }
    }
    Ok(Ok(all))
}

fn comment_of(desired: &Zone) -> String {
    format!("secondary53: serial {} of {}", desired.serial(), desired.apex())
}

fn soa_refused(soa: &RrsetText, rejection: &Rejection) -> Refused {
    Refused { name: soa.name.clone(), items: vec![upsert(soa)], rejection: rejection.clone() }
}

fn upsert(soa: &RrsetText) -> Item {
    Item { action: Action::Upsert, rrset: soa.clone() }
}

/// What the SOA says among the RRsets of a hosted zone.
pub fn soa_of(there: &[HostedRrset]) -> Result<HostedSoa, Route53Error> {
    let soa = there.iter().find(|rrset| rrset.text.rtype == Rtype::SOA).ok_or(HostedError::NoSoa)?;
    Ok(HostedSoa::read(&soa.text)?)
}
