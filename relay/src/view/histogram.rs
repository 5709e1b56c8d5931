//! Times that something took.

use std::time::Duration;

/// Times that something took, in buckets as Prometheus has them.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: [u64; Self::BOUNDS.len()],
    count: u64,
    sum_ms: u64,
}

impl Histogram {
    /// The upper bounds of the buckets, in milliseconds.
    pub const BOUNDS: [u64; 12] =
        [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000];

    /// Counts one.
    pub fn count(&mut self, took: Duration) {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        for (count, bound) in self.counts.iter_mut().zip(Self::BOUNDS) {
            *count += u64::from(milliseconds <= bound);
        }
        self.count += 1;
        self.sum_ms = self.sum_ms.saturating_add(milliseconds);
    }

    /// Each bound in milliseconds, and how many took no longer.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        Self::BOUNDS.into_iter().zip(self.counts)
    }

    /// How many there were, and the milliseconds that all of them took.
    pub const fn totals(&self) -> (u64, u64) {
        (self.count, self.sum_ms)
    }
}

impl Extend<Duration> for Histogram {
    fn extend<T: IntoIterator<Item = Duration>>(&mut self, times: T) {
        times.into_iter().for_each(|took| self.count(took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_upwards() {
        let mut histogram = Histogram::default();
        for milliseconds in [100, 101, 3_600_000] {
            histogram.count(Duration::from_millis(milliseconds));
        }
        let counts: Vec<_> = histogram.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(histogram.totals(), (3, 3_600_201));
    }
}
