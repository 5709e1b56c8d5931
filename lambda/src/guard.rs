//! Whether a snapshot may be applied at all: asked before anything is compared.

use secondary53_zone::serial::Serial;

use crate::hosted::HostedSoa;

/// What a guard says of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Compare it with the hosted zone.
    Proceed,
    /// The hosted zone stands at its serial already, and nobody asked for a full comparison.
    Unchanged,
    /// The hosted zone stands at a serial that is not older: to apply it would take the zone back.
    Stale,
}

/// Holds a snapshot's serial against the hosted zone's.
///
/// Serials only move forward (RFC 1982). Two that have no order are taken as stale: nobody can say that the snapshot is
/// newer. A hosted zone that Route 53 has just made has serial 1, which says nothing.
pub fn on_serial(hosted: &HostedSoa, snapshot: Serial, trusts_serial: bool) -> Verdict {
    if hosted.is_route_53s_own() {
        return Verdict::Proceed;
    }
    if hosted.soa.serial == snapshot {
        return if trusts_serial { Verdict::Unchanged } else { Verdict::Proceed };
    }
    if snapshot > hosted.soa.serial { Verdict::Proceed } else { Verdict::Stale }
}

#[cfg(test)]
mod tests {
    use secondary53_zone::name::Name;
    use secondary53_zone::zone::Soa;

    use super::*;

    fn hosted(serial: u32) -> HostedSoa {
        let (mname, rname) = (Name::root(), Name::root());
        let soa = Soa { mname, rname, serial: Serial(serial), refresh: 3600, retry: 1, expire: 1, minimum: 1 };
        HostedSoa { soa, ttl: 900 }
    }

    #[test]
    fn serials_move_forward_round_the_circle() {
        for (there, given, verdict) in [
            (7, 8, Verdict::Proceed),
            (8, 7, Verdict::Stale),
            (u32::MAX, 0, Verdict::Proceed),
            (0, u32::MAX, Verdict::Stale),
            (0, 1 << 31, Verdict::Stale),
            (7, 7, Verdict::Unchanged),
        ] {
            assert_eq!(on_serial(&hosted(there), Serial(given), true), verdict, "{there} {given}");
        }
        assert_eq!(on_serial(&hosted(7), Serial(7), false), Verdict::Proceed);
    }

    #[test]
    fn a_fresh_hosted_zone_was_never_synced() {
        let mut fresh = hosted(1);
        (fresh.soa.refresh, fresh.soa.retry, fresh.soa.expire, fresh.soa.minimum) = (7200, 900, 1_209_600, 86400);
        for serial in [0, 1, 2, 3_000_000_000, u32::MAX] {
            assert_eq!(on_serial(&fresh, Serial(serial), true), Verdict::Proceed);
        }
    }
}
