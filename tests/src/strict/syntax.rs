//! What Route 53 takes as a `Value`, type by type, and the RDATA that it stands for.
//!
//! Written for the strict hosted zone alone: it checks what the worker prints, so it shares no code with it. Where
//! AWS's pages leave something open, the narrower reading holds, and a comment says so: a value that passes here should
//! pass there. Throughout, fields are separated by exactly one space, with none before or after (AWS does not say
//! whether more are taken).

use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::name::{Name, octal};

/// The types that a hosted zone can hold; in the order of their names, which is the order of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    A,
    Aaaa,
    Caa,
    Cname,
    Ds,
    Https,
    Mx,
    Naptr,
    Ns,
    Ptr,
    Soa,
    Spf,
    Srv,
    Sshfp,
    Svcb,
    Tlsa,
    Txt,
}

use RecordType as T;

impl RecordType {
    /// All 17, with their names in the API and their numbers on the wire.
    pub const ALL: [(Self, &'static str, u16); 17] = [
        (T::A, "A", 1),
        (T::Aaaa, "AAAA", 28),
        (T::Caa, "CAA", 257),
        (T::Cname, "CNAME", 5),
        (T::Ds, "DS", 43),
        (T::Https, "HTTPS", 65),
        (T::Mx, "MX", 15),
        (T::Naptr, "NAPTR", 35),
        (T::Ns, "NS", 2),
        (T::Ptr, "PTR", 12),
        (T::Soa, "SOA", 6),
        (T::Spf, "SPF", 99),
        (T::Srv, "SRV", 33),
        (T::Sshfp, "SSHFP", 44),
        (T::Svcb, "SVCB", 64),
        (T::Tlsa, "TLSA", 52),
        (T::Txt, "TXT", 16),
    ];

    /// The type of this name; the API knows upper case alone.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name, _)| *name == text).map(|(rtype, ..)| rtype)
    }

    fn row(self) -> (Self, &'static str, u16) {
        // The rows stand in the order of the variants; a test holds them to it.
        Self::ALL[self as usize]
    }

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Its number on the wire.
    pub fn code(self) -> u16 {
        self.row().2
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a name or a value, in Route 53's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("FATAL problem: {code} ({what}) encountered with '{with}'")]
pub struct Fault {
    code: &'static str,
    what: &'static str,
    with: String,
}

impl Fault {
    /// `with` is the text at fault.
    pub fn new(code: &'static str, what: &'static str, with: &str) -> Self {
        Self { code, what, with: with.to_owned() }
    }
}

/// Octets in one character string (RFC 1035 §3.3).
const MAX_STRING: usize = 255;
/// Octets in an RDATA (RFC 1035 §3.2.1).
const MAX_RDATA: usize = 65_535;
/// Route 53's numbers of seconds have 31 bits (RFC 2181 §8).
pub const MAX_SECONDS: u32 = 2_147_483_647;
/// Route 53 takes half of the 16 bits of a `SvcPriority`.
const MAX_SVC_PRIORITY: u16 = 32_767;

/// The RDATA of `text`, uncompressed, or what is wrong with it.
pub fn rdata(rtype: RecordType, text: &str) -> Result<Vec<u8>, Fault> {
    let mut fields = Fields { whole: text, rest: text, first: true };
    let mut out = Vec::new();
    match rtype {
        T::A => {
            let address: Ipv4Addr = fields.address("ARRDATAIllegalIPv4Address", "Value is not a valid IPv4 address")?;
            out.extend(address.octets());
        }
        T::Aaaa => {
            let (code, what) = ("AAAARRDATAIllegalIPv6Address", "Value is not a valid IPv6 address");
            out.extend(fields.address::<Ipv6Addr>(code, what)?.octets());
        }
        T::Cname | T::Ns | T::Ptr => {
            let name = fields.name()?;
            // Narrow: whether the root is taken as a target here is nowhere said, and nothing good points there.
            if name.is_root() {
                return Err(Fault::new("DomainNameEmpty", "Domain name is empty", text));
            }
            out.extend(name.wire());
        }
        T::Mx => {
            out.extend(fields.number::<u16>(u16::MAX)?.to_be_bytes());
            out.extend(fields.name()?.wire());
        }
        T::Srv => {
            for _ in 0..3 {
                out.extend(fields.number::<u16>(u16::MAX)?.to_be_bytes());
            }
            out.extend(fields.name()?.wire());
        }
        T::Caa => {
            out.push(fields.number(u8::MAX)?);
            let tag = fields.field()?;
            // RFC 8659 §4.1: letters and digits, at most 15 of them (the registry's bound; narrow).
            if tag.len() > 15 || !tag.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
                return Err(fields.fault("CAARRDATAIllegalTag", "CAA tag is not 1 to 15 letters and digits"));
            }
            push_string(&mut out, tag.as_bytes());
            out.extend(fields.quoted()?);
        }
        T::Ds => {
            out.extend(fields.number::<u16>(u16::MAX)?.to_be_bytes());
            out.push(fields.number(u8::MAX)?);
            let digest_type: u8 = fields.number(u8::MAX)?;
            out.push(digest_type);
            // RFC 4034 §5.1.3, RFC 4509, RFC 6605 §2: a known digest has its length.
            let length = match digest_type {
                1 => Some(20),
                2 => Some(32),
                4 => Some(48),
                _ => None,
            };
            out.extend(fields.hex(length)?);
        }
        T::Sshfp => {
            out.push(fields.number(u8::MAX)?);
            let fingerprint: u8 = fields.number(u8::MAX)?;
            out.push(fingerprint);
            let length = match fingerprint {
                1 => Some(20),
                2 => Some(32),
                _ => None,
            };
            out.extend(fields.hex(length)?);
        }
        T::Tlsa => {
            // Narrow: AWS's page lists usage 0-3, selector 0-1 and matching type 0-2; the private use 255 it leaves out.
            for most in [3, 1, 2] {
                out.push(fields.number(most)?);
            }
            let length = match out.last() {
                Some(1) => Some(32),
                Some(2) => Some(64),
                _ => None,
            };
            out.extend(fields.hex(length)?);
        }
        T::Naptr => {
            for _ in 0..2 {
                out.extend(fields.number::<u16>(u16::MAX)?.to_be_bytes());
            }
            let flags = fields.character_string()?;
            if !flags.iter().all(u8::is_ascii_alphanumeric) {
                return Err(fields.fault("NAPTRRRDATAIllegalFlags", "NAPTR flags are not letters and digits"));
            }
            push_string(&mut out, &flags);
            push_string(&mut out, &fields.character_string()?);
            let regexp = fields.character_string()?;
            push_string(&mut out, &regexp);
            let replacement = fields.name()?;
            if !regexp.is_empty() && !replacement.is_root() {
                return Err(fields.fault("NAPTRRRDATAIllegalReplacement", "A regexp asks for a replacement of '.'"));
            }
            out.extend(replacement.wire());
        }
        T::Txt | T::Spf => {
            push_string(&mut out, &fields.character_string()?);
            while !fields.rest.is_empty() {
                // `"a""b"`, with no space, has been seen coming back, so it is taken too.
                fields.first = fields.rest.starts_with('"');
                push_string(&mut out, &fields.character_string()?);
            }
        }
        T::Svcb | T::Https => service(&mut fields, &mut out)?,
        T::Soa => {
            for _ in 0..2 {
                out.extend(fields.name()?.wire());
            }
            out.extend(fields.number::<u32>(u32::MAX)?.to_be_bytes());
            for _ in 0..4 {
                out.extend(fields.number::<u32>(MAX_SECONDS)?.to_be_bytes());
            }
        }
    }
    fields.end()?;
    if out.len() > MAX_RDATA {
        return Err(fields.fault("RDATATooLong", "Value does not fit a record"));
    }
    Ok(out)
}

/// `text` without the trailing dots of its names: two values that are alike here are one value to Route 53, which
/// silently does nothing when asked to change the one into the other.
pub fn without_trailing_dots(rtype: RecordType, text: &str) -> String {
    let count = text.split(' ').count();
    let is_name = |at: usize| match rtype {
        T::Cname | T::Ns | T::Ptr | T::Mx | T::Srv | T::Naptr => at + 1 == count,
        T::Soa => at < 2,
        T::Svcb | T::Https => at == 1,
        _ => false,
    };
    let fields = text.split(' ').enumerate().map(|(at, field)| match field.strip_suffix('.') {
        Some(stripped) if is_name(at) && !stripped.is_empty() => stripped,
        _ => field,
    });
    fields.collect::<Vec<_>>().join(" ")
}

/// SVCB and HTTPS (RFC 9460 §2.1), with the keys that Route 53 knows by name; `keyNNNNN` is not among them.
fn service(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let priority: u16 = fields.number(MAX_SVC_PRIORITY)?;
    out.extend(priority.to_be_bytes());
    out.extend(fields.name()?.wire());
    let mut params: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    while !fields.rest.is_empty() {
        let (key, value) = fields.param()?;
        let fault = |what| Fault::new("SVCBRRDATAIllegalParam", what, fields.whole);
        let number = key_number(key).ok_or_else(|| fault("SvcParamKey is not supported"))?;
        let value = match number {
            2 | 8 => match value {
                None => Vec::new(),
                Some(_) => return Err(fault("SvcParamKey takes no value")),
            },
            _ => param_value(number, value.unwrap_or_default()).ok_or_else(|| fault("SvcParamValue is not valid"))?,
        };
        if params.insert(number, value).is_some() {
            return Err(fault("SvcParamKey is given twice"));
        }
    }
    let fault = |what| Fault::new("SVCBRRDATAIllegalParam", what, fields.whole);
    // RFC 9460 §2.4.2 lets a recipient ignore them; narrow: they are refused.
    if priority == 0 && !params.is_empty() {
        return Err(fault("AliasMode takes no parameters"));
    }
    // RFC 9460 §7.1.1
    if params.contains_key(&2) && !params.contains_key(&1) {
        return Err(fault("no-default-alpn needs alpn"));
    }
    // RFC 9460 §8
    if let Some(mandatory) = params.get(&0) {
        let present = mandatory.chunks_exact(2).all(|key| params.contains_key(&u16::from_be_bytes([key[0], key[1]])));
        if !present {
            return Err(fault("a mandatory key is not present"));
        }
    }
    for (key, value) in params {
        out.extend(key.to_be_bytes());
        // A value of at most 4,000 characters makes no more octets than that.
        out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(value);
    }
    Ok(())
}

fn key_number(key: &str) -> Option<u16> {
    Some(match key {
        "mandatory" => 0,
        "alpn" => 1,
        "no-default-alpn" => 2,
        "port" => 3,
        "ipv4hint" => 4,
        "ech" => 5,
        "ipv6hint" => 6,
        "dohpath" => 7,
        "ohttp" => 8,
        _ => return None,
    })
}

/// The wire form of a parameter's value (RFC 9460 §7 and §8, RFC 9461 §5); `None` where it is not valid.
///
/// Narrow: no escapes at all. ALPN ids that would need them are not in use.
fn param_value(key: u16, value: &str) -> Option<Vec<u8>> {
    let plain = |octet: u8| octet.is_ascii_graphic() && octet != b'"' && octet != b'\\';
    if value.is_empty() || !value.bytes().all(plain) {
        return None;
    }
    let mut out = Vec::new();
    match key {
        0 => {
            let mut keys = value.split(',').map(key_number).collect::<Option<Vec<u16>>>()?;
            let given = keys.len();
            keys.sort_unstable();
            keys.dedup();
            if keys.len() != given || keys.contains(&0) {
                return None;
            }
            out.extend(keys.into_iter().flat_map(u16::to_be_bytes));
        }
        1 => {
            for id in value.split(',') {
                let length = u8::try_from(id.len()).ok().filter(|length| *length > 0)?;
                out.push(length);
                out.extend(id.bytes());
            }
        }
        3 => out.extend(decimal(value, u16::MAX)?.to_be_bytes()),
        4 => {
            for address in value.split(',') {
                out.extend(Ipv4Addr::from_str(address).ok()?.octets());
            }
        }
        5 => out = STANDARD.decode(value).ok()?,
        6 => {
            for address in value.split(',') {
                out.extend(Ipv6Addr::from_str(address).ok()?.octets());
            }
        }
        7 => {
            if !value.starts_with('/') || !value.contains("{?dns}") {
                return None;
            }
            out.extend(value.bytes());
        }
        _ => return None,
    }
    Some(out)
}

/// The fields of a value, read from left to right.
struct Fields<'a> {
    whole: &'a str,
    rest: &'a str,
    first: bool,
}

impl<'a> Fields<'a> {
    fn fault(&self, code: &'static str, what: &'static str) -> Fault {
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

    fn field(&mut self) -> Result<&'a str, Fault> {
        self.separator()?;
        let end = self.rest.find(' ').unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        if field.is_empty() {
            return Err(self.fault("RDATAEmptyField", "Value has an empty field"));
        }
        self.rest = rest;
        Ok(field)
    }

    fn address<A: FromStr>(&mut self, code: &'static str, what: &'static str) -> Result<A, Fault> {
        let fault = self.fault(code, what);
        self.field()?.parse().map_err(|_| fault)
    }

    fn number<N: FromStr + PartialOrd + Copy>(&mut self, most: N) -> Result<N, Fault> {
        let field = self.field()?;
        decimal(field, most).ok_or_else(|| self.fault("IllegalNumber", "Value holds a number that is not in its range"))
    }

    fn name(&mut self) -> Result<Name, Fault> {
        Name::parse(self.field()?)
    }

    /// Hexadecimal digits in one piece, of either case; of `length` octets where the algorithm tells it.
    fn hex(&mut self, length: Option<usize>) -> Result<Vec<u8>, Fault> {
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
    fn quoted(&mut self) -> Result<Vec<u8>, Fault> {
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
    fn character_string(&mut self) -> Result<Vec<u8>, Fault> {
        let string = self.quoted()?;
        if string.len() > MAX_STRING {
            return Err(self.fault("CharacterStringTooLong", "Value is too long"));
        }
        Ok(string)
    }

    /// `key` or `key=value`, the value quoted or not.
    fn param(&mut self) -> Result<(&'a str, Option<&'a str>), Fault> {
        let param = self.field()?;
        let Some((key, value)) = param.split_once('=') else { return Ok((param, None)) };
        if let Some(opened) = value.strip_prefix('"') {
            let fault = self.fault("InvalidCharacterString", "Value should be enclosed in quotation marks");
            return Ok((key, Some(opened.strip_suffix('"').ok_or(fault)?)));
        }
        Ok((key, Some(value)))
    }

    fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.fault("RDATAWrongNumberOfFields", "Value has too many fields, or space at its end"))
    }
}

/// Decimal digits alone, no sign.
fn decimal<N: FromStr + PartialOrd + Copy>(text: &str, most: N) -> Option<N> {
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= most)
}

/// Appends a string that is known to fit, with its length before it.
fn push_string(out: &mut Vec<u8>, string: &[u8]) {
    out.push(u8::try_from(string.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(string);
}

#[cfg(test)]
mod tests;
