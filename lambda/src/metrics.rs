//! Metrics in CloudWatch's embedded metric format: a log line that is one JSON object, of which CloudWatch makes metrics
//! without a call of its API ("Specification: Embedded metric format", Amazon CloudWatch User Guide).
//!
//! One dimension, the RR type: a zone in it would make a metric, and a price, of every zone.

use std::collections::BTreeMap;
use std::time::Duration;

use secondary53_zone::name::Name;
use secondary53_zone::rrset::Rtype;
use serde_json::json;

use crate::plan::{Counts, Plan};
use crate::route53::Route53Error;
use crate::sync::{Outcome, Path};

/// Where the metrics stand in CloudWatch.
const NAMESPACE: &str = "secondary53";

/// What a plan leaves out, a line for each type: `UntranslatableRecords`, of types that Route 53 does not have, and
/// `LeftOutRRsets`, which it has a type for and cannot hold. `at_ms` is milliseconds since 1970-01-01T00:00:00Z.
pub fn left_out(zone: &Name, plan: &Plan, at_ms: u64) -> Vec<String> {
    let mut rrsets: BTreeMap<Rtype, usize> = BTreeMap::new();
    for left in &plan.left_out {
        *rrsets.entry(left.rtype).or_default() += 1;
    }
    let untranslatable = plan.untranslated.iter().map(|counted| ("UntranslatableRecords", counted));
    let left_out = rrsets.iter().map(|counted| ("LeftOutRRsets", counted));
    untranslatable.chain(left_out).map(|(name, (rtype, count))| line(zone, name, *rtype, *count, at_ms)).collect()
}

/// What a snapshot took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// Requests to Route 53.
    pub calls: u32,
    /// How often Route 53 said to slow down, or that the hosted zone was busy.
    pub throttles: u32,
    /// Snapshots of the same zone that were passed over for it.
    pub superseded: usize,
    /// From the NOTIFY until Route 53 had accepted the last of it, in milliseconds.
    pub notify_to_accepted_ms: Option<u64>,
}

/// What a snapshot came to and took, a line without dimensions; what is 0 is left out, and a line of nothing is none.
///
/// `AppliedChanges` (RRsets, and the SOA), `FastPath` or `FullPath` (it was changed by what the snapshot said, or by all that
/// the hosted zone holds), `SecondsToAccepted`; `Held`, `Stale`, `Rejected` (RRsets), `Retries`; and of each `ApiCalls`,
/// `Throttles`, `Superseded`.
pub fn synced(zone: &Name, result: &Result<Outcome, Route53Error>, took: Took, at_ms: u64) -> Option<String> {
    let mut counted = vec![
        ("ApiCalls", took.calls as usize),
        ("Throttles", took.throttles as usize),
        ("Superseded", took.superseded),
    ];
    match result {
        Ok(Outcome::Applied { plan, path, .. }) => {
            let Counts { created, changed, deleted } = plan.counts();
            let changes = created + changed + deleted + usize::from(plan.soa.is_some());
            let path = if *path == Path::Fast { "FastPath" } else { "FullPath" };
            counted.extend([("AppliedChanges", changes), (path, 1)]);
        }
        Ok(Outcome::Stale) => counted.push(("Stale", 1)),
        Ok(Outcome::Held { .. }) => counted.push(("Held", 1)),
        Ok(Outcome::Refused { refused, .. }) => {
            counted.push(("Rejected", refused.iter().map(|refused| refused.rrsets().len()).sum()));
        }
        Err(error) if error.is_transient() => counted.push(("Retries", 1)),
        Ok(Outcome::Unchanged) | Err(_) => {}
    }
    counted.retain(|(_, count)| *count > 0);
    let seconds = took.notify_to_accepted_ms.filter(|_| matches!(result, Ok(Outcome::Applied { .. })));
    if counted.is_empty() && seconds.is_none() {
        return None;
    }
    let mut metrics: Vec<_> = counted.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Count" })).collect();
    let mut line = json!({ "zone": zone.to_string() });
    for (name, count) in counted {
        line[name] = count.into();
    }
    if let Some(milliseconds) = seconds {
        metrics.push(json!({ "Name": "SecondsToAccepted", "Unit": "Seconds" }));
        line["SecondsToAccepted"] = Duration::from_millis(milliseconds).as_secs_f64().into();
    }
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [[]], "Metrics": metrics });
    line["_aws"] = json!({ "Timestamp": at_ms, "CloudWatchMetrics": [directive] });
    Some(line.to_string())
}

fn line(zone: &Name, name: &str, rtype: Rtype, count: usize, at_ms: u64) -> String {
    let metric = json!({ "Name": name, "Unit": "Count" });
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [["Type"]], "Metrics": [metric] });
    json!({
        "_aws": { "Timestamp": at_ms, "CloudWatchMetrics": [directive] },
        "Type": rtype.to_string(),
        "zone": zone.to_string(),
        name: count,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Held;
    use crate::isolate::{Refused, Rejection};
    use crate::plan::{LeftOut, NameChanges, WhyLeftOut};

    #[test]
    fn each_type_has_a_line_that_cloudwatch_reads() {
        let zone = Name::parse("example.com").unwrap();
        let left = |rtype| LeftOut { name: zone.clone(), rtype, why: WhyLeftOut::WildcardNs };
        let plan = Plan {
            untranslated: BTreeMap::from([(Rtype::LOC, 2), (Rtype(65280), 1)]),
            left_out: vec![left(Rtype::TXT), left(Rtype::NS), left(Rtype::TXT)],
            ..Plan::default()
        };
        let lines: Vec<serde_json::Value> =
            left_out(&zone, &plan, 1_800_000_000_000).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = lines
            .iter()
            .map(|line| {
                let metric = &line["_aws"]["CloudWatchMetrics"][0];
                assert_eq!((&metric["Namespace"], &metric["Dimensions"]), (&json!("secondary53"), &json!([["Type"]])));
                assert_eq!(line["_aws"]["Timestamp"], 1_800_000_000_000_u64);
                let name = metric["Metrics"][0]["Name"].as_str().unwrap();
                format!("{name} {} {}", line["Type"].as_str().unwrap(), line[name])
            })
            .collect();
        assert_eq!(
            told,
            [
                "UntranslatableRecords LOC 2",
                "UntranslatableRecords TYPE65280 1",
                "LeftOutRRsets NS 1",
                "LeftOutRRsets TXT 2",
            ]
        );
        assert_eq!(left_out(&zone, &Plan::default(), 0), Vec::<String>::new());
    }

    #[test]
    fn what_became_of_a_snapshot_is_one_line_or_none() {
        let zone = Name::parse("example.com").unwrap();
        let applied = |path| Ok(Outcome::Applied { plan: Plan::default(), batches: 1, path });
        let refused = Refused::of(
            &NameChanges { name: zone.clone(), changes: Vec::new(), others_stay: false },
            &Rejection { words: "No.".into(), is_denied: false },
        );
        let held = || Ok(Outcome::Held { held: Held::Signed(zone.clone()), plan: None });
        let busy = Took { calls: 3, throttles: 2, superseded: 1, notify_to_accepted_ms: Some(1_500) };
        let idle = Took::default();
        for (result, took, told) in [
            (Ok(Outcome::Unchanged), idle, None),
            (Ok(Outcome::Stale), idle, Some("Stale=1")),
            (held(), Took { calls: 1, ..idle }, Some("ApiCalls=1 Held=1")),
            (applied(Path::Full), idle, Some("FullPath=1")),
            (applied(Path::Fast), busy, Some("ApiCalls=3 Throttles=2 Superseded=1 FastPath=1 SecondsToAccepted=1.5")),
            (Ok(Outcome::Refused { plan: Plan::default(), refused: vec![refused] }), idle, None),
            (Err(Route53Error::Endless { operation: "x" }), idle, Some("Retries=1")),
            (Err(Route53Error::NoHostedZone(zone.clone())), idle, None),
        ] {
            let line = synced(&zone, &result, took, 7);
            let line = line.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
            let said = line.map(|line| {
                let metric = &line["_aws"]["CloudWatchMetrics"][0];
                assert_eq!((&line["_aws"]["Timestamp"], &metric["Dimensions"]), (&json!(7), &json!([[]])));
                // What the alarms count in lines of the log must not be in this one.
                assert!(line.get("outcome").is_none() && line.get("message").is_none());
                let names = metric["Metrics"].as_array().unwrap().iter().map(|metric| metric["Name"].as_str().unwrap());
                names.map(|name| format!("{name}={}", line[name])).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(said.as_deref(), told);
        }
    }
}
