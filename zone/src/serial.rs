//! The serial of a zone: a circle, not a line.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The SERIAL of a zone's SOA, compared by the serial number arithmetic of RFC 1982.
///
/// There is no `Ord`: two serials exactly 2³¹ apart have no order (RFC 1982 §3.2), and no
/// set of serials is totally ordered. `a > b` reads "a is newer than b"; for an undefined pair every
/// comparison but `!=` is false, so code that asks "is it newer?" does nothing, as RFC 1982 advises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Serial(pub u32);

const HALF: u32 = 1 << 31;

impl Serial {
    /// The serial that follows this one (RFC 1982 §3.1, addition of one).
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        // RFC 1982 §3.2: the shorter way round the circle decides; half-way round is undefined.
        match self.0.wrapping_sub(other.0) {
            0 => Some(Ordering::Equal),
            HALF => None,
            ahead if ahead < HALF => Some(Ordering::Greater),
            _ => Some(Ordering::Less),
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Serial {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_1982_section_5_2() {
        // Scaled from eight bits to 32: the order holds across the wrap.
        for (newer, older) in
            [(1, 0), (44, 0), (100, 0), (100, 44), (1 << 30, 100), (HALF + 7, 1 << 30), (5, HALF + 7), (0, u32::MAX)]
        {
            assert!(Serial(newer) > Serial(older), "{newer} is newer than {older}");
            assert!(Serial(older) < Serial(newer));
        }
    }

    #[test]
    fn half_way_round_has_no_order() {
        let (a, b) = (Serial(1), Serial(1 + HALF));
        assert_eq!(a.partial_cmp(&b), None);
    }

    #[test]
    fn next_wraps_and_is_newer() {
        assert_eq!(Serial(u32::MAX).next(), Serial(0));
        assert!(Serial(u32::MAX).next() > Serial(u32::MAX));
    }
}
