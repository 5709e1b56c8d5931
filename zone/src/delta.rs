//! What changed from one serial of a zone to another: each RRset that differs, whole, as it was and as it is.
//!
//! Both sides are zones themselves. A serial that moves changes the SOA, so either side has one, and all that holds for zones
//! holds for them: canonical, sorted, within limits. A delta says what it starts from and vouches for nothing: whoever uses
//! it has the whole zone beside it, and holds the one against the other.

use std::cmp::Ordering;

use crate::rrset::Rrset;
use crate::serial::Serial;
use crate::snapshot::Snapshot;
use crate::zone::{Digest, Limits, Zone, ZoneBuilder};
use crate::zonemd::{self, Hash};

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    base_digest: Digest,
    old: Zone,
    new: Zone,
}

impl Delta {
    /// What changed from a snapshot to a zone. `None` where they are not two serials of one zone, or where more than
    /// `max_rrsets` RRsets differ, the SOA among them.
    pub fn between(base: &Snapshot, zone: &Zone, max_rrsets: usize) -> Option<Self> {
        let apex = zone.apex();
        if base.zone().apex() != apex || base.zone().serial() == zone.serial() {
            return None;
        }
        let [mut old, mut new] = [(); 2].map(|()| ZoneBuilder::new(apex.clone(), Limits::default()));
        let mut count = 0;
        let differing = side_by_side(base.zone().rrsets(), zone.rrsets()).filter(|(was, is)| was != is);
        for (was, is) in differing {
            count += 1;
            if count > max_rrsets {
                return None;
            }
            for (rrset, side) in [(was, &mut old), (is, &mut new)] {
                push(rrset, side)?;
            }
        }
        Some(Self { base_digest: base.digest(), old: old.build().ok()?.zone, new: new.build().ok()?.zone })
    }

    /// The parts that a message brought. `None` where they are not two serials of one zone.
    pub(crate) fn from_parts(base_digest: Digest, old: Zone, new: Zone) -> Option<Self> {
        let is_one_zone = old.apex() == new.apex() && old.serial() != new.serial();
        is_one_zone.then_some(Self { base_digest, old, new })
    }

    /// The serial that it starts from.
    pub fn base(&self) -> Serial {
        self.old.serial()
    }

    /// The digest of the zone that it starts from.
    pub fn base_digest(&self) -> Digest {
        self.base_digest
    }

    /// Of the RRsets that differ those that were there, as they were; the SOA among them.
    pub fn before(&self) -> &Zone {
        &self.old
    }

    /// Of the RRsets that differ those that are there, as they are; the SOA among them.
    pub fn after(&self) -> &Zone {
        &self.new
    }

    /// Whether it leads to this zone: taken back, it gives a zone of the digest that it says it starts from. So it has no
    /// RRset too many and none too few.
    pub fn leads_to(&self, zone: &Zone) -> bool {
        let is_there = |rrset: Rrset<'_>| zone.get(rrset.owner(), rrset.rtype()) == Some(rrset);
        let is_gone = |rrset: &Rrset<'_>| {
            let (owner, rtype) = (rrset.owner(), rrset.rtype());
            self.new.get(owner, rtype).is_some() || zone.get(owner, rtype).is_none()
        };
        zone.apex() == self.new.apex()
            && self.new.rrsets().all(is_there)
            && self.old.rrsets().all(|rrset| is_gone(&rrset))
            && digest(zone, with(zone, &self.new, &self.old)) == self.base_digest
    }

    /// The zone that it leads to from its base, or the like of it from another zone.
    pub fn apply(&self, base: &Zone, limits: Limits) -> Result<Zone, crate::zone::ZoneError> {
        let mut builder = ZoneBuilder::new(base.apex().clone(), limits);
        for rrset in with(base, &self.old, &self.new) {
            for rdata in rrset.rdata() {
                builder.push(rrset.owner(), rrset.rtype(), rrset.ttl(), rdata)?;
            }
        }
        Ok(builder.build()?.zone)
    }
}

/// `None` cannot come about: what is pushed comes from a zone of the same apex.
fn push(rrset: Option<Rrset<'_>>, side: &mut ZoneBuilder) -> Option<()> {
    let Some(rrset) = rrset else { return Some(()) };
    rrset.rdata().try_for_each(|rdata| side.push(rrset.owner(), rrset.rtype(), rrset.ttl(), rdata)).ok()
}

/// The RRsets of a zone, in their order, without those that have owner and type of one in `less`, and with those of `more`.
fn with<'a>(zone: &'a Zone, less: &'a Zone, more: &'a Zone) -> impl Iterator<Item = Rrset<'a>> {
    let rest = side_by_side(zone.rrsets(), less.rrsets()).filter_map(|(here, less)| here.filter(|_| less.is_none()));
    side_by_side(rest, more.rrsets()).flat_map(|(here, more)| here.into_iter().chain(more))
}

fn digest<'a>(zone: &Zone, rrsets: impl Iterator<Item = Rrset<'a>>) -> Digest {
    let records = rrsets.flat_map(|rrset| rrset.records.iter().map(move |record| (rrset.octets, record)));
    let mut digest = Digest([0; 48]);
    digest.0.copy_from_slice(&zonemd::simple(Hash::Sha384, zone.apex().by_ref(), records));
    digest
}

/// Two canonical orders as one: what has the same owner and type comes together.
fn side_by_side<'a>(
    a: impl Iterator<Item = Rrset<'a>>,
    b: impl Iterator<Item = Rrset<'a>>,
) -> impl Iterator<Item = (Option<Rrset<'a>>, Option<Rrset<'a>>)> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || {
        let key = |rrset: &Rrset<'a>| (rrset.owner(), rrset.rtype());
        let order = match (a.peek(), b.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => key(a).cmp(&key(b)),
        };
        Some((a.next_if(|_| order.is_le()), b.next_if(|_| order.is_ge())))
    })
}

#[cfg(test)]
mod tests;
