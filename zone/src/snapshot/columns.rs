//! How a part of RDATA is spread over columns: the one place that writer and reader both follow.

use crate::rdata::Field;

/// Ends an embedded name whose last labels are the zone's apex. In a message it would begin a compression pointer, so no
/// label can be mistaken for it.
pub(super) const APEX_FOLLOWS: u8 = 0xc0;

/// The way that one part of RDATA, or all of it, goes into columns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    /// So many octets, each in a column of its own.
    Planes(usize),
    /// One column: labels, then 0 or [`APEX_FOLLOWS`].
    Name,
    /// Two columns: lengths of one octet, octets.
    String,
    /// Three columns: how many strings, lengths of one octet, octets.
    Strings,
    /// Two columns: lengths, octets.
    Rest,
}

impl Spread {
    pub(super) const fn of(field: Field) -> Self {
        match field {
            Field::Name | Field::PlainName => Self::Name,
            Field::U8 => Self::Planes(1),
            Field::U16 => Self::Planes(2),
            Field::U32 | Field::Ipv4 => Self::Planes(4),
            Field::Ipv6 => Self::Planes(16),
            Field::CharacterString => Self::String,
            Field::CharacterStrings => Self::Strings,
            Field::QuotedRest | Field::HexRest => Self::Rest,
        }
    }

    /// How many columns it takes.
    pub(super) const fn width(self) -> usize {
        match self {
            Self::Planes(octets) => octets,
            Self::Name => 1,
            Self::String | Self::Rest => 2,
            Self::Strings => 3,
        }
    }
}

/// The way of RDATA with these parts; without, it is octets.
pub(super) fn spreads(fields: Option<&'static [Field]>) -> Vec<Spread> {
    fields.map_or_else(|| vec![Spread::Rest], |fields| fields.iter().copied().map(Spread::of).collect())
}

/// Appends a number in base 128, low groups first, the high bit set on all octets but the last (LEB128).
pub(super) fn push_number(out: &mut Vec<u8>, number: impl TryInto<u64>) {
    // The callers' numbers are lengths and 32-bit fields, which fit.
    let mut rest: u64 = number.try_into().unwrap_or(u64::MAX);
    loop {
        let low = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}
