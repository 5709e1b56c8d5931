//! From a plan to requests: as few as Route 53's limits allow, in an order in which nothing ever points at what is not there.
//!
//! Names that only come are first, then those that change, then those that only go. What happens at one name stays in one
//! batch, its deletions first, for a CNAME excludes every other type and a batch is all or nothing. The SOA rides in the
//! last batch: so the serial in Route 53 says that all before it is done.
//!
//! Each change is DELETE of the whole old RRset and CREATE of the whole new one, not UPSERT: an UPSERT counts each value
//! twice towards the limits, and it would silently overwrite what someone else changed since the zone was read.

use secondary53_zone::name::Name;

use crate::hosted::RrsetText;
use crate::plan::{Change, NameChanges, Plan};

/// The most `ResourceRecord` elements in one request (`ChangeResourceRecordSets`, Amazon Route 53 quotas).
pub const MAX_ELEMENTS: usize = 1_000;
/// The most characters over all values in one request (same page).
pub const MAX_CHARACTERS: usize = 32_000;
/// The most values in one RRset (same page).
pub const MAX_VALUES: usize = 400;
/// The most characters in one value (same page).
pub const MAX_VALUE_CHARACTERS: usize = 4_000;
/// The most characters in one RRset, so that it fits a request.
pub const MAX_RRSET_CHARACTERS: usize = MAX_CHARACTERS;

const _: () = assert!(MAX_VALUES <= MAX_ELEMENTS && MAX_RRSET_CHARACTERS <= MAX_CHARACTERS);

/// What is asked of one RRset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It must be there just so.
    Delete,
    /// It must not be there.
    Create,
    /// Only for the SOA, which can neither be deleted nor created.
    Upsert,
}

/// One change of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What to do.
    pub action: Action,
    /// With what.
    pub rrset: RrsetText,
}

/// One request's changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order in which they take effect.
    pub items: Vec<Item>,
    cost: Cost,
}

/// A plan's requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batches {
    /// In their order. The last one holds the SOA, if the plan does.
    pub batches: Vec<Batch>,
    /// Names whose changes did not fit into one request: between two of them, resolvers can see part of the change.
    pub not_atomic: Vec<Name>,
}

/// What Route 53 counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    elements: usize,
    characters: usize,
}

impl Batch {
    /// Of some items of a batch, which fit because the batch did.
    pub(crate) fn of_items(items: Vec<Item>) -> Self {
        let cost = cost_of(&items);
        Self { items, cost }
    }

    /// What it costs by Route 53's rate of changes ([`crate::pace::CHANGES`]): it counts RRsets, and an UPSERT twice.
    pub fn changes(&self) -> u32 {
        self.items.iter().map(|item| if item.action == Action::Upsert { 2 } else { 1 }).sum()
    }
}

impl Batches {
    /// Cuts a plan into requests.
    pub fn of(plan: &Plan) -> Self {
        let mut all = Self::default();
        // No name may go before the class ahead of it is done, but it may share its last batch.
        let mut first_allowed = 0;
        for class in [Class::Comes, Class::Changes, Class::Goes] {
            for name in plan.names.iter().filter(|name| class_of(name) == class) {
                all.add_name(name, first_allowed);
            }
            first_allowed = all.batches.len().saturating_sub(1);
        }
        all.add_soa(plan);
        all
    }

    /// As [`Batches::of`], for a hosted zone that has no room for all that comes beside all that goes: before anything is
    /// created that would be too much, something is deleted. `room` is RRsets that the quota leaves now. Where the zone fits
    /// in the end, it fits all along, change by change.
    pub fn within(plan: &Plan, room: usize) -> Self {
        let mut all = Self::default();
        let of = |class| plan.names.iter().filter(move |name| class_of(name) == class);
        let grows = |name: &&NameChanges| growth(name) > 0;
        let mut freeing = of(Class::Changes).filter(|name| !grows(name)).chain(of(Class::Goes));
        let mut room = isize::try_from(room).unwrap_or(isize::MAX);
        let mut add = |name: &NameChanges, room: &mut isize| {
            // One behind the other: a batch before the last has no room that could be counted on.
            let last = all.batches.len().saturating_sub(1);
            all.add_name(name, last);
            *room -= growth(name);
        };
        for name in of(Class::Comes).chain(of(Class::Changes).filter(grows)) {
            while room < growth(name)
                && let Some(first) = freeing.next()
            {
                add(first, &mut room);
            }
            add(name, &mut room);
        }
        freeing.for_each(|name| add(name, &mut room));
        all.add_soa(plan);
        all
    }

    fn add_soa(&mut self, plan: &Plan) {
        if let Some(soa) = &plan.soa {
            let last = self.batches.len().saturating_sub(1);
            self.place(vec![Item { action: Action::Upsert, rrset: soa.clone() }], last);
        }
    }

    fn add_name(&mut self, name: &NameChanges, first_allowed: usize) {
        let items: Vec<Item> = deletions_first(&name.changes);
        if cost_of(&items).fits() {
            self.place(items, first_allowed);
            return;
        }
        // Each piece behind the one before it, for the deletions must come first.
        self.not_atomic.push(name.name.clone());
        for piece in pieces(&name.changes) {
            let last = self.batches.len().saturating_sub(1).max(first_allowed);
            self.place(piece, last);
        }
    }

    /// Into the first batch with room, or a new one. The items must fit an empty batch.
    fn place(&mut self, items: Vec<Item>, first_allowed: usize) {
        let cost = cost_of(&items);
        let open = self.batches.iter_mut().skip(first_allowed).find(|batch| batch.cost.plus(cost).fits());
        match open {
            Some(batch) => {
                batch.cost = batch.cost.plus(cost);
                batch.items.extend(items);
            }
            None => self.batches.push(Batch { items, cost }),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Comes,
    Changes,
    Goes,
}

fn class_of(name: &NameChanges) -> Class {
    let all = |is: fn(&Change) -> bool| !name.others_stay && name.changes.iter().all(is);
    if all(|change| matches!(change, Change::Create(_))) {
        Class::Comes
    } else if all(|change| matches!(change, Change::Delete(_))) {
        Class::Goes
    } else {
        Class::Changes
    }
}

/// RRsets more at a name, or fewer.
fn growth(name: &NameChanges) -> isize {
    name.changes
        .iter()
        .map(|change| match change {
            Change::Create(_) => 1,
            Change::Delete(_) => -1,
            Change::Replace { .. } => 0,
        })
        .sum()
}

/// The changes of one name as items, in the order in which they must be.
pub(crate) fn deletions_first(changes: &[Change]) -> Vec<Item> {
    let old = changes.iter().filter_map(|change| match change {
        Change::Delete(old) | Change::Replace { old, .. } => Some(item(Action::Delete, old)),
        Change::Create(_) => None,
    });
    let new = changes.iter().filter_map(|change| match change {
        Change::Create(new) | Change::Replace { new, .. } => Some(item(Action::Create, new)),
        Change::Delete(_) => None,
    });
    old.chain(new).collect()
}

/// The changes of a name that is too much for one request, RRset by RRset. What takes the place of something else comes
/// behind it, so deletions are first; a replacement stays whole where it fits.
fn pieces(changes: &[Change]) -> Vec<Vec<Item>> {
    let mut pieces = Vec::new();
    for change in changes {
        let items = deletions_first(std::slice::from_ref(change));
        if cost_of(&items).fits() {
            pieces.push(items);
        } else {
            // Either fits alone: a plan holds no RRset that does not.
            pieces.extend(items.into_iter().map(|item| vec![item]));
        }
    }
    pieces
}

fn item(action: Action, rrset: &RrsetText) -> Item {
    Item { action, rrset: rrset.clone() }
}

fn cost_of(items: &[Item]) -> Cost {
    items.iter().fold(Cost::default(), |cost, item| {
        let times = if item.action == Action::Upsert { 2 } else { 1 };
        let characters: usize = item.rrset.values.iter().map(|value| value.chars().count()).sum();
        cost.plus(Cost { elements: times * item.rrset.values.len(), characters: times * characters })
    })
}

impl Cost {
    const fn plus(self, other: Self) -> Self {
        Self { elements: self.elements + other.elements, characters: self.characters + other.characters }
    }

    const fn fits(self) -> bool {
        self.elements <= MAX_ELEMENTS && self.characters <= MAX_CHARACTERS
    }
}

#[cfg(test)]
mod tests;
