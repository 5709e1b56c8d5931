//! Whether a snapshot may be applied. In this order, and each with a name:
//!
//! 1. `other_zone`: it is another zone's. Held.
//! 2. `signed`: it holds a DNSKEY at its apex, and unsigned under a parent's DS it would be bogus. Held.
//! 3. `stale`: its serial is not newer (RFC 1982). Dropped, unless an operator accepted the rollback.
//! 4. `unchanged`: its serial is the hosted zone's, which says what is there, and nobody asked for a full comparison.
//! 5. `held`: it would delete too much. Held until an operator approves it, for this message and so for this digest.
//! 6. `over_quota`: the hosted zone may not hold as much. Held.
//!
//! What is held goes to the dead-letter queue with the reason, and the zone goes on.

use secondary53_zone::message::Approval;
use secondary53_zone::name::Name;
use secondary53_zone::rrset::Rtype;
use secondary53_zone::serial::Serial;
use secondary53_zone::zone::Zone;

use crate::hosted::HostedSoa;
use crate::plan::{Deletions, Plan};

/// On what terms a snapshot may be applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// Where the hosted zone has the snapshot's serial there is nothing to do.
    pub trusts_serial: bool,
    /// What an operator allows.
    pub approved: &'a [Approval],
    /// How much may go without being asked.
    pub policy: Policy,
}

/// How much may be deleted without an operator's word. All RRsets never may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Of our RRsets in the hosted zone, 0 to 100.
    pub percent: usize,
    /// Where there are fewer RRsets of ours, a percentage says little: any may go, but not all.
    pub min_rrsets: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { percent: 30, min_rrsets: 10 }
    }
}

/// What the serials say of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Compare it with the hosted zone.
    Proceed,
    /// The hosted zone stands at its serial already, and nobody asked for a full comparison.
    Unchanged,
    /// The hosted zone stands at a serial that is not older: to apply it would take the zone back.
    Stale,
}

/// Why a snapshot is put aside until somebody has looked at it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// It is another zone's.
    #[error("the snapshot is of zone {snapshot}, and the hosted zone is {hosted}")]
    OtherZone {
        /// The hosted zone's name.
        hosted: Name,
        /// The snapshot's.
        snapshot: Name,
    },
    /// It comes of a signed zone. Relays strip DNSSEC records or refuse the zone, so it is an old one or a forged one.
    #[error(
        "the snapshot of {0} holds a DNSKEY at its apex: published unsigned under a parent's DS the zone would be bogus; \
         see strip_dnssec in the relay's configuration of the zone"
    )]
    Signed(Name),
    /// It would delete too much.
    #[error(
        "{} of the {} RRsets in the hosted zone would be deleted, and without an operator's word no more than {} % may be, \
         and never all",
        .deletions.deleted, .deletions.of, .policy.percent
    )]
    MassDeletion {
        /// How much.
        deletions: Deletions,
        /// How much would pass.
        policy: Policy,
    },
    /// The hosted zone may not hold as much.
    #[error(
        "the hosted zone would have {count} RRsets, and its quota is {quota}: request a higher one for it (Service Quotas, \
         Amazon Route 53, records per hosted zone, in us-east-1) and replay this message"
    )]
    OverQuota {
        /// RRsets, all that it would hold.
        count: usize,
        /// As many as it may.
        quota: usize,
    },
}

impl Held {
    /// What would let it pass.
    pub const fn needs(&self) -> Option<Approval> {
        match self {
            Self::OtherZone { .. } | Self::Signed(_) | Self::OverQuota { .. } => None,
            Self::MassDeletion { .. } => Some(Approval::MassDeletion),
        }
    }
}

/// A plan that passed the guards: nothing else is ever applied.
#[derive(Clone, Copy, Debug)]
pub struct Passed<'a>(&'a Plan);

impl<'a> Passed<'a> {
    /// What may be done.
    pub const fn plan(self) -> &'a Plan {
        self.0
    }
}

/// Asked before the hosted zone is read.
pub fn on_zone(hosted: &Name, snapshot: &Zone) -> Result<(), Held> {
    let apex = snapshot.apex();
    if hosted != apex {
        return Err(Held::OtherZone { hosted: hosted.clone(), snapshot: apex.clone() });
    }
    // The apex is first.
    let mut at_apex = snapshot.rrsets().take_while(|rrset| rrset.owner() == apex.by_ref());
    let is_signed = at_apex.any(|rrset| rrset.rtype() == Rtype::DNSKEY);
    if is_signed { Err(Held::Signed(apex.clone())) } else { Ok(()) }
}

/// Holds a snapshot's serial against the hosted zone's.
///
/// Serials only move forward (RFC 1982). Two that have no order are taken as stale: nobody can say that the snapshot is
/// newer. A hosted zone that Route 53 has just made has serial 1, which says nothing.
pub fn on_serial(hosted: &HostedSoa, snapshot: Serial, terms: Terms<'_>) -> Verdict {
    if hosted.is_route_53s_own() {
        return Verdict::Proceed;
    }
    if hosted.soa.serial == snapshot {
        let is_there = terms.trusts_serial && !hosted.is_marked();
        return if is_there { Verdict::Unchanged } else { Verdict::Proceed };
    }
    let is_forward = snapshot > hosted.soa.serial;
    if is_forward || terms.approved.contains(&Approval::Rollback) { Verdict::Proceed } else { Verdict::Stale }
}

/// Holds what would be deleted against what may be.
pub fn on_plan<'a>(plan: &'a Plan, terms: Terms<'_>) -> Result<Passed<'a>, Held> {
    let Terms { approved, policy, .. } = terms;
    let deletions = plan.deletions();
    let Deletions { deleted, of } = deletions;
    let all = deleted > 0 && deleted == of;
    let too_much = of >= policy.min_rrsets && deleted.saturating_mul(100) > of.saturating_mul(policy.percent);
    if (all || too_much) && !approved.contains(&Approval::MassDeletion) {
        return Err(Held::MassDeletion { deletions, policy });
    }
    Ok(Passed(plan))
}

/// Whether a plan deletes so little that it may be applied though the hosted zone was not read and its RRsets were not
/// counted: half of what [`on_plan`] lets pass, or as much as an operator approved. A small zone is read quickly.
pub fn on_delta(plan: &Plan, terms: Terms<'_>) -> bool {
    let Terms { approved, policy, .. } = terms;
    let Deletions { deleted, of } = plan.deletions();
    let is_free = deleted == 0 || approved.contains(&Approval::MassDeletion);
    is_free || (of >= policy.min_rrsets && deleted.saturating_mul(200) <= of.saturating_mul(policy.percent))
}

/// Holds what the hosted zone would have against what it may. One that has too much already may still shrink.
pub fn on_quota(plan: &Plan, quota: usize) -> Result<(), Held> {
    let count = plan.size_after();
    if count > quota && count > plan.there { Err(Held::OverQuota { count, quota }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use secondary53_zone::zone::Soa;

    use super::*;
    use crate::hosted::{HostedRrset, RrsetText};
    use crate::model::{hosted_of, name, zone, zone_with};

    const TRUSTING: Terms<'_> =
        Terms { trusts_serial: true, approved: &[], policy: Policy { percent: 30, min_rrsets: 10 } };

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
            assert_eq!(on_serial(&hosted(there), Serial(given), TRUSTING), verdict, "{there} {given}");
        }
        let full = Terms { trusts_serial: false, ..TRUSTING };
        assert_eq!(on_serial(&hosted(7), Serial(7), full), Verdict::Proceed);
        // Some of another version is there.
        let marked = hosted(7).marked();
        assert_eq!(on_serial(&marked, Serial(7), TRUSTING), Verdict::Proceed);
        assert_eq!(on_serial(&marked, Serial(6), TRUSTING), Verdict::Stale);
    }

    #[test]
    fn a_rollback_that_an_operator_accepted_proceeds() {
        let accepted = Terms { approved: &[Approval::Rollback], ..TRUSTING };
        let other = Terms { approved: &[Approval::MassDeletion], ..TRUSTING };
        for (there, given) in [(8, 7), (0, u32::MAX), (0, 1 << 31)] {
            assert_eq!(on_serial(&hosted(there), Serial(given), accepted), Verdict::Proceed, "{there} {given}");
            assert_eq!(on_serial(&hosted(there), Serial(given), other), Verdict::Stale, "{there} {given}");
        }
    }

    #[test]
    fn a_fresh_hosted_zone_was_never_synced() {
        let mut fresh = hosted(1);
        (fresh.soa.refresh, fresh.soa.retry, fresh.soa.expire, fresh.soa.minimum) = (7200, 900, 1_209_600, 86400);
        for serial in [0, 1, 2, 3_000_000_000, u32::MAX] {
            assert_eq!(on_serial(&fresh, Serial(serial), TRUSTING), Verdict::Proceed);
        }
    }

    #[test]
    fn another_zone_and_a_signed_one_are_held_by_name() {
        let plain = zone(&[]);
        assert_eq!(on_zone(&name("example.com"), &plain), Ok(()));
        let other = on_zone(&name("example.net"), &plain).unwrap_err();
        assert_eq!(other.to_string(), "the snapshot is of zone example.com., and the hosted zone is example.net.");
        let with_key = |owner: &str| {
            zone_with(|builder| {
                builder.push(name(owner).by_ref(), Rtype::DNSKEY, 300, &[1, 1, 3, 13, 0]).unwrap();
            })
        };
        assert_eq!(on_zone(&name("example.com"), &with_key("example.com")), Err(Held::Signed(name("example.com"))));
        assert_eq!(on_zone(&name("example.com"), &with_key("key.example.com")), Ok(()));
    }

    /// `there` RRsets, of which `goes` go.
    fn plan_of(there: usize, goes: usize) -> Plan {
        let owners: Vec<String> = (0..there).map(|number| format!("n{number}")).collect();
        let records: Vec<_> = owners.iter().map(|owner| (owner.as_str(), Rtype::A, 300, "192.0.2.1")).collect();
        Plan::new(&hosted_of(&zone(&records)), &zone(&records[goes..])).unwrap()
    }

    fn is_held(plan: &Plan, terms: Terms<'_>) -> bool {
        let held = on_plan(plan, terms).err();
        assert!(held.as_ref().is_none_or(|held| held.needs() == Some(Approval::MassDeletion)));
        held.is_some()
    }

    #[test]
    fn too_much_is_more_than_the_share_of_enough_or_all() {
        for (there, goes, held) in [
            (0, 0, false),
            (1, 0, false),
            (1, 1, true),
            (2, 1, false),
            (9, 8, false),
            (9, 9, true),
            (10, 3, false),
            (10, 4, true),
            (100, 30, false),
            (100, 31, true),
        ] {
            assert_eq!(is_held(&plan_of(there, goes), TRUSTING), held, "{goes} of {there}");
        }
        let approved = Terms { approved: &[Approval::MassDeletion], ..TRUSTING };
        let accepted = Terms { approved: &[Approval::Rollback], ..TRUSTING };
        assert!(!is_held(&plan_of(9, 9), approved) && is_held(&plan_of(9, 9), accepted));
        let of = |percent, min_rrsets| Terms { policy: Policy { percent, min_rrsets }, ..TRUSTING };
        assert!(!is_held(&plan_of(100, 99), of(100, 0)) && is_held(&plan_of(100, 100), of(100, 0)));
        assert!(is_held(&plan_of(100, 1), of(0, 100)) && !is_held(&plan_of(100, 99), of(0, 101)));
    }

    #[test]
    fn without_counting_only_half_as_much_may_go() {
        for (there, goes, plain) in
            [(1, 0, true), (2, 1, false), (9, 1, false), (10, 1, true), (20, 3, true), (20, 4, false), (20, 20, false)]
        {
            assert_eq!(on_delta(&plan_of(there, goes), TRUSTING), plain, "{goes} of {there}");
        }
        let all = Terms { policy: Policy { percent: 100, min_rrsets: 0 }, ..TRUSTING };
        assert!(!on_delta(&plan_of(1, 1), all));
        assert!(on_delta(&plan_of(1, 1), Terms { approved: &[Approval::MassDeletion], ..TRUSTING }));
    }

    #[test]
    fn a_zone_that_does_not_fit_is_held_with_the_numbers_and_one_that_shrinks_is_not() {
        let records = |count: usize| (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>();
        let zone_of = |count| {
            let owners = records(count);
            zone(&owners.iter().map(|owner| (owner.as_str(), Rtype::A, 300, "192.0.2.1")).collect::<Vec<_>>())
        };
        // With the SOA eleven, and ten.
        let grows = Plan::new(&hosted_of(&zone_of(5)), &zone_of(10)).unwrap();
        assert_eq!((on_quota(&grows, 11), grows.size_after()), (Ok(()), 11));
        let held = on_quota(&grows, 10).unwrap_err();
        assert!(held.to_string().starts_with("the hosted zone would have 11 RRsets, and its quota is 10:"), "{held}");
        let shrinks = Plan::new(&hosted_of(&zone_of(10)), &zone_of(9)).unwrap();
        assert_eq!(on_quota(&shrinks, 3), Ok(()));
    }

    #[test]
    fn what_gives_way_to_a_cname_is_not_lost_and_what_is_not_ours_does_not_count() {
        let (from, to) = ("192.0.2.1", "x.");
        let addresses = zone(&[("w", Rtype::A, 300, from), ("w", Rtype::AAAA, 300, "2001:db8::1")]);
        let alias = zone(&[("w", Rtype::CNAME, 300, to)]);
        for (there, wanted) in [(&addresses, &alias), (&alias, &addresses)] {
            let plan = Plan::new(&hosted_of(there), wanted).unwrap();
            assert_eq!(plan.deletions().deleted, 0);
        }
        // A TXT that goes while an MX comes is lost.
        let (txt, mx) = (zone(&[("w", Rtype::TXT, 300, "\"x\"")]), zone(&[("w", Rtype::MX, 300, "1 x.")]));
        let mut hosted = hosted_of(&txt);
        let text = RrsetText { name: name("z.example.com"), rtype: Rtype::A, ttl: 0, values: Vec::new() };
        hosted.push(HostedRrset { text, foreign: Some(crate::hosted::Foreign::Alias) });
        assert_eq!(Plan::new(&hosted, &mx).unwrap().deletions(), Deletions { deleted: 1, of: 1 });
    }
}
