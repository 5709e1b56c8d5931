//! What the targets have in common: the promises of every zone there is.

use secondary53_zone::zone::MAX_TTL;
use secondary53_zone::{Limits, Rtype, Snapshot, Zone};

/// Small, so that what is beyond them is reached.
pub const LIMITS: Limits = Limits { records: 2_000, octets: 1 << 18 };

/// Holds a zone against what the documentation of [`Zone`] promises, through its public interface alone.
///
/// # Panics
/// Where a promise is broken: that is the finding.
pub fn keeps_its_promises(zone: &Zone) {
    let apex = zone.apex().by_ref();
    let (mut before, mut records) = (None, 0);
    for rrset in zone.rrsets() {
        let place = (rrset.owner(), rrset.rtype());
        assert!(before.is_none_or(|before| before < place), "{place:?} does not follow {before:?}");
        before = Some(place);
        assert!(place.0.is_within(apex), "{place:?} is outside {apex}");
        assert_eq!(place.0.as_wire(), place.0.as_wire().to_ascii_lowercase(), "an owner in upper case");
        assert!(!place.1.is_meta(), "{place:?} is no data");
        assert_eq!(place.1 == Rtype::SOA, place.1 == Rtype::SOA && place.0 == apex, "a SOA below the apex");
        assert!(rrset.ttl() <= MAX_TTL, "{place:?} has TTL {}", rrset.ttl());
        let rdata: Vec<_> = rrset.rdata().collect();
        assert!(rdata.is_sorted_by(|a, b| a < b), "{place:?} is not sorted, or holds a record twice");
        assert_eq!(zone.get(place.0, place.1), Some(rrset), "what is listed is found");
        records += rdata.len();
    }
    assert_eq!(zone.record_count(), records);
    assert_eq!(zone.get(apex, Rtype::SOA).map(|soa| soa.rdata().len()), Some(1), "one SOA");
    assert!(records <= LIMITS.records);
    comes_back(&Snapshot::new(zone.clone()));
}

/// A snapshot is the same once it was encoded and decoded.
///
/// # Panics
/// Where it is not.
pub fn comes_back(snapshot: &Snapshot) {
    let octets = snapshot.encode().expect("encoding does not fail");
    // Columns and lengths take room beside the octets of the records.
    let limits = Limits { octets: 4 * LIMITS.octets, ..LIMITS };
    let back = Snapshot::decode(&octets, limits).expect("what was encoded decodes");
    assert_eq!(&back, snapshot);
    assert_eq!(back.encode().expect("encoding does not fail"), octets, "one zone, one encoding");
}
