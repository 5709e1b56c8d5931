//! A plan as a person reads a difference.

use std::fmt::Write as _;

use secondary53_lambda::batch::Batches;
use secondary53_lambda::hosted::RrsetText;
use secondary53_lambda::plan::{Change, Plan};
use secondary53_zone::zone::Zone;

/// One line for each value that comes (`+`) or goes (`-`), what is left out and why, and a summary.
pub fn plan(desired: &Zone, plan: &Plan) -> String {
    let mut out = String::new();
    for change in plan.names.iter().flat_map(|name| &name.changes) {
        match change {
            Change::Delete(old) => lines(&mut out, '-', old),
            Change::Create(new) => lines(&mut out, '+', new),
            Change::Replace { old, new } => {
                lines(&mut out, '-', old);
                lines(&mut out, '+', new);
            }
        }
    }
    if let Some(soa) = &plan.soa {
        lines(&mut out, '~', soa);
    }
    // Writing to a String does not fail.
    for (name, rtype, foreign) in &plan.kept {
        _ = writeln!(out, "  {name} {rtype} is kept: it is not of a zone transfer ({foreign:?})");
    }
    for (name, rtype) in &plan.collisions {
        _ = writeln!(out, "! {name} {rtype} is left out: an RRset of Route 53's own has its place");
    }
    for left in &plan.left_out {
        _ = writeln!(out, "! {} {} is left out: {}", left.name, left.rtype, left.why);
    }
    for (rtype, records) in &plan.untranslated {
        _ = writeln!(
            out,
            "! {records} {} of type {rtype} left out: Route 53 has no such type",
            plural(*records, "record")
        );
    }
    let counts = plan.counts();
    let (zone, serial) = (desired.apex(), desired.serial());
    if plan.is_empty() {
        _ = writeln!(out, "Zone {zone} at serial {serial}: nothing to do.");
    } else {
        let requests = Batches::of(plan).batches.len();
        _ = writeln!(
            out,
            "Zone {zone} at serial {serial}: {} to create, {} to change, {} to delete, in {requests} {}.",
            counts.created,
            counts.changed,
            counts.deleted,
            plural(requests, "request")
        );
    }
    out
}

/// The word, in the number that fits.
pub fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

fn lines(out: &mut String, sign: char, rrset: &RrsetText) {
    for value in &rrset.values {
        _ = writeln!(out, "{sign} {} {} {} {value}", rrset.name, rrset.ttl, rrset.rtype);
    }
}
