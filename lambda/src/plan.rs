//! The difference between a hosted zone and the primary's zone: what to change, what to leave, what cannot be.
//!
//! A plan is data. It can be printed, counted, refused and compared in a test before anything is done. It holds every RRset
//! of the primary's zone once: as it is already, in a change, in `collisions`, in `left_out` or in `untranslated`.
//!
//! RRsets are compared as sets of canonical RDATA (RFC 4034 §6.2), never as text: a change of nothing but the order of
//! values, the case of a name or a trailing dot is accepted by Route 53 and not done, and would come back for ever.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use secondary53_zone::delta::Delta;
use secondary53_zone::name::{Name, NameRef};
use secondary53_zone::rrset::{Rrset, Rtype};
use secondary53_zone::zone::{Soa, Zone};

use crate::batch::{MAX_RRSET_CHARACTERS, MAX_VALUE_CHARACTERS, MAX_VALUES};
use crate::hosted::{Foreign, HostedError, HostedRrset, HostedSoa, RrsetText};
use crate::value::{self, ValueError};

/// The longest time that Route 53 takes, in an SOA as in a TTL: 31 bits (RFC 2181 §8). An SOA with a longer one would
/// hold up the whole zone, and nobody waits that long.
const MAX_SECONDS: u32 = i32::MAX.cast_unsigned();

/// What is to be done to a hosted zone, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By owner, in canonical order.
    pub names: Vec<NameChanges>,
    /// The SOA as it is to be; `None` where it is so already.
    pub soa: Option<RrsetText>,
    /// What is done to the SOA where this is not done by one request.
    pub mark: Option<Mark>,
    /// What is not ours and stays.
    pub kept: Vec<(Name, Rtype, Foreign)>,
    /// What the primary holds where something that is not ours stands: Route 53's stays.
    pub collisions: Vec<(Name, Rtype)>,
    /// What Route 53 cannot hold: what the hosted zone has at that name and type stays as it is.
    pub left_out: Vec<LeftOut>,
    /// Records of types that Route 53 does not have, by type.
    pub untranslated: BTreeMap<Rtype, usize>,
    /// RRsets of ours that the hosted zone has now: of its apex neither the NS nor the SOA, and nothing that is foreign.
    pub ours: usize,
    /// RRsets that the hosted zone has now, all that count towards its quota.
    pub there: usize,
}

/// The SOA of a hosted zone while it is neither what its serial says nor what it is to be. It is marked before anything else
/// is done or with it, so that nobody takes what the serial says for what is there; [`HostedSoa::is_marked`] tells.
///
/// There is none where the hosted zone is marked already, and where its serial says nothing: it is Route 53's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The SOA as it is, marked.
    pub begun: RrsetText,
    /// The SOA in the end, where all is done; `None` where some is known not to be.
    pub done: Option<RrsetText>,
}

/// The changes at one name. They belong into one batch, the deletions first: a CNAME excludes every other type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameChanges {
    /// The owner.
    pub name: Name,
    /// At least one, by type, and those that delete before those that create.
    pub changes: Vec<Change>,
    /// Whether the name is there already, or still will be, with RRsets that do not change.
    pub others_stay: bool,
}

/// The change of one RRset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there and will not be.
    Delete(RrsetText),
    /// It is there and will be another.
    Replace {
        /// As Route 53 has it.
        old: RrsetText,
        /// As it is to be.
        new: RrsetText,
    },
    /// It is not there and will be.
    Create(RrsetText),
}

/// An RRset of the primary's that Route 53 cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The owner.
    pub name: Name,
    /// The type.
    pub rtype: Rtype,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why Route 53 cannot hold an RRset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyLeftOut {
    /// A value has no text.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// More than [`MAX_VALUES`].
    #[error("it has {0} values, and Route 53 takes {MAX_VALUES}")]
    TooManyValues(usize),
    /// A value of more than [`MAX_VALUE_CHARACTERS`].
    #[error("a value has {0} characters, and Route 53 takes {MAX_VALUE_CHARACTERS}")]
    ValueTooLong(usize),
    /// More than [`MAX_RRSET_CHARACTERS`] over all values.
    #[error("its values have {0} characters, and Route 53 takes {MAX_RRSET_CHARACTERS}")]
    TooManyCharacters(usize),
    /// NS at a wildcard.
    #[error("Route 53 has no NS at a wildcard")]
    WildcardNs,
    /// CNAME at the apex.
    #[error("Route 53 has no CNAME at the apex")]
    CnameAtApex,
    /// DS at the apex, where the parent's zone has it (RFC 4034 §5).
    #[error("Route 53 has no DS at the apex")]
    DsAtApex,
}

/// How much a plan would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// RRsets created.
    pub created: usize,
    /// RRsets replaced.
    pub changed: usize,
    /// RRsets deleted.
    pub deleted: usize,
}

/// How much of what is ours would be lost: how far a mistake at the primary would reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deletions {
    /// RRsets that go and leave nothing of their kind. What gives way to a CNAME at its name, or a CNAME to something else,
    /// is changed rather than lost.
    pub deleted: usize,
    /// RRsets of ours in the hosted zone.
    pub of: usize,
}

impl Plan {
    /// Compares what is hosted with what is desired. `hosted` must be in canonical order by owner and type: see
    /// [`crate::hosted::sort_hosted`].
    pub fn new(hosted: &[HostedRrset], desired: &Zone) -> Result<Self, HostedError> {
        let soa = hosted.iter().find(|rrset| rrset.text.rtype == Rtype::SOA).ok_or(HostedError::NoSoa)?;
        Ok(Self::compare(hosted, desired, &HostedSoa::read(&soa.text)?))
    }

    /// What a delta changes in a hosted zone that holds just what the delta starts from. Of what is not ours, or was left out
    /// before, it tells only where the delta touches it.
    ///
    /// The hosted zone was not read, but for its SOA, so `old` is spelt as this worker spells it. Where Route 53 holds
    /// something else it refuses the request, for each change begins with a DELETE of what is there or is a CREATE of what
    /// is not. How many RRsets there are is as good as can be known so: [`crate::guard::on_delta`] goes by it.
    pub fn of_delta(delta: &Delta, desired: &Zone, soa: &HostedSoa) -> Self {
        let apex = desired.apex();
        let is_apexs_own = |rrset: &Rrset<'_>| is_apexs_own(apex, rrset.owner(), rrset.rtype());
        // What has no text is not in the hosted zone, or stands there as it was before: either way it is not touched.
        let there: Vec<HostedRrset> = delta
            .before()
            .rrsets()
            .filter(|rrset| !is_apexs_own(rrset))
            .filter_map(|rrset| Some(HostedRrset { text: text_of(apex, &rrset).ok()?, foreign: None }))
            .collect();
        let mut plan = Self::compare(&there, delta.after(), soa);
        for name in &mut plan.names {
            let owner = name.name.by_ref();
            let stays = |rrset: Rrset<'_>| {
                delta.after().get(owner, rrset.rtype()).is_none()
                    && !is_apexs_own(&rrset)
                    && text_of(apex, &rrset).is_ok()
            };
            name.others_stay |= desired.at(owner).any(stays);
        }
        let is_held = |rrset: &Rrset<'_>| !is_apexs_own(rrset) && value::HELD.contains(&rrset.rtype());
        let Counts { created, deleted, .. } = plan.counts();
        plan.ours = (desired.rrsets().filter(is_held).count() + deleted).saturating_sub(created);
        // And the NS and the SOA.
        plan.there = plan.ours + 2;
        plan
    }

    /// Whether a hosted zone's SOA is what it becomes with a zone of this SOA: the serial, and all else that is not Route 53's.
    pub fn is_done_in(hosted: &HostedSoa, zone: &Zone) -> bool {
        let soa = zone.get(zone.apex().by_ref(), Rtype::SOA);
        soa.is_some_and(|soa| soa_to_be(hosted, &soa).is_none())
    }

    fn compare(hosted: &[HostedRrset], desired: &Zone, hosted_soa: &HostedSoa) -> Self {
        let apex = desired.apex();
        let mut plan = Self { there: hosted.len(), ..Self::default() };
        let mut hosted_names = hosted.chunk_by(|a, b| a.text.name == b.text.name).peekable();
        let desired: Vec<Rrset<'_>> = desired.rrsets().collect();
        let mut desired_names = desired.chunk_by(|a, b| a.owner() == b.owner()).peekable();
        loop {
            let order = match (hosted_names.peek(), desired_names.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(hosted), Some(desired)) => hosted[0].text.name.by_ref().cmp(&desired[0].owner()),
            };
            let hosted_here = hosted_names.next_if(|_| order.is_le()).unwrap_or(&[]);
            let desired_here = desired_names.next_if(|_| order.is_ge()).unwrap_or(&[]);
            plan.compare_name(apex, hosted_here, desired_here);
        }
        let soa = desired.iter().find(|rrset| rrset.rtype() == Rtype::SOA);
        plan.soa = soa.and_then(|soa| soa_to_be(hosted_soa, soa));
        if !plan.names.is_empty() && !hosted_soa.is_marked() && !hosted_soa.is_route_53s_own() {
            let done = plan.soa.clone().unwrap_or_else(|| hosted_soa.to_text(apex));
            plan.mark = Some(Mark { begun: hosted_soa.marked().to_text(apex), done: Some(done) });
        }
        plan
    }

    /// Whether it does the same as another, whatever becomes of the SOA meanwhile.
    pub fn does_the_same(&self, other: &Self) -> bool {
        (&self.names, &self.soa) == (&other.names, &other.soa)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.soa.is_none()
    }

    /// How much it would do, the SOA not counted.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for change in self.names.iter().flat_map(|name| &name.changes) {
            match change {
                Change::Create(_) => counts.created += 1,
                Change::Replace { .. } => counts.changed += 1,
                Change::Delete(_) => counts.deleted += 1,
            }
        }
        counts
    }

    /// RRsets that the hosted zone has once it is done.
    pub fn size_after(&self) -> usize {
        let counts = self.counts();
        (self.there + counts.created).saturating_sub(counts.deleted)
    }

    /// RRsets that the hosted zone may have on the way, where nothing is deleted early.
    pub fn size_at_most(&self) -> usize {
        self.there + self.counts().created
    }

    /// How much of what is ours would be lost.
    pub fn deletions(&self) -> Deletions {
        let is_lost = |name: &NameChanges, change: &Change| {
            let Change::Delete(old) = change else { return false };
            let takes_its_place =
                |other: &Change| matches!(other, Change::Create(new) if excludes(old.rtype, new.rtype));
            !name.changes.iter().any(takes_its_place)
        };
        let lost = |name: &NameChanges| name.changes.iter().filter(|change| is_lost(name, change)).count();
        Deletions { deleted: self.names.iter().map(lost).sum(), of: self.ours }
    }

    /// `hosted` and `desired` are of one name, and sorted by type.
    fn compare_name(&mut self, apex: &Name, hosted: &[HostedRrset], desired: &[Rrset<'_>]) {
        let is_apexs_own = |name: NameRef<'_>, rtype| is_apexs_own(apex, name, rtype);
        let foreign: Vec<&HostedRrset> = hosted.iter().filter(|rrset| rrset.foreign.is_some()).collect();
        self.kept.extend(
            foreign.iter().filter_map(|rrset| Some((rrset.text.name.clone(), rrset.text.rtype, rrset.foreign?))),
        );
        let mut deletions = Vec::new();
        let mut others = Vec::new();
        let mut others_stay = !foreign.is_empty();

        let ours: Vec<&RrsetText> = hosted
            .iter()
            .filter(|rrset| rrset.foreign.is_none() && !is_apexs_own(rrset.text.name.by_ref(), rrset.text.rtype))
            .map(|rrset| &rrset.text)
            .collect();
        self.ours += ours.len();
        let mut ours = ours.into_iter().peekable();
        for rrset in desired.iter().filter(|rrset| !is_apexs_own(rrset.owner(), rrset.rtype())) {
            while let Some(old) = ours.next_if(|old| old.rtype < rrset.rtype()) {
                deletions.push(Change::Delete(old.clone()));
            }
            let old = ours.next_if(|old| old.rtype == rrset.rtype());
            if foreign.iter().any(|foreign| excludes(foreign.text.rtype, rrset.rtype())) {
                self.collisions.push((rrset.owner().to_name(), rrset.rtype()));
                others_stay |= old.is_some();
                continue;
            }
            let new = match text_of(apex, rrset) {
                Ok(new) => new,
                Err(WhyLeftOut::Value(ValueError::Type(rtype))) => {
                    *self.untranslated.entry(rtype).or_default() += rrset.rdata().len();
                    others_stay |= old.is_some();
                    continue;
                }
                Err(why) => {
                    self.left_out.push(LeftOut { name: rrset.owner().to_name(), rtype: rrset.rtype(), why });
                    others_stay |= old.is_some();
                    continue;
                }
            };
            match old {
                Some(old) if is_same(old, &new) => others_stay = true,
                Some(old) => others.push(Change::Replace { old: old.clone(), new }),
                None => others.push(Change::Create(new)),
            }
        }
        deletions.extend(ours.map(|old| Change::Delete(old.clone())));
        // Where the owner is, both sides have the same.
        let name = hosted.first().map(|rrset| rrset.text.name.clone());
        let name = name.or_else(|| desired.first().map(|rrset| rrset.owner().to_name()));
        deletions.append(&mut others);
        if let (Some(name), false) = (name, deletions.is_empty()) {
            self.names.push(NameChanges { name, changes: deletions, others_stay });
        }
    }
}

/// The apex's NS is Route 53's, and its SOA is not changed like the others.
fn is_apexs_own(apex: &Name, name: NameRef<'_>, rtype: Rtype) -> bool {
    name == apex.by_ref() && matches!(rtype, Rtype::NS | Rtype::SOA)
}

/// Whether an RRset of a type cannot stand beside one of another at the same name.
fn excludes(there: Rtype, wanted: Rtype) -> bool {
    there == wanted || there == Rtype::CNAME || wanted == Rtype::CNAME
}

fn text_of(apex: &Name, rrset: &Rrset<'_>) -> Result<RrsetText, WhyLeftOut> {
    let (owner, rtype) = (rrset.owner(), rrset.rtype());
    if rtype == Rtype::NS && owner.labels().next() == Some(b"*") {
        return Err(WhyLeftOut::WildcardNs);
    }
    if rtype == Rtype::CNAME && owner == apex.by_ref() {
        return Err(WhyLeftOut::CnameAtApex);
    }
    if rtype == Rtype::DS && owner == apex.by_ref() {
        return Err(WhyLeftOut::DsAtApex);
    }
    let mut values: Vec<String> = rrset.rdata().map(|rdata| value::to_text(rtype, rdata)).collect::<Result<_, _>>()?;
    if values.len() > 1 {
        // Names are in lower case now: of what differed in nothing else Route 53 takes one.
        let mut known = HashSet::with_capacity(values.len());
        values.retain(|value| known.insert(value.clone()));
    }
    if values.len() > MAX_VALUES {
        return Err(WhyLeftOut::TooManyValues(values.len()));
    }
    // The text is ASCII: an octet is a character.
    if let Some(long) = values.iter().map(String::len).find(|length| *length > MAX_VALUE_CHARACTERS) {
        return Err(WhyLeftOut::ValueTooLong(long));
    }
    let characters = values.iter().map(String::len).sum();
    if characters > MAX_RRSET_CHARACTERS {
        return Err(WhyLeftOut::TooManyCharacters(characters));
    }
    Ok(RrsetText { name: owner.to_name(), rtype, ttl: rrset.ttl(), values })
}

/// Whether a hosted RRset holds just what it is to hold, however it is spelt. A value that does not read differs.
fn is_same(hosted: &RrsetText, new: &RrsetText) -> bool {
    if hosted.ttl != new.ttl || hosted.values.len() != new.values.len() {
        return false;
    }
    let read = |text: &RrsetText| {
        let mut rdata: Vec<Vec<u8>> =
            text.values.iter().map(|value| value::from_text(text.rtype, value)).collect::<Result<_, _>>().ok()?;
        rdata.sort_unstable();
        Some(rdata)
    };
    // Mostly they are spelt and sorted alike, and need no reading.
    hosted.values == new.values || read(hosted).is_some_and(|rdata| Some(rdata) == read(new))
}

/// MNAME and RNAME stay Route 53's, without a mark; the rest is the primary's.
fn soa_to_be(hosted: &HostedSoa, desired: &Rrset<'_>) -> Option<RrsetText> {
    let wanted = desired.rdata().next().and_then(|rdata| Soa::from_rdata(rdata).ok())?;
    let soa = Soa {
        mname: hosted.soa.mname.clone(),
        rname: hosted.rname(),
        refresh: wanted.refresh.min(MAX_SECONDS),
        retry: wanted.retry.min(MAX_SECONDS),
        expire: wanted.expire.min(MAX_SECONDS),
        minimum: wanted.minimum.min(MAX_SECONDS),
        ..wanted
    };
    let to_be = HostedSoa { soa, ttl: desired.ttl() };
    (to_be != *hosted).then(|| to_be.to_text(&desired.owner().to_name()))
}

#[cfg(test)]
mod tests;
