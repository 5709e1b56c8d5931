//! Domain names, always absolute, always in wire form, always in lower case.

use std::cmp::Ordering;
use std::fmt;

/// Octets of the longest name, the root label counted (RFC 1035 §2.3.4).
pub const MAX_NAME: usize = 255;
/// Octets of the longest label (RFC 1035 §2.3.4).
pub const MAX_LABEL: usize = 63;
/// Labels of the longest name: 127 of one octet each, the root not counted.
const MAX_LABELS: usize = (MAX_NAME - 1) / 2;

/// An absolute domain name that owns its octets.
///
/// The letters A–Z are lowered when it is made, so that equality of octets is equality of names
/// (RFC 4343 §3) and the octets are the canonical form of RFC 4034 §6.2.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

/// A [`Name`] that borrows its octets: what a zone hands out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameRef<'a>(&'a [u8]);

/// Why octets or text are not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// More than 63 octets in one label.
    #[error("a label is longer than {MAX_LABEL} octets")]
    LabelTooLong,
    /// More than 255 octets, the root label counted.
    #[error("the name is longer than {MAX_NAME} octets")]
    NameTooLong,
    /// Two dots in a row, or a leading one.
    #[error("a label is empty")]
    EmptyLabel,
    /// A backslash that is followed neither by three decimal digits up to 255 nor by a character.
    #[error("an escape is neither \\DDD (decimal, up to 255) nor a backslash and a character")]
    BadEscape,
    /// The octets end within the name.
    #[error("the name is cut short")]
    CutShort,
    /// A compression pointer that does not point to an earlier octet of the message (RFC 1035 §4.1.4).
    #[error("a compression pointer does not point backwards")]
    BadPointer,
    /// A label type other than 00 and 11 (RFC 6891 §5 retired the rest).
    #[error("a label has an unknown type")]
    BadLabelType,
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Makes a name of labels, leftmost first, the root left out.
    pub fn from_labels<L: AsRef<[u8]>>(labels: impl IntoIterator<Item = L>) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(64);
        for label in labels {
            push_label(&mut wire, label.as_ref())?;
        }
        Ok(finish(wire))
    }

    /// Reads a name as a zone file writes it (RFC 1035 §5.1: `\DDD` is decimal). A name without a trailing
    /// dot is taken as absolute too: there is no origin here.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut label = Vec::with_capacity(MAX_LABEL);
        let mut octets = text.bytes();
        let mut ended = false;
        while let Some(octet) = octets.next() {
            ended = octet == b'.';
            match octet {
                b'.' => {
                    push_label(&mut wire, &label)?;
                    label.clear();
                }
                b'\\' => label.push(unescape(&mut octets)?),
                plain => label.push(plain),
            }
        }
        if !ended {
            push_label(&mut wire, &label)?;
        }
        Ok(finish(wire))
    }

    /// Reads an uncompressed name at the start of `octets`; the rest of them comes back with it.
    pub fn from_wire(octets: &[u8]) -> Result<(Self, &[u8]), NameError> {
        let (name, rest) = NameRef::split_from(octets)?;
        Ok((name.to_name(), rest))
    }

    /// Borrows it.
    pub fn by_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }

    /// The octets: length-prefixed labels, the root's zero at the end.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> NameRef<'a> {
    /// Splits an uncompressed name off the front of `octets`, in the case that it stands in.
    pub fn split_from(octets: &'a [u8]) -> Result<(Self, &'a [u8]), NameError> {
        let mut at = 0;
        loop {
            let length = usize::from(*octets.get(at).ok_or(NameError::CutShort)?);
            at += 1 + length;
            match length {
                _ if at > MAX_NAME => return Err(NameError::NameTooLong),
                0 => break,
                1..=MAX_LABEL => {}
                _ => return Err(NameError::BadLabelType),
            }
        }
        // The last length octet was there, so `at` is within the octets.
        let (name, rest) = octets.split_at_checked(at).ok_or(NameError::CutShort)?;
        Ok((Self(name), rest))
    }

    /// Octets that are known to be one whole name in lower case.
    pub(crate) const fn trusted(wire: &'a [u8]) -> Self {
        Self(wire)
    }

    /// The octets: length-prefixed labels, the root's zero at the end.
    pub const fn as_wire(self) -> &'a [u8] {
        self.0
    }

    /// Owns it, in lower case.
    pub fn to_name(self) -> Name {
        // A length octet is at most 63, below 'A': lowering the whole is safe.
        Name(self.0.to_ascii_lowercase().into_boxed_slice())
    }

    /// The labels, leftmost first, the root left out.
    pub fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            let (label, tail) = tail.split_at_checked(usize::from(length))?;
            rest = tail;
            (length > 0).then_some(label)
        })
    }

    /// Whether it is `apex` or below it.
    pub fn is_within(self, apex: NameRef<'_>) -> bool {
        let Some(cut) = self.0.len().checked_sub(apex.0.len()) else { return false };
        // The suffix must begin at a label, not within one.
        self.0.ends_with(apex.0) && self.label_starts().any(|start| start == cut)
    }

    /// What stands before `apex`, as wire labels without an end; `None` where it is not within.
    pub fn below(self, apex: NameRef<'_>) -> Option<&'a [u8]> {
        self.is_within(apex).then(|| &self.0[..self.0.len() - apex.0.len()])
    }

    /// Where each label begins, the root's among them.
    fn label_starts(self) -> impl Iterator<Item = usize> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let at = next?;
            let length = usize::from(*self.0.get(at)?);
            next = (length > 0).then_some(at + 1 + length);
            Some(at)
        })
    }
}

impl Ord for NameRef<'_> {
    /// The canonical order of RFC 4034 §6.1: label by label from the right, as octets in lower case.
    fn cmp(&self, other: &Self) -> Ordering {
        if self.0 == other.0 {
            return Ordering::Equal;
        }
        let (ours, our_count) = starts(*self);
        let (theirs, their_count) = starts(*other);
        let label = |name: &Self, starts: &[u8; MAX_LABELS], index: usize| {
            let at = usize::from(starts[index]);
            at + 1..at + 1 + usize::from(name.0[at])
        };
        for back in 1..=our_count.min(their_count) {
            let a = &self.0[label(self, &ours, our_count - back)];
            let b = &other.0[label(other, &theirs, their_count - back)];
            match a.cmp(b) {
                Ordering::Equal => {}
                decided => return decided,
            }
        }
        our_count.cmp(&their_count)
    }
}

fn starts(name: NameRef<'_>) -> ([u8; MAX_LABELS], usize) {
    let mut starts = [0; MAX_LABELS];
    let mut count = 0;
    let mut at = 0;
    while name.0[at] != 0 {
        #[expect(clippy::cast_possible_truncation, reason = "a name has at most 255 octets")]
        {
            starts[count] = at as u8;
        }
        count += 1;
        at += 1 + usize::from(name.0[at]);
    }
    (starts, count)
}

impl PartialOrd for NameRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.by_ref().cmp(&other.by_ref())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for NameRef<'_> {
    /// As a zone file writes it: `\DDD` in decimal, a dot at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == [0] {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &octet in label {
                match octet {
                    b'"' | b'$' | b'(' | b')' | b'.' | b';' | b'@' | b'\\' => write!(f, "\\{}", char::from(octet))?,
                    0x21..=0x7e => write!(f, "{}", char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by_ref().fmt(f)
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

/// Reads the name at `start` of a message and follows its compression pointers (RFC 1035 §4.1.4), appending the
/// uncompressed name in lower case to `out`. Returns where the name ends in place.
///
/// Each pointer must go back beyond the one before it, so a loop cannot be.
pub fn expand(message: &[u8], start: usize, out: &mut Vec<u8>) -> Result<usize, NameError> {
    let begun = out.len();
    let (mut at, mut end, mut before) = (start, None, start);
    loop {
        let length = usize::from(*message.get(at).ok_or(NameError::CutShort)?);
        match length {
            0 => {
                out.push(0);
                if out.len() - begun > MAX_NAME {
                    return Err(NameError::NameTooLong);
                }
                return Ok(end.unwrap_or(at + 1));
            }
            1..=MAX_LABEL => {
                let label = message.get(at..=at + length).ok_or(NameError::CutShort)?;
                extend_lowered(out, label);
                if out.len() - begun >= MAX_NAME {
                    return Err(NameError::NameTooLong);
                }
                at += 1 + length;
            }
            0xc0.. => {
                let low = usize::from(*message.get(at + 1).ok_or(NameError::CutShort)?);
                let target = (length & 0x3f) << 8 | low;
                if target >= before {
                    return Err(NameError::BadPointer);
                }
                end = end.or(Some(at + 2));
                (at, before) = (target, target);
            }
            _ => return Err(NameError::BadLabelType),
        }
    }
}

/// Appends octets of a name in lower case. The length of a label is below any letter.
pub(crate) fn extend_lowered(out: &mut Vec<u8>, octets: &[u8]) {
    let begun = out.len();
    out.extend_from_slice(octets);
    out[begun..].make_ascii_lowercase();
}

fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), NameError> {
    let length = match u8::try_from(label.len()) {
        Ok(0) => return Err(NameError::EmptyLabel),
        Ok(length) if label.len() <= MAX_LABEL => length,
        _ => return Err(NameError::LabelTooLong),
    };
    // One octet is kept for the root.
    if wire.len() + 1 + label.len() >= MAX_NAME {
        return Err(NameError::NameTooLong);
    }
    wire.push(length);
    wire.extend(label.iter().map(u8::to_ascii_lowercase));
    Ok(())
}

fn finish(mut wire: Vec<u8>) -> Name {
    wire.push(0);
    Name(wire.into_boxed_slice())
}

/// What follows a backslash in a zone file (RFC 1035 §5.1).
pub(crate) fn unescape(octets: &mut impl Iterator<Item = u8>) -> Result<u8, NameError> {
    let first = octets.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = octets.next().filter(u8::is_ascii_digit).ok_or(NameError::BadEscape)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn text_comes_back_in_lower_case_with_a_dot() {
        for (given, shown) in [
            ("Example.COM", "example.com."),
            (".", "."),
            ("a\\.b.example.", "a\\.b.example."),
            ("\\097\\000\\255.example.", "a\\000\\255.example."),
            ("*.example.", "*.example."),
            ("0/25.2.0.192.in-addr.arpa.", "0/25.2.0.192.in-addr.arpa."),
            ("sp\\ ace\\;\\(\\).", "sp\\032ace\\;\\(\\)."),
        ] {
            assert_eq!(name(given).to_string(), shown);
            assert_eq!(name(shown), name(given));
        }
    }

    #[test]
    fn text_that_is_not_a_name_is_refused() {
        for (text, error) in [
            ("", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a\\", NameError::BadEscape),
            ("a\\25", NameError::BadEscape),
            ("a\\256", NameError::BadEscape),
            ("a\\2x5", NameError::BadEscape),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text}");
        }
        assert!(Name::parse(&"a".repeat(63)).is_ok());
        assert_eq!(Name::parse(&"a".repeat(64)), Err(NameError::LabelTooLong));
        // 127 labels of one octet are 255 octets with the root; one more octet is too many.
        assert_eq!(name(&"a.".repeat(127)).as_wire().len(), MAX_NAME);
        assert_eq!(Name::parse(&format!("{}aa.", "a.".repeat(126))), Err(NameError::NameTooLong));
    }

    #[test]
    fn the_order_is_that_of_rfc_4034_section_6_1() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "z.a.example.",
            "zabc.a.example.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        let mut names: Vec<Name> = sorted.iter().rev().map(|text| name(text)).collect();
        names.sort();
        assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), sorted);
    }

    #[test]
    fn within_means_at_a_label() {
        let apex = name("example.com.");
        for (text, within) in [
            ("example.com.", true),
            ("www.example.com.", true),
            ("badexample.com.", false),
            ("com.", false),
            // A label that holds the apex's octets is not the apex.
            ("x\\007example\\003com.", false),
            ("example.com.mx.", false),
        ] {
            assert_eq!(name(text).by_ref().is_within(apex.by_ref()), within, "{text}");
        }
        assert!(apex.by_ref().is_within(Name::root().by_ref()));
    }

    #[test]
    fn compression_is_followed_backwards_only() {
        let message = b"\x07example\x03COM\x00\x03wWw\xc0\x00\xc0\x0d\xc0\x13\xc0\x17\x03cut";
        let mut out = Vec::new();
        assert_eq!(expand(message, 13, &mut out), Ok(19));
        assert_eq!(out, name("www.example.com").as_wire());
        out.clear();
        assert_eq!(expand(message, 19, &mut out), Ok(21));
        assert_eq!(out, name("www.example.com").as_wire());
        // 21 → 19 → 13 is fine; 23 points at itself.
        out.clear();
        assert_eq!(expand(message, 21, &mut out), Ok(23));
        assert_eq!(expand(message, 23, &mut Vec::new()), Err(NameError::BadPointer));
        assert_eq!(expand(message, 25, &mut Vec::new()), Err(NameError::CutShort));
        assert_eq!(expand(&[0x80, 0], 0, &mut Vec::new()), Err(NameError::BadLabelType));
    }

    #[test]
    fn a_name_that_grows_too_long_through_pointers_is_refused() {
        // Three labels of 63 octets are 192; with two more pointers to them the name would be 384.
        let mut message = Vec::new();
        for _ in 0..3 {
            message.push(63);
            message.extend([b'a'; 63]);
        }
        message.push(0);
        let again = message.len();
        message.push(63);
        message.extend([b'b'; 63]);
        message.extend([0xc0, 0]);
        assert_eq!(expand(&message, again, &mut Vec::new()), Err(NameError::NameTooLong));
        assert_eq!(expand(&message, 0, &mut Vec::new()), Ok(193));
    }
}
