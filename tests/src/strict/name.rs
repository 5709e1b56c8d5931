//! Names as Route 53 takes them and gives them back.
//!
//! Stored in lower case. Printed with `\ooo`, three *octal* digits, for every byte other than `a-z 0-9 - _ .`,
//! so that a wildcard comes back as `\052.example.com.`.

use std::{cmp::Ordering, fmt, sync::Arc};

use super::syntax::Fault;

/// RFC 1035 §2.3.4: octets in one label.
pub const MAX_LABEL: usize = 63;
/// RFC 1035 §2.3.4: octets in a name, length octets and the root's among them.
pub const MAX_NAME: usize = 255;

/// An absolute name, in lower case, its labels in the order in which they are written. Cheap to clone: a batch is
/// applied to a copy of the whole zone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name {
    labels: Arc<[Box<[u8]>]>,
}

impl Name {
    /// Reads a name as the API takes it, with or without its trailing dot.
    ///
    /// Octal escapes are the only ones: a `\` that three octal digits do not follow is refused. Octets 000–040 and
    /// 177–377 must be escaped, and so must a dot inside a label.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text == "." {
            return Ok(Self { labels: Arc::default() });
        }
        let mut labels = Vec::new();
        let mut label = Vec::new();
        let mut octets = text.bytes();
        let mut open = false;
        while let Some(octet) = octets.next() {
            open = true;
            match octet {
                b'.' => {
                    labels.push(finished(&mut label, text)?);
                    open = false;
                }
                b'\\' => {
                    let digits = [octets.next(), octets.next(), octets.next()];
                    let octet = octal(digits).ok_or_else(|| {
                        Fault::new("InvalidEscape", "Value contains an escape that is not three octal digits", text)
                    })?;
                    label.push(octet.to_ascii_lowercase());
                }
                0..=0o40 | 0o177..=0o377 => {
                    return Err(Fault::new("UnsupportedCharacter", "Value contains unsupported characters", text));
                }
                _ => label.push(octet.to_ascii_lowercase()),
            }
        }
        if open || labels.is_empty() {
            labels.push(finished(&mut label, text)?);
        }
        let name = Self { labels: labels.into() };
        if name.wire_len() > MAX_NAME {
            return Err(Fault::new("DomainNameTooLong", "Domain name is too long", text));
        }
        Ok(name)
    }

    /// From labels off the wire, which already keep to the limits of RFC 1035.
    pub fn from_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Self {
        Self { labels: labels.map(|label| label.to_ascii_lowercase().into_boxed_slice()).collect() }
    }

    /// The labels, leftmost first, without the root's.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.labels.iter().map(AsRef::as_ref)
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether this is `zone` or below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        self.labels.ends_with(&zone.labels)
    }

    /// Whether the leftmost label is `*` and nothing else: the only place where Route 53 reads it as a wildcard.
    pub fn is_wildcard(&self) -> bool {
        self.labels.first().is_some_and(|label| **label == *b"*")
    }

    /// The name without its leftmost label; the root has none.
    pub fn parent(&self) -> Option<Self> {
        self.labels.split_first().map(|(_, rest)| Self { labels: rest.into() })
    }

    /// `*` below this name: what RFC 4592 §2.1 asks for when this is the closest encloser.
    pub fn wildcard_child(&self) -> Self {
        let mut labels = Vec::with_capacity(self.labels.len() + 1);
        labels.push(b"*".to_vec().into_boxed_slice());
        labels.extend(self.labels.iter().cloned());
        Self { labels: labels.into() }
    }

    /// Uncompressed wire form.
    pub fn wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.wire_len());
        for label in self.labels() {
            // A label has at most 63 octets: `finished` and the wire see to it.
            wire.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
            wire.extend_from_slice(label);
        }
        wire.push(0);
        wire
    }

    fn wire_len(&self) -> usize {
        self.labels().map(|label| label.len() + 1).sum::<usize>() + 1
    }

    /// What Route 53 sorts a listing by: `com.example.www.`, labels reversed, compared octet by octet with the dots.
    ///
    /// The dots count: AWS says that an owner with a character before `.` in ASCII, as `-`, sorts before what is below
    /// its prefix.
    fn sort_key(&self) -> impl Iterator<Item = u8> {
        self.labels().rev().flat_map(|label| label.iter().copied().chain([b'.']))
    }
}

fn finished(label: &mut Vec<u8>, text: &str) -> Result<Box<[u8]>, Fault> {
    if label.is_empty() {
        return Err(Fault::new("DomainLabelEmpty", "Domain label is empty", text));
    }
    if label.len() > MAX_LABEL {
        return Err(Fault::new("DomainLabelTooLong", "Domain label is too long", text));
    }
    Ok(std::mem::take(label).into_boxed_slice())
}

/// The octet of three octal digits, up to `377`.
pub(super) fn octal(digits: [Option<u8>; 3]) -> Option<u8> {
    let mut value: u16 = 0;
    for digit in digits {
        let digit = digit.filter(|digit| (b'0'..=b'7').contains(digit))?;
        value = value * 8 + u16::from(digit - b'0');
    }
    u8::try_from(value).ok()
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &octet in label {
                match octet {
                    b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => write!(f, "{}", char::from(octet))?,
                    _ => write!(f, "\\{octet:03o}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        // Two names can share a key only where a label holds a dot; the labels then tell them apart.
        self.sort_key().cmp(other.sort_key()).then_with(|| self.labels.cmp(&other.labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn escapes_every_octet_but_the_plain_ones() {
        for (given, back) in [
            ("*.Example.COM", "\\052.example.com."),
            ("2/26.2.0.192.in-addr.arpa.", "2\\05726.2.0.192.in-addr.arpa."),
            ("a\\056b.example", "a\\056b.example."),
            ("\\101\\040\\377.example.", "a\\040\\377.example."),
            ("_sip._tcp.example.", "_sip._tcp.example."),
            (".", "."),
        ] {
            assert_eq!(name(given).to_string(), back);
            assert_eq!(name(back), name(given));
        }
    }

    #[test]
    fn refuses_what_is_not_a_name() {
        for text in ["", "..", "a..b", ".a", "a b.example", "é.example", "a\\09.example", "a\\400.example", "a\\.b"] {
            assert!(Name::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn holds_labels_and_names_to_their_limits() {
        assert!(Name::parse(&format!("{}.example.", "a".repeat(63))).is_ok());
        assert!(Name::parse(&format!("{}.example.", "a".repeat(64))).is_err());
        let three = format!("{0}.{0}.{0}.", "a".repeat(63));
        assert!(Name::parse(&format!("{three}{}.", "b".repeat(61))).is_ok());
        assert!(Name::parse(&format!("{three}{}.", "b".repeat(62))).is_err());
    }

    #[test]
    fn sorts_by_reversed_labels_with_their_dots() {
        let mut names =
            ["www.example.com", "a.foo.example.com", "foo-bar.example.com", "foo.example.com", "example.com"].map(name);
        names.sort();
        assert_eq!(
            names.map(|name| name.to_string()),
            ["example.com.", "foo-bar.example.com.", "foo.example.com.", "a.foo.example.com.", "www.example.com."]
        );
    }
}
