//! RDATA in wire form ⇄ the text that Route 53 takes and gives ("Supported DNS record types", Amazon Route 53 Developer
//! Guide).
//!
//! Route 53's text looks like a zone file's and is another language: its `\ooo` is **octal** where a zone file's `\DDD` is
//! decimal, and every name is absolute, dot or no dot. What we write is what Route 53 would give back. What we read may have
//! been written by a console or by another tool, so reading is generous: quotes may be missing, strings may touch, numbers
//! may begin with zeros, names may be in any case.

use std::fmt::Write as _;
use std::str::FromStr;

use secondary53_zone::name::{Name, NameError, NameRef};
use secondary53_zone::rdata::{self, Field, Value};
use secondary53_zone::rrset::Rtype;

/// The types that are translated both ways. Everything else is left out of the hosted zone, and counted.
pub const TRANSLATED: [Rtype; 10] = [
    Rtype::A,
    Rtype::NS,
    Rtype::CNAME,
    Rtype::SOA,
    Rtype::PTR,
    Rtype::MX,
    Rtype::TXT,
    Rtype::AAAA,
    Rtype::SRV,
    Rtype::CAA,
];

/// The types that Route 53 holds, translated or not.
pub const HELD: [Rtype; 17] = [
    Rtype::A,
    Rtype::NS,
    Rtype::CNAME,
    Rtype::SOA,
    Rtype::PTR,
    Rtype::MX,
    Rtype::TXT,
    Rtype::AAAA,
    Rtype::SRV,
    Rtype::NAPTR,
    Rtype::DS,
    Rtype::SSHFP,
    Rtype::TLSA,
    Rtype::SVCB,
    Rtype::HTTPS,
    Rtype::SPF,
    Rtype::CAA,
];

/// Why RDATA has no text for Route 53, or a text no RDATA.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The type is not among [`TRANSLATED`].
    #[error("type {0} is not translated")]
    Type(Rtype),
    /// The RDATA does not read as its type says.
    #[error("its RDATA does not read: {0}")]
    Rdata(#[from] rdata::RdataError),
    /// RDATA that Route 53 has no text for.
    #[error("{0}")]
    NotHeld(&'static str),
    /// A part of the text is missing or does not read.
    #[error("{part} is missing or does not read")]
    Part {
        /// What was expected.
        part: &'static str,
    },
    /// A name in the text is none.
    #[error("a name in it is bad: {0}")]
    Name(#[from] NameError),
    /// Text is left after the last part.
    #[error("text follows its last part")]
    Surplus,
}

/// Writes RDATA as Route 53 takes it.
pub fn to_text(rtype: Rtype, rdata: &[u8]) -> Result<String, ValueError> {
    let fields = translated_fields(rtype)?;
    let values = rdata::values(fields, rdata)?;
    let mut text = String::with_capacity(2 * rdata.len());
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        match value {
            Value::Name(name) => push_name(&mut text, *name),
            Value::CharacterString(tag) if rtype == Rtype::CAA => push_tag(&mut text, tag)?,
            Value::CharacterString(octets) | Value::Rest(octets) => push_quoted(&mut text, octets),
            // Writing to a String does not fail.
            Value::Number(number) => _ = write!(text, "{number}"),
            Value::Ipv4(address) => _ = write!(text, "{address}"),
            Value::Ipv6(address) => _ = write!(text, "{address}"),
        }
    }
    Ok(text)
}

/// Reads what Route 53 gives, in whatever spelling it was stored, as canonical RDATA (RFC 4034 §6.2).
pub fn from_text(rtype: Rtype, text: &str) -> Result<Vec<u8>, ValueError> {
    let fields = translated_fields(rtype)?;
    let mut tokens = Tokens(text);
    let mut rdata = Vec::with_capacity(text.len());
    for field in fields {
        match field {
            Field::Name => rdata.extend_from_slice(parse_name(tokens.word("a name")?)?.as_wire()),
            Field::U8 => rdata.push(tokens.number("a number from 0 to 255")?),
            Field::U16 => rdata.extend(tokens.number::<u16>("a number from 0 to 65535")?.to_be_bytes()),
            Field::U32 => rdata.extend(tokens.number::<u32>("a number from 0 to 4294967295")?.to_be_bytes()),
            Field::Ipv4 => rdata.extend(tokens.parsed::<std::net::Ipv4Addr>("an IPv4 address")?.octets()),
            Field::Ipv6 => rdata.extend(tokens.parsed::<std::net::Ipv6Addr>("an IPv6 address")?.octets()),
            Field::CharacterString => push_string(&mut rdata, tokens.word("a tag")?.as_bytes())?,
            Field::CharacterStrings => {
                push_string(&mut rdata, &tokens.string("a character string")?)?;
                while !tokens.is_empty() {
                    push_string(&mut rdata, &tokens.string("a character string")?)?;
                }
            }
            Field::QuotedRest => rdata.extend(tokens.string("a quoted value")?),
            Field::PlainName | Field::HexRest => return Err(ValueError::Type(rtype)),
        }
    }
    if tokens.is_empty() { Ok(rdata) } else { Err(ValueError::Surplus) }
}

/// Writes a name as Route 53 gives it: every octet but `a-z 0-9 - _` as three octal digits, a dot at the end.
pub fn name_text(name: NameRef<'_>) -> String {
    let mut text = String::with_capacity(name.as_wire().len());
    push_name(&mut text, name);
    text
}

/// Reads a name of Route 53's: `\ooo` is octal, and a missing dot at the end changes nothing.
pub fn parse_name(text: &str) -> Result<Name, NameError> {
    if text == "." {
        return Ok(Name::root());
    }
    let mut labels = vec![Vec::new()];
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        let octet = match octet {
            b'.' => {
                labels.push(Vec::new());
                continue;
            }
            b'\\' => unescape(&mut rest).ok_or(NameError::BadEscape)?,
            plain => plain,
        };
        if let Some(label) = labels.last_mut() {
            label.push(octet);
        }
    }
    // What the dot at the end began.
    labels.pop_if(|last| last.is_empty());
    if labels.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    Name::from_labels(labels)
}

fn translated_fields(rtype: Rtype) -> Result<&'static [Field], ValueError> {
    rdata::fields(rtype).filter(|_| TRANSLATED.contains(&rtype)).ok_or(ValueError::Type(rtype))
}

fn push_name(text: &mut String, name: NameRef<'_>) {
    for label in name.labels() {
        for &octet in label {
            match octet.to_ascii_lowercase() {
                plain @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => text.push(plain.into()),
                other => _ = write!(text, "\\{other:03o}"),
            }
        }
        text.push('.');
    }
    if name.as_wire() == [0] {
        text.push('.');
    }
}

fn push_quoted(text: &mut String, octets: &[u8]) {
    text.push('"');
    for &octet in octets {
        match octet {
            b'"' | b'\\' => text.extend(['\\', octet.into()]),
            0x20..=0x7e => text.push(octet.into()),
            _ => _ = write!(text, "\\{octet:03o}"),
        }
    }
    text.push('"');
}

/// A tag of CAA stands unquoted, so it must be what RFC 8659 §4.1 says: letters and digits.
fn push_tag(text: &mut String, tag: &[u8]) -> Result<(), ValueError> {
    if tag.is_empty() || !tag.iter().all(u8::is_ascii_alphanumeric) {
        return Err(ValueError::NotHeld("its CAA tag is empty or not of letters and digits (RFC 8659 §4.1)"));
    }
    text.extend(tag.iter().copied().map(char::from));
    Ok(())
}

fn push_string(rdata: &mut Vec<u8>, octets: &[u8]) -> Result<(), ValueError> {
    let length = u8::try_from(octets.len()).map_err(|_| ValueError::Part { part: "a string of up to 255 octets" })?;
    rdata.push(length);
    rdata.extend_from_slice(octets);
    Ok(())
}

/// What follows a backslash: three octal digits, or a character that stands for itself.
fn unescape(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = rest.next()?;
    let digit = |octet: u8| matches!(octet, b'0'..=b'7').then(|| u32::from(octet - b'0'));
    let Some(high) = digit(first) else { return Some(first) };
    let (middle, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
    u8::try_from(high << 6 | middle << 3 | low).ok()
}

/// A value's text, read from the front.
struct Tokens<'a>(&'a str);

const BLANK: [char; 2] = [' ', '\t'];

impl<'a> Tokens<'a> {
    fn is_empty(&self) -> bool {
        self.0.trim_matches(BLANK).is_empty()
    }

    /// All up to a blank.
    fn word(&mut self, part: &'static str) -> Result<&'a str, ValueError> {
        let text = self.0.trim_start_matches(BLANK);
        let (word, rest) = text.split_at(text.find(BLANK).unwrap_or(text.len()));
        self.0 = rest;
        if word.is_empty() { Err(ValueError::Part { part }) } else { Ok(word) }
    }

    fn parsed<T: FromStr>(&mut self, part: &'static str) -> Result<T, ValueError> {
        self.word(part)?.parse().map_err(|_| ValueError::Part { part })
    }

    /// In decimal, zeros in front allowed, a sign not.
    fn number<T: FromStr>(&mut self, part: &'static str) -> Result<T, ValueError> {
        let word = self.word(part)?;
        let digits = word.bytes().all(|octet| octet.is_ascii_digit());
        word.parse().ok().filter(|_| digits).ok_or(ValueError::Part { part })
    }

    /// A quoted string, or all up to a blank or a quote.
    fn string(&mut self, part: &'static str) -> Result<Vec<u8>, ValueError> {
        const MISSING_QUOTE: ValueError = ValueError::Part { part: "the closing quote of a string" };
        const BAD_ESCAPE: ValueError =
            ValueError::Part { part: "what a backslash escapes (three octal digits up to 377)" };
        let text = self.0.trim_start_matches(BLANK);
        let quoted = text.strip_prefix('"');
        let mut rest = quoted.unwrap_or(text).bytes();
        let mut octets = Vec::with_capacity(rest.len());
        loop {
            let remaining = rest.len();
            match rest.next() {
                Some(b'"') if quoted.is_some() => break self.keep(rest.len()),
                None if quoted.is_some() => return Err(MISSING_QUOTE),
                None if octets.is_empty() => return Err(ValueError::Part { part }),
                None => break self.keep(0),
                Some(b' ' | b'\t' | b'"') if quoted.is_none() => break self.keep(remaining),
                Some(b'\\') => octets.push(unescape(&mut rest).ok_or(BAD_ESCAPE)?),
                Some(octet) => octets.push(octet),
            }
        }
        Ok(octets)
    }

    /// Leaves the last `length` octets to be read. They begin behind an ASCII octet, or at one.
    fn keep(&mut self, length: usize) {
        self.0 = self.0.get(self.0.len() - length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Both ways: what we write, and what Route 53 would store for it.
    const PAIRS: &[(Rtype, &[u8], &str)] = &[
        (Rtype::A, &[192, 0, 2, 1], "192.0.2.1"),
        (Rtype::AAAA, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1"),
        (Rtype::AAAA, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1], "::ffff:192.0.2.1"),
        (Rtype::CNAME, b"\x03www\x07example\x03com\x00", "www.example.com."),
        (Rtype::NS, b"\x00", "."),
        (Rtype::PTR, b"\x04a.\\b\x00", "a\\056\\134b."),
        (Rtype::CNAME, b"\x01*\x01x\x00", "\\052.x."),
        (Rtype::MX, b"\x00\x0a\x02mx\x00", "10 mx."),
        (Rtype::MX, b"\x00\x00\x00", "0 ."),
        (Rtype::SRV, b"\x00\x01\x00\x02\x01\xbb\x01h\x00", "1 2 443 h."),
        (Rtype::TXT, b"\x03a b", "\"a b\""),
        (Rtype::TXT, b"\x01a\x00\x01b", "\"a\" \"\" \"b\""),
        (Rtype::TXT, b"\x0a\"\\;\x00\x1f\x20\x7f\x80\xff\xc3", "\"\\\"\\\\;\\000\\037 \\177\\200\\377\\303\""),
        (Rtype::CAA, b"\x80\x05issueca.example; x=\"1\"", "128 issue \"ca.example; x=\\\"1\\\"\""),
        (Rtype::CAA, b"\x00\x05issue", "0 issue \"\""),
        (
            Rtype::SOA,
            b"\x01a\x00\x01b\x00\xff\xff\xff\xff\x00\x00\x0e\x10\x00\x00\x02\x58\x00\x12\x75\x00\x00\x00\x01\x2c",
            "a. b. 4294967295 3600 600 1209600 300",
        ),
    ];

    #[test]
    fn rdata_is_written_as_route_53_has_it_and_read_back() {
        for (rtype, rdata, text) in PAIRS {
            assert_eq!(to_text(*rtype, rdata).as_deref(), Ok(*text), "{rtype}");
            assert_eq!(from_text(*rtype, text).as_deref(), Ok(*rdata), "{rtype} {text}");
        }
    }

    #[test]
    fn the_spellings_of_others_are_read() {
        let long = format!("\"{}\"", "x".repeat(255));
        for (rtype, text, same) in [
            (Rtype::CNAME, "WWW.Example.COM", "www.example.com."),
            (Rtype::CNAME, " www.example.com. ", "www.example.com."),
            (Rtype::MX, "0010\t mx.example", "10 mx.example."),
            (Rtype::AAAA, "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            (Rtype::TXT, "\"a\"\"b\"", "\"a\" \"b\""),
            (Rtype::TXT, "a\"b\" c\\\"d", "\"a\" \"b\" \"c\\\"d\""),
            (Rtype::TXT, "  \"a\"   \"b\" ", "\"a\" \"b\""),
            (Rtype::TXT, "\"\\101\\x\"", "\"Ax\""),
            (Rtype::TXT, "\"é\"", "\"\\303\\251\""),
            (Rtype::TXT, &long, &long),
            (Rtype::CAA, "0 issue ca.example", "0 issue \"ca.example\""),
            (Rtype::SOA, "NS. Host. 01 2 3 4 5", "ns. host. 1 2 3 4 5"),
        ] {
            assert_eq!(from_text(rtype, text), from_text(rtype, same), "{text}");
            assert!(from_text(rtype, same).is_ok(), "{same}");
        }
    }

    #[test]
    fn what_does_not_read_is_an_error() {
        for (rtype, text) in [
            (Rtype::A, "192.0.2"),
            (Rtype::A, "192.0.2.1 192.0.2.2"),
            (Rtype::A, ""),
            (Rtype::MX, "mx."),
            (Rtype::MX, "+1 mx."),
            (Rtype::MX, "65536 mx."),
            (Rtype::CNAME, "a..b"),
            (Rtype::CNAME, "a\\400."),
            (Rtype::TXT, ""),
            (Rtype::TXT, "\"a"),
            (Rtype::TXT, "\"a\\"),
            (Rtype::TXT, "\"\\777\""),
            (Rtype::TXT, "\"\\19x\""),
            (Rtype::CAA, "256 issue \"x\""),
            (Rtype::CAA, "0 issue"),
            (Rtype::HTTPS, "1 ."),
        ] {
            assert!(from_text(rtype, text).is_err(), "{rtype} {text:?}");
        }
        assert!(from_text(Rtype::TXT, &format!("\"{}\"", "x".repeat(256))).is_err());
        assert_eq!(to_text(Rtype::A, &[1, 2, 3]), Err(ValueError::Rdata(rdata::RdataError::CutShort)));
        assert_eq!(to_text(Rtype::HTTPS, b"\x00\x01\x00"), Err(ValueError::Type(Rtype::HTTPS)));
        assert!(matches!(to_text(Rtype::CAA, b"\x00\x02a bx"), Err(ValueError::NotHeld(_))));
        assert!(matches!(to_text(Rtype::CAA, b"\x00\x00x"), Err(ValueError::NotHeld(_))));
    }

    #[test]
    fn names_are_octal_both_ways() {
        for (text, zone_file) in [
            ("\\052.example.com.", "*.example.com."),
            ("0\\05725.2.0.192.in-addr.arpa.", "0/25.2.0.192.in-addr.arpa."),
            ("a\\056b.example.", "a\\.b.example."),
            ("\\000\\377_-9.", "\\000\\255_-9."),
            (".", "."),
        ] {
            let name = Name::parse(zone_file).unwrap();
            assert_eq!(name_text(name.by_ref()), text);
            assert_eq!(parse_name(text), Ok(name));
        }
        assert_eq!(parse_name("*.Example.com"), parse_name("\\052.example.com."));
        assert!(parse_name("").is_err() && parse_name("a..").is_err() && parse_name("\\8").is_ok());
    }

    proptest! {
        #[test]
        fn strings_of_any_octets_survive(strings in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..=255), 1..4)) {
            let mut rdata = Vec::new();
            for string in &strings {
                push_string(&mut rdata, string).unwrap();
            }
            let text = to_text(Rtype::TXT, &rdata).unwrap();
            prop_assert!(text.is_ascii());
            prop_assert_eq!(from_text(Rtype::TXT, &text).unwrap(), rdata);
        }

        #[test]
        fn names_of_any_octets_survive(labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..=63), 0..4)) {
            let Ok(name) = Name::from_labels(&labels) else { return Ok(()) };
            prop_assert_eq!(parse_name(&name_text(name.by_ref())).unwrap(), name);
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), which in 0..TRANSLATED.len()) {
            if let Ok(rdata) = from_text(TRANSLATED[which], &text) {
                let again = to_text(TRANSLATED[which], &rdata);
                // A tag of CAA may read and not be held.
                if let Ok(again) = again {
                    prop_assert_eq!(from_text(TRANSLATED[which], &again).unwrap(), rdata);
                }
            }
        }
    }
}
