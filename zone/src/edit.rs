//! A zone that is made from another by deleting and adding records, as an incremental transfer does it (RFC 1995).
//!
//! The zone itself is not touched until [`Edit::finish`], which reuses its memory: beside it stand a mark for each record, and
//! the records that were added. Each step is checked against the zone as it is by then. A deletion of what is not there, or
//! an addition of what is, means that this is not the zone that the changes were made for.

use std::collections::BTreeMap;

use crate::name::{Name, NameRef};
use crate::rrset::Rtype;
use crate::zone::{Built, Limits, MAX_TTL, Zone, ZoneError};

/// A zone on its way to another.
#[derive(Debug)]
pub struct Edit {
    zone: Zone,
    limits: Limits,
    /// Which of the zone's records are deleted.
    gone: Vec<bool>,
    added: BTreeMap<(Name, Rtype, Vec<u8>), u32>,
    steps: usize,
    octets: usize,
}

/// Why a step cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A record is to be deleted that is not there, or has another TTL.
    #[error("it deletes {rtype} at {owner}, of which there is no such record")]
    NotThere {
        /// The owner of the record.
        owner: Name,
        /// Its type.
        rtype: Rtype,
    },
    /// A record is to be added that is there already.
    #[error("it adds {rtype} at {owner}, of which there is this record already")]
    AlreadyThere {
        /// The owner of the record.
        owner: Name,
        /// Its type.
        rtype: Rtype,
    },
    /// More changes than a whole zone may have records or octets.
    #[error("it changes more than a whole zone may hold: {0} records")]
    TooMuch(usize),
}

impl Edit {
    /// Begins with this zone. The changes may have no more records and octets than the zone itself may have.
    pub fn new(zone: Zone, limits: Limits) -> Self {
        Self { gone: vec![false; zone.record_count()], zone, limits, added: BTreeMap::new(), steps: 0, octets: 0 }
    }

    /// How many records were deleted and added.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Deletes a record; RDATA in canonical form.
    pub fn delete(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: Vec<u8>) -> Result<(), EditError> {
        self.count(owner, &rdata)?;
        let ttl = as_kept(ttl);
        if let Some((at, has)) = self.in_zone(owner, rtype, &rdata) {
            if has == ttl {
                self.gone[at] = true;
                return Ok(());
            }
        } else if self.added.remove(&(owner.to_name(), rtype, rdata)) == Some(ttl) {
            return Ok(());
        }
        Err(EditError::NotThere { owner: owner.to_name(), rtype })
    }

    /// Adds a record; RDATA in canonical form.
    pub fn add(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: Vec<u8>) -> Result<(), EditError> {
        self.count(owner, &rdata)?;
        let is_there = self.in_zone(owner, rtype, &rdata).is_some();
        if is_there || self.added.insert((owner.to_name(), rtype, rdata), as_kept(ttl)).is_some() {
            return Err(EditError::AlreadyThere { owner: owner.to_name(), rtype });
        }
        Ok(())
    }

    /// Makes the new zone.
    pub fn finish(self) -> Result<Built, ZoneError> {
        let Self { zone, limits, gone, added, .. } = self;
        let mut builder = zone.into_builder(limits, |index| !gone[index]);
        for ((owner, rtype, rdata), ttl) in added {
            builder.push(owner.by_ref(), rtype, ttl, &rdata)?;
        }
        builder.build()
    }

    fn in_zone(&self, owner: NameRef<'_>, rtype: Rtype, rdata: &[u8]) -> Option<(usize, u32)> {
        self.zone.find(owner, rtype, rdata).filter(|(at, _)| !self.gone[*at])
    }

    fn count(&mut self, owner: NameRef<'_>, rdata: &[u8]) -> Result<(), EditError> {
        self.steps += 1;
        self.octets += owner.as_wire().len() + rdata.len();
        if self.steps > self.limits.records || self.octets > self.limits.octets {
            return Err(EditError::TooMuch(self.steps));
        }
        Ok(())
    }
}

/// RFC 2181 §8: a TTL with its first bit set is taken as zero, and so it stands in the zone.
const fn as_kept(ttl: u32) -> u32 {
    if ttl > MAX_TTL { 0 } else { ttl }
}

#[cfg(test)]
mod tests;
