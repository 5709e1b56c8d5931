//! `snapshot show`, `diff` and `digest`.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secondary53_zone::message::Pointer;
use secondary53_zone::presentation::{Rdata, ZoneFile};
use secondary53_zone::rrset::Rrset;
use secondary53_zone::snapshot::{MAGIC, Snapshot};
use secondary53_zone::zone::{Limits, Zone};
use serde_json::{Value, json};

use crate::args::SnapshotCommand;
use crate::terminal::{ADDED, REMOVED, STRONG, Terminal, counted, print, print_json};
use crate::{Failed, LEFT};

/// The largest file that is read: more than the largest snapshot that [`Limits`] lets through.
const MAX_FILE: u64 = 512 << 20;

/// Runs the command.
pub fn run(command: &SnapshotCommand, terminal: Terminal) -> Result<ExitCode, Failed> {
    match command {
        SnapshotCommand::Show { file } => {
            let snapshot = read(file)?;
            if terminal.json {
                print_json(&about(&snapshot, Some(ZoneFile(snapshot.zone()).to_string())))?;
            } else {
                print(&ZoneFile(snapshot.zone()).to_string())?;
            }
        }
        SnapshotCommand::Digest { file } => {
            let snapshot = read(file)?;
            let zone = snapshot.zone();
            if terminal.json {
                print_json(&about(&snapshot, None))?;
            } else {
                print(&format!("{} {} {}\n", snapshot.digest(), zone.serial(), zone.apex()))?;
            }
        }
        SnapshotCommand::Diff { old, new } => return diff(&read(old)?, &read(new)?, terminal),
    }
    Ok(ExitCode::SUCCESS)
}

fn about(snapshot: &Snapshot, zone_file: Option<String>) -> Value {
    let zone = snapshot.zone();
    let mut about = json!({
        "zone": zone.apex().to_string(),
        "serial": zone.serial().0,
        "digest": snapshot.digest().to_string(),
        "records": zone.record_count(),
        "delta_from": snapshot.delta().map(|delta| delta.base().0),
    });
    if let Some(zone_file) = zone_file {
        about["zone_file"] = zone_file.into();
    }
    about
}

/// What differs, record by record, as zone files have it.
fn diff(old: &Snapshot, new: &Snapshot, terminal: Terminal) -> Result<ExitCode, Failed> {
    let (was, is) = (old.zone(), new.zone());
    if was.apex() != is.apex() {
        return Err(Failed(format!("the one is of zone {}, the other of {}", was.apex(), is.apex())));
    }
    let (gone, come) = (only_in(was, is), only_in(is, was));
    let left = if gone.is_empty() && come.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(LEFT) };
    if terminal.json {
        print_json(&json!({
            "zone": is.apex().to_string(),
            "old": about(old, None),
            "new": about(new, None),
            "removed": gone,
            "added": come,
        }))?;
        return Ok(left);
    }
    let lines = |records: &[String], sign: char, style| -> String {
        records.iter().map(|record| terminal.paint(style, format_args!("{sign} {record}")) + "\n").collect()
    };
    let summary = format!(
        "{}: serial {} → {}; {} removed, {} added",
        is.apex(),
        was.serial(),
        is.serial(),
        counted(gone.len(), "record"),
        come.len()
    );
    let removed = lines(&gone, '-', REMOVED);
    print(&format!("{removed}{}{}\n", lines(&come, '+', ADDED), terminal.paint(STRONG, summary)))?;
    Ok(left)
}

/// The records of a zone that another does not have, TTL and all.
fn only_in(zone: &Zone, other: &Zone) -> Vec<String> {
    let mut records = Vec::new();
    let differs = |rrset: &Rrset<'_>| other.get(rrset.owner(), rrset.rtype()).as_ref() != Some(rrset);
    for rrset in zone.rrsets().filter(differs) {
        let there = other.get(rrset.owner(), rrset.rtype()).filter(|there| there.ttl() == rrset.ttl());
        let is_there = |rdata: &[u8]| there.is_some_and(|there| there.rdata().any(|other| other == rdata));
        for rdata in rrset.rdata().filter(|rdata| !is_there(rdata)) {
            let rtype = rrset.rtype();
            records.push(format!("{} {} IN {rtype} {}", rrset.owner(), rrset.ttl(), Rdata(rtype, rdata)));
        }
    }
    records
}

fn read(file: &Path) -> Result<Snapshot, Failed> {
    let shown = file.display();
    let mut octets = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_end(&mut octets)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_FILE).read_to_end(&mut octets))
    };
    read.map_err(|error| Failed(format!("failed to read {shown}: {error}")))?;
    if let Some(Pointer { bucket, key }) = std::str::from_utf8(&octets).ok().and_then(Pointer::parse) {
        let instead = format!("aws s3 cp s3://{bucket}/{key} - | secondary53 snapshot show -");
        return Err(Failed(format!("failed to read {shown}: it says where a snapshot is, and is none; try {instead}")));
    }
    // A message's body is base64, and pasted with whatever is around it.
    if !octets.starts_with(&MAGIC) {
        let text: Vec<u8> = octets.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
        octets = BASE64.decode(text).unwrap_or(octets);
    }
    let decoded = Snapshot::decode(&octets, Limits::default());
    decoded.map_err(|error| Failed(format!("failed to read {shown}: {error}")))
}
