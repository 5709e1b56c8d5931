//! The last snapshot of each zone that all its queues accepted: a file for each zone, and all the state there is.
//!
//! The primary is the log. A relay that has lost a file, or finds one that it cannot read, asks the primary again, so a bad
//! file is a warning and never an error. What must not be is half a file under the right name, so each is written under
//! another name, flushed to the disk, and renamed.
//!
//! Beside it stands which queues these were, a line for each, by its URL and the hosted zone that is to be brought up to it,
//! where one was named: one that is configured later has not had it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use secondary53_zone::snapshot::SnapshotError;
use secondary53_zone::{Limits, Name, Snapshot};
use sha2::{Digest as _, Sha256};
use tracing::warn;

/// The directory of the snapshots.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// Why a snapshot could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system would not.
    #[error("failed to {doing} {}: {error}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or the directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is not a snapshot.
    #[error("failed to understand {}: {error}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<SnapshotError>,
    },
    /// It did not come to it.
    #[error("failed to write a snapshot: {0}")]
    NotTried(io::Error),
    /// The file is a snapshot of another zone.
    #[error("failed to use {}: it holds zone {found}", .path.display())]
    OtherZone {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: Name,
    },
}

/// What the name of the file of the queues ends in.
const QUEUES: &str = "queues";
/// The longest file name on the file systems there are, less room for the suffixes.
const MAX_STEM: usize = 200;

impl Store {
    /// Opens the directory, and makes it where it is not there.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(directory).map_err(failed("make the directory", directory))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// The zone's snapshot; `None` where there is none.
    pub fn read(&self, zone: &Name, limits: Limits) -> Result<Option<Snapshot>, StoreError> {
        let path = self.path(zone);
        let octets = match read_within(&path, limits.octets) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(failed("read", &path))?,
        };
        let snapshot = match Snapshot::decode(&octets, limits) {
            Ok(snapshot) => snapshot,
            Err(error) => return Err(StoreError::Damaged { path, error: Box::new(error) }),
        };
        if snapshot.zone().apex() != zone {
            return Err(StoreError::OtherZone { path, found: snapshot.zone().apex().clone() });
        }
        Ok(Some(snapshot))
    }

    /// The queues that accepted the zone's snapshot.
    pub fn queues(&self, zone: &Name) -> Result<BTreeSet<String>, StoreError> {
        let path = self.path(zone).with_extension(QUEUES);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            read => Ok(read.map_err(failed("read", &path))?.lines().map(ToOwned::to_owned).collect()),
        }
    }

    /// Puts the octets of a snapshot in the place of the zone's last one, which these queues have accepted.
    pub fn write(&self, zone: &Name, snapshot: &[u8], queues: &BTreeSet<String>) -> Result<(), StoreError> {
        self.put(zone, snapshot, queues)?;
        self.flush()
    }

    /// The same, but that it outlives a power failure only once [`Store::flush`] has ended well: once for many zones.
    pub fn put(&self, zone: &Name, snapshot: &[u8], queues: &BTreeSet<String>) -> Result<(), StoreError> {
        // The queues first. Cut off in between, the snapshot is one that each of them has had, or had something newer of: the
        // other way round, a queue that is in the configuration no more would seem to have what it was never sent.
        if self.queues(zone).ok().as_ref() != Some(queues) {
            let lines: String = queues.iter().flat_map(|queue| [queue, "\n"]).collect();
            self.replace(&self.path(zone).with_extension(QUEUES), lines.as_bytes())?;
            self.flush()?;
        }
        self.replace(&self.path(zone), snapshot)
    }

    /// What was put is on the disk once the directory is: it holds the new names.
    pub fn flush(&self) -> Result<(), StoreError> {
        let directory = File::open(&self.directory).and_then(|directory| directory.sync_all());
        directory.map_err(failed("flush", &self.directory))
    }

    /// Forgets the zone.
    pub fn forget(&self, zone: &Name) -> Result<(), StoreError> {
        let path = self.path(zone);
        // The snapshot first: without it, the list of queues means nothing.
        for path in [&path, &path.with_extension(QUEUES)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", path)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Notes that the zone's snapshot is one that no differences apply to any more (RFC 1995): the primary has gone back, and
    /// what it counts on from there has the serials of before and another content.
    pub fn no_base(&self, zone: &Name, limits: Limits) -> Result<(), StoreError> {
        let Some(snapshot) = self.read(zone, limits)?.filter(|snapshot| snapshot.exact().is_some()) else {
            return Ok(());
        };
        let octets = snapshot.with_exact(None).encode().map_err(failed("encode", &self.path(zone)))?;
        self.replace(&self.path(zone), &octets)?;
        self.flush()
    }

    fn replace(&self, path: &Path, octets: &[u8]) -> Result<(), StoreError> {
        let new = path.with_extension("new");
        let write = || {
            let mut file = self.create(&new)?;
            file.write_all(octets)?;
            file.sync_all()
        };
        let replaced = write().map_err(failed("write", &new));
        let replaced = replaced.and_then(|()| fs::rename(&new, path).map_err(failed("replace", path)));
        if replaced.is_err() {
            // On a full disk, half a file takes the room that the next one needs. It counts for nothing in any case.
            drop(fs::remove_file(&new));
        }
        replaced
    }

    /// Makes the file, and the directory too if somebody has removed it while the relay runs.
    fn create(&self, path: &Path) -> io::Result<File> {
        match File::create(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.directory)?;
                warn!(directory = %self.directory.display(), "was gone, and is made anew; what operators ask for is heard after a restart");
                File::create(path)
            }
            created => created,
        }
    }

    fn path(&self, zone: &Name) -> PathBuf {
        self.directory.join(stem(zone) + ".snapshot")
    }
}

/// A file, and no more of it than so many octets: a snapshot is smaller than what it unfolds to, and a larger one is cut off
/// here and damaged then.
fn read_within(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut octets)?;
    Ok(octets)
}

/// A file name of letters that every file system keeps apart, no two zones with the same. The name cannot leave the
/// directory: it holds no slash and does not begin with a dot.
fn stem(zone: &Name) -> String {
    let mut stem = String::new();
    for (index, label) in zone.by_ref().labels().enumerate() {
        if index > 0 {
            stem.push('.');
        }
        for &octet in label {
            match octet {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => stem.push(octet.into()),
                // Writing to a String does not fail.
                _ => drop(write!(stem, "%{octet:02X}")),
            }
        }
    }
    if stem.is_empty() {
        // The root has no label; "%2E" is the zone of one label that is a dot.
        return "root=".to_owned();
    }
    if stem.len() > MAX_STEM {
        // "=" stands in no name of labels.
        let digest = Sha256::digest(zone.as_wire());
        return digest.iter().fold(String::from("sha256="), |stem, octet| stem + &format!("{octet:02x}"));
    }
    stem
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |error| StoreError::Io { doing, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use secondary53_zone::snapshot::Exact;
    use secondary53_zone::{Rtype, ZoneBuilder};

    use super::*;

    fn snapshot(apex: &Name, serial: u8) -> Snapshot {
        let mut builder = ZoneBuilder::new(apex.clone(), Limits::default());
        let soa = [&[0, 0][..], &[0, 0, 0, serial], &[0; 16]].concat();
        builder.push(apex.by_ref(), Rtype::SOA, 60, &soa).unwrap();
        Snapshot::new(builder.build().unwrap().zone)
    }

    fn queues(urls: &[&str]) -> BTreeSet<String> {
        urls.iter().map(|url| (*url).to_owned()).collect()
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn names() -> Vec<Name> {
        let long = format!("{0}.{0}.{0}.example", "\\000".repeat(60));
        let other = format!("{0}.{0}.{0}.example", "\\001".repeat(60));
        [
            "example.com",
            ".",
            "\\.",
            "a/b.example",
            "a\\.b.example",
            "a.b.example",
            "..\\/",
            "\\.\\.",
            "%2e",
            &long,
            &other,
        ]
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect()
    }

    #[test]
    fn what_was_written_is_read_for_any_name() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("new/state")).unwrap();
        for zone in names() {
            assert!(store.read(&zone, Limits::default()).unwrap().is_none(), "{zone}");
            for serial in [1, 2] {
                store
                    .write(&zone, &snapshot(&zone, serial).encode().unwrap(), &queues(&[&zone.to_string(), "b"]))
                    .unwrap();
            }
        }
        for zone in names() {
            assert_eq!(store.read(&zone, Limits::default()).unwrap(), Some(snapshot(&zone, 2)));
            assert_eq!(store.queues(&zone).unwrap(), queues(&[&zone.to_string(), "b"]));
        }
        // Two files each, all of them here.
        let files = || fs::read_dir(directory.path().join("new/state")).unwrap().count();
        assert_eq!(files(), 2 * names().len());
        for zone in names() {
            store.forget(&zone).unwrap();
            store.forget(&zone).unwrap();
            assert!(store.read(&zone, Limits::default()).unwrap().is_none());
        }
        assert_eq!(files(), 0);
    }

    #[test]
    fn a_snapshot_that_is_no_base_is_still_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let zone = name("example.com");
        store.no_base(&zone, Limits::default()).unwrap();
        let exact = snapshot(&zone, 1).with_exact(Some(Exact::default()));
        store.write(&zone, &exact.encode().unwrap(), &queues(&["a"])).unwrap();
        for _ in 0..2 {
            store.no_base(&zone, Limits::default()).unwrap();
            let stored = store.read(&zone, Limits::default()).unwrap().unwrap();
            assert_eq!((stored.exact(), stored), (None, snapshot(&zone, 1)));
        }
        assert_eq!(store.queues(&zone).unwrap(), queues(&["a"]));
    }

    #[test]
    fn file_names_say_whose_they_are() {
        assert_eq!(stem(&name("Example.COM")), "example.com");
        assert_eq!(stem(&name("0/25.2.0.192.in-addr.arpa")), "0%2F25.2.0.192.in-addr.arpa");
        assert_eq!(stem(&name("a\\.b.example")), "a%2Eb.example");
    }

    #[test]
    fn a_damaged_file_is_told_and_can_be_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let (ours, other) = (name("example.com"), name("example.net"));
        let good = snapshot(&ours, 1).encode().unwrap();
        for bad in [&good[..good.len() - 1], b"", b"junk"] {
            store.write(&ours, bad, &queues(&["a"])).unwrap();
            assert!(matches!(store.read(&ours, Limits::default()), Err(StoreError::Damaged { .. })));
        }
        store.write(&other, &good, &queues(&["a"])).unwrap();
        let told = store.read(&other, Limits::default()).unwrap_err().to_string();
        assert!(told.ends_with("example.net.snapshot: it holds zone example.com."), "{told}");
        store.write(&ours, &good, &queues(&["a"])).unwrap();
        assert!(store.read(&ours, Limits::default()).unwrap().is_some());
    }

    #[test]
    fn a_bit_that_has_flipped_makes_no_other_zone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let zone = name("example.com");
        for exact in [None, Some(Exact::default())] {
            let good = snapshot(&zone, 1).with_exact(exact);
            let octets = good.encode().unwrap();
            for bit in 0..8 * octets.len() {
                let mut bad = octets.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                fs::write(store.path(&zone), bad).unwrap();
                // Another zone it never is, nor one that differences apply to and was none.
                if let Ok(read) = store.read(&zone, Limits::default()) {
                    let read = read.unwrap();
                    assert_eq!(read.zone(), good.zone(), "{bit}");
                    assert!(read.exact().is_none() || exact.is_some(), "{bit}");
                }
            }
        }
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let (ours, other) = (name("example.com"), name("example.net"));
        let write = |zone: &Name, serial| store.write(zone, &snapshot(zone, serial).encode().unwrap(), &queues(&["a"]));
        write(&ours, 1).unwrap();
        fs::create_dir(store.path(&ours).with_extension("new")).unwrap();
        assert!(write(&ours, 2).is_err());
        assert_eq!(store.read(&ours, Limits::default()).unwrap(), Some(snapshot(&ours, 1)));
        // Half of one, left over by a relay that was killed.
        fs::write(store.path(&other).with_extension("new"), b"half").unwrap();
        assert!(store.read(&other, Limits::default()).unwrap().is_none());
        write(&other, 1).unwrap();
        // The directory itself is gone.
        fs::remove_dir_all(directory.path()).unwrap();
        assert!(store.read(&other, Limits::default()).unwrap().is_none());
        write(&other, 2).unwrap();
        assert_eq!(store.read(&other, Limits::default()).unwrap(), Some(snapshot(&other, 2)));
    }
}
