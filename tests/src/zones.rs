//! From a zone file to the zone that a transfer of it would make, without a transfer.

use std::fmt::Write as _;

use secondary53_zone::name::{Name, NameError};
use secondary53_zone::rdata::{self, RdataError};
use secondary53_zone::rrset::Rtype;
use secondary53_zone::zone::{Limits, Zone, ZoneBuilder, ZoneError};

use crate::primary::{ZoneFile, ZoneFileError};

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

/// example.com at a serial, with so many TXT records of a thousand octets that no compression makes much smaller: each takes
/// about as much in a message's base64 again.
///
/// # Errors
/// There are none.
pub fn incompressible(serial: u32, records: usize) -> Result<ZoneFile, ZoneFileError> {
    const STRINGS: usize = 4;
    const OCTETS: usize = 250;
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text =
        format!("$ORIGIN example.com.\n$TTL 300\n@ SOA ns host {serial} 3600 1 86400 60\n@ NS ns\nns A 192.0.2.1\n");
    for number in 0..records {
        // Writing to a String does not fail.
        _ = write!(text, "t{number} TXT");
        for _ in 0..STRINGS {
            let string: String =
                (0..OCTETS).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())])).collect();
            _ = write!(text, " \"{string}\"");
        }
        text.push('\n');
    }
    ZoneFile::parse(&text)
}
