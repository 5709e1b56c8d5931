//! `snapshot show` and `snapshot digest`.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secondary53_zone::message::Pointer;
use secondary53_zone::presentation::ZoneFile;
use secondary53_zone::snapshot::{MAGIC, Snapshot};
use secondary53_zone::zone::Limits;

use crate::args::SnapshotCommand;

/// The largest file that is read: more than the largest snapshot that [`Limits`] lets through.
const MAX_FILE: u64 = 512 << 20;

/// Runs the command.
pub fn run(command: &SnapshotCommand) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let written = match command {
        SnapshotCommand::Show { file } => write!(out, "{}", ZoneFile(read(file)?.zone())),
        SnapshotCommand::Digest { file } => {
            let snapshot = read(file)?;
            let zone = snapshot.zone();
            writeln!(out, "{} {} {}", snapshot.digest(), zone.serial(), zone.apex())
        }
    };
    match written {
        // `| head` has seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn read(file: &Path) -> Result<Snapshot, String> {
    let shown = file.display();
    let mut octets = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_end(&mut octets)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_FILE).read_to_end(&mut octets))
    };
    read.map_err(|error| format!("failed to read {shown}: {error}"))?;
    if let Some(Pointer { bucket, key }) = std::str::from_utf8(&octets).ok().and_then(Pointer::parse) {
        let instead = format!("aws s3 cp s3://{bucket}/{key} - | secondary53 snapshot show -");
        return Err(format!("failed to read {shown}: it says where a snapshot is, and is none; try {instead}"));
    }
    // A message's body is base64, and pasted with whatever is around it.
    if !octets.starts_with(&MAGIC) {
        let text: Vec<u8> = octets.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
        octets = BASE64.decode(text).unwrap_or(octets);
    }
    Snapshot::decode(&octets, Limits::default()).map_err(|error| format!("failed to read {shown}: {error}"))
}
