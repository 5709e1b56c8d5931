//! Room in the function's memory: large zones of one event take turns, so that no two of them end the process together, and all
//! other zones of the event with it.

use secondary53_zone::zone::Limits;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The function's memory, in records: a zone of the most that is allowed takes all of it.
#[derive(Debug)]
pub struct Room {
    records: Semaphore,
    all: u32,
}

impl Room {
    /// Small zones, less than one part in so many, do not wait: an event has ten of them at most.
    const SMALL: u32 = 64;

    /// Of a function that takes so much.
    pub fn of(limits: Limits) -> Self {
        let all = u32::try_from(limits.records).unwrap_or(u32::MAX);
        Self { records: Semaphore::new(usize::try_from(all).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)), all }
    }

    /// Waits for room for a zone of so many records; it is given back with what is returned.
    pub async fn wait(&self, records: usize) -> Option<SemaphorePermit<'_>> {
        let wanted = u32::try_from(records).unwrap_or(u32::MAX).min(self.all);
        if wanted < self.all / Self::SMALL {
            return None;
        }
        // Nobody closes it.
        self.records.acquire_many(wanted).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn large_zones_take_turns_and_small_ones_do_not_wait() {
        let room = Room::of(Limits { records: 6_400, ..Limits::default() });
        let wait = |records| room.wait(records).now_or_never();
        let (half, other) = (wait(3_200).unwrap(), wait(3_000).unwrap());
        assert!(half.is_some() && other.is_some());
        assert!(wait(3_200).is_none() && wait(1_000_000).is_none(), "there is no room");
        assert!(wait(99).is_some_and(|permit| permit.is_none()));
        drop((half, other));
        assert!(wait(1_000_000).is_some(), "more than there can be is refused by its own limit, and must come to it");
        let none = Room::of(Limits { records: 0, ..Limits::default() });
        assert!(none.wait(7).now_or_never().is_some());
    }
}
