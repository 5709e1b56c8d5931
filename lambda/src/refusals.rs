//! What Route 53 is known to refuse, while this worker lives: so that a bad RRset that stays as it is costs a zone's next
//! snapshots one request each, and not a search. It decides nothing: what is in here is asked for again, apart from the rest.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::isolate::Refused;
use crate::plan::{NameChanges, Plan};

/// Names of one hosted zone, and hosted zones: a bound on memory. What is forgotten is searched for again.
const MAX_NAMES: usize = 1_000;
const MAX_ZONES: usize = 1_000;

/// By the hosted zone's id.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<String, Vec<NameChanges>>>);

impl Refusals {
    /// Takes out of a plan what is known to be refused and has not changed since: the plan without it, and it. Where that is
    /// anything, the plan has no SOA: the serial must not be ahead of the zone.
    pub fn split(&self, hosted_zone: &str, plan: &Plan) -> (Plan, Plan) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(hosted_zone).map(Vec::as_slice).unwrap_or_default();
        let (bad, good): (Vec<_>, Vec<_>) = plan.names.iter().cloned().partition(|name| known.contains(name));
        let soa = plan.soa.clone().filter(|_| bad.is_empty());
        let of = |names, soa| Plan { names, soa, there: plan.there, ..Plan::default() };
        (of(good, soa), of(bad, None))
    }

    /// Whether anything is known to be refused of a hosted zone.
    pub fn is_any(&self, hosted_zone: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(hosted_zone)
    }

    /// The hosted zone is complete.
    pub fn forget(&self, hosted_zone: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(hosted_zone);
    }

    /// Remembers what was refused of a plan, in the place of all that was remembered of the hosted zone.
    pub fn remember(&self, hosted_zone: &str, plan: &Plan, refused: &[Refused]) {
        let is_refused = |name: &&NameChanges| refused.iter().any(|refused| refused.name == name.name);
        let names: Vec<NameChanges> = plan.names.iter().filter(is_refused).take(MAX_NAMES).cloned().collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.is_empty() {
            known.remove(hosted_zone);
        } else if known.len() < MAX_ZONES || known.contains_key(hosted_zone) {
            known.insert(hosted_zone.to_owned(), names);
        }
    }
}

#[cfg(test)]
mod tests {
    use secondary53_zone::rrset::Rtype;

    use super::*;
    use crate::model::{hosted_of, name, with_serial, zone};

    #[test]
    fn what_has_changed_since_is_no_longer_known() {
        let hosted = hosted_of(&zone(&[]));
        let plan = |value: &str| {
            let records = [("bad", Rtype::A, 300, value), ("good", Rtype::A, 300, "192.0.2.1")];
            Plan::new(&hosted, &with_serial(&zone(&records), 8)).unwrap()
        };
        let refusals = Refusals::default();
        let first = plan("192.0.2.1");
        assert_eq!(refusals.split("Z", &first).0.names, first.names);
        let refused = Refused { name: name("bad.example.com"), items: Vec::new(), words: String::new() };
        refusals.remember("Z", &first, &[refused]);

        let (good, bad) = refusals.split("Z", &first);
        assert_eq!((good.names.len(), bad.names.len(), good.soa, bad.soa), (1, 1, None, None));
        let (good, bad) = refusals.split("Z", &plan("192.0.2.2"));
        assert_eq!((good.names.len(), bad.names.len(), good.soa.is_some()), (2, 0, true));
        assert_eq!(refusals.split("ZOTHER", &first).1.names.len(), 0);
        assert!(refusals.is_any("Z") && !refusals.is_any("ZOTHER"));
        refusals.forget("Z");
        assert_eq!(refusals.split("Z", &first).1.names.len(), 0);
    }
}
