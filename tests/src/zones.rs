//! Zones without a transfer: from a zone file, the reference zone, and by chance.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rand::RngExt as _;
use rand::rngs::StdRng;
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

/// What a zone holds beside its SOA and the NS of its apex: owner and type to TTL and values, sorted, as Route 53 spells
/// them.
pub type Contents = BTreeMap<(String, String), (u32, Vec<String>)>;

/// By chance, below `apex`: few names, so that they come, change and go; one time in four long values, so that a zone takes
/// several requests.
pub fn contents(apex: &str, random: &mut StdRng) -> Contents {
    let mut contents = Contents::new();
    let letters = if random.random_bool(0.25) { 240 } else { 12 };
    for number in 0..14 {
        let owner = format!("n{number}.{apex}");
        let mut add = |rtype: &str, ttl: u32, mut values: Vec<String>| {
            values.sort();
            contents.insert((owner.clone(), rtype.to_owned()), (ttl, values));
        };
        let ttl = random.random_range(1..4_u32);
        match random.random_range(0..8) {
            0 => {}
            1 | 2 => add("CNAME", ttl, vec![format!("x{}.", random.random_range(0..3))]),
            kind => {
                let count = random.random_range(1..4_usize);
                add("A", ttl, (0..count).map(|last| format!("192.0.2.{last}")).collect());
                if kind > 4 {
                    let letter = char::from(random.random_range(b'a'..=b'c'));
                    let strings = |index: usize| {
                        [format!("\"{index}{}\"", letter.to_string().repeat(letters)).as_str(); 16].join(" ")
                    };
                    add("TXT", ttl, (0..random.random_range(1..9_usize)).map(strings).collect());
                }
            }
        }
    }
    contents
}

/// The same as a zone file has it.
pub fn zone_text(contents: &Contents) -> String {
    let mut text = String::new();
    for ((owner, rtype), (ttl, values)) in contents {
        for value in values {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{owner} {ttl} {rtype} {value}");
        }
    }
    text
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
