//! The fields of a value, and the kinds that several types share.

use std::str::FromStr;

use super::{Fault, Name, octal};

/// Octets in one character string (RFC 1035 §3.3).
const MAX_STRING: usize = 255;

/// The fields of a value, read from left to right.
pub(super) struct Fields<'a> {
    pub(super) whole: &'a str,
    pub(super) rest: &'a str,
    first: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { whole: text, rest: text, first: true }
    }

    /// Lets the next string follow with no space before it.
    pub(super) fn may_touch(&mut self) {
        self.first = self.rest.starts_with('"');
    }

    pub(super) fn fault(&self, code: &'static str, what: &'static str) -> Fault {
        Fault::new(code, what, self.whole)
    }

    /// Steps over the one space between two fields.
    fn separator(&mut self) -> Result<(), Fault> {
        if !std::mem::take(&mut self.first) {
            let fault = self.fault("RDATAWrongNumberOfFields", "Value has too few fields, or no space between them");
            self.rest = self.rest.strip_prefix(' ').ok_or(fault)?;
        }
        Ok(())
    }

    pub(super) fn field(&mut self) -> Result<&'a str, Fault> {
        self.separator()?;
        let end = self.rest.find(' ').unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        if field.is_empty() {
            return Err(self.fault("RDATAEmptyField", "Value has an empty field"));
        }
        self.rest = rest;
        Ok(field)
    }

    pub(super) fn address<A: FromStr>(&mut self, code: &'static str, what: &'static str) -> Result<A, Fault> {
        let fault = self.fault(code, what);
        self.field()?.parse().map_err(|_| fault)
    }

    pub(super) fn number<N: FromStr + PartialOrd + Copy>(&mut self, most: N) -> Result<N, Fault> {
        let field = self.field()?;
        decimal(field, most).ok_or_else(|| self.fault("IllegalNumber", "Value holds a number that is not in its range"))
    }

    pub(super) fn name(&mut self) -> Result<Name, Fault> {
        Name::parse(self.field()?)
    }

    /// Hexadecimal digits in one piece, of either case; of `length` octets where the algorithm tells it.
    pub(super) fn hex(&mut self, length: Option<usize>) -> Result<Vec<u8>, Fault> {
        let fault = self.fault("IllegalHexDigits", "Value does not hold the hexadecimal digits that it should");
        let digits: Option<Vec<u8>> =
            self.field()?.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        let digits = digits.ok_or_else(|| fault.clone())?;
        if digits.len() % 2 != 0 || length.is_some_and(|length| digits.len() != 2 * length) {
            return Err(fault);
        }
        Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
    }

    /// A quoted string of any length: `\"`, `\\` and octal escapes; everything else as it stands.
    pub(super) fn quoted(&mut self) -> Result<Vec<u8>, Fault> {
        self.separator()?;
        let unquoted = self.fault("InvalidCharacterString", "Value should be enclosed in quotation marks");
        let inner = self.rest.strip_prefix('"').ok_or_else(|| unquoted.clone())?;
        let mut out = Vec::new();
        let mut octets = inner.bytes().enumerate();
        while let Some((at, octet)) = octets.next() {
            match octet {
                b'"' => {
                    self.rest = &inner[at + 1..];
                    return Ok(out);
                }
                b'\\' => {
                    let mut next = || octets.next().map(|(_, octet)| octet);
                    match next() {
                        Some(octet @ (b'"' | b'\\')) => out.push(octet),
                        first => out.push(octal([first, next(), next()]).ok_or_else(|| {
                            self.fault("InvalidCharacterString", "Value contains an escape that is not octal")
                        })?),
                    }
                }
                b' '..=b'~' => out.push(octet),
                _ => return Err(self.fault("UnsupportedCharacter", "Value contains unsupported characters")),
            }
        }
        Err(unquoted)
    }

    /// A quoted string that fits a character string of the wire.
    pub(super) fn character_string(&mut self) -> Result<Vec<u8>, Fault> {
        let string = self.quoted()?;
        if string.len() > MAX_STRING {
            return Err(self.fault("CharacterStringTooLong", "Value is too long"));
        }
        Ok(string)
    }

    /// `key` or `key=value`, the value quoted or not.
    pub(super) fn param(&mut self) -> Result<(&'a str, Option<&'a str>), Fault> {
        let param = self.field()?;
        let Some((key, value)) = param.split_once('=') else { return Ok((param, None)) };
        if let Some(opened) = value.strip_prefix('"') {
            let fault = self.fault("InvalidCharacterString", "Value should be enclosed in quotation marks");
            return Ok((key, Some(opened.strip_suffix('"').ok_or(fault)?)));
        }
        Ok((key, Some(value)))
    }

    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.fault("RDATAWrongNumberOfFields", "Value has too many fields, or space at its end"))
    }
}

/// Decimal digits alone, no sign.
pub(super) fn decimal<N: FromStr + PartialOrd + Copy>(text: &str, most: N) -> Option<N> {
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= most)
}

/// Appends a string that is known to fit, with its length before it.
pub(super) fn push_string(out: &mut Vec<u8>, string: &[u8]) {
    out.push(u8::try_from(string.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(string);
}
