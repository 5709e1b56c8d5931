//! IXFR, put together (RFC 1995): a stored zone and messages in, a newer zone out.
//!
//! ```text
//!             SOA of N            SOA of ours               SOA            SOA, not N yet
//!   Opening ──────────▶ Opened ───────────────▶ Deleting ─────────▶ Adding ──────────────▶ Deleting …
//!                         │                                           │ SOA of N, and N is reached
//!                         ├─ no more ──▶ Current (RFC 1995 §2)        └────────────────────▶ Closed
//!                         └─ anything else of a zone ──▶ Whole: an AXFR in the answer to an IXFR (RFC 1995 §4)
//! ```
//!
//! Differences are right for the very zone that they were made for, and for no other. So they are applied to a stored zone
//! that is the primary's to the record ([`Base::of`]); each deletion must find its record and no addition may; the serials
//! must lead from ours to the announced one; and where the primary publishes a ZONEMD, the new zone is held against it.
//! Whatever does not fit is a refusal, and the caller asks for the whole zone: an incremental transfer saves time, and never
//! decides whether there is a zone.
//!
//! What belongs to signing is not in the stored zone (see [`Transferred`]), so changes of it are passed over. RRSIG, NSEC and
//! their like stand alone: what is left of the zone is the same as that of a whole transfer.

use std::collections::BTreeMap;

use secondary53_zone::snapshot::{Exact, Snapshot};
use secondary53_zone::zonemd::{self, Checked};
use secondary53_zone::{Edit, Limits, Name, NameRef, Rtype, Serial, Zone, rdata};

use super::{Messages, Opening, Progress, Refusal, Transferred, Whole, serial_of, soa};
use crate::wire::Record;

/// A stored zone from which an incremental transfer may start.
#[derive(Debug)]
pub struct Base {
    zone: Zone,
    soa: Opening,
    exact: Exact,
    strip_dnssec: bool,
}

/// An incremental transfer on its way in.
#[derive(Debug)]
pub struct Incremental {
    messages: Messages,
    limits: Limits,
    stage: Stage,
}

/// What an incremental transfer comes to.
#[derive(Debug)]
pub enum Outcome {
    /// The primary has nothing newer than this.
    Current(Serial),
    /// A newer zone.
    Transferred(Box<Transferred>),
}

#[derive(Debug)]
enum Stage {
    Opening(Base),
    Opened(Base, Opening),
    Current(Serial),
    Whole(Box<Whole>),
    Differences(Box<Differences>),
    Refused,
}

/// A zone that comes as differences.
#[derive(Debug)]
struct Differences {
    apex: Name,
    edit: Edit,
    base: Opening,
    announced: Opening,
    /// The SOA of the serial that has been reached.
    reached: Opening,
    step: Step,
    strip_dnssec: bool,
    exact: Exact,
    /// The ZONEMD records that were added and not deleted again.
    zonemds: Vec<Vec<u8>>,
    stripped: BTreeMap<Rtype, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Deleting,
    Adding,
    Closed,
}

impl Base {
    /// The stored zone, where differences can be applied to it. Not where
    /// - TTLs were evened out in it: a difference names records with the TTLs that they have at the primary;
    /// - it was stripped of DNSSEC, and no longer shall be: whether it is still signed, only the whole zone shows;
    /// - it was stripped of DNSSEC, and has a ZONEMD: the digest covers what was stripped.
    pub fn of(snapshot: Snapshot, strip_dnssec: bool) -> Option<Self> {
        let exact = snapshot.exact().filter(|exact| !exact.signed || (strip_dnssec && !exact.zonemd))?;
        let zone = snapshot.into_zone();
        let soa = zone.get(zone.apex().by_ref(), Rtype::SOA)?;
        let soa = Opening { ttl: soa.ttl(), rdata: soa.rdata().next()?.to_vec() };
        Some(Self { zone, soa, exact, strip_dnssec })
    }

    /// The zone's name.
    pub fn apex(&self) -> &Name {
        self.zone.apex()
    }

    /// The serial to ask from.
    pub fn serial(&self) -> Serial {
        self.zone.serial()
    }

    /// The RDATA of its SOA, which goes with the question (RFC 1995 §3).
    pub fn soa_rdata(&self) -> &[u8] {
        &self.soa.rdata
    }
}

impl Incremental {
    /// A transfer that was asked for with `id`, of what is newer than `base`.
    pub fn new(base: Base, id: u16, limits: Limits) -> Self {
        let messages = Messages::new(base.zone.apex().clone(), id, Rtype::IXFR);
        Self { messages, limits, stage: Stage::Opening(base) }
    }

    /// Takes the next message, without its length.
    pub fn message(&mut self, message: &[u8]) -> Result<Progress, Refusal> {
        if self.is_done() {
            return Err(Refusal::AfterTheEnd);
        }
        let Self { messages, limits, stage } = self;
        messages.take(message, |owner, record| stage.record(*limits, owner, message, record))?;
        // One SOA alone that is not newer is the whole answer (RFC 1995 §2). One that is newer may be the first of an answer
        // that comes in messages of one record.
        if let Stage::Opened(base, opening) = stage {
            let serial = serial_of(&opening.rdata);
            if !is_newer(serial, base.serial()) {
                *stage = Stage::Current(serial);
            }
        }
        Ok(if self.is_done() { Progress::Done } else { Progress::More })
    }

    fn is_done(&self) -> bool {
        match &self.stage {
            Stage::Current(_) => true,
            Stage::Whole(whole) => whole.closed,
            Stage::Differences(differences) => differences.step == Step::Closed,
            Stage::Opening(_) | Stage::Opened(..) | Stage::Refused => false,
        }
    }

    /// Makes the zone: some hundreds of milliseconds for a million records.
    pub fn finish(self) -> Result<Outcome, Refusal> {
        let transferred = |zone| Outcome::Transferred(Box::new(zone));
        match self.stage {
            Stage::Current(serial) => Ok(Outcome::Current(serial)),
            Stage::Whole(whole) => whole.finish(&self.messages).map(transferred),
            Stage::Differences(differences) => differences.finish(&self.messages).map(transferred),
            Stage::Opening(_) | Stage::Refused => Err(Refusal::Short { records: 0 }),
            Stage::Opened(..) => Err(Refusal::Short { records: 1 }),
        }
    }
}

impl Stage {
    fn record(&mut self, limits: Limits, owner: NameRef<'_>, message: &[u8], record: Record) -> Result<(), Refusal> {
        match self {
            Self::Whole(whole) => return whole.record(owner, message, record),
            Self::Differences(differences) => return differences.record(owner, message, record),
            Self::Current(_) | Self::Refused => return Err(Refusal::AfterTheEnd),
            Self::Opening(_) | Self::Opened(..) => {}
        }
        *self = match std::mem::replace(self, Self::Refused) {
            Self::Opened(base, opening) => opened(base, opening, limits, owner, message, record)?,
            Self::Opening(base) => {
                if record.rtype != Rtype::SOA || owner != base.zone.apex().by_ref() {
                    return Err(Refusal::NoOpeningSoa { owner: owner.to_name(), rtype: record.rtype });
                }
                let opening = Opening { ttl: record.ttl, rdata: soa(owner, message, record.rdata)? };
                Self::Opened(base, opening)
            }
            // Seen to above.
            other => other,
        };
        Ok(())
    }
}

/// The second record tells an AXFR in the answer from differences (RFC 1995 §4).
fn opened(
    base: Base,
    opening: Opening,
    limits: Limits,
    owner: NameRef<'_>,
    message: &[u8],
    record: Record,
) -> Result<Stage, Refusal> {
    let announced = serial_of(&opening.rdata);
    if record.rtype == Rtype::SOA && owner == base.zone.apex().by_ref() {
        let begin = Opening { ttl: record.ttl, rdata: soa(owner, message, record.rdata.clone())? };
        if begin != opening {
            let from = base.serial();
            let gap = |what| Err(Refusal::Gap { from, announced, what });
            if !is_newer(announced, from) {
                return gap("the announced one is not newer");
            }
            if begin != base.soa {
                return gap("they do not begin with our SOA");
            }
            return Ok(Stage::Differences(Box::new(Differences::new(base, opening, limits))));
        }
    }
    let mut whole = Whole::new(base.zone.apex().clone(), limits);
    whole.strip_dnssec = base.strip_dnssec;
    // It is not needed any more, and the new one takes as much memory.
    drop(base);
    whole.open(opening)?;
    whole.record(owner, message, record)?;
    Ok(Stage::Whole(Box::new(whole)))
}

impl Differences {
    fn new(base: Base, announced: Opening, limits: Limits) -> Self {
        let Base { zone, soa, exact, strip_dnssec } = base;
        Self {
            apex: zone.apex().clone(),
            edit: Edit::new(zone, limits),
            reached: soa.clone(),
            base: soa,
            announced,
            step: Step::Deleting,
            strip_dnssec,
            exact,
            zonemds: Vec::new(),
            stripped: BTreeMap::new(),
        }
    }

    fn record(&mut self, owner: NameRef<'_>, message: &[u8], record: Record) -> Result<(), Refusal> {
        let Record { rtype, ttl, rdata, .. } = record;
        let at_apex = owner == self.apex.by_ref();
        if self.step == Step::Closed {
            return Err(Refusal::AfterTheEnd);
        }
        if rtype == Rtype::SOA && at_apex {
            return self.soa(Opening { ttl, rdata: soa(owner, message, rdata)? });
        }
        let mut octets = Vec::with_capacity(rdata.len());
        rdata::push_canonical(rtype, message, rdata.start, rdata.end, &mut octets)
            .map_err(|error| Refusal::BadRdata { owner: owner.to_name(), rtype, error })?;
        if rtype.is_of_signing() {
            return self.of_signing(at_apex, rtype, octets);
        }
        match self.step {
            Step::Deleting => self.edit.delete(owner, rtype, ttl, octets)?,
            Step::Adding | Step::Closed => self.edit.add(owner, rtype, ttl, octets)?,
        }
        Ok(())
    }

    /// Each sequence is the old SOA, what is deleted, the new SOA, what is added (RFC 1995 §4).
    fn soa(&mut self, soa: Opening) -> Result<(), Refusal> {
        let [reached, announced, serial] = [&self.reached, &self.announced, &soa].map(|soa| serial_of(&soa.rdata));
        let gap = |what| Err(Refusal::Gap { from: serial_of(&self.base.rdata), announced, what });
        match self.step {
            Step::Deleting if !is_newer(serial, reached) => return gap("one of them does not lead forwards"),
            Step::Deleting if is_newer(serial, announced) => return gap("one of them leads beyond"),
            Step::Deleting => {
                self.reached = soa;
                self.step = Step::Adding;
            }
            Step::Adding if reached == announced => {
                if soa != self.announced || self.reached != self.announced {
                    return Err(Refusal::ClosingSoaDiffers { opening: announced, closing: serial });
                }
                self.step = Step::Closed;
            }
            Step::Adding if soa != self.reached => {
                return gap("one of them does not begin where the one before it ends");
            }
            Step::Adding | Step::Closed => self.step = Step::Deleting,
        }
        Ok(())
    }

    /// A change of what is not in the stored zone.
    fn of_signing(&mut self, at_apex: bool, rtype: Rtype, rdata: Vec<u8>) -> Result<(), Refusal> {
        let is_added = self.step == Step::Adding;
        if rtype == Rtype::DNSKEY && at_apex && is_added && !self.strip_dnssec {
            return Err(Refusal::Signed);
        }
        if is_added {
            *self.stripped.entry(rtype).or_default() += 1;
        }
        if rtype != Rtype::ZONEMD || !at_apex {
            self.exact.signed = true;
        } else if is_added {
            self.exact.zonemd = true;
            self.zonemds.push(rdata);
        } else {
            self.zonemds.retain(|added| *added != rdata);
        }
        Ok(())
    }

    fn finish(self, messages: &Messages) -> Result<Transferred, Refusal> {
        let Self { apex, mut edit, base, announced, step, exact, zonemds, stripped, .. } = self;
        if step != Step::Closed {
            return Err(Refusal::Short { records: edit.steps() });
        }
        let (since, serial) = (serial_of(&base.rdata), serial_of(&announced.rdata));
        edit.delete(apex.by_ref(), Rtype::SOA, base.ttl, base.rdata)?;
        edit.add(apex.by_ref(), Rtype::SOA, announced.ttl, announced.rdata)?;
        let built = edit.finish()?;
        // RFC 2181 §5.2 wants one TTL for each RRset; servers differ in what they make of another one in an update.
        if let Some((owner, rtype)) = built.uneven_ttls.into_iter().next() {
            return Err(Refusal::UnevenTtls { owner, rtype });
        }
        let mut verified = Checked::Absent;
        if exact.zonemd {
            if exact.signed {
                return Err(Refusal::Unverifiable);
            }
            let digest = |hash| built.zone.digest_by(hash);
            verified = zonemd::check(serial, zonemds.iter().map(Vec::as_slice), digest)?;
            if !matches!(verified, Checked::Verified(_)) {
                return Err(Refusal::Unverifiable);
            }
        }
        Ok(Transferred {
            zone: built.zone,
            stripped,
            uneven_ttls: Vec::new(),
            zonemd: verified,
            exact: Some(exact),
            since: Some(since),
            messages: messages.count,
            octets: messages.octets,
        })
    }
}

/// RFC 1982: two serials half-way round have no order, and then neither is newer.
fn is_newer(a: Serial, b: Serial) -> bool {
    a > b
}

#[cfg(test)]
mod tests;
