//! Which primaries can be reached. No I/O, no clock.
//!
//! A primary that is down costs every look that asks it the whole of its time-out, and its zones wait for one another. So one
//! that could not be reached is passed over for a while, by all zones that have another. When the while is over, one look
//! asks it again: it brings the primary back, or doubles the time.
//!
//! ```text
//!                     not reached             its time is over: one look asks it,
//!          ┌───────┐ ─────────────▶ ┌──────┐  and the others pass over it meanwhile
//!          │ Asked │                │ Lost │ ─────┐
//!          └───────┘ ◀───────────── └──────┘ ◀────┘ not reached: twice the time
//!                       reached
//! ```
//!
//! Reached is what has answered a SOA query in whatever way. What is wrong with one zone there (REFUSED, a bad signature, a
//! transfer that is cut) says nothing about the others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::refresh::Moment;

/// What is known of the primaries, by their addresses. A primary that is not there can be reached, as far as is known.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    lost: BTreeMap<SocketAddr, Lost>,
    changes: u64,
}

/// A primary that could not be reached.
#[derive(Clone, Copy, Debug)]
struct Lost {
    /// Looks in a row that did not reach it; at least one.
    failures: u32,
    /// When that was seen last.
    seen: Moment,
    /// Until when it is passed over.
    until: Moment,
}

/// What an attempt has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It is passed over from now on.
    Lost,
    /// It can be reached again.
    Back,
}

/// How long a primary is passed over that could not be reached; it doubles each time.
const FIRST: Duration = Duration::from_secs(10);
/// The longest time: how late it is seen, at most, that it is back. Others are asked meanwhile.
pub const LONGEST: Duration = Duration::from_mins(5);

impl Reach {
    /// The primaries of a zone, in their order, without those that are passed over now; all of them, where nobody is left.
    /// `address` is where one is: several may be at one address, each with a key of its own.
    pub fn choose<P: Clone>(&self, primaries: &[P], address: impl Fn(&P) -> SocketAddr, now: Moment) -> Vec<P> {
        let chosen: Vec<_> =
            primaries.iter().filter(|primary| !self.passes_over(address(primary), now)).cloned().collect();
        if chosen.is_empty() { primaries.to_vec() } else { chosen }
    }

    /// Whether a primary is passed over now, where there is another.
    pub fn passes_over(&self, primary: SocketAddr, now: Moment) -> bool {
        self.lost.get(&primary).is_some_and(|lost| now < lost.until)
    }

    /// Another number whenever something else is known.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Those that the last attempt did not reach.
    pub fn lost(&self) -> impl Iterator<Item = SocketAddr> {
        self.lost.keys().copied()
    }

    /// Forgets all primaries but these.
    pub fn keep(&mut self, primaries: &BTreeSet<SocketAddr>) {
        self.lost.retain(|primary, _| primaries.contains(primary));
        self.changes += 1;
    }

    /// A primary is about to be asked.
    pub fn ask(&mut self, primary: SocketAddr, now: Moment) {
        // The others wait for what comes of this, or as long as it has been waited for: it may come to nothing.
        if let Some(lost) = self.lost.get_mut(&primary)
            && lost.until <= now
        {
            lost.until = now + lost.wait();
            self.changes += 1;
        }
    }

    /// It has answered, well or not.
    pub fn reached(&mut self, primary: SocketAddr) -> Change {
        if self.lost.remove(&primary).is_none() {
            return Change::None;
        }
        self.changes += 1;
        Change::Back
    }

    /// It could not be reached by what began at `begun`.
    pub fn not_reached(&mut self, primary: SocketAddr, begun: Moment, now: Moment) -> Change {
        self.changes += 1;
        match self.lost.get_mut(&primary) {
            // Begun before that was known: it says nothing new.
            Some(lost) if begun < lost.seen => Change::None,
            Some(lost) => {
                lost.failures = lost.failures.saturating_add(1);
                (lost.seen, lost.until) = (now, now + lost.wait());
                Change::None
            }
            None => {
                self.lost.insert(primary, Lost { failures: 1, seen: now, until: now + FIRST });
                Change::Lost
            }
        }
    }
}

impl Lost {
    fn wait(&self) -> Duration {
        (FIRST * 2_u32.saturating_pow(self.failures.saturating_sub(1).min(16))).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn primary(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 53))
    }

    /// Asks whoever is to be asked at each second; those of `dead` do not answer within ten. How often each was asked.
    fn ask_for(seconds: u64, reach: &mut Reach, primaries: &[SocketAddr], dead: &[SocketAddr]) -> Vec<usize> {
        let mut asked = vec![0; primaries.len()];
        let mut ends: Vec<(Duration, Duration, SocketAddr)> = Vec::new();
        for now in (0..seconds).map(secs) {
            ends.retain(|&(end, begun, primary)| {
                if end <= now {
                    reach.not_reached(primary, begun, end);
                }
                end > now
            });
            let chosen = reach.choose(primaries, |at| *at, now)[0];
            asked[primaries.iter().position(|primary| *primary == chosen).unwrap()] += 1;
            reach.ask(chosen, now);
            if dead.contains(&chosen) {
                ends.push((now + secs(10), now, chosen));
            } else {
                reach.reached(chosen);
            }
        }
        asked
    }

    #[test]
    fn a_dead_first_primary_is_asked_now_and_then() {
        let (mut reach, primaries) = (Reach::default(), [primary(1), primary(2)]);
        let asked = ask_for(3_600, &mut reach, &primaries, &primaries[..1]);
        // Ten until it is known; then after 10, 20, 40, 80 and 160 seconds, and every five minutes or so.
        assert!((15..=30).contains(&asked[0]), "{asked:?}");
        assert_eq!(asked[0] + asked[1], 3_600);
    }

    #[test]
    fn the_time_doubles_up_to_the_longest() {
        let (mut reach, one) = (Reach::default(), primary(1));
        let mut now = secs(0);
        let mut waits = Vec::new();
        assert_eq!(reach.not_reached(one, now, now), Change::Lost);
        for _ in 0..8 {
            let wait = (0..1_000).map(secs).find(|wait| !reach.passes_over(one, now + *wait)).unwrap();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(reach.not_reached(one, now, now), Change::None);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn one_look_brings_it_back() {
        let (mut reach, [one, two]) = (Reach::default(), [primary(1), primary(2)]);
        reach.not_reached(one, secs(0), secs(10));
        assert_eq!(reach.choose(&[one, two], |at| *at, secs(19)), [two]);
        // Its time is over: who comes first asks it, and who comes then does not.
        assert_eq!(reach.choose(&[one, two], |at| *at, secs(20)), [one, two]);
        reach.ask(one, secs(20));
        assert_eq!(reach.choose(&[one, two], |at| *at, secs(21)), [two]);
        assert_eq!(reach.lost().collect::<Vec<_>>(), [one]);
        assert_eq!(reach.reached(one), Change::Back);
        assert_eq!(reach.choose(&[one, two], |at| *at, secs(21)), [one, two]);
        assert_eq!(reach.reached(one), Change::None);
    }

    #[test]
    fn who_is_the_last_is_asked_all_the_same() {
        let (mut reach, [one, two]) = (Reach::default(), [primary(1), primary(2)]);
        reach.not_reached(one, secs(0), secs(0));
        assert_eq!(reach.choose(&[one], |at| *at, secs(1)), [one]);
        reach.not_reached(two, secs(0), secs(0));
        assert_eq!(reach.choose(&[one, two], |at| *at, secs(1)), [one, two]);
        // An attempt that is never heard of again does not keep it away for ever.
        reach.ask(one, secs(10));
        assert!(reach.passes_over(one, secs(19)) && !reach.passes_over(one, secs(20)));
    }

    #[test]
    fn what_was_begun_before_says_nothing_new() {
        let (mut reach, one) = (Reach::default(), primary(1));
        assert_eq!(reach.not_reached(one, secs(0), secs(10)), Change::Lost);
        assert_eq!(reach.not_reached(one, secs(9), secs(19)), Change::None);
        assert!(!reach.passes_over(one, secs(20)));
    }
}
