//! What is to be seen of the relay: facts about each zone and each queue, counted as they happen, and a copy of them all for
//! whoever asks. No I/O, no clock.
//!
//! The loop keeps the facts where it keeps the zone, so nothing is shared and nothing is locked; a copy is made when it is
//! asked for. [`http`](crate::http) shows it.

mod histogram;
mod summary;
mod time;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use secondary53_zone::{Name, Serial};
use serde::{Deserialize, Serialize};

pub use self::histogram::Histogram;
pub use self::time::Time;
use crate::refresh::Notified;

/// The relay at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// What the relay calls itself.
    pub relay: String,
    /// When it was started.
    pub started_at: Time,
    /// When this was seen.
    pub now: Time,
    /// What was counted since the start.
    pub counts: Counts,
    /// The queues, in the order of the configuration.
    pub queues: Vec<Queue>,
    /// The zones, in no order.
    pub zones: Vec<Zone>,
    /// The account, where its hosted zones are zones here.
    pub account: Option<Account>,
}

/// What is known of the account whose hosted zones are zones. It is an entry of `/zones`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// When its hosted zones were last listed.
    pub listed_at: Option<Time>,
    /// Public hosted zones of the last list.
    pub hosted_zones: usize,
    /// When a list first failed since.
    pub failing_since: Option<Time>,
    /// What is wrong, for a person.
    pub error: Option<String>,
}

/// A zone, as it is shown. This is an entry of `/zones`: its fields are a promise, and all of them are always there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Its name, in presentation format with the last dot.
    #[serde(with = "as_text")]
    pub zone: Name,
    /// How it stands.
    pub status: Status,
    /// The serial at the primary when it last answered.
    pub primary_serial: Option<Serial>,
    /// The serial that all queues of the zone have accepted, in this run or an earlier one.
    pub sent_serial: Option<Serial>,
    /// The serial that the hosted zone's name servers gave.
    pub live_serial: Option<Serial>,
    /// The last NOTIFY that a primary sent.
    pub notified_at: Option<Time>,
    /// When a primary last answered with a serial that is no trouble.
    pub refreshed_at: Option<Time>,
    /// The last transfer.
    pub transferred_at: Option<Time>,
    /// When all queues had accepted what was sent last.
    pub sent_at: Option<Time>,
    /// When the last serial that was sent was first seen live.
    pub live_at: Option<Time>,
    /// When it is looked at next, unless a NOTIFY comes before; null while a look is under way.
    pub next_look_at: Option<Time>,
    /// Seconds since the first news of the change that has not got through; null where there is none.
    pub behind_seconds: Option<u64>,
    /// Records of the last transfer.
    pub records: Option<usize>,
    /// What is wrong, for a person.
    pub error: Option<String>,
    /// Who says that it is a zone here.
    pub origin: Origin,
    /// The catalog that it is a member of, written as the zone is.
    pub catalog: Option<String>,
    /// Where it is a catalog itself: its members.
    pub members: Option<usize>,
}

/// Who says that a zone is one here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The configuration names it.
    #[default]
    Configuration,
    /// It is a member of a catalog.
    Catalog,
    /// The account has a hosted zone of that name.
    Account,
}

/// How a zone stands, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// No primary has answered for as long as the SOA allows. What is published stays.
    Expired,
    /// The primary has an older serial than what was sent.
    Backwards,
    /// It is a catalog, and what the primary has of it is none that can be used. Its members stay as they were.
    Broken,
    /// The last look has failed.
    Failing,
    /// A queue does not accept it.
    Unsent,
    /// It was sent, and did not become live in the time that it is waited for.
    Unconfirmed,
    /// A change is on its way.
    Behind,
    /// No primary has been asked yet.
    Starting,
    /// What the primary has is what was sent and, where that is asked, live.
    Current,
}

/// What is known of a zone.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    primary: Option<Serial>,
    sent: Option<Serial>,
    live: Option<Serial>,
    notified_at: Option<Time>,
    refreshed_at: Option<Time>,
    transferred_at: Option<Time>,
    sent_at: Option<Time>,
    live_at: Option<Time>,
    behind_since: Option<Time>,
    records: Option<usize>,
    look_error: Option<String>,
    backwards: bool,
    broken: Option<Box<str>>,
    send_error: Option<String>,
    live_error: Option<String>,
}

/// What is known of a queue.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// Its name in the configuration.
    pub name: String,
    /// Messages that it accepted.
    pub accepted: u64,
    /// Octets of these.
    pub octets: u64,
    /// Messages that it did not accept, each attempt counted.
    pub failed: u64,
    /// When it last accepted one.
    pub accepted_at: Option<Time>,
    /// The first failure since, and what was said of the last.
    pub failing: Option<(Time, String)>,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// NOTIFY of a primary that made the relay look.
    pub notifies_looked: u64,
    /// NOTIFY of a primary during a look, which another look follows.
    pub notifies_merged: u64,
    /// NOTIFY of a primary with a serial that is not newer.
    pub notifies_not_newer: u64,
    /// What came as NOTIFY and was refused.
    pub notifies_refused: u64,
    /// Looks that found nothing newer.
    pub looks_current: u64,
    /// Looks that ended with a transfer.
    pub looks_transferred: u64,
    /// Looks that no primary answered well.
    pub looks_failed: u64,
    /// Looks whose serial went backwards.
    pub looks_backwards: u64,
    /// Octets of transfers that were complete.
    pub transfer_octets: u64,
    /// Records of these.
    pub transfer_records: u64,
    /// Looks at one primary that failed.
    pub primary_failures: Vec<(SocketAddr, u64)>,
    /// Primaries that could not be reached when they were last asked.
    pub primaries_lost: BTreeSet<SocketAddr>,
    /// Zones that could not be put into a message.
    pub pack_failures: u64,
    /// Snapshots that the queues accepted and the disk did not.
    pub store_failures: u64,
    /// The first of these since the disk last took one, and what was said of the last.
    pub store_failing: Option<(Time, String)>,
    /// From NOTIFY until all queues had accepted the change.
    pub accepted_seconds: Histogram,
    /// From NOTIFY until the change was live.
    pub live_seconds: Histogram,
}

/// A queue that has accepted nothing for so long, while something was to be sent, makes the relay ill.
pub const QUEUE_PATIENCE: Duration = Duration::from_mins(5);

impl View {
    /// Why the relay is not well; `None` where it is.
    pub fn illness(&self) -> Option<String> {
        self.queues.iter().find_map(|queue| {
            let (since, error) = queue.failing.as_ref()?;
            let long = self.now.since(*since);
            let told = || {
                let long = humantime::format_duration(Duration::from_secs(long.as_secs()));
                format!("queue {} has accepted nothing for {long}: {error}", queue.name)
            };
            (long >= QUEUE_PATIENCE).then(told)
        })
    }
}

impl Status {
    /// All of them, the worst first.
    pub const ALL: [Self; 9] = [
        Self::Expired,
        Self::Backwards,
        Self::Broken,
        Self::Failing,
        Self::Unsent,
        Self::Unconfirmed,
        Self::Behind,
        Self::Starting,
        Self::Current,
    ];

    /// Whether somebody should look at it.
    pub fn is_trouble(self) -> bool {
        self <= Self::Unconfirmed
    }

    /// A word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Backwards => "backwards",
            Self::Broken => "broken",
            Self::Failing => "failing",
            Self::Unsent => "unsent",
            Self::Unconfirmed => "unconfirmed",
            Self::Behind => "behind",
            Self::Starting => "starting",
            Self::Current => "current",
        }
    }
}

impl Seen {
    /// A zone at the start: with the serial of the stored snapshot, if there is one.
    pub fn new(sent: Option<Serial>) -> Self {
        Self { sent, ..Self::default() }
    }

    /// A primary sent a NOTIFY.
    pub fn notified(&mut self, now: Time) {
        self.notified_at = Some(now);
    }

    /// The primary has what we have.
    pub fn current(&mut self, serial: Serial, now: Time) {
        self.answered(serial, now);
    }

    /// The zone was transferred; `notified_at` is the NOTIFY that made us look.
    pub fn transferred(&mut self, serial: Serial, records: usize, now: Time, notified_at: Option<Time>) {
        self.answered(serial, now);
        self.transferred_at = Some(now);
        self.records = Some(records);
        if self.sent != Some(serial) {
            self.behind_since.get_or_insert(notified_at.unwrap_or(now));
        }
    }

    /// The look has failed, or what came of it cannot be sent.
    pub fn failed(&mut self, error: String) {
        self.backwards = false;
        self.look_error = Some(error);
    }

    /// The primary has something older.
    pub fn went_backwards(&mut self, serial: Serial, error: String) {
        self.primary = Some(serial);
        self.backwards = true;
        self.look_error = Some(error);
    }

    /// It is a catalog, and broken.
    pub fn broken(&mut self, error: &str) {
        self.broken = Some(error.into());
    }

    /// The members of this serial of a catalog are zones here.
    pub fn listed(&mut self, serial: Serial, now: Time) {
        self.broken = None;
        self.sent(serial, now, false);
    }

    /// All queues have accepted this serial; `confirms` says whether it is seen to become live.
    pub fn sent(&mut self, serial: Serial, now: Time, confirms: bool) {
        self.sent = Some(serial);
        self.sent_at = Some(now);
        self.send_error = None;
        self.live_error = None;
        if !confirms {
            self.arrived();
        }
    }

    /// A queue did not accept it.
    pub fn not_sent(&mut self, error: String) {
        self.send_error = Some(error);
    }

    /// The name servers of the hosted zone gave this serial; `done` where it is what was sent, or newer.
    pub fn live(&mut self, serial: Serial, now: Time, done: bool) {
        self.live = Some(serial);
        if done {
            self.live_at = Some(now);
            self.live_error = None;
            self.arrived();
        }
    }

    /// What was sent did not become live. Whether that is news.
    pub fn not_live(&mut self, error: String) -> bool {
        self.live_error.replace(error).is_none()
    }

    /// Whether this serial is live cannot be known: that the queues have it is all.
    pub fn unknowable(&mut self, serial: Serial) {
        if self.sent == Some(serial) {
            self.arrived();
        }
    }

    /// It is not asked any more whether it is live.
    pub fn not_confirmed(&mut self) {
        self.live_error = None;
        self.arrived();
    }

    /// Whether this is what the queues have.
    pub fn has_sent(&self, serial: Serial) -> bool {
        self.sent == Some(serial)
    }

    /// As it is shown.
    pub fn show(&self, zone: Name, expired: bool, next_look_at: Option<Time>, now: Time) -> Zone {
        let Self { look_error, send_error, live_error, .. } = self;
        let error = look_error.as_ref().or(send_error.as_ref()).or(live_error.as_ref()).cloned();
        Zone {
            zone,
            status: self.status(expired),
            primary_serial: self.primary,
            sent_serial: self.sent,
            live_serial: self.live,
            notified_at: self.notified_at,
            refreshed_at: self.refreshed_at,
            transferred_at: self.transferred_at,
            sent_at: self.sent_at,
            live_at: self.live_at,
            next_look_at,
            behind_seconds: self.behind_since.map(|since| now.since(since).as_secs()),
            records: self.records,
            error: self.broken.as_deref().map(str::to_owned).filter(|_| look_error.is_none()).or(error),
            origin: Origin::Configuration,
            catalog: None,
            members: None,
        }
    }

    fn status(&self, expired: bool) -> Status {
        if expired {
            Status::Expired
        } else if self.backwards {
            Status::Backwards
        } else if self.broken.is_some() {
            Status::Broken
        } else if self.look_error.is_some() {
            Status::Failing
        } else if self.send_error.is_some() {
            Status::Unsent
        } else if self.live_error.is_some() {
            Status::Unconfirmed
        } else if self.behind_since.is_some() {
            Status::Behind
        } else if self.primary.is_none() {
            Status::Starting
        } else {
            Status::Current
        }
    }

    fn answered(&mut self, serial: Serial, now: Time) {
        self.primary = Some(serial);
        self.refreshed_at = Some(now);
        self.backwards = false;
        self.look_error = None;
    }

    /// The change has got through, unless the primary has a newer one by now.
    fn arrived(&mut self) {
        if self.primary.is_none_or(|primary| self.sent == Some(primary)) {
            self.behind_since = None;
        }
    }
}

impl Account {
    /// Its hosted zones were listed.
    pub fn listed(&mut self, hosted_zones: usize, now: Time) {
        *self = Self { listed_at: Some(now), hosted_zones, ..Self::default() };
    }

    /// They could not be listed.
    pub fn failed(&mut self, error: String, now: Time) {
        self.failing_since.get_or_insert(now);
        self.error = Some(error);
    }
}

impl Queue {
    /// One of which nothing is known.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// It accepted a message.
    pub fn accepted(&mut self, octets: usize, now: Time) {
        self.accepted += 1;
        self.octets += octets as u64;
        self.accepted_at = Some(now);
        self.failing = None;
    }

    /// It did not.
    pub fn failed(&mut self, error: String, now: Time) {
        self.failed += 1;
        let since = self.failing.take().map_or(now, |(since, _)| since);
        self.failing = Some((since, error));
    }
}

impl Counts {
    /// With a place for each primary.
    pub fn new(primaries: impl Iterator<Item = SocketAddr>) -> Self {
        let mut primary_failures: Vec<_> = primaries.map(|primary| (primary, 0)).collect();
        primary_failures.sort_unstable();
        primary_failures.dedup();
        Self { primary_failures, ..Self::default() }
    }

    /// With a place for each of these primaries, and for no other.
    #[must_use]
    pub fn taken_over(&self, primaries: impl Iterator<Item = SocketAddr>) -> Self {
        let mut counts = Self { primary_failures: Self::new(primaries).primary_failures, ..self.clone() };
        for (primary, count) in &mut counts.primary_failures {
            let before = self.primary_failures.iter().find(|(known, _)| known == primary);
            *count = before.map_or(0, |(_, count)| *count);
        }
        counts
    }

    /// What the queues accepted is stored, or why not.
    pub fn stored(&mut self, error: Option<String>, now: Time) {
        self.store_failures += u64::from(error.is_some());
        let since = self.store_failing.take().map_or(now, |(since, _)| since);
        self.store_failing = error.map(|error| (since, error));
    }

    /// A primary sent a NOTIFY.
    pub fn notified(&mut self, notified: Notified) {
        match notified {
            Notified::Look(_) => self.notifies_looked += 1,
            Notified::Merged => self.notifies_merged += 1,
            Notified::NotNewer => self.notifies_not_newer += 1,
        }
    }

    /// A look that was counted as one that ended well, with a transfer or without, went backwards.
    pub fn backwards(&mut self, transferred: bool) {
        self.looks_backwards += 1;
        let counted = if transferred { &mut self.looks_transferred } else { &mut self.looks_current };
        *counted = counted.saturating_sub(1);
    }

    /// A look at this primary has failed.
    pub fn primary_failed(&mut self, primary: SocketAddr) {
        if let Some((_, count)) = self.primary_failures.iter_mut().find(|(known, _)| *known == primary) {
            *count += 1;
        }
    }
}

mod as_text {
    use super::{Deserialize as _, Name};

    pub(super) fn serialize<S: serde::Serializer>(name: &Name, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(name)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;

    fn show(seen: &Seen, now: u64) -> Zone {
        seen.show("example.com".parse().unwrap(), false, None, Time(now))
    }

    #[test]
    fn a_change_on_its_way() {
        let mut seen = Seen::new(Some(Serial(1)));
        assert_eq!((show(&seen, 0).status, show(&seen, 0).sent_serial), (Status::Starting, Some(Serial(1))));
        seen.current(Serial(1), Time(0));
        assert_eq!(show(&seen, 0).status, Status::Current);
        seen.notified(Time(SECOND));
        seen.transferred(Serial(2), 4, Time(2 * SECOND), Some(Time(SECOND)));
        let zone = show(&seen, 4 * SECOND);
        assert_eq!((zone.status, zone.behind_seconds), (Status::Behind, Some(3)));
        seen.not_sent("no route".to_owned());
        assert_eq!(show(&seen, 0).error.as_deref(), Some("no route"));
        // A newer one came meanwhile: still behind, since the first.
        seen.transferred(Serial(3), 4, Time(5 * SECOND), None);
        assert_eq!(show(&seen, 0).status, Status::Unsent);
        seen.sent(Serial(2), Time(6 * SECOND), false);
        assert_eq!(show(&seen, 7 * SECOND).behind_seconds, Some(6));
        seen.sent(Serial(3), Time(8 * SECOND), true);
        assert_eq!(show(&seen, 8 * SECOND).status, Status::Behind);
        seen.live(Serial(2), Time(9 * SECOND), false);
        assert_eq!((show(&seen, 9 * SECOND).status, show(&seen, 0).live_serial), (Status::Behind, Some(Serial(2))));
        seen.not_live("serial 2 still".to_owned());
        assert_eq!(show(&seen, 9 * SECOND).status, Status::Unconfirmed);
        seen.live(Serial(3), Time(10 * SECOND), true);
        let zone = show(&seen, 10 * SECOND);
        assert_eq!((zone.status, zone.behind_seconds, zone.error), (Status::Current, None, None));
    }

    #[test]
    fn what_is_wrong_is_shown_until_it_is_right() {
        let mut seen = Seen::default();
        seen.failed("no answer".to_owned());
        assert_eq!(show(&seen, 0).status, Status::Failing);
        assert_eq!(seen.show(Name::root(), true, None, Time(0)).status, Status::Expired);
        seen.went_backwards(Serial(1), "older".to_owned());
        assert_eq!((show(&seen, 0).status, show(&seen, 0).primary_serial), (Status::Backwards, Some(Serial(1))));
        seen.failed("no answer".to_owned());
        assert_eq!(show(&seen, 0).status, Status::Failing);
        seen.current(Serial(2), Time(0));
        assert_eq!((show(&seen, 0).status, show(&seen, 0).error), (Status::Current, None));
    }

    #[test]
    fn the_worst_comes_first() {
        assert!(Status::ALL.is_sorted());
        let troubles = Status::ALL.into_iter().filter(|status| status.is_trouble()).count();
        assert_eq!(troubles, 6);
    }

    #[test]
    fn a_queue_that_accepts_nothing_for_long_is_an_illness() {
        let mut view = View {
            relay: String::new(),
            started_at: Time(0),
            now: Time(0),
            counts: Counts::default(),
            queues: vec![Queue::new("a"), Queue::new("main")],
            zones: Vec::new(),
            account: None,
        };
        view.queues[1].failed("no route".to_owned(), Time(0));
        view.queues[1].failed("refused".to_owned(), Time(200 * SECOND));
        view.now = Time(299 * SECOND);
        assert_eq!(view.illness(), None);
        view.now = Time(300 * SECOND);
        assert_eq!(view.illness().unwrap(), "queue main has accepted nothing for 5m: refused");
        view.queues[1].accepted(7, view.now);
        assert_eq!(view.illness(), None);
    }
}
