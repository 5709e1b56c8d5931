//! Route 53's text → RDATA.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use secondary53_zone::rdata::Field;
use secondary53_zone::rrset::Rtype;

use super::name::{parse_name, unescape};
use super::{ValueError, held_fields, svcb};

/// Reads what Route 53 gives, in whatever spelling it was stored, as canonical RDATA (RFC 4034 §6.2; see
/// [`super::as_held`]).
///
/// One spelling is not read: an IPv4 address with zeros in front. RFC 1035 §3.4.1 makes `010` ten and many programs make
/// it eight (RFC 6943 §3.1.1). What does not read differs from everything, and so is replaced by the plain spelling.
pub fn from_text(rtype: Rtype, text: &str) -> Result<Vec<u8>, ValueError> {
    let fields = held_fields(rtype)?;
    let mut tokens = Tokens(text);
    let mut rdata = Vec::with_capacity(text.len());
    for field in fields {
        match field {
            Field::Name | Field::PlainName => rdata.extend_from_slice(parse_name(tokens.word("a name")?)?.as_wire()),
            Field::U8 => rdata.push(tokens.number("a number from 0 to 255")?),
            Field::U16 => rdata.extend(tokens.number::<u16>("a number from 0 to 65535")?.to_be_bytes()),
            Field::U32 => rdata.extend(tokens.number::<u32>("a number from 0 to 4294967295")?.to_be_bytes()),
            Field::Ipv4 => rdata.extend(tokens.parsed::<Ipv4Addr>("an IPv4 address")?.octets()),
            Field::Ipv6 => rdata.extend(tokens.parsed::<Ipv6Addr>("an IPv6 address")?.octets()),
            Field::CharacterString => push_string(&mut rdata, &tokens.string("a character string")?)?,
            Field::CharacterStrings => {
                push_string(&mut rdata, &tokens.string("a character string")?)?;
                while !tokens.is_empty() {
                    push_string(&mut rdata, &tokens.string("a character string")?)?;
                }
            }
            Field::QuotedRest => rdata.extend(tokens.string("a quoted value")?),
            Field::HexRest if matches!(rtype, Rtype::SVCB | Rtype::HTTPS) => {
                svcb::read_params(&mut tokens, &mut rdata)?;
            }
            Field::HexRest => rdata.extend(tokens.hex()?),
        }
    }
    if tokens.is_empty() { Ok(rdata) } else { Err(ValueError::Surplus) }
}

/// A character string: its length, and the octets.
pub(super) fn push_string(rdata: &mut Vec<u8>, octets: &[u8]) -> Result<(), ValueError> {
    let length = u8::try_from(octets.len()).map_err(|_| ValueError::Part { part: "a string of up to 255 octets" })?;
    rdata.push(length);
    rdata.extend_from_slice(octets);
    Ok(())
}

/// In decimal, zeros in front allowed, a sign not.
pub(super) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A value's text, read from the front.
pub(super) struct Tokens<'a>(&'a str);

const BLANK: [char; 2] = [' ', '\t'];

impl<'a> Tokens<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.trim_matches(BLANK).is_empty()
    }

    /// All up to a blank.
    fn word(&mut self, part: &'static str) -> Result<&'a str, ValueError> {
        self.until(&BLANK, part)
    }

    /// All up to one of `ends`, blanks in front left out.
    fn until(&mut self, ends: &[char], part: &'static str) -> Result<&'a str, ValueError> {
        let text = self.0.trim_start_matches(BLANK);
        let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        self.0 = rest;
        if word.is_empty() { Err(ValueError::Part { part }) } else { Ok(word) }
    }

    fn parsed<T: FromStr>(&mut self, part: &'static str) -> Result<T, ValueError> {
        self.word(part)?.parse().map_err(|_| ValueError::Part { part })
    }

    fn number<T: FromStr>(&mut self, part: &'static str) -> Result<T, ValueError> {
        decimal(self.word(part)?).ok_or(ValueError::Part { part })
    }

    /// All that is left, as hexadecimal digits of either case, blanks anywhere between them (RFC 4034 §5.3).
    fn hex(&mut self) -> Result<Vec<u8>, ValueError> {
        const PART: ValueError = ValueError::Part { part: "an even number of hexadecimal digits" };
        let digits = std::mem::take(&mut self.0).chars().filter(|digit| !BLANK.contains(digit));
        let digits: Option<Vec<u8>> = digits.map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
        match digits.as_deref().map(<[u8]>::as_chunks) {
            Some((pairs @ [_, ..], [])) => Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect()),
            _ => Err(PART),
        }
    }

    /// `key`, `key=`, `key=value` or `key="value"` (RFC 9460 §2.1).
    pub(super) fn param(&mut self) -> Result<(&'a str, Option<Vec<u8>>), ValueError> {
        let key = self.until(&[' ', '\t', '='], "a parameter's key")?;
        let Some(value) = self.0.strip_prefix('=') else { return Ok((key, None)) };
        self.0 = value;
        if value.is_empty() || value.starts_with(BLANK) {
            return Ok((key, Some(Vec::new())));
        }
        Ok((key, Some(self.string("a parameter's value")?)))
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
