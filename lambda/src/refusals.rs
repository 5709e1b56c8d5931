//! What Route 53 is known to refuse, while this worker lives: so that a bad RRset that stays as it is costs a zone's next
//! snapshots one request each, and not a search. It decides nothing: what is in here is asked for again, apart from the rest.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::isolate::Refused;
use crate::plan::{Mark, NameChanges, Plan};

/// Names of one hosted zone, and hosted zones: a bound on memory. What is forgotten is searched for again.
const MAX_NAMES: usize = 1_000;
const MAX_ZONES: usize = 1_000;

/// By the hosted zone's id.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<String, Vec<Known>>>);

/// What is known of one name.
#[derive(Debug)]
struct Known {
    name: NameChanges,
    /// By IAM.
    is_denied: bool,
}

/// A plan, and what of it is known to be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// All else. It has no SOA where anything is known: the serial must not be ahead of the zone.
    pub good: Plan,
    /// By Route 53.
    pub refused: Plan,
    /// By IAM.
    pub denied: Plan,
}

impl Split {
    /// Whether nothing is known to be refused.
    pub fn is_all_good(&self) -> bool {
        self.refused.is_empty() && self.denied.is_empty()
    }
}

impl Refusals {
    /// Takes out of a plan what is known to be refused and has not changed since.
    pub fn split(&self, hosted_zone: &str, plan: &Plan) -> Split {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(hosted_zone).map(Vec::as_slice).unwrap_or_default();
        let (mut good, mut refused, mut denied) = (Vec::new(), Vec::new(), Vec::new());
        for name in &plan.names {
            let names = match known.iter().find(|known| known.name == *name) {
                None => &mut good,
                Some(Known { is_denied: false, .. }) => &mut refused,
                Some(Known { is_denied: true, .. }) => &mut denied,
            };
            names.push(name.clone());
        }
        let is_all = refused.is_empty() && denied.is_empty();
        let of = |names| Plan { names, there: plan.there, ..Plan::default() };
        let mark = plan.mark.clone().map(|mark| Mark { done: mark.done.filter(|_| is_all), ..mark });
        let good = Plan { soa: plan.soa.clone().filter(|_| is_all), mark, ..of(good) };
        Split { good, refused: of(refused), denied: of(denied) }
    }

    /// The hosted zone is complete.
    pub fn forget(&self, hosted_zone: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(hosted_zone);
    }

    /// Remembers what was refused of a plan, in the place of all that was remembered of the hosted zone.
    pub fn remember(&self, hosted_zone: &str, plan: &Plan, refused: &[Refused]) {
        let known = |name: &NameChanges| {
            let refused = refused.iter().find(|refused| refused.name == name.name)?;
            Some(Known { name: name.clone(), is_denied: refused.rejection.is_denied })
        };
        let names: Vec<Known> = plan.names.iter().filter_map(known).take(MAX_NAMES).collect();
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
    use crate::isolate::Rejection;
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
        assert_eq!(refusals.split("Z", &first).good.names, first.names);
        for is_denied in [false, true] {
            let rejection = Rejection { words: "".into(), is_denied };
            let refused = Refused { name: name("bad.example.com"), items: Vec::new(), rejection };
            refusals.remember("Z", &first, &[refused]);

            let split = refusals.split("Z", &first);
            let Split { good, refused, denied } = &split;
            let (bad, none) = if is_denied { (denied, refused) } else { (refused, denied) };
            assert_eq!((good.names.len(), bad.names.len(), none.names.len()), (1, 1, 0));
            assert_eq!((&good.soa, &bad.soa, split.is_all_good()), (&None, &None, false));
            assert_eq!(good.mark.as_ref().map(|mark| &mark.done), Some(&None));
            let Split { good, refused, .. } = refusals.split("Z", &plan("192.0.2.2"));
            assert_eq!((good.names.len(), refused.names.len(), good.soa.is_some()), (2, 0, true));
            assert_eq!(good.mark.map(|mark| mark.done), Some(good.soa));
        }
        assert!(refusals.split("ZOTHER", &first).is_all_good());
        refusals.forget("Z");
        assert!(refusals.split("Z", &first).is_all_good());
    }
}
