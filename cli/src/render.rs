//! A plan as a person reads a difference.

use std::collections::HashSet;
use std::fmt::Write as _;

use secondary53_lambda::batch::Batches;
use secondary53_lambda::hosted::{Foreign, HostedSoa, RrsetText};
use secondary53_lambda::plan::{Change, Plan};

use crate::compare::Compared;
use crate::terminal::{ADDED, CHANGED, FAINT, REMOVED, STRONG, Terminal, counted};

/// What would be done, RRset by RRset, what would not and why, and a summary.
pub fn plan(compared: &Compared<'_>, terminal: Terminal) -> String {
    differences(compared, terminal) + &last(compared, terminal)
}

/// The same without the summary.
pub fn differences(compared: &Compared<'_>, terminal: Terminal) -> String {
    changes(&compared.plan, &compared.soa, terminal) + &left(&compared.plan, terminal)
}

/// The last line of it: the zone, and in sum.
pub fn last(compared: &Compared<'_>, terminal: Terminal) -> String {
    terminal.paint(STRONG, format_args!("{}: {}", compared.desired.apex(), summary(compared))) + "\n"
}

/// In one line what would be done.
fn summary(compared: &Compared<'_>) -> String {
    let (plan, serial) = (&compared.plan, compared.desired.serial());
    let calls = counted(usize::try_from(compared.hosted.calls).unwrap_or_default(), "API call");
    if plan.is_empty() {
        return format!("nothing to do, Route 53 has all of serial {serial} ({calls})");
    }
    let counts = plan.counts();
    let hosted = &compared.soa;
    let serials = match hosted.soa.serial == serial {
        _ if hosted.is_route_53s_own() => format!("never synced → serial {serial}"),
        true => format!("serial {serial} as it is"),
        false => format!("serial {} → {serial}", hosted.soa.serial),
    };
    let batches = Batches::of(plan);
    let atomic = if batches.not_atomic.is_empty() {
        String::new()
    } else {
        format!(", of them {} not atomic", counted(batches.not_atomic.len(), "name"))
    };
    format!(
        "{} to create, {} to change, {} to delete{atomic}; {serials}; {} ({calls} so far)",
        counts.created,
        counts.changed,
        counts.deleted,
        counted(batches.batches.len(), "request")
    )
}

fn changes(plan: &Plan, soa: &HostedSoa, terminal: Terminal) -> String {
    // Writing to a String does not fail, here and below.
    let mut out = String::new();
    for change in plan.names.iter().flat_map(|name| &name.changes) {
        match change {
            Change::Delete(old) => whole(&mut out, '-', old, terminal),
            Change::Create(new) => whole(&mut out, '+', new, terminal),
            Change::Replace { old, new } => replaced(&mut out, old, new, terminal),
        }
    }
    if let Some(new) = &plan.soa {
        let fields = soa_fields(soa, new);
        _ = writeln!(out, "{} {} SOA {fields}", terminal.paint(CHANGED, '~'), new.name);
    }
    out
}

/// An RRset that comes or goes, a line for each value as a zone file has it.
fn whole(out: &mut String, sign: char, rrset: &RrsetText, terminal: Terminal) {
    let style = if sign == '+' { ADDED } else { REMOVED };
    for value in &rrset.values {
        let line = format!("{sign} {} {} {} {value}", rrset.name, rrset.ttl, rrset.rtype);
        _ = writeln!(out, "{}", terminal.paint(style, line));
    }
}

/// One that changes: in a line where one value takes the place of another, else value by value.
fn replaced(out: &mut String, old: &RrsetText, new: &RrsetText, terminal: Terminal) {
    /// Characters of a line that is still read as one.
    const LINE: usize = 60;
    let ttl = if old.ttl == new.ttl {
        old.ttl.to_string()
    } else {
        format!("{} → {}", terminal.paint(REMOVED, old.ttl), terminal.paint(ADDED, new.ttl))
    };
    let sign = terminal.paint(CHANGED, '~');
    let head = format!("{sign} {} {ttl} {}", new.name, new.rtype);
    if let ([was], [is]) = (old.values.as_slice(), new.values.as_slice()) {
        if was == is {
            _ = writeln!(out, "{head} {is}");
            return;
        }
        if was.len() + is.len() <= LINE {
            _ = writeln!(out, "{head} {} → {}", terminal.paint(REMOVED, was), terminal.paint(ADDED, is));
            return;
        }
    }
    _ = writeln!(out, "{head}");
    let (was, is): (HashSet<_>, HashSet<_>) = (old.values.iter().collect(), new.values.iter().collect());
    for value in old.values.iter().filter(|value| !is.contains(value)) {
        _ = writeln!(out, "    {}", terminal.paint(REMOVED, format_args!("- {value}")));
    }
    for value in new.values.iter().filter(|value| !was.contains(value)) {
        _ = writeln!(out, "    {}", terminal.paint(ADDED, format_args!("+ {value}")));
    }
    for value in new.values.iter().filter(|value| was.contains(value)) {
        _ = writeln!(out, "      {}", terminal.paint(FAINT, value));
    }
}

/// What of the SOA changes; MNAME and RNAME stay Route 53's.
fn soa_fields(old: &HostedSoa, new: &RrsetText) -> String {
    let Ok(new) = HostedSoa::read(new) else { return String::new() };
    let fields = [
        ("serial", old.soa.serial.0, new.soa.serial.0),
        ("refresh", old.soa.refresh, new.soa.refresh),
        ("retry", old.soa.retry, new.soa.retry),
        ("expire", old.soa.expire, new.soa.expire),
        ("minimum", old.soa.minimum, new.soa.minimum),
        ("TTL", old.ttl, new.ttl),
    ];
    let changed = fields.iter().filter(|(_, old, new)| old != new);
    changed.map(|(name, old, new)| format!("{name} {old} → {new}")).collect::<Vec<_>>().join(", ")
}

/// What stays as it is, and why.
fn left(plan: &Plan, terminal: Terminal) -> String {
    let mut out = String::new();
    for (name, rtype, foreign) in &plan.kept {
        let line = format!("= {name} {rtype} is kept: {}", words(*foreign));
        _ = writeln!(out, "{}", terminal.paint(FAINT, line));
    }
    let mut warn = |line: String| _ = writeln!(out, "{} {line}", terminal.paint(CHANGED, '!'));
    for (name, rtype) in &plan.collisions {
        warn(format!("{name} {rtype} is left out: an RRset of Route 53's own has its place"));
    }
    for left in &plan.left_out {
        warn(format!("{} {} is left out: {}", left.name, left.rtype, left.why));
    }
    for (rtype, records) in &plan.untranslated {
        warn(format!("{} of type {rtype} left out: Route 53 has no such type", counted(*records, "record")));
    }
    out
}

/// Why an RRset is not the primary's.
pub const fn words(foreign: Foreign) -> &'static str {
    match foreign {
        Foreign::Alias => "it is an alias",
        Foreign::Routed => "it has a routing policy",
        Foreign::TrafficPolicy => "it is of a traffic policy",
    }
}
