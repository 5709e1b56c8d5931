//! `verify`: the primary against the hosted zone, RRset by RRset: as the API tells it, and as its name servers answer.

mod dns;

use std::fmt::Write as _;
use std::process::ExitCode;

use secondary53_zone::rrset::Rtype;
use serde_json::json;

use crate::args::{Aws, Dns, Source};
use crate::compare::Compared;
use crate::plan::{All, compare};
use crate::source::Zones;
use crate::terminal::{ADDED, CHANGED, STRONG, Terminal, counted, print};
use crate::{Failed, aws, json, render};

/// Runs the command.
pub async fn run(source: &Source, dns: &Dns, aws: &Aws, terminal: Terminal) -> Result<ExitCode, Failed> {
    let zones = Zones::of(source)?;
    let route53 = aws::route53(&aws::config(aws, None).await?);
    let (mut differs, mut all) = (false, All::new(terminal));
    for zone in &zones.zones {
        let Some(compared) = all.take(zone, compare(&zones, zone, &route53, terminal).await) else { continue };
        differs |= !compared.plan.is_empty();
        if !terminal.json {
            print(&told(&compared, terminal))?;
        }
        let mut servers = Vec::new();
        if dns.dns || !dns.name_servers.is_empty() {
            let asked = dns::ask(&compared, &dns.name_servers, terminal).await;
            servers = all.take(zone, asked).unwrap_or_default();
        }
        for server in &servers {
            differs |= server.differs();
            all.failed |= server.failed();
            if !terminal.json {
                print(&server.told(terminal))?;
            }
        }
        if terminal.json {
            let mut told = json::plan(&compared, None);
            told["alike"] = alike(&compared).into();
            told["dns"] = json!(servers);
            all.json.push(told);
        }
    }
    all.end(differs)
}

/// RRsets of the primary's that Route 53 has just so; the SOA, of which some is Route 53's own, and its NS are not counted.
fn alike(compared: &Compared<'_>) -> usize {
    let Compared { plan, desired, .. } = compared;
    let apex = desired.apex().by_ref();
    let is_theirs = |rtype| matches!(rtype, Rtype::SOA | Rtype::NS);
    let rrsets = desired.rrsets().filter(|rrset| !(rrset.owner() == apex && is_theirs(rrset.rtype())));
    let untranslated = |rtype: &Rtype| plan.untranslated.contains_key(rtype);
    let counts = plan.counts();
    let others = counts.created + counts.changed + plan.collisions.len() + plan.left_out.len();
    rrsets.filter(|rrset| !untranslated(&rrset.rtype())).count().saturating_sub(others)
}

fn told(compared: &Compared<'_>, terminal: Terminal) -> String {
    let mut out = if terminal.quiet { String::new() } else { render::differences(compared, terminal) };
    let counts = compared.plan.counts();
    let (zone, primary, hosted) = (compared.desired.apex(), compared.desired.serial(), compared.soa.soa.serial);
    let serials = if primary == hosted {
        format!("serial {primary} in both")
    } else {
        format!("serial {primary} at the primary, {hosted} in Route 53")
    };
    let style = if compared.plan.is_empty() { ADDED } else { CHANGED };
    let sum = format!(
        "{} alike, {} differ, {} only at the primary, {} only in Route 53; {serials}",
        counted(alike(compared), "RRset"),
        counts.changed,
        counts.created,
        counts.deleted
    );
    // Writing to a String does not fail.
    _ = writeln!(out, "{} {}", terminal.paint(STRONG, format_args!("{zone}:")), terminal.paint(style, sum));
    out
}
