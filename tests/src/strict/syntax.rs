//! What Route 53 takes as a `Value`, type by type, and the RDATA that it stands for.
//!
//! Written for the strict hosted zone alone: it checks what the worker prints, so it shares no code with it. Where
//! AWS's pages leave something open, the narrower reading holds, and a comment says so: a value that passes here should
//! pass there. Throughout, fields are separated by exactly one space, with none before or after (AWS does not say
//! whether more are taken).

mod fields;
#[cfg(test)]
mod oracle;
mod service;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use self::fields::{Fields, push_string};
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

/// Octets in an RDATA (RFC 1035 §3.2.1).
const MAX_RDATA: usize = 65_535;
/// Route 53's numbers of seconds have 31 bits (RFC 2181 §8).
pub const MAX_SECONDS: u32 = 2_147_483_647;

/// The RDATA of `text`, uncompressed, or what is wrong with it.
pub fn rdata(rtype: RecordType, text: &str) -> Result<Vec<u8>, Fault> {
    let mut fields = Fields::of(text);
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
            // RFC 8659 §4.1 knows letters and digits alone; AWS's page has an example with hyphens.
            let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
            if tag.len() > usize::from(u8::MAX) || !tag.bytes().all(plain) {
                return Err(fields.fault("CAARRDATAIllegalTag", "CAA tag is not 1 to 255 letters, digits and hyphens"));
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
                fields.may_touch();
                push_string(&mut out, &fields.character_string()?);
            }
        }
        T::Svcb | T::Https => service::service(&mut fields, &mut out)?,
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
