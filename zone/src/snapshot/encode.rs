//! From a zone to octets.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::panic::resume_unwind;
use std::thread;

use zstd::stream::write::Encoder;

use super::columns::{APEX_FOLLOWS, Spread, push_number, spreads};
use super::{Exact, Form, MAX_RATIO, may_unfold_to, section};
use crate::delta::Delta;
use crate::name::NameRef;
use crate::rdata;
use crate::rrset::Rrset;
use crate::zone::Zone;

/// zstd's fastest: columns leave little for it to find. Against its default, 3, the reference zone and a directory's come to
/// the same, zones of TXT and SRV to 2 and 6 % more, in 55 to 90 % of the time.
const LEVEL: i32 = 1;
/// Octets of a block where the ratio matters. A block has four octets at least, its header and one.
const SHORT_BLOCK: usize = 512;
const _: () = assert!(SHORT_BLOCK / 4 < MAX_RATIO);
/// Records from which on a second thread is worth its start.
const LARGE: usize = 20_000;

/// The columns of a zone, each behind its length, and what goes with them.
#[derive(Debug)]
pub(super) struct Folded {
    apex: Vec<u8>,
    exact: Option<Exact>,
    columns: Vec<(Vec<u8>, Vec<u8>)>,
    delta: Option<Vec<u8>>,
}

impl Folded {
    pub(super) fn of(zone: &Zone, exact: Option<Exact>, delta: Option<&Delta>) -> Self {
        let prefixed = |column: Vec<u8>| {
            let mut length = Vec::with_capacity(5);
            push_number(&mut length, column.len());
            (length, column)
        };
        let columns = columns(zone).into_iter().map(prefixed).collect();
        Self { apex: zone.apex().as_wire().to_vec(), exact, columns, delta: delta.map(delta_section) }
    }

    pub(super) fn has_delta(&self) -> bool {
        self.delta.is_some()
    }

    /// Appends the length of the body and its frame to `out`.
    pub(super) fn write(&self, with_delta: bool, mut out: Vec<u8>) -> io::Result<Vec<u8>> {
        let lengths = self.columns.iter().map(|(length, column)| length.len() + column.len());
        let contents = self.apex.len() + lengths.sum::<usize>();
        let mut head = Vec::with_capacity(32);
        if let Some(exact) = self.exact {
            // A number of one octet, all three.
            push_number(&mut head, section::EXACT);
            push_number(&mut head, 1_usize);
            push_number(&mut head, exact.flags());
        }
        push_number(&mut head, section::ZONE);
        push_number(&mut head, contents);
        let delta = self.delta.as_deref().filter(|_| with_delta).unwrap_or_default();
        let body = head.len() + contents + delta.len();
        head.extend_from_slice(&self.apex);

        push_number(&mut out, body);
        let framed = |block| {
            let mut frame = Encoder::new(out.clone(), LEVEL)?;
            frame.set_pledged_src_size(u64::try_from(body).ok())?;
            frame.write_all(&head)?;
            for (length, column) in &self.columns {
                frame.write_all(length)?;
                for part in column.chunks(block) {
                    frame.write_all(part)?;
                    // Ends the block, so that each column of some size has a code table of its own. A small one shares its
                    // neighbour's: a block costs three octets and a table some tens.
                    if part.len() >= 64 {
                        frame.flush()?;
                    }
                }
            }
            for part in delta.chunks(block) {
                frame.write_all(part)?;
                frame.flush()?;
            }
            frame.finish()
        };
        let short = framed(usize::MAX)?;
        if body <= may_unfold_to(short.len() - out.len()) {
            return Ok(short);
        }
        // A reader would take it for a bomb. In short blocks, of four octets at least, it is none.
        framed(SHORT_BLOCK)
    }
}

/// All of the section. It is small beside the zone, so its columns have no blocks of their own.
fn delta_section(delta: &Delta) -> Vec<u8> {
    let mut contents = delta.base_digest().0.to_vec();
    for side in [delta.before(), delta.after()] {
        let mut zone = side.apex().as_wire().to_vec();
        for column in columns(side) {
            push_number(&mut zone, column.len());
            zone.extend(column);
        }
        push_number(&mut contents, zone.len());
        contents.extend(zone);
    }
    let mut section = Vec::with_capacity(contents.len() + 12);
    push_number(&mut section, section::DELTA);
    push_number(&mut section, contents.len());
    section.extend(contents);
    section
}

/// All columns, in their order. Owners and the rest have nothing to do with each other: of a large zone they are made at once.
fn columns(zone: &Zone) -> Vec<Vec<u8>> {
    let (owners, rest) = (|| OwnerColumns::of(zone).in_order(), || Columns::of(zone).in_order());
    let (mut owners, rest) = if zone.record_count() < LARGE {
        (owners(), rest())
    } else {
        thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, owners) {
            Ok(made) => {
                let rest = rest();
                (made.join().unwrap_or_else(|panic| resume_unwind(panic)), rest)
            }
            Err(_) => (owners(), rest()),
        })
    };
    owners.extend(rest);
    owners
}

/// What RRsets have besides their owners.
#[derive(Default)]
struct Columns {
    forms: Vec<u8>,
    distinct_ttls: Vec<u8>,
    ttls: Vec<u8>,
    counts: Vec<u8>,
    rdata: BTreeMap<Form, RdataColumns>,
}

#[derive(Default)]
struct OwnerColumns<'a> {
    /// The owner at hand: its labels that stand before the apex, from right to left.
    labels: Vec<&'a [u8]>,
    /// The one before it.
    labels_before: Vec<&'a [u8]>,
    added: Vec<u8>,
    kept: Vec<u8>,
    shared: Vec<u8>,
    lengths: Vec<u8>,
    letters: Vec<u8>,
}

struct RdataColumns {
    spreads: Vec<Spread>,
    columns: Vec<Vec<u8>>,
}

impl Columns {
    fn of(zone: &Zone) -> Self {
        let apex = zone.apex().by_ref();
        let mut columns = Self::default();
        let mut ttl_numbers = BTreeMap::new();
        for rrset in zone.rrsets() {
            let form = form_of(&rrset);
            push_number(&mut columns.forms, form.0);
            let next = ttl_numbers.len();
            let ttl = *ttl_numbers.entry(rrset.ttl()).or_insert_with(|| {
                push_number(&mut columns.distinct_ttls, rrset.ttl());
                next
            });
            push_number(&mut columns.ttls, ttl);
            push_number(&mut columns.counts, rrset.rdata().len());
            let rdata_columns = columns.rdata.entry(form).or_insert_with(|| {
                let fields = rdata::fields(rrset.rtype()).filter(|_| !form.is_opaque());
                let spreads = spreads(fields);
                let width = spreads.iter().map(|spread| spread.width()).sum();
                RdataColumns { spreads, columns: vec![Vec::new(); width] }
            });
            for rdata in rrset.rdata() {
                rdata_columns.push(rdata, apex);
            }
        }
        columns
    }

    fn in_order(self) -> Vec<Vec<u8>> {
        let mut columns = vec![self.forms, self.distinct_ttls, self.ttls, self.counts];
        columns.extend(self.rdata.into_values().flat_map(|rdata| rdata.columns));
        columns
    }
}

fn form_of(rrset: &Rrset<'_>) -> Form {
    let reads = |fields| rrset.rdata().all(|rdata| rdata::reads(fields, rdata));
    let opaque = rdata::fields(rrset.rtype()).is_some_and(|fields| !reads(fields));
    Form::new(rrset.rtype(), opaque)
}

impl<'a> OwnerColumns<'a> {
    fn of(zone: &'a Zone) -> Self {
        let apex_labels = zone.apex().by_ref().labels().count();
        let mut columns = Self::default();
        // The first one is the apex: the SOA is there, and no name comes before it.
        let mut before = None;
        for rrset in zone.rrsets() {
            let is_another = before.is_some_and(|before| before != rrset.owner_at());
            before = Some(rrset.owner_at());
            columns.push(is_another.then(|| rrset.owner()), apex_labels);
        }
        columns
    }

    fn in_order(self) -> Vec<Vec<u8>> {
        vec![self.added, self.kept, self.shared, self.lengths, self.letters]
    }

    /// Says the next RRset's owner, if it is another one, by what it does not share with the one before it: labels from the
    /// right, and of the first label that differs the octets from the left. The first one comes after the apex.
    fn push(&mut self, owner: Option<NameRef<'a>>, apex_labels: usize) {
        let Some(owner) = owner else {
            self.added.push(0);
            return;
        };
        std::mem::swap(&mut self.labels, &mut self.labels_before);
        let Self { labels, labels_before, .. } = self;
        labels.clear();
        labels.extend(owner.labels());
        labels.truncate(labels.len() - apex_labels);
        labels.reverse();
        let kept = labels.iter().zip(&*labels_before).take_while(|(a, b)| a == b).count();
        push_number(&mut self.added, labels.len() - kept);
        push_number(&mut self.kept, kept);
        let mut neighbour = labels_before.get(kept);
        for label in &labels[kept..] {
            let shared = neighbour.take().map(|before| label.iter().zip(*before).take_while(|(a, b)| a == b).count());
            if let Some(shared) = shared {
                push_number(&mut self.shared, shared);
            }
            let new = &label[shared.unwrap_or(0)..];
            push_number(&mut self.lengths, new.len());
            self.letters.extend_from_slice(new);
        }
    }
}

impl RdataColumns {
    /// The RDATA reads in its parts: [`form_of`] saw to it. Where it did not, the digest would tell at the other end.
    fn push(&mut self, rdata: &[u8], apex: NameRef<'_>) {
        let mut rest = rdata;
        let mut columns = self.columns.as_mut_slice();
        for spread in &self.spreads {
            let Some((mine, others)) = columns.split_at_mut_checked(spread.width()) else { return };
            columns = others;
            match (spread, mine) {
                (Spread::Planes(_), planes) => {
                    let (octets, tail) = rest.split_at(planes.len().min(rest.len()));
                    rest = tail;
                    for (plane, octet) in planes.iter_mut().zip(octets) {
                        plane.push(*octet);
                    }
                }
                (Spread::Name, [names]) => {
                    let Ok((name, tail)) = NameRef::split_from(rest) else { return };
                    rest = tail;
                    match name.below(apex) {
                        Some(labels) => {
                            names.extend_from_slice(labels);
                            names.push(APEX_FOLLOWS);
                        }
                        None => names.extend_from_slice(name.as_wire()),
                    }
                }
                (Spread::String, [lengths, octets]) => rest = push_string(rest, lengths, octets),
                (Spread::Strings, [counts, lengths, octets]) => {
                    let before = lengths.len();
                    while !rest.is_empty() {
                        rest = push_string(rest, lengths, octets);
                    }
                    push_number(counts, lengths.len() - before);
                }
                (Spread::Rest, [lengths, octets]) => {
                    push_number(lengths, rest.len());
                    octets.extend_from_slice(std::mem::take(&mut rest));
                }
                _ => return,
            }
        }
    }
}

fn push_string<'a>(rest: &'a [u8], lengths: &mut Vec<u8>, octets: &mut Vec<u8>) -> &'a [u8] {
    let Some((&length, tail)) = rest.split_first() else { return rest };
    let (string, tail) = tail.split_at(usize::from(length).min(tail.len()));
    lengths.push(length);
    octets.extend_from_slice(string);
    tail
}
