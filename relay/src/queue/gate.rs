//! Whether a queue takes what is sent to it. No I/O, no clock.
//!
//! What is wrong with a queue is wrong for all zones: it cannot be reached, it refuses the credentials, it throttles. While it
//! is so, one message in a while asks whether it still is, and all others wait for what comes of that.
//!
//! ```text
//!                    a send fails            its time is over: one message is sent,
//!          ┌──────┐ ─────────────▶ ┌──────┐  and the others wait
//!          │ Open │                │ Shut │ ─────┐
//!          └──────┘ ◀───────────── └──────┘ ◀────┘ it fails: twice the time
//!                    it is accepted
//! ```
//!
//! What is wrong with one message (it is too large, the bucket does not take it) says nothing about the others. Who has
//! failed goes to the end of the line, so that another one is the next to try.

use super::wait;
use crate::refresh::Moment;

/// What is known of a queue.
#[derive(Debug, Default)]
pub struct Gate {
    /// Sends under way.
    sends: usize,
    shut: Option<Shut>,
}

#[derive(Debug)]
struct Shut {
    /// Sends in a row that failed; at least one.
    failures: u32,
    /// When that was seen last.
    seen: Moment,
    /// When one may try.
    until: Moment,
    /// One does.
    tried: bool,
}

/// What a send has said about the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It takes what is sent.
    Takes,
    /// It takes nothing, or not all of what is sent.
    Fails,
    /// Nothing: it was not asked, or there was something wrong with what was sent.
    Nothing,
}

/// Sends at once, to each queue: what waits for a turn meanwhile goes together.
pub const SENDS: usize = 8;
/// Messages in one request (Amazon SQS API Reference, `SendMessageBatch`).
pub const BATCH: usize = 10;

impl Gate {
    /// When something may be sent. `None` where that depends on what is under way.
    pub fn next(&self) -> Option<Moment> {
        match &self.shut {
            Some(shut) => (!shut.tried).then_some(shut.until),
            None => (self.sends < SENDS).then_some(Moment::ZERO),
        }
    }

    /// How many messages may be sent now, in one request.
    pub fn room(&self, now: Moment) -> usize {
        match (&self.shut, self.next()) {
            (Some(_), Some(next)) if next <= now => 1,
            (None, Some(_)) => BATCH,
            _ => 0,
        }
    }

    /// They are sent. [`Gate::ended`] must follow.
    pub fn begin(&mut self) {
        self.sends += 1;
        if let Some(shut) = &mut self.shut {
            shut.tried = true;
        }
    }

    /// A send that was begun at `begun` has ended.
    pub fn ended(&mut self, begun: Moment, now: Moment, said: Said, chance: u32) {
        self.sends = self.sends.saturating_sub(1);
        let failures = match &mut self.shut {
            // Begun before it was known what is: that says nothing new.
            Some(shut) if begun <= shut.seen => return,
            Some(shut) if said == Said::Nothing => {
                shut.tried = false;
                return;
            }
            shut => shut.as_ref().map_or(0, |shut| shut.failures),
        };
        self.shut = (said == Said::Fails).then(|| Shut {
            failures: failures.saturating_add(1),
            seen: now,
            until: now + wait(failures, chance),
            tried: false,
        });
    }
}
