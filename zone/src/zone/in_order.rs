//! Records that come in canonical order, digested as they come.
//!
//! Most primaries send a zone in canonical order but for the SOA, which opens a transfer (RFC 5936 §2.2) wherever it belongs.
//! What comes so has not to be sorted, searched for duplicates and read again for its digest once all is there: that work is
//! done while the next message is on its way.

use std::cmp::Ordering;

use sha2::Sha384;

use super::{Digest, order};
use crate::name::NameRef;
use crate::rrset::Record;
use crate::zonemd::Simple;

/// What is known of records so long as all but the first come in canonical order, none is there twice and each RRset has one
/// TTL.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    digest: Simple<Sha384>,
    /// How many of the others stand before the first, once that is known.
    first: Option<usize>,
}

impl InOrder {
    /// Takes the record that comes after `before`. `false` where it does not follow: nothing is known any more.
    pub(super) fn take(&mut self, apex: NameRef<'_>, octets: &[u8], before: &[Record], record: &Record) -> bool {
        let Some((first, others)) = before.split_first() else { return true };
        if others.last().is_some_and(|last| !may_follow(octets, last, record)) {
            return false;
        }
        if self.first.is_none() && order((octets, first), (octets, record)).is_le() {
            let follows = others.last().is_none_or(|last| may_follow(octets, last, first));
            if !follows || !may_follow(octets, first, record) {
                return false;
            }
            self.digest.record(apex, octets, first);
            self.first = Some(others.len());
        }
        self.digest.record(apex, octets, record);
        true
    }

    /// Puts the first record where it belongs, and gives the digest; `None` where that cannot be.
    pub(super) fn settle(mut self, apex: NameRef<'_>, octets: &[u8], records: &mut [Record]) -> Option<Digest> {
        let (first, others) = records.split_first()?;
        let at = match self.first {
            Some(at) => at,
            None if others.last().is_none_or(|last| may_follow(octets, last, first)) => {
                self.digest.record(apex, octets, first);
                others.len()
            }
            None => return None,
        };
        records.get_mut(..=at)?.rotate_left(1);
        // Those of its owner came together, and it before them.
        let one_owner = |other: &&Record| other.owner(octets) == records[at].owner(octets);
        let next_to_it = [at.checked_sub(1), at.checked_add(1)].into_iter().flatten();
        let theirs = next_to_it.filter_map(|next| records.get(next)).find(one_owner).map(|other| other.owner_at);
        records[at].owner_at = theirs.unwrap_or(records[at].owner_at);
        let mut digest = Digest([0; 48]);
        digest.0.copy_from_slice(&self.digest.finish());
        Some(digest)
    }
}

/// Whether `b` may stand behind `a`, and nothing has to be evened out.
fn may_follow(octets: &[u8], a: &Record, b: &Record) -> bool {
    let is_of_another_rrset = || a.rtype != b.rtype || (a.owner_at != b.owner_at && a.owner(octets) != b.owner(octets));
    order((octets, a), (octets, b)) == Ordering::Less && (a.ttl == b.ttl || is_of_another_rrset())
}
