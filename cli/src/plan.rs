//! `plan`: what would change.

use std::process::ExitCode;

use secondary53_lambda::guard::Terms;
use secondary53_lambda::route53::Route53;
use secondary53_relay::config::Zone;
use serde_json::{Value, json};

use crate::args::{Aws, Source};
use crate::compare::{Compared, Stop};
use crate::source::Zones;
use crate::terminal::{CHANGED, Terminal, print, print_json};
use crate::{Failed, LEFT, aws, json, render};

/// Shows it, zone by zone. What is wrong with one does not keep the others from it.
pub async fn run(source: &Source, aws: &Aws, terminal: Terminal) -> Result<ExitCode, Failed> {
    let zones = Zones::of(source)?;
    let route53 = aws::route53(&aws::config(aws, None).await?);
    let (mut changes, mut all) = (false, All::new(terminal));
    for zone in &zones.zones {
        let told = all.take(zone, compare(&zones, zone, &route53, terminal).await);
        let Some(compared) = told else { continue };
        changes |= !compared.plan.is_empty();
        let stop = compared.stop(Terms::default());
        if terminal.json {
            all.json.push(json::plan(&compared, stop.as_ref()));
        } else {
            print(&shown(&compared, stop.as_ref(), terminal))?;
        }
    }
    all.end(changes)
}

/// What is told of several zones.
pub struct All {
    terminal: Terminal,
    /// Zone by zone.
    pub json: Vec<Value>,
    /// Something went wrong.
    pub failed: bool,
}

impl All {
    /// Nothing yet.
    pub fn new(terminal: Terminal) -> Self {
        Self { terminal, json: Vec::new(), failed: false }
    }

    /// Tells what is wrong with one of them.
    pub fn take<T>(&mut self, zone: &Zone, result: Result<T, Failed>) -> Option<T> {
        result
            .map_err(|error| {
                self.failed = true;
                eprintln!("secondary53: {error}");
                self.json.push(json!({"zone": zone.name.to_string(), "error": error.0}));
            })
            .ok()
    }

    /// Prints the JSON, and says with what to exit: 1 where something went wrong, 2 where something is left.
    pub fn end(self, left: bool) -> Result<ExitCode, Failed> {
        if self.terminal.json {
            print_json(&self.json)?;
        }
        Ok(match (self.failed, left) {
            (true, _) => ExitCode::FAILURE,
            (false, true) => ExitCode::from(LEFT),
            (false, false) => ExitCode::SUCCESS,
        })
    }
}

/// Transfers a zone and compares it with its hosted zone.
pub async fn compare<'a>(
    zones: &Zones,
    zone: &Zone,
    route53: &'a Route53,
    terminal: Terminal,
) -> Result<Compared<'a>, Failed> {
    let bar = terminal.bar(None, "transferring and reading the hosted zone");
    let compared = async {
        let transferred = zones.transfer(zone).await?;
        for (name, rtype) in &transferred.uneven_ttls {
            terminal.note(format_args!(
                "{name} {rtype}: its records have different TTLs, and the lowest is taken (RFC 2181 §5.2)"
            ));
        }
        if !transferred.stripped.is_empty() {
            let all: Vec<_> = transferred.stripped.iter().map(|(rtype, count)| format!("{count} {rtype}")).collect();
            terminal.note(format_args!("{}: left out of a signed zone: {}", zone.name, all.join(", ")));
        }
        Compared::read(route53, transferred.zone, zone.hosted_zone_id.as_deref()).await
    };
    let compared = compared.await;
    bar.finish_and_clear();
    compared
}

/// A plan as a person reads it, and what would keep it from being applied; with `--quiet` no more than the summary.
pub fn shown(compared: &Compared<'_>, stop: Option<&Stop>, terminal: Terminal) -> String {
    let plan = if terminal.quiet { render::last(compared, terminal) } else { render::plan(compared, terminal) };
    let held = stop.map(|stop| terminal.paint(CHANGED, format_args!("HELD: {}", why(compared, stop))) + "\n");
    plan + &held.unwrap_or_default()
}

/// Why it would not be done, and what allows it.
pub fn why(compared: &Compared<'_>, stop: &Stop) -> String {
    match stop {
        Stop::Stale => {
            let (zone, hosted, primary) = (compared.desired.apex(), compared.soa.soa.serial, compared.desired.serial());
            format!(
                "zone {zone} is at serial {hosted} in Route 53, and the primary's serial {primary} is not newer (RFC 1982): raise \
                 the primary's serial above {hosted}, then sync again, or pass --accept-rollback"
            )
        }
        Stop::Held(held) => match json::flag(held.needs()) {
            Some(flag) => format!("{held}: pass {flag} where it is meant"),
            None => held.to_string(),
        },
    }
}
