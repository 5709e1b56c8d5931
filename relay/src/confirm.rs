//! When to ask the hosted zone's name servers whether what was sent is live: one small machine per zone. No I/O, no clock.
//!
//! ```text
//!   ┌─────────┐ sent  ┌─────────┐  they have it, or newer   ┌──────┐
//!   │ Unknown │ ────▶ │ Waiting │ ────────────────────────▶ │ Live │ ──▶ Waiting, when something newer is sent
//!   └─────────┘       └─────────┘                           └──────┘
//!                       │     ▲  after 1 s, 2 s, 4 s … 1 min
//!             1 h is over     │ the primary was looked at: asked once more
//!                       ▼     │
//!                     ┌─────────┐
//!                     │ Given up│
//!                     └─────────┘
//! ```
//!
//! The serial rides in the last batch, so a name server that has it has all of the zone.

use std::time::Duration;

use secondary53_zone::Serial;

use crate::refresh::Moment;

/// What is known of a zone at its name servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confirm(State);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unknown,
    Waiting(Sent, Wait),
    GaveUp(Sent),
    Live,
}

/// What was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its serial.
    pub serial: Serial,
    /// When all queues had accepted it.
    pub at: Moment,
    /// The NOTIFY that began it: milliseconds since 1970.
    pub notified_ms: Option<u64>,
    /// Whether it may be older than what is live: then a newer serial there is not news of it.
    pub rollback: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wait {
    /// Questions that have been asked.
    asked: u32,
    /// When to ask; `None` while a question is under way.
    due: Option<Moment>,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was sent is live.
    Live(Sent),
    /// Not yet.
    NotYet,
    /// Not yet, though it should be. It is asked again.
    Late(Sent),
    /// Not yet, and it is asked no more until the primary is looked at.
    GivenUp(Sent),
    /// The question was about something older than what was sent last.
    Overtaken,
}

/// The wait before the first question; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between questions.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// What is not live after this is trouble. Route 53 takes a minute at most, a large zone some minutes of batches.
const LATE: Duration = Duration::from_mins(10);
/// What is not live after this is asked for no more.
const PATIENCE: Duration = Duration::from_hours(1);

/// The serial of a hosted zone that was never written to.
const NEVER: Serial = Serial(1);

/// Whether a name server that has `theirs` has what was sent, or something newer (RFC 1982).
///
/// Serial 1 is what Route 53 gives a new zone: by RFC 1982 it would be newer than half of all serials.
pub fn has(theirs: Serial, sent: Serial) -> bool {
    theirs == sent || (theirs > sent && theirs != NEVER)
}

impl Confirm {
    /// All queues have accepted this.
    pub fn sent(&mut self, mut sent: Sent) {
        // What goes on from an older serial that is not live yet is not live for a newer one there, either.
        if let State::Waiting(before, _) | State::GaveUp(before) = self.0 {
            sent.rollback |= before.rollback;
        }
        self.0 = State::Waiting(sent, Wait { asked: 0, due: Some(sent.at + FIRST_WAIT) });
    }

    /// The primary was looked at, and what was sent is what it has: time to ask about what is not known, too.
    pub fn looked(&mut self, now: Moment, serial: Serial) {
        match self.0 {
            State::Unknown => self.sent(Sent { serial, at: now, notified_ms: None, rollback: false }),
            // One question, for its time is over.
            State::GaveUp(sent) => self.0 = State::Waiting(sent, Wait { asked: 0, due: Some(now) }),
            State::Waiting(..) | State::Live => {}
        }
    }

    /// It cannot be known whether this is live. It may be later on.
    pub fn forget(&mut self, asked: Serial) {
        if matches!(self.0, State::Waiting(sent, _) | State::GaveUp(sent) if sent.serial == asked) {
            self.0 = State::Unknown;
        }
    }

    /// When to call [`Confirm::take`].
    pub fn next(&self) -> Option<Moment> {
        match self.0 {
            State::Waiting(_, wait) => wait.due,
            State::Unknown | State::GaveUp(_) | State::Live => None,
        }
    }

    /// The serial to ask about now. [`Confirm::answered`] must follow.
    pub fn take(&mut self, now: Moment) -> Option<Serial> {
        let State::Waiting(sent, wait) = &mut self.0 else { return None };
        wait.due.take_if(|due| *due <= now)?;
        wait.asked = wait.asked.saturating_add(1);
        Some(sent.serial)
    }

    /// The question about `asked` has ended; `theirs` is the oldest serial of the servers that answered, if any did.
    pub fn answered(&mut self, now: Moment, asked: Serial, theirs: Option<Serial>) -> Outcome {
        let State::Waiting(sent, wait) = &mut self.0 else { return Outcome::Overtaken };
        let sent = *sent;
        let live = |theirs| if sent.rollback { theirs == sent.serial } else { has(theirs, sent.serial) };
        if theirs.is_some_and(live) {
            self.0 = State::Live;
            return Outcome::Live(sent);
        }
        if sent.serial != asked {
            // Its own question is to come.
            return Outcome::Overtaken;
        }
        let waited = now.saturating_sub(sent.at);
        if waited >= PATIENCE {
            self.0 = State::GaveUp(sent);
            return Outcome::GivenUp(sent);
        }
        wait.due = Some(now + (FIRST_WAIT * 2_u32.saturating_pow(wait.asked.min(16))).min(LONGEST_WAIT));
        if waited >= LATE { Outcome::Late(sent) } else { Outcome::NotYet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sent(serial: u32, at: Moment) -> Sent {
        Sent { serial: Serial(serial), at, notified_ms: None, rollback: false }
    }

    #[test]
    fn it_is_asked_at_growing_intervals_and_given_up() {
        let mut confirm = Confirm::default();
        assert_eq!(confirm.next(), None);
        confirm.sent(sent(7, 100 * SECOND));
        let (mut now, mut waits, mut late) = (100 * SECOND, Vec::new(), None);
        let given_up = loop {
            let next = confirm.next().unwrap();
            assert_eq!(confirm.take(next.saturating_sub(Duration::from_millis(1))), None);
            waits.push(next.saturating_sub(now).as_secs());
            now = next;
            assert_eq!(confirm.take(now), Some(Serial(7)));
            assert_eq!((confirm.next(), confirm.take(now)), (None, None));
            match confirm.answered(now, Serial(7), (waits.len() % 2 == 0).then_some(Serial(6))) {
                Outcome::NotYet => assert!(late.is_none()),
                Outcome::Late(_) => late = late.or(Some(now)),
                Outcome::GivenUp(_) => break now,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(waits[..9], [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(waits[9..].iter().all(|wait| *wait == 60));
        let minutes = |moment: Moment| moment.saturating_sub(100 * SECOND).as_secs() / 60;
        assert_eq!((minutes(late.unwrap()), minutes(given_up)), (10, 60));

        // Once more whenever the primary was looked at, and good at last.
        assert_eq!(confirm.next(), None);
        for theirs in [None, Some(Serial(6))] {
            confirm.looked(now, Serial(7));
            assert_eq!(confirm.take(now), Some(Serial(7)));
            assert_eq!(confirm.answered(now, Serial(7), theirs), Outcome::GivenUp(sent(7, 100 * SECOND)));
        }
        confirm.looked(now, Serial(7));
        assert_eq!(confirm.take(now), Some(Serial(7)));
        assert_eq!(confirm.answered(now, Serial(7), Some(Serial(7))), Outcome::Live(sent(7, 100 * SECOND)));
        confirm.looked(now, Serial(7));
        assert_eq!(confirm.next(), None);
    }

    #[test]
    fn what_is_newer_takes_the_place_of_what_is_waited_for() {
        let mut confirm = Confirm::default();
        confirm.sent(sent(1_000, SECOND));
        assert_eq!(confirm.take(2 * SECOND), Some(Serial(1_000)));
        confirm.sent(sent(1_001, 3 * SECOND));
        assert_eq!(confirm.answered(3 * SECOND, Serial(1_000), Some(Serial(1_000))), Outcome::Overtaken);
        assert_eq!(confirm.next(), Some(4 * SECOND));
        assert_eq!(confirm.take(4 * SECOND), Some(Serial(1_001)));
        // Another relay has sent something newer still.
        assert_eq!(
            confirm.answered(4 * SECOND, Serial(1_001), Some(Serial(1_002))),
            Outcome::Live(sent(1_001, 3 * SECOND))
        );
    }

    #[test]
    fn what_goes_back_is_not_live_for_what_was_there_before() {
        let mut confirm = Confirm::default();
        confirm.sent(Sent { rollback: true, ..sent(4, SECOND) });
        assert_eq!(confirm.take(2 * SECOND), Some(Serial(4)));
        assert_eq!(confirm.answered(2 * SECOND, Serial(4), Some(Serial(9))), Outcome::NotYet);
        // Nor is what goes on from there.
        confirm.sent(sent(5, 3 * SECOND));
        let going_on = Sent { rollback: true, ..sent(5, 3 * SECOND) };
        assert_eq!(confirm.take(4 * SECOND), Some(Serial(5)));
        assert_eq!(confirm.answered(4 * SECOND, Serial(5), Some(Serial(9))), Outcome::NotYet);
        assert_eq!(confirm.take(9 * SECOND), Some(Serial(5)));
        assert_eq!(confirm.answered(9 * SECOND, Serial(5), Some(Serial(5))), Outcome::Live(going_on));
        // And then it is over.
        confirm.sent(sent(6, 10 * SECOND));
        assert_eq!(confirm.take(11 * SECOND), Some(Serial(6)));
        assert_eq!(confirm.answered(11 * SECOND, Serial(6), Some(Serial(7))), Outcome::Live(sent(6, 10 * SECOND)));
    }

    #[test]
    fn what_cannot_be_known_is_not_waited_for() {
        let mut confirm = Confirm::default();
        confirm.sent(sent(7, SECOND));
        assert_eq!(confirm.take(2 * SECOND), Some(Serial(7)));
        // Something newer was sent meanwhile: it may be known of that.
        confirm.sent(sent(8, 3 * SECOND));
        confirm.forget(Serial(7));
        assert_eq!(confirm.take(4 * SECOND), Some(Serial(8)));
        confirm.forget(Serial(8));
        assert_eq!(confirm.next(), None);
        confirm.looked(9 * SECOND, Serial(8));
        assert_eq!(confirm.next(), Some(10 * SECOND));
    }

    #[test]
    fn after_a_start_it_is_asked_once_the_primary_was() {
        let mut confirm = Confirm::default();
        confirm.looked(5 * SECOND, Serial(3));
        assert_eq!(confirm.take(6 * SECOND), Some(Serial(3)));
        assert_eq!(confirm.answered(6 * SECOND, Serial(3), Some(Serial(3))), Outcome::Live(sent(3, 5 * SECOND)));
    }

    #[test]
    fn a_new_hosted_zone_has_nothing() {
        assert!(!has(Serial(1), Serial(3_000_000_000)) && !has(Serial(1), Serial(2)));
        assert!(has(Serial(1), Serial(1)) && has(Serial(2), Serial(3_000_000_000)));
        assert!(!has(Serial(9), Serial(10)));
    }
}
