//! From a zone file to the zone that a transfer of it would make, without a transfer.

use secondary53_zone::name::{Name, NameError};
use secondary53_zone::rdata::{self, RdataError};
use secondary53_zone::rrset::Rtype;
use secondary53_zone::zone::{Limits, Zone, ZoneBuilder, ZoneError};

use crate::primary::ZoneFile;

/// Why the records of a file do not make a zone.
#[derive(Debug, thiserror::Error)]
pub enum NoZone {
    /// A name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// RDATA.
    #[error(transparent)]
    Rdata(#[from] RdataError),
    /// All together.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

/// The zone that is in a file.
pub fn zone_of(file: &ZoneFile) -> Result<Zone, NoZone> {
    let (apex, _) = Name::from_wire(file.apex().as_slice())?;
    let limits = Limits { records: 10_000_000, ..Limits::default() };
    let mut builder = ZoneBuilder::new(apex, limits);
    for record in std::iter::once(file.soa()).chain(file.records()) {
        let (owner, _) = Name::from_wire(record.owner.as_slice())?;
        let (rtype, octets) = (Rtype(record.rtype.to_int()), &record.rdata);
        builder.push_with(owner.by_ref(), rtype, record.ttl, |out| {
            rdata::push_canonical(rtype, octets, 0, octets.len(), out).map_err(NoZone::from)
        })?;
    }
    Ok(builder.build()?.zone)
}

/// The reference zone that figures are quoted on, as `tests/reference_zone.py` writes it.
///
/// # Errors
/// Python is not there, or what it wrote is no zone.
pub fn reference(records: usize) -> Result<Zone, Box<dyn std::error::Error>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/reference_zone.py");
    let written = std::process::Command::new("python3").arg(script).arg(records.to_string()).output()?;
    if !written.status.success() {
        return Err(String::from_utf8_lossy(&written.stderr).into());
    }
    Ok(zone_of(&ZoneFile::parse(std::str::from_utf8(&written.stdout)?)?)?)
}

/// One address is another, and the serial the next.
///
/// # Errors
/// None: what is a zone stays one.
pub fn one_changed(zone: &Zone) -> Result<Zone, ZoneError> {
    /// The five numbers that end a SOA's RDATA.
    const NUMBERS: usize = 20;
    let mut builder = ZoneBuilder::new(zone.apex().clone(), Limits::default());
    let serial = zone.serial().next().0;
    let mut changed = false;
    for rrset in zone.rrsets() {
        for rdata in rrset.rdata() {
            let mut rdata = rdata.to_vec();
            if rrset.rtype() == Rtype::SOA {
                let at = rdata.len() - NUMBERS;
                rdata[at..at + 4].copy_from_slice(&serial.to_be_bytes());
            } else if rrset.rtype() == Rtype::A && !changed {
                // Never twice the same: the serial is in it.
                rdata.copy_from_slice(&[198, 51, 100, serial.to_be_bytes()[3]]);
                changed = true;
            }
            builder.push(rrset.owner(), rrset.rtype(), rrset.ttl(), &rdata)?;
        }
    }
    Ok(builder.build()?.zone)
}
