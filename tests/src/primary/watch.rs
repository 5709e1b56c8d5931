//! Serves a zone file as somebody edits it.
//!
//! The file belongs to its editor and is never written. Where its content has changed and its serial has not been raised,
//! the zone is served at the served serial + 1 (RFC 1982), and goes on from there; a newer serial in the file wins.
//! A file that cannot be read as a zone changes nothing: the old zone stays, and the error is told.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::notify::{NotifyAnswer, NotifyError, Transport};
use super::server::Shared;
use super::{Name, ZoneFile, ZoneFileError, newer};

/// A file is read when it has looked the same twice, this long apart: an editor may still be writing it, and half a zone
/// can be a whole one to a parser.
const POLL: Duration = Duration::from_millis(100);
/// Events that wait to be read; a full channel holds the watch up, a dropped receiver does not.
const EVENTS: usize = 64;

/// A file being watched. Dropping it ends that; the zone stays as it is.
pub struct Watch {
    task: JoinHandle<()>,
}

/// What became of a file that was saved.
#[derive(Debug)]
pub enum WatchEvent {
    /// It is served, and NOTIFY is on its way.
    Served {
        /// The serial it is served at.
        serial: u32,
        /// Set where the file's own serial was not newer than what was served: that serial.
        raised_from: Option<u32>,
        /// Records, the SOA among them.
        records: usize,
    },
    /// The same records as are served, and no newer serial.
    Unchanged,
    /// It is not served: it cannot be read as the zone. The old zone is.
    Refused(ZoneFileError),
    /// It is not served: its SOA stands at another name. The old zone is.
    Renamed {
        /// The zone that is watched.
        zone: Name,
        /// What the file now holds.
        found: Name,
    },
    /// A NOTIFY was answered, or not.
    Notified {
        /// By whom.
        target: SocketAddr,
        /// With what.
        answer: Result<NotifyAnswer, NotifyError>,
    },
}

impl Watch {
    pub(super) fn start(
        shared: Arc<Shared>,
        path: &Path,
        origin: Option<&str>,
        targets: Vec<SocketAddr>,
    ) -> Result<(Self, mpsc::Receiver<WatchEvent>), ZoneFileError> {
        let (events, receiver) = mpsc::channel(EVENTS);
        // Before the file is read: a save in between is seen as one.
        let mut seen = look(&[path.to_owned()]);
        let zone = ZoneFile::read(path, origin)?;
        let sources = zone.sources().to_owned();
        if sources.len() > 1 {
            seen = look(&sources);
        }
        let watcher = Watcher {
            path: path.to_owned(),
            origin: origin.map(str::to_owned),
            apex: zone.apex().clone(),
            sources,
            seen,
            targets,
            events,
            notifying: JoinSet::new(),
            shared,
        };
        watcher.shared.set_zone(zone);
        Ok((Self { task: tokio::spawn(watcher.run()) }, receiver))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watcher {
    shared: Arc<Shared>,
    path: PathBuf,
    origin: Option<String>,
    apex: Name,
    /// The file and what it includes.
    sources: Vec<PathBuf>,
    /// How they looked when they were last read.
    seen: Look,
    targets: Vec<SocketAddr>,
    events: mpsc::Sender<WatchEvent>,
    /// Of the newest zone only; dropped with the watch.
    notifying: JoinSet<()>,
}

impl Watcher {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = self.seen.clone();
        loop {
            ticks.tick().await;
            let now = look(&self.sources);
            let settled = now == before;
            before.clone_from(&now);
            if !settled || now == self.seen {
                continue;
            }
            // From before the file is read: a save in between is seen at the next tick.
            self.seen = now;
            let event = self.reread();
            let served = matches!(event, WatchEvent::Served { .. });
            // Where nobody listens, the zone is served all the same.
            let _nobody = self.events.send(event).await;
            if served {
                self.notify();
            }
        }
    }

    fn reread(&mut self) -> WatchEvent {
        let mut zone = match ZoneFile::read(&self.path, self.origin.as_deref()) {
            Ok(zone) => zone,
            Err(error) => return WatchEvent::Refused(error),
        };
        if *zone.apex() != self.apex {
            return WatchEvent::Renamed { zone: self.apex.clone(), found: zone.apex().clone() };
        }
        if zone.sources() != self.sources {
            zone.sources().clone_into(&mut self.sources);
            self.seen = look(&self.sources);
        }
        let mut raised_from = None;
        if let Some(served) = self.shared.zone(&self.apex)
            && !newer(zone.serial(), served.serial())
        {
            if zone.same_content(&served) {
                return WatchEvent::Unchanged;
            }
            raised_from = Some(zone.serial());
            zone = zone.with_serial(served.serial().wrapping_add(1));
        }
        let event = WatchEvent::Served { serial: zone.serial(), raised_from, records: zone.records().len() + 1 };
        self.shared.set_zone(zone);
        event
    }

    fn notify(&mut self) {
        // What is still being sent for an older serial says nothing any more.
        self.notifying = JoinSet::new();
        let Some(zone) = self.shared.zone(&self.apex) else { return };
        for target in self.targets.iter().copied() {
            let notification = self.shared.notification(&zone);
            let events = self.events.clone();
            self.notifying.spawn(async move {
                let answer = notification.send(target, Transport::Udp).await;
                let _nobody = events.send(WatchEvent::Notified { target, answer }).await;
            });
        }
    }
}

/// How files look from outside: any save changes it, by rename or in place. A file that is not there looks like nothing.
type Look = Vec<Option<[i64; 5]>>;

fn look(files: &[PathBuf]) -> Look {
    let of = |file: &PathBuf| {
        let is = fs::metadata(file).ok()?;
        Some([is.mtime(), is.mtime_nsec(), is.ctime_nsec(), is.size().cast_signed(), is.ino().cast_signed()])
    };
    files.iter().map(of).collect()
}
