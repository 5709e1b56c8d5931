//! Metrics in CloudWatch's embedded metric format: a log line that is one JSON object, of which CloudWatch makes metrics
//! without a call of its API ("Specification: Embedded metric format", Amazon CloudWatch User Guide).
//!
//! One dimension, the RR type: a zone in it would make a metric, and a price, of every zone.

use std::collections::BTreeMap;

use secondary53_zone::name::Name;
use secondary53_zone::rrset::Rtype;
use serde_json::json;

use crate::plan::Plan;
use crate::sync::Path;

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

/// What a zone took: `Throttles`, how often Route 53 said to slow down, or that the hosted zone was busy; `FastPath` or
/// `FullPath`, that it was changed by what the snapshot said, or by all that the hosted zone holds. Nothing where all are 0.
pub fn took(zone: &Name, throttles: u32, path: Option<Path>, at_ms: u64) -> Option<String> {
    let is = |wanted| u32::from(path == Some(wanted));
    let counted = [("Throttles", throttles), ("FastPath", is(Path::Fast)), ("FullPath", is(Path::Full))];
    let counted: Vec<_> = counted.into_iter().filter(|(_, count)| *count > 0).collect();
    if counted.is_empty() {
        return None;
    }
    let metrics: Vec<_> = counted.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Count" })).collect();
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [[]], "Metrics": metrics });
    let mut line = json!({
        "_aws": { "Timestamp": at_ms, "CloudWatchMetrics": [directive] },
        "zone": zone.to_string(),
    });
    for (name, count) in counted {
        line[name] = count.into();
    }
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
    use crate::plan::{LeftOut, WhyLeftOut};

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
    fn what_a_zone_took_is_one_line_or_none() {
        let zone = Name::parse("example.com").unwrap();
        assert_eq!(took(&zone, 0, None, 0), None);
        for (throttles, path, named) in [
            (3, None, &["Throttles"][..]),
            (0, Some(Path::Fast), &["FastPath"]),
            (2, Some(Path::Full), &["Throttles", "FullPath"]),
        ] {
            let line: serde_json::Value = serde_json::from_str(&took(&zone, throttles, path, 7).unwrap()).unwrap();
            let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
            assert_eq!(metrics.iter().map(|metric| metric["Name"].as_str().unwrap()).collect::<Vec<_>>(), named);
            assert!(named.iter().all(|name| line[*name] == if *name == "Throttles" { throttles } else { 1 }));
        }
    }
}
