//! A zone as compact octets: what waits in a file, what crosses the queue.
//!
//! `docs/snapshot-format.md` says what each octet means. In short: a header with the digest, then one zstd frame. In it
//! the zone stands in columns, each a zstd block of its own: all type codes, all TTLs, the first octets of all IPv4
//! addresses, the second ones. Like next to like compresses better than record after record does (13.2 octets a record
//! against 17.5 on the reference zone of ten thousand records), and needs no dictionary that both ends would have to share.
//!
//! Why not a zone file with gzip: a third larger, and reading one is a parser's work. Why not JSON or protobuf: they
//! describe records one by one, and the octets are in what a zone repeats.

mod columns;
mod decode;
mod encode;

use crate::delta::Delta;
use crate::rrset::Rtype;
use crate::zone::{Digest, Limits, Zone, ZoneError};

/// The first octets of every snapshot.
pub const MAGIC: [u8; 4] = *b"S53Z";
/// The version that is written, and the only one that is read.
pub const VERSION: u8 = 1;

/// How many octets one octet of a frame may unfold to. The most regular zones that are of use (a `$GENERATE` of names with
/// one address) stay at half of it; what is far beyond is meant to hurt.
const MAX_RATIO: usize = 1_000;
/// What a frame may unfold to whatever its size, so that the ratio does not hit tiny zones.
const RATIO_ALLOWANCE: usize = 64 << 10;

/// A zone and its digest, and what changed since another snapshot where it brings that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    zone: Zone,
    digest: Digest,
    exact: Option<Exact>,
    delta: Option<Delta>,
}

/// A snapshot that is about to be encoded: in columns, as the octets have it. The zone itself is gone.
#[derive(Debug)]
pub struct Folded {
    digest: Digest,
    columns: encode::Folded,
}

/// Said of a zone in which every record is as its primary has it, TTL and all, and none is missing but those that belong to
/// signing. An incremental transfer may start from such a zone and from no other (RFC 1995 §2): it names the records that
/// change, one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exact {
    /// Records of signing were left out, other than a ZONEMD at the apex.
    pub signed: bool,
    /// A ZONEMD at the apex was verified and left out.
    pub zonemd: bool,
}

/// Why octets are not a snapshot that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// They do not begin with [`MAGIC`].
    #[error("not a snapshot: it does not begin with S53Z")]
    NotASnapshot,
    /// A version that this program does not read.
    #[error("the snapshot has version {0}, and this program reads version {VERSION}: update it")]
    UnknownVersion(u8),
    /// The octets end too early.
    #[error("the snapshot is cut short in its {0}")]
    CutShort(&'static str),
    /// Octets are left where none should be.
    #[error("the snapshot has surplus octets after its {0}")]
    Surplus(&'static str),
    /// A number or a name in it cannot be.
    #[error("the snapshot is corrupt: {0}")]
    Corrupt(&'static str),
    /// It says that it unfolds to more than is allowed.
    #[error("the snapshot unfolds to {octets} octets, and {limit} are allowed")]
    TooLarge {
        /// What it says.
        octets: u64,
        /// What is allowed.
        limit: usize,
    },
    /// zstd's refusal.
    #[error("the snapshot does not unfold: {0}")]
    Zstd(#[source] std::io::Error),
    /// It holds no zone.
    #[error("the snapshot holds no zone")]
    NoZone,
    /// Its records do not make a zone.
    #[error("the snapshot holds no valid zone: {0}")]
    Zone(#[from] ZoneError),
    /// The digest over its records is not the one that it states.
    #[error("the snapshot says that its digest is {stated}, and it is {found}")]
    Digest {
        /// What the header says.
        stated: Digest,
        /// What the records come to.
        found: Digest,
    },
}

impl Snapshot {
    /// Takes a zone and computes its digest.
    pub fn new(zone: Zone) -> Self {
        let digest = zone.digest();
        Self { zone, digest, exact: None, delta: None }
    }

    /// The same, and how it relates to the zone of the primary.
    #[must_use]
    pub fn with_exact(self, exact: Option<Exact>) -> Self {
        Self { exact, ..self }
    }

    /// Whether the zone is as the primary has it, and but for what; `None` where it is not or nobody says so.
    pub fn exact(&self) -> Option<Exact> {
        self.exact
    }

    /// The same, and what changed since another snapshot.
    #[must_use]
    pub fn with_delta(self, delta: Option<Delta>) -> Self {
        Self { delta, ..self }
    }

    /// What changed since another snapshot. It may be wrong, or of another zone: [`Delta::leads_to`] tells.
    pub fn delta(&self) -> Option<&Delta> {
        self.delta.as_ref()
    }

    /// The zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The zone's digest, computed from its records.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Gives the zone away.
    pub fn into_zone(self) -> Zone {
        self.zone
    }

    /// The octets. The error is zstd's, which has none to give but for want of memory.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let columns = encode::Folded::of(&self.zone, self.exact, self.delta.as_ref());
        columns.write(true, self.digest.header())
    }

    /// Gives the memory of its zone away for that of the columns.
    pub fn fold(self) -> Folded {
        let columns = encode::Folded::of(&self.zone, self.exact, self.delta.as_ref());
        Folded { digest: self.digest, columns }
    }

    /// Reads octets from anywhere. Whatever they are, no more than `limits` allows is held, nothing panics, and what comes
    /// out has the digest that the header states.
    pub fn decode(octets: &[u8], limits: Limits) -> Result<Self, SnapshotError> {
        let rest = octets.strip_prefix(&MAGIC).ok_or(SnapshotError::NotASnapshot)?;
        let (&version, rest) = rest.split_first().ok_or(SnapshotError::CutShort("header"))?;
        if version != VERSION {
            return Err(SnapshotError::UnknownVersion(version));
        }
        let (stated, rest) = rest.split_first_chunk().ok_or(SnapshotError::CutShort("header"))?;
        let stated = Digest(*stated);
        let decode::Contents { zone, exact, delta } = decode::read(rest, limits)?;
        let snapshot = Self::new(zone).with_exact(exact).with_delta(delta);
        if snapshot.digest != stated {
            return Err(SnapshotError::Digest { stated, found: snapshot.digest });
        }
        Ok(snapshot)
    }
}

impl Folded {
    /// Whether it says what changed since another snapshot.
    pub fn has_delta(&self) -> bool {
        self.columns.has_delta()
    }

    /// The octets, as [`Snapshot::encode`] gives them.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        self.columns.write(true, self.digest.header())
    }

    /// The same of a snapshot that does not say what changed.
    pub fn encode_without_delta(&self) -> std::io::Result<Vec<u8>> {
        self.columns.write(false, self.digest.header())
    }
}

impl Digest {
    /// What stands before a frame.
    fn header(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(1 << 10);
        header.extend_from_slice(&MAGIC);
        header.push(VERSION);
        header.extend_from_slice(&self.0);
        header
    }
}

/// What a frame of so many octets may unfold to. A reader refuses what says more, so a writer must not write it.
const fn may_unfold_to(frame: usize) -> usize {
    frame.saturating_mul(MAX_RATIO).saturating_add(RATIO_ALLOWANCE)
}

/// What a body is made of. A reader skips the kinds that it does not know.
mod section {
    /// A zone, whole.
    pub(super) const ZONE: u64 = 1;
    /// That the zone is [`Exact`](super::Exact): flags, as a number.
    pub(super) const EXACT: u64 = 2;
    /// A [`Delta`](super::Delta): the digest of its base, and two zones.
    pub(super) const DELTA: u64 = 3;
}

impl Exact {
    const SIGNED: u64 = 1;
    const ZONEMD: u64 = 2;

    fn flags(self) -> u64 {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        flag(self.signed, Self::SIGNED) | flag(self.zonemd, Self::ZONEMD)
    }

    /// `None` where there is a flag that this program does not know: something else is amiss with the zone then.
    fn from_flags(flags: u64) -> Option<Self> {
        let exact = Self { signed: flags & Self::SIGNED != 0, zonemd: flags & Self::ZONEMD != 0 };
        (exact.flags() == flags).then_some(exact)
    }
}

/// A type and whether its RDATA stands in the parts of [`crate::rdata::fields`] or, since some of it does not read so, as
/// octets: one number, in which columns are ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Form(u64);

impl Form {
    fn new(rtype: Rtype, opaque: bool) -> Self {
        Self(u64::from(rtype.0) << 1 | u64::from(opaque))
    }

    fn rtype(self) -> Result<Rtype, SnapshotError> {
        u16::try_from(self.0 >> 1).map(Rtype).map_err(|_| SnapshotError::Corrupt("a type is above 65535"))
    }

    fn is_opaque(self) -> bool {
        self.0 & 1 == 1
    }
}

#[cfg(test)]
mod tests;
