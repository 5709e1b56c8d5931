//! Zone files (RFC 1035 §5), read by the `domain` crate into records in wire form.

use std::path::{Path, PathBuf};

use domain::base::iana::{Class, Rtype};
use domain::base::name::ToName as _;
use domain::base::rdata::ComposeRecordData as _;
use domain::zonefile::inplace::{Entry, ScannedRecord, Zonefile};

use super::{Name, Record};

/// `$INCLUDE` within `$INCLUDE`, so that a file that includes itself ends.
const INCLUDE_DEPTH: usize = 8;

/// A zone as it stands in a file: one SOA, and records at and below its owner, in the file's order and case.
///
/// Every type is read: what the `domain` crate has no presentation form for (LOC, TYPE65280, an empty RDATA) in that of
/// RFC 3597, `\# length hex`. TTLs are seconds: the `1h` of BIND is an extension that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFile {
    soa: Record,
    serial: u32,
    records: Vec<Record>,
    sources: Vec<PathBuf>,
}

impl ZoneFile {
    /// Reads a zone from a file and what it includes. `origin` is what relative names end in until a `$ORIGIN`, as the
    /// zone's name does in a server's configuration.
    ///
    /// # Errors
    /// Unreadable, a syntax error, or not one whole zone. The file is named, and the line.
    pub fn read(path: impl AsRef<Path>, origin: Option<&str>) -> Result<Self, ZoneFileError> {
        let mut reader = Reader::default();
        let origin = origin.map(parse_origin).transpose()?;
        reader.include(path.as_ref(), origin, 0)?;
        reader.finish(path.as_ref())
    }

    /// A zone from text in which names are absolute or follow a `$ORIGIN`.
    ///
    /// # Errors
    /// As for [`ZoneFile::read`]; the file is called `<text>`, and what it includes is looked for in the working directory.
    pub fn parse(text: &str) -> Result<Self, ZoneFileError> {
        Self::parse_text(text, None)
    }

    /// A zone from text whose relative names end in `origin`.
    ///
    /// # Errors
    /// As for [`ZoneFile::parse`].
    pub fn parse_in(origin: &str, text: &str) -> Result<Self, ZoneFileError> {
        Self::parse_text(text, Some(parse_origin(origin)?))
    }

    fn parse_text(text: &str, origin: Option<Name>) -> Result<Self, ZoneFileError> {
        let file = Path::new("<text>");
        let mut reader = Reader::default();
        reader.text(file, text.as_bytes(), origin, 0)?;
        reader.finish(file)
    }

    /// A zone of `records` address records `host-N`, with its SOA and an NS: for tests of size.
    ///
    /// # Errors
    /// `apex` is not a name, or too long to have names below it.
    pub fn generated(apex: &str, serial: u32, records: u32) -> Result<Self, ZoneFileError> {
        use std::fmt::Write as _;
        let mut text = format!("$TTL 300\n@ SOA ns hostmaster {serial} 600 60 86400 60\n@ NS ns\n");
        for n in 0..records {
            let [_, a, b, c] = n.to_be_bytes();
            let _ = writeln!(text, "host-{n} A 10.{a}.{b}.{c}");
        }
        Self::parse_in(apex, &text)
    }

    /// The zone's name, the owner of its SOA.
    pub fn apex(&self) -> &Name {
        &self.soa.owner
    }

    /// The serial of its SOA.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Its SOA.
    pub fn soa(&self) -> &Record {
        &self.soa
    }

    /// Every record but the SOA, in the file's order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The files that it was read from; empty for text.
    pub fn sources(&self) -> &[PathBuf] {
        &self.sources
    }

    /// The same zone at another serial.
    #[must_use]
    pub fn with_serial(mut self, serial: u32) -> Self {
        self.soa = self.soa.with_serial(serial);
        self.serial = serial;
        self
    }

    /// The same zone with one more record, whatever it is and wherever its owner lies: nothing is checked.
    #[must_use]
    pub fn with_record(mut self, record: Record) -> Self {
        self.records.push(record);
        self
    }

    /// Whether both hold the same records in any order, apart from the serial.
    pub fn same_content(&self, other: &Self) -> bool {
        let sorted = |zone: &Self| {
            let mut records = zone.records.clone();
            records.sort_by(Record::canonical_cmp);
            records
        };
        self.soa.clone().with_serial(0) == other.soa.clone().with_serial(0)
            && self.records.len() == other.records.len()
            && sorted(self) == sorted(other)
    }
}

/// Why a zone file was not taken; completes "failed to load the zone: …".
#[derive(Debug, thiserror::Error)]
pub enum ZoneFileError {
    /// The file, or one it includes, cannot be read.
    #[error("failed to read zone file {}: {source}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line that is not what RFC 1035 §5 allows, or not in this place.
    #[error("{}:{line}: {what}", .file.display())]
    Line {
        /// The file, or `<text>`.
        file: PathBuf,
        /// Where the entry begins, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing in the file says what the zone is.
    #[error("{}: no SOA record: add one at the zone's apex", .file.display())]
    NoSoa {
        /// The file, or `<text>`.
        file: PathBuf,
    },
    /// The origin that was passed in is not a domain name.
    #[error("the origin {origin:?} is not a domain name: {source}")]
    Origin {
        /// What was given.
        origin: String,
        /// Why it is none.
        source: domain::base::name::FromStrError,
    },
}

/// The records of a file and its includes, with the place of each until the zone is known to be whole.
#[derive(Default)]
struct Reader {
    records: Vec<(Record, usize, usize)>,
    sources: Vec<PathBuf>,
}

impl Reader {
    fn include(&mut self, path: &Path, origin: Option<Name>, depth: usize) -> Result<(), ZoneFileError> {
        let text = std::fs::read(path).map_err(|source| ZoneFileError::Read { file: path.to_owned(), source })?;
        self.text(path, &text, origin, depth)
    }

    fn text(&mut self, file: &Path, text: &[u8], origin: Option<Name>, depth: usize) -> Result<(), ZoneFileError> {
        let source = self.sources.len();
        self.sources.push(file.to_owned());
        let mut scanner = Zonefile::new();
        scanner.set_default_class(Class::IN);
        if let Some(origin) = origin {
            scanner.set_origin(origin);
        }
        // One entry at a time: the scanner's own line is that of the token behind the one it refused.
        for (line, entry, closed) in Entries::of(text) {
            let at = |what| ZoneFileError::Line { file: file.to_owned(), line, what };
            // The scanner panics on some of these.
            if !closed {
                return Err(at("a parenthesis or a quote is opened and never closed".to_owned()));
            }
            scanner.extend_from_slice(entry);
            if !entry.ends_with(b"\n") {
                scanner.extend_from_slice(b"\n");
            }
            while let Some(entry) = scanner.next_entry().map_err(|error| at(without_place(&error.to_string())))? {
                let (path, origin) = match entry {
                    Entry::Record(record) => {
                        self.records.push((wire(&record), source, line));
                        continue;
                    }
                    Entry::Include { path, origin } => (path, origin),
                };
                if depth == INCLUDE_DEPTH {
                    return Err(at(format!("$INCLUDE goes deeper than {INCLUDE_DEPTH} files")));
                }
                let path = file.parent().unwrap_or(Path::new("")).join(path.as_str());
                // RFC 1035 §5.1: an included file starts at its own origin or the current one.
                let origin = origin.or_else(|| scanner.origin().ok());
                self.include(&path, origin, depth + 1)?;
            }
        }
        Ok(())
    }

    fn finish(self, file: &Path) -> Result<ZoneFile, ZoneFileError> {
        let Self { records, sources } = self;
        let at = |source: usize, line: usize, what: String| {
            let file = sources.get(source).map_or(file, PathBuf::as_path).to_owned();
            ZoneFileError::Line { file, line, what }
        };
        let mut soa: Option<(Record, u32)> = None;
        for (record, source, line) in &records {
            if record.rtype == Rtype::SOA {
                let what = match (&soa, record.serial()) {
                    (None, Some(serial)) => {
                        soa = Some((record.clone(), serial));
                        continue;
                    }
                    (Some(_), _) => "a second SOA record: a zone has one",
                    (None, None) => "an SOA record without its five numbers",
                };
                return Err(at(*source, *line, what.to_owned()));
            }
        }
        let Some((soa, serial)) = soa else {
            return Err(ZoneFileError::NoSoa { file: file.to_owned() });
        };
        for (record, source, line) in &records {
            if !record.owner.ends_with(&soa.owner) {
                let what = format!("{} is outside of the zone {}", record.owner, soa.owner);
                return Err(at(*source, *line, what));
            }
        }
        let records = records.into_iter().map(|(record, _, _)| record).filter(|r| r.rtype != Rtype::SOA).collect();
        let sources = sources.into_iter().filter(|source| source != Path::new("<text>")).collect();
        Ok(ZoneFile { soa, serial, records, sources })
    }
}

fn parse_origin(origin: &str) -> Result<Name, ZoneFileError> {
    Name::bytes_from_str(origin).map_err(|source| ZoneFileError::Origin { origin: origin.to_owned(), source })
}

fn wire(record: &ScannedRecord) -> Record {
    let mut rdata = Vec::new();
    let Ok(()) = record.data().compose_rdata(&mut rdata);
    Record {
        owner: record.owner().to_name(),
        class: record.class(),
        rtype: record.rtype(),
        ttl: record.ttl().as_secs(),
        rdata: rdata.into(),
    }
}

/// The scanner's errors are `LINE:COLUMN: WHAT`.
fn without_place(error: &str) -> String {
    error.splitn(3, ':').nth(2).unwrap_or(error).trim().to_owned()
}

/// The entries of a zone file with the line each begins in: a line, or several in parentheses or quotes
/// (RFC 1035 §5.1).
struct Entries<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Entries<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self { rest: text, line: 1 }
    }
}

impl<'a> Iterator for Entries<'a> {
    /// The line, the entry, and whether what it opens it also closes.
    type Item = (usize, &'a [u8], bool);

    #[expect(clippy::naive_bytecount, reason = "each octet is counted once; a crate for it is not worth it")]
    fn next(&mut self) -> Option<Self::Item> {
        let (mut depth, mut quoted, mut comment, mut escaped) = (0_usize, false, false, false);
        let mut end_of_entry = |octet: &u8| {
            let plain = !std::mem::take(&mut escaped);
            match octet {
                b'\n' if comment || !quoted => {
                    comment = false;
                    return depth == 0;
                }
                _ if comment || !plain => {}
                b'\\' => escaped = true,
                b'"' => quoted = !quoted,
                b';' if !quoted => comment = true,
                b'(' if !quoted => depth += 1,
                b')' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
            false
        };
        let length = self.rest.iter().position(&mut end_of_entry).map_or(self.rest.len(), |at| at + 1);
        let (entry, rest) = self.rest.split_at(length);
        let line = self.line;
        self.rest = rest;
        self.line += entry.iter().filter(|octet| **octet == b'\n').count();
        (!entry.is_empty()).then_some((line, entry, depth == 0 && !quoted))
    }
}

/// Records that are legal and that a reader may stumble over, as a zone: unknown and private types, empty RDATA, a CAA
/// tag of 20 characters, LOC, HINFO, owners in mixed case, an underscore, a wildcard, an escaped dot, octets over 127.
pub const ODD_ZONE: &str = r#"
$ORIGIN odd.example.
$TTL 300
@            SOA ns hostmaster 2147483649 600 60 86400 60
@            NS  ns
@            NS  NS.Other.Example.
ns           A   192.0.2.1
private      TYPE65280 \# 4 01020304
empty        TYPE65281 \# 0
long-tag     CAA \# 27 00 14 6162636465666768696a6b6c6d6e6f7071727374 3132333435
where        TYPE29 \# 16 00 12 16 13 8b 3c e2 10 70 ba 2c 10 00 98 96 80
machine      HINFO "PDP-11/70" "UNIX"
MiXeD.CaSe   A   192.0.2.2
mixed.case   A   192.0.2.3
_dmarc       TXT "v=DMARC1; p=none" "" "a\"b\\c" "\000\200\255"
*.wild       A   192.0.2.4
a\.b.c\032d  TXT "a dot inside a label, and a space"
\195\188     A   192.0.2.5
alias        CNAME MiXeD.CaSe
mail         MX  0 .
svc          HTTPS 1 . alpn=h2,h3 key65333=ex
srv          SRV 1 2 65535 mIxEd.cAsE
"#;
