//! The same as JSON: `docs/cli.md` has every key.

use secondary53_lambda::batch::Batches;
use secondary53_lambda::guard::Held;
use secondary53_lambda::hosted::{Foreign, RrsetText};
use secondary53_lambda::plan::Change;
use secondary53_zone::message::Approval;
use serde_json::{Value, json};

use crate::compare::{Compared, Stop};

/// A plan, and what would keep it from being applied.
pub fn plan(compared: &Compared<'_>, stop: Option<&Stop>) -> Value {
    let Compared { hosted, soa, desired, plan, .. } = compared;
    let batches = Batches::of(plan);
    let counts = plan.counts();
    let changes: Vec<Value> = plan.names.iter().flat_map(|name| &name.changes).map(change).collect();
    let kept = plan.kept.iter().map(
        |(name, rtype, foreign)| json!({"name": name.to_string(), "type": rtype.to_string(), "kind": kind(*foreign)}),
    );
    let collisions = plan.collisions.iter();
    let collisions = collisions.map(|(name, rtype)| json!({"name": name.to_string(), "type": rtype.to_string()}));
    let left_out = plan.left_out.iter().map(
        |left| json!({"name": left.name.to_string(), "type": left.rtype.to_string(), "why": left.why.to_string()}),
    );
    let untranslated = plan.untranslated.iter();
    let untranslated = untranslated.map(|(rtype, records)| json!({"type": rtype.to_string(), "records": records}));
    json!({
        "zone": desired.apex().to_string(),
        "serial": desired.serial().0,
        "hosted_zone_id": hosted.id,
        "hosted_serial": soa.soa.serial.0,
        "never_synced": soa.is_route_53s_own(),
        "changes": changes,
        "soa": plan.soa.as_ref().and_then(|soa| soa.values.first()),
        "kept": kept.collect::<Vec<_>>(),
        "collisions": collisions.collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
        "untranslated": untranslated.collect::<Vec<_>>(),
        "create": counts.created,
        "change": counts.changed,
        "delete": counts.deleted,
        "requests": batches.batches.len(),
        "not_atomic": batches.not_atomic.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "calls": hosted.calls,
        "stopped_by": stop.map(stopped_by),
    })
}

/// By a word, a sentence, and what allows it.
fn stopped_by(stop: &Stop) -> Value {
    match stop {
        Stop::Stale => {
            json!({"guard": "stale", "reason": "the hosted zone's serial is not older", "allow": flag(Some(Approval::Rollback))})
        }
        Stop::Held(held) => {
            let guard = match held {
                Held::OtherZone { .. } => "other_zone",
                Held::Signed(_) => "signed",
                Held::MassDeletion { .. } => "held",
                Held::OverQuota { .. } => "over_quota",
            };
            json!({"guard": guard, "reason": held.to_string(), "allow": flag(held.needs())})
        }
    }
}

/// What lets it pass.
pub const fn flag(needs: Option<Approval>) -> Option<&'static str> {
    match needs {
        Some(Approval::Rollback) => Some("--accept-rollback"),
        Some(Approval::MassDeletion) => Some("--allow-mass-deletion"),
        None => None,
    }
}

fn change(change: &Change) -> Value {
    let of = |rrset: &RrsetText| json!({"ttl": rrset.ttl, "values": rrset.values});
    let (action, old, new, rrset) = match change {
        Change::Delete(old) => ("delete", Some(of(old)), None, old),
        Change::Create(new) => ("create", None, Some(of(new)), new),
        Change::Replace { old, new } => ("change", Some(of(old)), Some(of(new)), new),
    };
    json!({"action": action, "name": rrset.name.to_string(), "type": rrset.rtype.to_string(), "old": old, "new": new})
}

const fn kind(foreign: Foreign) -> &'static str {
    match foreign {
        Foreign::Alias => "alias",
        Foreign::Routed => "routed",
        Foreign::TrafficPolicy => "traffic_policy",
    }
}
