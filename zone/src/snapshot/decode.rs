//! From octets to a zone. The octets may come from anywhere.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{APEX_FOLLOWS, Spread, spreads};
use super::{Exact, Form, SnapshotError, may_unfold_to, section};
use crate::delta::Delta;
use crate::name::{MAX_LABEL, MAX_NAME, Name};
use crate::rdata;
use crate::zone::{Digest, Limits, Zone, ZoneBuilder, ZoneError};

/// What a delta may come to: one part in so many of what the zone may. One that is larger is of little use.
const DELTA_SHARE: usize = 4;

/// What a body holds.
pub(super) struct Contents {
    pub(super) zone: Zone,
    pub(super) exact: Option<Exact>,
    pub(super) delta: Option<Delta>,
}

/// Reads the length of the body and its frame, and of the body the zone and what is said of it.
pub(super) fn read(octets: &[u8], limits: Limits) -> Result<Contents, SnapshotError> {
    let body = unfold(octets, limits)?;
    let mut rest = Reader { octets: &body, part: "body" };
    let mut zone = None;
    let mut exact = None;
    let mut delta = None;
    while !rest.octets.is_empty() {
        let kind = rest.number()?;
        let mut contents = rest.prefixed("a section")?;
        match kind {
            section::EXACT => {
                exact = Exact::from_flags(contents.number()?);
                contents.must_be_empty()?;
            }
            section::ZONE if zone.is_some() => return Err(SnapshotError::Corrupt("it holds two zones")),
            section::ZONE => zone = Some(read_zone(contents, limits)?),
            // Whatever is wrong with it, the zone is there: that is what counts.
            section::DELTA => delta = read_delta(contents, limits).ok().flatten(),
            _ => {}
        }
    }
    Ok(Contents { zone: zone.ok_or(SnapshotError::NoZone)?, exact, delta })
}

fn read_delta(mut contents: Reader<'_>, limits: Limits) -> Result<Option<Delta>, SnapshotError> {
    let limits = Limits { records: limits.records / DELTA_SHARE, octets: limits.octets / DELTA_SHARE };
    let mut base = Digest([0; 48]);
    base.0.copy_from_slice(contents.take(48)?);
    let old = read_zone(contents.prefixed("the old side of its delta")?, limits)?;
    let new = read_zone(contents.prefixed("the new side of its delta")?, limits)?;
    contents.must_be_empty()?;
    Ok(Delta::from_parts(base, old, new))
}

fn unfold(octets: &[u8], limits: Limits) -> Result<Vec<u8>, SnapshotError> {
    let mut rest = Reader { octets, part: "header" };
    let stated = rest.number()?;
    let frame = rest.octets;
    let limit = limits.octets.min(may_unfold_to(frame.len()));
    let size = usize::try_from(stated)
        .ok()
        .filter(|size| *size <= limit)
        .ok_or(SnapshotError::TooLarge { octets: stated, limit })?;
    match zstd::zstd_safe::find_frame_compressed_size(frame) {
        Err(_) => return Err(SnapshotError::CutShort("frame")),
        Ok(length) if length < frame.len() => return Err(SnapshotError::Surplus("frame")),
        Ok(_) => {}
    }
    // No more than `size` is ever written; a frame that holds more is an error of zstd's.
    let body = zstd::bulk::decompress(frame, size).map_err(SnapshotError::Zstd)?;
    if body.len() == size { Ok(body) } else { Err(SnapshotError::CutShort("body")) }
}

fn read_zone(contents: Reader<'_>, limits: Limits) -> Result<Zone, SnapshotError> {
    let (apex, octets) =
        Name::from_wire(contents.octets).map_err(|_| SnapshotError::Corrupt("the apex is not a name"))?;
    let mut rest = Reader { octets, part: "zone" };
    let mut owners = Owners {
        added: rest.prefixed("added labels")?,
        kept: rest.prefixed("kept labels")?,
        shared: rest.prefixed("shared octets")?,
        lengths: rest.prefixed("label lengths")?,
        letters: rest.prefixed("labels")?,
        labels: Vec::with_capacity(MAX_NAME),
        ends: Vec::new(),
    };
    let mut forms = rest.prefixed("types")?;
    let mut distinct_ttls = rest.prefixed("distinct TTLs")?;
    let mut ttls = rest.prefixed("TTLs")?;
    let mut counts = rest.prefixed("counts")?;

    let (rrsets, all_forms) = all_forms(forms, &apex, limits)?;
    let mut ttl_table = Vec::new();
    while !distinct_ttls.octets.is_empty() {
        if ttl_table.len() == rrsets {
            return Err(SnapshotError::Corrupt("it has more distinct TTLs than RRsets"));
        }
        ttl_table.push(distinct_ttls.number_in("a TTL is above 32 bits")?);
    }
    let mut rdata = BTreeMap::new();
    for form in all_forms {
        let fields = rdata::fields(form.rtype()?).filter(|_| !form.is_opaque());
        rdata.insert(form, RdataColumns::read(&mut rest, spreads(fields))?);
    }
    rest.must_be_empty()?;

    let mut builder = ZoneBuilder::new(apex.clone(), limits);
    let mut owner = apex.clone();
    while !forms.octets.is_empty() {
        if owners.next()? {
            owner = owners.name(&apex)?;
        }
        let form = Form(forms.number()?);
        let ttl_number: usize = ttls.number_in("a TTL's number is too large")?;
        let ttl = *ttl_table.get(ttl_number).ok_or(SnapshotError::Corrupt("a TTL is not among the distinct ones"))?;
        let count: usize = counts.number_in("a count is too large")?;
        if count == 0 {
            return Err(SnapshotError::Corrupt("an RRset has no records"));
        }
        let columns = rdata.get_mut(&form).ok_or(SnapshotError::Corrupt("a type has no columns"))?;
        let rtype = form.rtype()?;
        for _ in 0..count {
            builder.push_with(owner.by_ref(), rtype, ttl, |out| columns.write_next(out, &apex))?;
        }
    }
    owners.must_be_empty()?;
    ttls.must_be_empty()?;
    counts.must_be_empty()?;
    rdata.values().try_for_each(RdataColumns::must_be_empty)?;
    Ok(builder.build()?.zone)
}

/// How many RRsets there are, and the forms that occur.
fn all_forms(mut forms: Reader<'_>, apex: &Name, limits: Limits) -> Result<(usize, BTreeSet<Form>), SnapshotError> {
    let mut all = BTreeSet::new();
    let mut rrsets = 0;
    while !forms.octets.is_empty() {
        if rrsets == limits.records {
            // Each has a record at least.
            return Err(ZoneError::TooManyRecords { apex: apex.clone(), limit: limits.records }.into());
        }
        all.insert(Form(forms.number()?));
        rrsets += 1;
    }
    Ok((rrsets, all))
}

struct Owners<'a> {
    added: Reader<'a>,
    kept: Reader<'a>,
    shared: Reader<'a>,
    lengths: Reader<'a>,
    letters: Reader<'a>,
    /// Of the owner, below the apex, from right to left, one behind the other.
    labels: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Owners<'_> {
    /// Goes to the next RRset's owner; false where it is the same as before.
    fn next(&mut self) -> Result<bool, SnapshotError> {
        let added = self.added.number()?;
        if added == 0 {
            return Ok(false);
        }
        let kept: usize = self.kept.number_in("kept labels are too many")?;
        if kept > self.ends.len() {
            return Err(SnapshotError::Corrupt("an owner keeps labels that are not there"));
        }
        let start = self.start_of(kept);
        // The first label that is not kept is what the next one shares octets with, and stands where that will.
        let neighbour = self.ends.get(kept).map(|end| end - start);
        let mut shared = match neighbour {
            None => 0,
            Some(length) => {
                let shared: usize = self.shared.number_in("shared octets are too many")?;
                if shared > length {
                    return Err(SnapshotError::Corrupt("a label shares octets that are not there"));
                }
                shared
            }
        };
        self.ends.truncate(kept);
        for _ in 0..added {
            let start = self.start_of(self.ends.len());
            self.labels.truncate(start + std::mem::take(&mut shared));
            let length: usize = self.lengths.number_in("a label is too long")?;
            self.labels.extend_from_slice(self.letters.take(length)?);
            if !(1..=MAX_LABEL).contains(&(self.labels.len() - start)) || self.ends.len() >= 128 {
                return Err(SnapshotError::Corrupt("an owner is not a name"));
            }
            self.ends.push(self.labels.len());
        }
        Ok(true)
    }

    fn start_of(&self, label: usize) -> usize {
        label.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn name(&self, apex: &Name) -> Result<Name, SnapshotError> {
        let below = (0..self.ends.len()).rev().map(|label| &self.labels[self.start_of(label)..self.ends[label]]);
        Name::from_labels(below.chain(apex.by_ref().labels()))
            .map_err(|_| SnapshotError::Corrupt("an owner is not a name"))
    }

    fn must_be_empty(&self) -> Result<(), SnapshotError> {
        [&self.added, &self.kept, &self.shared, &self.lengths, &self.letters]
            .into_iter()
            .try_for_each(Reader::must_be_empty)
    }
}

struct RdataColumns<'a> {
    spreads: Vec<Spread>,
    columns: Vec<Reader<'a>>,
}

impl<'a> RdataColumns<'a> {
    fn read(rest: &mut Reader<'a>, spreads: Vec<Spread>) -> Result<Self, SnapshotError> {
        let width: usize = spreads.iter().map(|spread| spread.width()).sum();
        let columns = (0..width).map(|_| rest.prefixed("RDATA")).collect::<Result<_, _>>()?;
        Ok(Self { spreads, columns })
    }

    fn write_next(&mut self, out: &mut Vec<u8>, apex: &Name) -> Result<(), SnapshotError> {
        const SPLIT: SnapshotError = SnapshotError::Corrupt("columns are missing");
        let mut columns = self.columns.as_mut_slice();
        for spread in &self.spreads {
            let Some((mine, others)) = columns.split_at_mut_checked(spread.width()) else { return Err(SPLIT) };
            columns = others;
            match (spread, mine) {
                (Spread::Planes(_), planes) => {
                    for plane in planes {
                        out.push(plane.octet()?);
                    }
                }
                (Spread::Name, [names]) => write_name(names, out, apex)?,
                (Spread::String, [lengths, octets]) => write_string(lengths, octets, out)?,
                (Spread::Strings, [counts, lengths, octets]) => {
                    for _ in 0..counts.number_in::<u16>("RDATA is too long")? {
                        write_string(lengths, octets, out)?;
                    }
                }
                (Spread::Rest, [lengths, octets]) => {
                    let length: u16 = lengths.number_in("RDATA is too long")?;
                    out.extend_from_slice(octets.take(usize::from(length))?);
                }
                _ => return Err(SPLIT),
            }
        }
        Ok(())
    }

    fn must_be_empty(&self) -> Result<(), SnapshotError> {
        self.columns.iter().try_for_each(Reader::must_be_empty)
    }
}

fn write_name(names: &mut Reader<'_>, out: &mut Vec<u8>, apex: &Name) -> Result<(), SnapshotError> {
    let begun = out.len();
    loop {
        // Checked while reading, so that no RDATA grows far beyond what it may be before it is refused.
        if out.len() - begun > MAX_NAME {
            return Err(SnapshotError::Corrupt("RDATA is too long"));
        }
        match names.octet()? {
            0 => {
                out.push(0);
                return Ok(());
            }
            APEX_FOLLOWS => {
                out.extend_from_slice(apex.as_wire());
                return Ok(());
            }
            length => {
                out.push(length);
                out.extend_from_slice(names.take(usize::from(length))?);
            }
        }
    }
}

fn write_string(lengths: &mut Reader<'_>, octets: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), SnapshotError> {
    let length = lengths.octet()?;
    out.push(length);
    out.extend_from_slice(octets.take(usize::from(length))?);
    Ok(())
}

/// Octets that are read from the front.
#[derive(Clone, Copy)]
struct Reader<'a> {
    octets: &'a [u8],
    part: &'static str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], SnapshotError> {
        // Not `ok_or`: the error would be made, and dropped, for each of them.
        let Some((taken, rest)) = self.octets.split_at_checked(length) else {
            return Err(SnapshotError::CutShort(self.part));
        };
        self.octets = rest;
        Ok(taken)
    }

    fn octet(&mut self) -> Result<u8, SnapshotError> {
        let Some((octet, rest)) = self.octets.split_first() else {
            return Err(SnapshotError::CutShort(self.part));
        };
        self.octets = rest;
        Ok(*octet)
    }

    /// Nearly all are below 128, and a zone has tens of thousands of them.
    #[inline]
    fn number(&mut self) -> Result<u64, SnapshotError> {
        if let [octet @ 0..0x80, rest @ ..] = self.octets {
            self.octets = rest;
            return Ok(u64::from(*octet));
        }
        self.long_number()
    }

    fn long_number(&mut self) -> Result<u64, SnapshotError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            let group = u64::from(octet & 0x7f);
            // The tenth group has one bit of room.
            if shift == 63 && group > 1 {
                break;
            }
            number |= group << shift;
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(SnapshotError::Corrupt("a number has more than 64 bits"))
    }

    fn number_in<N: TryFrom<u64>>(&mut self, otherwise: &'static str) -> Result<N, SnapshotError> {
        N::try_from(self.number()?).map_err(|_| SnapshotError::Corrupt(otherwise))
    }

    /// Octets behind their length.
    fn prefixed(&mut self, part: &'static str) -> Result<Self, SnapshotError> {
        let length = self.number_in("a length is too large")?;
        Ok(Self { octets: self.take(length)?, part })
    }

    fn must_be_empty(&self) -> Result<(), SnapshotError> {
        if self.octets.is_empty() { Ok(()) } else { Err(SnapshotError::Surplus(self.part)) }
    }
}
