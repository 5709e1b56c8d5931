//! Which names' changes Route 53 does not take, of batches that it refused: found by trying, in few requests.
//!
//! A batch is all or nothing, so one bad RRset holds up all that is with it. Route 53's words mostly name the bad ones. They
//! say where to cut: what they do not name goes first, together, and what they name afterwards, one by one. Where they are of
//! no use, a group is cut in halves. What is bad is only ever what was refused on its own.
//!
//! IAM's no is of another kind: it names nothing, and a policy mostly goes by types. So what it denied is cut by types first,
//! the rarest apart from all others.
//!
//! No I/O: [`Isolation::next_batch`] says what to ask for, [`Isolation::accepted`] and [`Isolation::refused`] take the answer.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use secondary53_zone::name::Name;
use secondary53_zone::rrset::Rtype;

use crate::batch::{Batch, Item, deletions_first};
use crate::hosted::RrsetText;
use crate::plan::NameChanges;
use crate::value;

/// Refused requests in one search. Past it, what is left of a group that was refused counts as refused with it: who has so
/// many bad RRsets will not miss the good ones among them, and other zones want their share of the API.
pub const MAX_REFUSALS: usize = 64;

/// The answer to a batch that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// AWS's words. Of one answer, and shared: it can be about a thousand names, and name them all.
    pub words: Arc<str>,
    /// It is IAM's, and the function may not do all of it.
    pub is_denied: bool,
}

/// What Route 53 does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The owner.
    pub name: Name,
    /// The changes at the name, as they were asked for.
    pub items: Vec<Item>,
    /// Why.
    pub rejection: Rejection,
}

impl Refused {
    /// All that is to happen at one name.
    pub fn of(name: &NameChanges, rejection: &Rejection) -> Self {
        Self { name: name.name.clone(), items: deletions_first(&name.changes), rejection: rejection.clone() }
    }

    /// Its RRsets, each once, as `NAME TYPE`.
    pub fn rrsets(&self) -> Vec<String> {
        let mut rtypes: Vec<Rtype> = self.items.iter().map(|item| item.rrset.rtype).collect();
        rtypes.sort_unstable();
        rtypes.dedup();
        rtypes.into_iter().map(|rtype| format!("{} {rtype}", self.name)).collect()
    }
}

/// The changes at one name, which belong together.
#[derive(Clone, Debug)]
struct Unit {
    name: Name,
    items: Vec<Item>,
    /// As [`Batch::instead`]: what was there is gone, and this must follow.
    instead: Option<RrsetText>,
}

/// A search under way.
#[derive(Debug)]
pub struct Isolation {
    /// To be asked for, the next one last. Each is of one batch, so it fits a request.
    groups: Vec<Vec<Unit>>,
    /// All of them were refused before: that Route 53's words name them all again is enough.
    known: bool,
    refused: Vec<Refused>,
    refusals: usize,
    last: Option<Rejection>,
}

impl Isolation {
    /// Of batches that have not been tried one by one.
    pub fn new(batches: Vec<Batch>) -> Self {
        let groups = batches.into_iter().rev().map(units_of).collect();
        Self { groups, known: false, refused: Vec::new(), refusals: 0, last: None }
    }

    /// Of batches of which the first was refused. It is not asked for again as it was.
    pub fn of_refused(batches: Vec<Batch>, rejection: &Rejection) -> Self {
        let mut search = Self::new(batches);
        if let Some(first) = search.groups.pop_if(|first| first.len() > 1) {
            search.cut(first, rejection);
        }
        search
    }

    /// Of changes that were refused before, all of them.
    pub fn of_known(batches: Vec<Batch>) -> Self {
        Self { known: true, ..Self::new(batches) }
    }

    /// What to ask for next; nothing where all is known.
    pub fn next_batch(&mut self) -> Option<Batch> {
        while let Some(mut group) = self.groups.pop() {
            // Of a name that is too much for one request, the other pieces: without the first they make no sense.
            group.retain(|unit| !self.is_refused(unit));
            // Not of what is gone until this is done.
            let is_due = group.iter().any(|unit| unit.instead.is_some());
            if let (Some(last), false) = (self.last.clone().filter(|_| self.refusals >= MAX_REFUSALS), is_due) {
                self.refuse(group, &last);
                continue;
            }
            if !group.is_empty() {
                let items = group.iter().flat_map(|unit| unit.items.iter().cloned()).collect();
                let instead = group.iter().find_map(|unit| unit.instead.clone());
                self.groups.push(group);
                return Some(Batch::of_items(items).in_place_of(instead));
            }
        }
        None
    }

    /// It was done.
    pub fn accepted(&mut self) {
        self.groups.pop();
    }

    /// Whether what is asked for next is at one name, so that it is bad if it is refused.
    pub fn is_at_one_name(&self) -> bool {
        self.groups.last().is_some_and(|group| group.len() == 1)
    }

    /// The same, and nothing else is left to ask for.
    pub fn is_at_the_last_name(&self) -> bool {
        self.is_at_one_name() && self.groups.len() == 1
    }

    /// It was refused.
    pub fn refused(&mut self, rejection: &Rejection) {
        let group = self.groups.pop().unwrap_or_default();
        self.refusals += 1;
        self.last = Some(rejection.clone());
        // Of what was denied before, all was: nothing tells what of it.
        if group.len() == 1 || (self.known && rejection.is_denied) {
            self.refuse(group, rejection);
        } else {
            self.cut(group, rejection);
        }
    }

    fn cut(&mut self, group: Vec<Unit>, rejection: &Rejection) {
        if rejection.is_denied {
            self.groups.extend(by_types(group));
            return;
        }
        let named = names_in(&rejection.words);
        let (named, others): (Vec<Unit>, Vec<Unit>) = group.into_iter().partition(|unit| named.contains(&unit.name));
        match (named.is_empty(), others.is_empty()) {
            (false, true) if self.known => self.refuse(named, rejection),
            // All are named: halves would be refused as well.
            (false, true) => self.groups.extend(named.into_iter().rev().map(|unit| vec![unit])),
            (false, false) => self.groups.extend([named, others]),
            (true, _) => self.groups.extend(halves(others)),
        }
    }

    /// What was refused, in the order in which it was found.
    pub fn into_refused(self) -> Vec<Refused> {
        self.refused
    }

    fn is_refused(&self, unit: &Unit) -> bool {
        self.refused.iter().any(|refused| refused.name == unit.name)
    }

    fn refuse(&mut self, group: Vec<Unit>, rejection: &Rejection) {
        let refused =
            group.into_iter().map(|Unit { name, items, .. }| Refused { name, items, rejection: rejection.clone() });
        self.refused.extend(refused);
    }
}

/// What is at one name is side by side in a batch.
fn units_of(batch: Batch) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for item in batch.items {
        match units.last_mut() {
            Some(unit) if unit.name == item.rrset.name => unit.items.push(item),
            _ => units.push(Unit { name: item.rrset.name.clone(), items: vec![item], instead: None }),
        }
    }
    // It is of the one item that is there.
    if let Some(unit) = units.first_mut() {
        unit.instead = batch.instead;
    }
    units
}

/// The second to be asked for first.
fn halves(mut group: Vec<Unit>) -> [Vec<Unit>; 2] {
    let second = group.split_off(group.len() / 2);
    [second, group]
}

/// What has RRsets of the type that the fewest have, and behind it, to be asked for first, all others.
fn by_types(group: Vec<Unit>) -> [Vec<Unit>; 2] {
    let types = |unit: &Unit| unit.items.iter().map(|item| item.rrset.rtype).collect::<BTreeSet<_>>();
    let mut counts: BTreeMap<Rtype, usize> = BTreeMap::new();
    for rtype in group.iter().flat_map(types) {
        *counts.entry(rtype).or_default() += 1;
    }
    let rarest = counts.into_iter().min_by_key(|(_, count)| *count).map(|(rtype, _)| rtype);
    let has_it = |unit: &Unit| rarest.is_some_and(|rarest| types(unit).contains(&rarest));
    let (rare, others): (Vec<Unit>, Vec<Unit>) = group.into_iter().partition(has_it);
    if others.is_empty() { halves(rare) } else { [rare, others] }
}

/// Whatever in Route 53's words reads as a name: some of it will be one.
fn names_in(words: &str) -> HashSet<Name> {
    let is_between = |character: char| character.is_whitespace() || "'\",[]()".contains(character);
    words.split(is_between).filter(|word| word.contains('.')).filter_map(|word| value::parse_name(word).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Action, Batches};
    use crate::model::{hosted_of, zone};
    use crate::plan::Plan;

    fn batches(count: usize) -> Vec<Batch> {
        let owners: Vec<String> = (0..count).map(|number| format!("n{number}")).collect();
        let records: Vec<_> = owners
            .iter()
            .flat_map(|owner| [(owner.as_str(), Rtype::A, 300, "192.0.2.1"), (owner, Rtype::MX, 300, "1 x.")])
            .collect();
        let plan = Plan::new(&hosted_of(&zone(&[])), &zone(&records)).unwrap();
        Batches::of(&Plan { mark: None, ..plan }).batches
    }

    /// Plays Route 53, which refuses `bad` and says so in `words`. Requests, names applied, names refused.
    fn search(
        mut isolation: Isolation,
        bad: &[&str],
        words: impl Fn(&[String]) -> String,
    ) -> (usize, usize, Vec<String>) {
        let (mut requests, mut applied) = (0, 0);
        while let Some(batch) = isolation.next_batch() {
            requests += 1;
            assert!(requests < 10_000);
            let names: Vec<String> = batch.items.iter().map(|item| item.rrset.name.to_string()).collect();
            // Never split.
            assert!(names.chunk_by(|a, b| a == b).all(|name| name.len() == 2));
            let mut hit: Vec<String> = names.into_iter().filter(|name| bad.contains(&name.as_str())).collect();
            hit.dedup();
            if hit.is_empty() {
                applied += batch.items.len() / 2;
                isolation.accepted();
            } else {
                isolation.refused(&rejection(&words(&hit)));
            }
        }
        let refused: Vec<String> = isolation.into_refused().iter().map(|refused| refused.name.to_string()).collect();
        (requests, applied, refused)
    }

    fn rejection(words: &str) -> Rejection {
        Rejection { words: words.into(), is_denied: false }
    }

    fn named(hit: &[String]) -> String {
        let each: Vec<String> = hit
            .iter()
            .map(|name| format!("Tried to create resource record set [name='{name}', type='A'] but it already exists"))
            .collect();
        format!("[{}]", each.join(", "))
    }

    #[test]
    fn words_that_name_the_bad_ones_save_requests() {
        let bad = ["n7.example.com."];
        assert_eq!(search(Isolation::new(batches(400)), &bad, named), (3, 399, vec![bad[0].to_owned()]));
        let bad = ["n7.example.com.", "n300.example.com.", "n8.example.com."];
        let (requests, applied, refused) = search(Isolation::new(batches(400)), &bad, named);
        assert_eq!((requests, applied, refused.len()), (6, 397, 3));
    }

    #[test]
    fn words_that_say_nothing_or_lie_cost_requests_and_no_more() {
        for words in ["", "Rejected.", "n1.example.com. [name='n2.example.com.'] 192.0.2.1 a..b"] {
            for bad in [&["n0.example.com."][..], &["n399.example.com."], &["n7.example.com.", "n300.example.com."]] {
                let (requests, applied, mut refused) = search(Isolation::new(batches(400)), bad, |_| words.to_owned());
                refused.sort_by_key(|name| bad.iter().position(|bad| bad == name));
                assert_eq!((applied, refused), (400 - bad.len(), bad.iter().map(ToString::to_string).collect()));
                // Twice the logarithm for each, and a little for the lies.
                assert!(requests <= 22 * bad.len(), "{requests} for {bad:?} by {words:?}");
            }
        }
    }

    #[test]
    fn a_batch_that_was_refused_is_not_asked_for_again() {
        let words = named(&["n7.example.com.".to_owned()]);
        let (requests, applied, refused) =
            search(Isolation::of_refused(batches(400), &rejection(&words)), &["n7.example.com."], named);
        assert_eq!((requests, applied, refused.len()), (2, 399, 1));
        // It was refused for something that is not in it any more: nothing is bad that was not refused by itself.
        assert_eq!(search(Isolation::of_refused(batches(1), &rejection("No.")), &[], named), (1, 1, vec![]));
        assert_eq!(search(Isolation::of_refused(batches(8), &rejection("No.")), &[], named), (2, 8, vec![]));
    }

    #[test]
    fn several_batches_are_searched_and_what_is_good_in_them_applied() {
        let bad = ["n0.example.com.", "n1999.example.com."];
        let (requests, applied, refused) = search(Isolation::new(batches(2000)), &bad, named);
        assert_eq!((applied, refused.len()), (1998, 2));
        assert_eq!(requests, batches(2000).len() + 4);
    }

    #[test]
    fn a_search_ends_however_much_is_bad() {
        let all: Vec<String> = (0..500).map(|number| format!("n{number}.example.com.")).collect();
        let bad: Vec<&str> = all.iter().map(String::as_str).collect();
        let (requests, applied, refused) = search(Isolation::new(batches(500)), &bad, named);
        assert_eq!((requests, applied, refused.len()), (MAX_REFUSALS, 0, 500));
        let (requests, applied, refused) = search(Isolation::new(batches(500)), &bad, |_| String::new());
        assert_eq!((requests, applied, refused.len()), (MAX_REFUSALS, 0, 500));
    }

    #[test]
    fn what_is_known_to_be_bad_costs_one_request_and_is_let_go_once_it_is_good() {
        let bad = ["n0.example.com.", "n1.example.com.", "n2.example.com."];
        assert_eq!(search(Isolation::of_known(batches(3)), &bad, named).0, 1);
        assert_eq!(search(Isolation::of_known(batches(3)), &[], named), (1, 3, vec![]));
        let (requests, applied, refused) = search(Isolation::of_known(batches(3)), &bad[..1], named);
        assert_eq!((requests, applied, refused), (3, 2, vec![bad[0].to_owned()]));
        // Words that name none of them are looked into.
        let (_, applied, refused) = search(Isolation::of_known(batches(3)), &bad[..1], |_| String::new());
        assert_eq!((applied, refused), (2, vec![bad[0].to_owned()]));
    }

    #[test]
    fn the_other_pieces_of_a_bad_name_are_not_asked_for() {
        let item = |action, last: u8| {
            let rrset = crate::hosted::RrsetText {
                name: crate::model::name("big.example.com"),
                rtype: Rtype::A,
                ttl: 300,
                values: vec![format!("192.0.2.{last}")],
            };
            Item { action, rrset }
        };
        let pieces =
            vec![Batch::of_items(vec![item(Action::Delete, 1)]), Batch::of_items(vec![item(Action::Create, 2)])];
        let mut isolation = Isolation::new(pieces);
        assert_eq!(isolation.next_batch().unwrap().items[0].action, Action::Delete);
        isolation.refused(&rejection("protected"));
        assert_eq!(isolation.next_batch(), None);
        let refused = isolation.into_refused();
        assert_eq!((refused.len(), refused[0].rrsets()), (1, vec!["big.example.com. A".to_owned()]));
    }
    /// Plays IAM, which denies a type. Requests, and the names found.
    fn search_denied(mut isolation: Isolation, denied: Rtype) -> (usize, Vec<String>) {
        let mut requests = 0;
        while let Some(batch) = isolation.next_batch() {
            requests += 1;
            if batch.items.iter().any(|item| item.rrset.rtype == denied) {
                isolation.refused(&Rejection { words: "No.".into(), is_denied: true });
            } else {
                isolation.accepted();
            }
        }
        (requests, isolation.into_refused().iter().map(|refused| refused.name.to_string()).collect())
    }

    #[test]
    fn what_iam_denies_is_looked_for_by_type() {
        let owners: Vec<String> = (0..400).map(|number| format!("n{number}")).collect();
        let mut records: Vec<_> = owners.iter().map(|owner| (owner.as_str(), Rtype::A, 300, "192.0.2.1")).collect();
        for (index, rtype, value) in
            [(0, Rtype::TXT, "\"x\""), (7, Rtype::NS, "ns."), (8, Rtype::MX, "1 x."), (9, Rtype::NS, "ns.")]
        {
            (records[index].1, records[index].3) = (rtype, value);
        }
        let batches = Batches::of(&Plan::new(&hosted_of(&zone(&[])), &zone(&records)).unwrap()).batches;
        let denied = Rejection { words: "No.".into(), is_denied: true };
        let bad = vec!["n7.example.com.".to_owned(), "n9.example.com.".to_owned()];
        let (requests, mut found) = search_denied(Isolation::of_refused(batches.clone(), &denied), Rtype::NS);
        found.sort();
        assert_eq!((&found, requests <= 9), (&bad, true), "{requests}");
        // What is known to be denied is asked for once.
        let known = batches.into_iter().map(|batch| {
            Batch::of_items(batch.items.into_iter().filter(|item| item.rrset.rtype == Rtype::NS).collect())
        });
        let (requests, found) = search_denied(Isolation::of_known(known.collect()), Rtype::NS);
        assert_eq!((requests, found), (1, bad));
    }

    #[test]
    fn what_is_gone_until_it_is_done_is_asked_for_however_much_was_refused() {
        let of = |name: &str, action| {
            let (name, values) = (crate::model::name(name), vec!["192.0.2.1".to_owned()]);
            Item { action, rrset: RrsetText { name, rtype: Rtype::A, ttl: 300, values } }
        };
        let (gone, back) = (of("big.example.com", Action::Delete), of("big.example.com", Action::Create));
        let bad = (0..MAX_REFUSALS)
            .map(|number| Batch::of_items(vec![of(&format!("n{number}.example.com"), Action::Create)]));
        let mut batches = vec![Batch::of_items(vec![gone.clone()])];
        batches.extend(bad);
        batches.push(Batch::of_items(vec![back]).in_place_of(Some(gone.rrset)));
        let mut isolation = Isolation::new(batches);
        while let Some(batch) = isolation.next_batch() {
            match &batch.instead {
                Some(_) => isolation.accepted(),
                None if batch.items[0].action == Action::Delete => isolation.accepted(),
                None => isolation.refused(&rejection("")),
            }
        }
        assert_eq!(isolation.into_refused().len(), MAX_REFUSALS);
    }
}
