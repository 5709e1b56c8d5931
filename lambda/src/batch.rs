//! From a plan to requests: as few as Route 53's limits allow, in an order in which nothing ever points at what is not there.
//!
//! Names that only come are first, then those that change, then those that only go. What happens at one name stays in one
//! batch, its deletions first, for a CNAME excludes every other type and a batch is all or nothing. The SOA rides in the
//! last batch: so the serial in Route 53 says that all before it is done. Where there is more than one, the first marks the
//! SOA that is there: from then on the old serial says no longer what the zone holds.
//!
//! Each change is DELETE of the whole old RRset and CREATE of the whole new one, not UPSERT: an UPSERT counts each value
//! twice towards the limits, and it would silently overwrite what someone else changed since the zone was read. That is put
//! up with for one RRset of which old and new do not fit one request and twice the new does: it is never gone. Where that
//! does not fit either, it is deleted by one request and created by the next, and put back where that is refused.

use secondary53_zone::name::Name;

use crate::hosted::RrsetText;
use crate::plan::{Change, Mark, NameChanges, Plan};

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
    /// For the SOA, which can neither be deleted nor created, and for what is too large to be both in one request.
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
    /// What the batch before deleted to make room for the one item of this one: to be created again where this is refused.
    pub instead: Option<RrsetText>,
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
        Self { items, instead: None, cost }
    }

    /// The same, which takes the place of what is gone already.
    pub(crate) fn in_place_of(self, instead: Option<RrsetText>) -> Self {
        Self { instead, ..self }
    }

    /// The same behind one change more; nothing where there is no room for it.
    pub(crate) fn behind(&self, first: Item) -> Option<Self> {
        let mut items = vec![first];
        items.extend(self.items.iter().cloned());
        let batch = Self::of_items(items).in_place_of(self.instead.clone());
        batch.cost.fits().then_some(batch)
    }

    /// What puts back what it was to take the place of.
    pub(crate) fn put_back(&self) -> Option<Self> {
        self.instead.as_ref().map(|old| Self::of_items(vec![item(Action::Create, old)]))
    }

    /// What it costs by Route 53's rate of changes ([`crate::pace::CHANGES`]): it counts RRsets, and an UPSERT twice.
    pub fn changes(&self) -> u32 {
        self.items.iter().map(|item| if item.action == Action::Upsert { 2 } else { 1 }).sum()
    }
}

impl Batches {
    /// Cuts a plan into requests.
    pub fn of(plan: &Plan) -> Self {
        Self::marked(plan, |mark| Self::in_classes(plan, mark))
    }

    /// With the mark where there is more than one request, or something is known not to be done in the end.
    fn marked(plan: &Plan, cut: impl Fn(Option<&Mark>) -> Self) -> Self {
        let Some(mark) = plan.mark.as_ref().filter(|_| !plan.names.is_empty()) else { return cut(None) };
        let marked = cut(Some(mark));
        if marked.batches.len() > 2 || mark.done.is_none() {
            return marked;
        }
        // It may be one but for the mark.
        let plain = cut(None);
        if plain.batches.len() > 1 { marked } else { plain }
    }

    fn in_classes(plan: &Plan, mark: Option<&Mark>) -> Self {
        let mut all = Self::begun(mark);
        // No name may go before the class ahead of it is done, but it may share its last batch.
        let mut first_allowed = 0;
        for class in [Class::Comes, Class::Changes, Class::Goes] {
            for name in plan.names.iter().filter(|name| class_of(name) == class) {
                all.add_name(name, first_allowed);
            }
            first_allowed = all.batches.len().saturating_sub(1);
        }
        all.add_soa(plan, mark);
        all
    }

    fn begun(mark: Option<&Mark>) -> Self {
        let mut all = Self::default();
        if let Some(mark) = mark {
            all.place(vec![item(Action::Upsert, &mark.begun)], 0);
        }
        all
    }

    /// As [`Batches::of`], for a hosted zone that has no room for all that comes beside all that goes: before anything is
    /// created that would be too much, something is deleted. `room` is RRsets that the quota leaves now. Where the zone fits
    /// in the end, it fits all along, change by change.
    pub fn within(plan: &Plan, room: usize) -> Self {
        Self::marked(plan, |mark| Self::in_room(plan, mark, room))
    }

    fn in_room(plan: &Plan, mark: Option<&Mark>, room: usize) -> Self {
        let mut all = Self::begun(mark);
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
        all.add_soa(plan, mark);
        all
    }

    fn add_soa(&mut self, plan: &Plan, mark: Option<&Mark>) {
        let soa = mark.map_or(plan.soa.as_ref(), |mark| mark.done.as_ref());
        if let Some(soa) = soa {
            let last = self.batches.len().saturating_sub(1);
            self.place(vec![item(Action::Upsert, soa)], last);
        }
    }

    fn add_name(&mut self, name: &NameChanges, first_allowed: usize) {
        let items: Vec<Item> = deletions_first(&name.changes);
        if cost_of(&items).fits() {
            self.place(items, first_allowed);
            return;
        }
        let pieces = pieces(&name.changes);
        if pieces.len() > 1 {
            self.not_atomic.push(name.name.clone());
        }
        // Each piece behind the one before it, for the deletions must come first.
        for Piece { items, instead } in pieces {
            if instead.is_some() {
                // By itself: what else were with it could be refused, and this with it.
                self.batches.push(Batch::of_items(items).in_place_of(instead));
                continue;
            }
            let last = self.batches.len().saturating_sub(1).max(first_allowed);
            self.place(items, last);
        }
    }

    /// Into the first batch with room, or a new one. The items must fit an empty batch.
    fn place(&mut self, items: Vec<Item>, first_allowed: usize) {
        let cost = cost_of(&items);
        let has_room = |batch: &&mut Batch| batch.instead.is_none() && batch.cost.plus(cost).fits();
        let open = self.batches.iter_mut().skip(first_allowed).find(has_room);
        match open {
            Some(batch) => {
                batch.cost = batch.cost.plus(cost);
                batch.items.extend(items);
            }
            None => self.batches.push(Batch { items, instead: None, cost }),
        }
    }
}

/// What belongs into one request.
struct Piece {
    items: Vec<Item>,
    /// As [`Batch::instead`].
    instead: Option<RrsetText>,
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

/// Whether an RRset of a name would be gone from one request to the next.
pub(crate) fn is_gone_meanwhile(name: &NameChanges) -> bool {
    !cost_of(&deletions_first(&name.changes)).fits()
        && pieces(&name.changes).iter().any(|piece| piece.instead.is_some())
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
fn pieces(changes: &[Change]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut add = |items, instead| pieces.push(Piece { items, instead });
    for change in changes {
        let items = deletions_first(std::slice::from_ref(change));
        match change {
            Change::Replace { old, new } if !cost_of(&items).fits() => {
                let whole = vec![item(Action::Upsert, new)];
                if cost_of(&whole).fits() {
                    add(whole, None);
                } else {
                    // Either fits alone: a plan holds no RRset that does not.
                    add(vec![item(Action::Delete, old)], None);
                    add(vec![item(Action::Create, new)], Some(old.clone()));
                }
            }
            _ => add(items, None),
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
