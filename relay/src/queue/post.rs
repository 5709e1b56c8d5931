//! What stands in line at a queue, and how much of it goes in a request. No I/O, no clock.

use std::collections::VecDeque;

use secondary53_zone::message::{MAX_OCTETS, QUARANTINE_OCTETS};

use super::gate::{Gate, Said};
use super::outbox::{Outgoing, Turn};
use crate::refresh::Moment;

/// A line of outboxes, each by a key, who has waited longest in front; and the gate before them.
#[derive(Debug)]
pub struct Post<K> {
    gate: Gate,
    line: VecDeque<K>,
}

/// The most octets of a batch: as many as the largest message that goes without a bucket.
const ROOM: usize = MAX_OCTETS - QUARANTINE_OCTETS;

impl<K> Default for Post<K> {
    fn default() -> Self {
        Self { gate: Gate::default(), line: VecDeque::new() }
    }
}

impl<K: Copy> Post<K> {
    /// It stands in line from now on.
    pub fn line_up(&mut self, key: K) {
        self.line.push_back(key);
    }

    /// What is sent now, in one request; nothing where it is not the time. `turn` is the turn of an outbox, with room for so
    /// many octets; what it gives is sent. [`Post::ended`] must follow.
    pub fn take(&mut self, now: Moment, mut turn: impl FnMut(K, usize) -> Turn) -> Vec<(K, Outgoing)> {
        let most = self.gate.room(now);
        let mut batch: Vec<(K, Outgoing)> = Vec::new();
        // Who is the first has all the room there is: what is too large for a message goes alone, by the bucket.
        let mut left = usize::MAX;
        while batch.len() < most {
            let Some(key) = self.line.pop_front() else { break };
            match turn(key, left) {
                Turn::Send(outgoing) => {
                    left = left.min(ROOM).saturating_sub(outgoing.message.octets());
                    batch.push((key, outgoing));
                }
                Turn::Nothing => {}
                Turn::NoRoom => {
                    self.line.push_front(key);
                    break;
                }
            }
        }
        if !batch.is_empty() {
            self.gate.begin();
        }
        batch
    }

    /// When to call [`Post::take`]; `None` where nobody waits, or what is under way must end first.
    pub fn next(&self) -> Option<Moment> {
        self.gate.next().filter(|_| !self.line.is_empty())
    }

    /// A send that was begun at `begun` has ended, with this said about the queue.
    pub fn ended(&mut self, begun: Moment, now: Moment, said: Said, chance: u32) {
        self.gate.ended(begun, now, said, chance);
    }
}
