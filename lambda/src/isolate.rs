//! Which names' changes Route 53 does not take, of batches that it refused: found by trying, in few requests.
//!
//! A batch is all or nothing, so one bad RRset holds up all that is with it. Route 53's words mostly name the bad ones. They
//! say where to cut: what they do not name goes first, together, and what they name afterwards, one by one. Where they are of
//! no use, a group is cut in halves. What is bad is only ever what was refused on its own.
//!
//! No I/O: [`Isolation::next_batch`] says what to ask for, [`Isolation::accepted`] and [`Isolation::refused`] take the answer.

use std::collections::HashSet;

use secondary53_zone::name::Name;
use secondary53_zone::rrset::Rtype;

use crate::batch::{Batch, Item, deletions_first};
use crate::plan::NameChanges;
use crate::value;

/// Refused requests in one search. Past it, what is left of a group that was refused counts as refused with it: who has so
/// many bad RRsets will not miss the good ones among them, and other zones want their share of the API.
pub const MAX_REFUSALS: usize = 64;

/// What Route 53 does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The owner.
    pub name: Name,
    /// The changes at the name, as they were asked for.
    pub items: Vec<Item>,
    /// Route 53's words.
    pub words: String,
}

impl Refused {
    /// All that is to happen at one name.
    pub fn of(name: &NameChanges, words: &str) -> Self {
        Self { name: name.name.clone(), items: deletions_first(&name.changes), words: words.to_owned() }
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
type Unit = Vec<Item>;

/// A search under way.
#[derive(Debug)]
pub struct Isolation {
    /// To be asked for, the next one last. Each is of one batch, so it fits a request.
    groups: Vec<Vec<Unit>>,
    /// All of them were refused before: that Route 53's words name them all again is enough.
    known: bool,
    refused: Vec<Refused>,
    refusals: usize,
    last_words: String,
}

impl Isolation {
    /// Of batches that have not been tried one by one.
    pub fn new(batches: Vec<Batch>) -> Self {
        let groups = batches.into_iter().rev().map(|batch| units_of(batch.items)).collect();
        Self { groups, known: false, refused: Vec::new(), refusals: 0, last_words: String::new() }
    }

    /// Of batches of which the first was refused, with these words. It is not asked for again as it was.
    pub fn of_refused(batches: Vec<Batch>, words: &str) -> Self {
        let mut search = Self::new(batches);
        if let Some(first) = search.groups.pop_if(|first| first.len() > 1) {
            search.cut(first, words);
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
            if self.refusals >= MAX_REFUSALS {
                let words = self.last_words.clone();
                self.refuse(group, &words);
                continue;
            }
            if !group.is_empty() {
                let batch = Batch::of_items(group.iter().flatten().cloned().collect());
                self.groups.push(group);
                return Some(batch);
            }
        }
        None
    }

    /// It was done.
    pub fn accepted(&mut self) {
        self.groups.pop();
    }

    /// It was refused, with these words.
    pub fn refused(&mut self, words: &str) {
        let group = self.groups.pop().unwrap_or_default();
        self.refusals += 1;
        words.clone_into(&mut self.last_words);
        if group.len() == 1 {
            self.refuse(group, words);
        } else {
            self.cut(group, words);
        }
    }

    fn cut(&mut self, group: Vec<Unit>, words: &str) {
        let named = names_in(words);
        let (named, others): (Vec<Unit>, Vec<Unit>) =
            group.into_iter().partition(|unit| unit.first().is_some_and(|item| named.contains(&item.rrset.name)));
        match (named.is_empty(), others.is_empty()) {
            (false, true) if self.known => self.refuse(named, words),
            // All are named: halves would be refused as well.
            (false, true) => self.groups.extend(named.into_iter().rev().map(|unit| vec![unit])),
            (false, false) => self.groups.extend([named, others]),
            (true, _) => {
                let mut first = others;
                let second = first.split_off(first.len() / 2);
                self.groups.extend([second, first]);
            }
        }
    }

    /// What was refused, in the order in which it was found.
    pub fn into_refused(self) -> Vec<Refused> {
        self.refused
    }

    fn is_refused(&self, unit: &Unit) -> bool {
        let name = unit.first().map(|item| &item.rrset.name);
        self.refused.iter().any(|refused| Some(&refused.name) == name)
    }

    fn refuse(&mut self, group: Vec<Unit>, words: &str) {
        for items in group {
            if let Some(name) = items.first().map(|item| item.rrset.name.clone()) {
                self.refused.push(Refused { name, items, words: words.to_owned() });
            }
        }
    }
}

/// What is at one name is side by side in a batch.
fn units_of(items: Vec<Item>) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for item in items {
        match units.last_mut() {
            Some(unit) if unit.first().is_some_and(|first| first.rrset.name == item.rrset.name) => unit.push(item),
            _ => units.push(vec![item]),
        }
    }
    units
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
        Batches::of(&Plan::new(&hosted_of(&zone(&[])), &zone(&records)).unwrap()).batches
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
                isolation.refused(&words(&hit));
            }
        }
        let refused: Vec<String> = isolation.into_refused().iter().map(|refused| refused.name.to_string()).collect();
        (requests, applied, refused)
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
            search(Isolation::of_refused(batches(400), &words), &["n7.example.com."], named);
        assert_eq!((requests, applied, refused.len()), (2, 399, 1));
        // It was refused for something that is not in it any more: nothing is bad that was not refused by itself.
        assert_eq!(search(Isolation::of_refused(batches(1), "No."), &[], named), (1, 1, vec![]));
        assert_eq!(search(Isolation::of_refused(batches(8), "No."), &[], named), (2, 8, vec![]));
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
        isolation.refused("protected");
        assert_eq!(isolation.next_batch(), None);
        let refused = isolation.into_refused();
        assert_eq!((refused.len(), refused[0].rrsets()), (1, vec!["big.example.com. A".to_owned()]));
    }
}
