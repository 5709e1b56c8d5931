//! One step of the work on the reference zone, for a profiler that counts instructions: only what [`measured`] calls is to be
//! counted.
//!
//! usage: `valgrind --tool=callgrind --toggle-collect='*measured*' hot-paths STEP [RECORDS]`
//!
//! `hot-paths` alone lists the steps; 10,000 records where no number is given.

use std::hint::black_box;

use secondary53_lambda::batch::Batches;
use secondary53_lambda::hosted::HostedRrset;
use secondary53_lambda::plan::Plan;
use secondary53_lambda::sync::soa_of;
use secondary53_tests::hosted::{fresh, holding};
use secondary53_tests::zones::{one_changed, reference};
use secondary53_zone::delta::Delta;
use secondary53_zone::message::{Message, Meta, Reason};
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::{Limits, Zone, ZoneBuilder};

type Failure = Box<dyn std::error::Error>;
type Step = (&'static str, fn(&Zone) -> Result<(), Failure>);

const STEPS: [Step; 7] = [
    ("records into a zone and its digest", assemble),
    ("zone into a message", encode),
    ("message into a zone", decode),
    ("what changed, one record", compare),
    ("plan of what changed, one record", plan_of_change),
    ("plan of a first sync", plan_of_all),
    ("plan of nothing", plan_of_nothing),
];

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let Some(wanted) = arguments.next() else {
        for (name, _) in STEPS {
            println!("{name}");
        }
        return Ok(());
    };
    let records = arguments.next().map_or(Ok(10_000), |records| records.parse())?;
    let (_, step) = STEPS.iter().find(|(name, _)| *name == wanted).ok_or("no such step")?;
    step(&reference(records)?)
}

/// What is counted. A name of its own, which a profiler finds.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

fn assemble(zone: &Zone) -> Result<(), Failure> {
    let snapshot = measured(|| {
        let mut builder = ZoneBuilder::new(zone.apex().clone(), Limits::default());
        for rrset in zone.rrsets() {
            for rdata in rrset.rdata() {
                builder.push(rrset.owner(), rrset.rtype(), rrset.ttl(), rdata)?;
            }
        }
        builder.build().map(|built| Snapshot::new(built.zone))
    });
    snapshot.map(drop).map_err(Into::into)
}

fn encode(zone: &Zone) -> Result<(), Failure> {
    let snapshot = Snapshot::new(zone.clone());
    measured(|| Message::of(snapshot, Reason::Initial, Meta::default())).map(drop).map_err(Into::into)
}

fn decode(zone: &Zone) -> Result<(), Failure> {
    let message = Message::of(Snapshot::new(zone.clone()), Reason::Initial, Meta::default())?;
    measured(|| message.snapshot(Limits::default())).map(drop).map_err(Into::into)
}

fn compare(zone: &Zone) -> Result<(), Failure> {
    let (next, base) = (one_changed(zone)?, Snapshot::new(zone.clone()));
    measured(|| Delta::between(&base, &next, usize::MAX)).map(drop).ok_or_else(|| "no delta".into())
}

fn plan_of_change(zone: &Zone) -> Result<(), Failure> {
    let (next, hosted) = (one_changed(zone)?, holding(zone));
    let delta = Delta::between(&Snapshot::new(zone.clone()), &next, usize::MAX).ok_or("no delta")?;
    let soa = soa_of(&hosted)?;
    let leads =
        measured(|| delta.leads_to(&next) && !Batches::of(&Plan::of_delta(&delta, &next, &soa)).batches.is_empty());
    leads.then_some(()).ok_or_else(|| "it leads elsewhere".into())
}

fn plan_of_all(zone: &Zone) -> Result<(), Failure> {
    plan(&fresh(zone), zone)
}

fn plan_of_nothing(zone: &Zone) -> Result<(), Failure> {
    plan(&holding(zone), zone)
}

fn plan(hosted: &[HostedRrset], zone: &Zone) -> Result<(), Failure> {
    measured(|| Plan::new(hosted, zone).map(|plan| Batches::of(&plan))).map(drop).map_err(Into::into)
}
