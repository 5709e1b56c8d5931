//! A zone as a zone file (RFC 1035 §5): one record a line, every name absolute, escapes in decimal.
//!
//! RDATA is printed from its octets. What has no text here, or does not read as its type says, is printed as RFC 3597 §5
//! has it, which every name server reads.

use std::fmt::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::rdata::{self, Field, Value};
use crate::rrset::Rtype;
use crate::svcb::{self, Param};
use crate::zone::Zone;

/// Shows a zone as a zone file.
#[derive(Clone, Copy)]
pub struct ZoneFile<'a>(pub &'a Zone);

impl fmt::Display for ZoneFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let apex = self.0.apex();
        // The SOA first, where people and some parsers look for it.
        let soa = self.0.get(apex.by_ref(), Rtype::SOA);
        let others = self.0.rrsets().filter(|rrset| rrset.rtype() != Rtype::SOA);
        for rrset in soa.into_iter().chain(others) {
            for rdata in rrset.rdata() {
                writeln!(f, "{} {} IN {} {}", rrset.owner(), rrset.ttl(), rrset.rtype(), Rdata(rrset.rtype(), rdata))?;
            }
        }
        Ok(())
    }
}

/// Shows the RDATA of a type.
#[derive(Clone, Copy)]
pub struct Rdata<'a>(pub Rtype, pub &'a [u8]);

impl fmt::Display for Rdata<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match text(self.0, self.1) {
            Some(text) => f.write_str(&text),
            None => {
                write!(f, "\\# {}", self.1.len())?;
                if !self.1.is_empty() {
                    f.write_char(' ')?;
                }
                hex(f, self.1)
            }
        }
    }
}

/// `None` where only RFC 3597 is safe.
fn text(rtype: Rtype, rdata: &[u8]) -> Option<String> {
    // NXT ends in a bitmap.
    let fields = rdata::fields(rtype).filter(|_| rtype != Rtype::NXT)?;
    let values = rdata::values(fields, rdata).ok()?;
    let mut out = String::new();
    for (index, value) in values.iter().enumerate() {
        if let (Rtype::SVCB | Rtype::HTTPS, Value::Rest(octets)) = (rtype, value) {
            service_params(&mut out, octets)?;
            continue;
        }
        if index > 0 {
            out.push(' ');
        }
        // Character strings at the end share the last field.
        let field = fields.get(index).or(fields.last())?;
        let written = match (value, field) {
            (Value::Name(name), _) => write!(out, "{name}"),
            (Value::Number(number), _) => write!(out, "{number}"),
            (Value::Ipv4(address), _) => write!(out, "{address}"),
            (Value::Ipv6(address), _) => write!(out, "{address}"),
            (Value::CharacterString(tag), _) if rtype == Rtype::CAA => {
                // RFC 8659 §4.1: letters and digits, and parsers hold a tag to it.
                let proper = (1..=15).contains(&tag.len()) && tag.iter().all(u8::is_ascii_alphanumeric);
                out.push_str(std::str::from_utf8(tag).ok().filter(|_| proper)?);
                Ok(())
            }
            (Value::CharacterString(octets), _) => quoted(&mut out, octets),
            // Parsers read a value into 255 octets at least, and not all into more.
            (Value::Rest(octets), Field::QuotedRest) if octets.len() <= 255 => quoted(&mut out, octets),
            (Value::Rest(octets), Field::HexRest) if !octets.is_empty() => hex(&mut out, octets),
            (Value::Rest(_), _) => return None,
        };
        written.ok()?;
    }
    Some(out)
}

/// RFC 9460 §2.1. Keys that are younger than that RFC go by their number, for a reader may not know their names.
fn service_params(out: &mut String, octets: &[u8]) -> Option<()> {
    for param in svcb::params(octets).ok()? {
        let key = param.key();
        match svcb::key_name(key).filter(|_| key <= 6) {
            Some(name) => write!(out, " {name}"),
            None => write!(out, " key{key}"),
        }
        .ok()?;
        match &param {
            Param::NoDefaultAlpn | Param::Ohttp => {}
            Param::Mandatory(keys) => {
                list(out, keys, |key| {
                    svcb::key_name(*key).filter(|_| *key <= 6).map_or(format!("key{key}"), Into::into)
                });
            }
            Param::Alpn(ids) => {
                // A comma or backslash of an id is escaped for the list, and then again for the string (appendix A.1).
                let escape =
                    |octet: &u8| if matches!(octet, b',' | b'\\') { vec![b'\\', *octet] } else { vec![*octet] };
                let ids: Vec<Vec<u8>> = ids.iter().map(|id| id.iter().flat_map(escape).collect()).collect();
                out.push('=');
                quoted(out, &ids.join(&b',')).ok()?;
            }
            Param::Port(port) => write!(out, "={port}").ok()?,
            Param::Ipv4Hint(addresses) => list(out, addresses, ToString::to_string),
            Param::Ipv6Hint(addresses) => list(out, addresses, ToString::to_string),
            Param::Ech(configs) => write!(out, "={}", BASE64.encode(configs)).ok()?,
            Param::DohPath(value) | Param::Other(_, value) => {
                out.push('=');
                quoted(out, value).ok()?;
            }
        }
    }
    Some(())
}

fn list<T>(out: &mut String, items: &[T], text: impl Fn(&T) -> String) {
    out.push('=');
    out.push_str(&items.iter().map(text).collect::<Vec<_>>().join(","));
}

fn quoted(out: &mut impl Write, octets: &[u8]) -> fmt::Result {
    out.write_char('"')?;
    for &octet in octets {
        match octet {
            b'"' | b'\\' => write!(out, "\\{}", char::from(octet))?,
            0x20..=0x7e => out.write_char(char::from(octet))?,
            _ => write!(out, "\\{octet:03}")?,
        }
    }
    out.write_char('"')
}

fn hex(out: &mut impl Write, octets: &[u8]) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(out, "{octet:02X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rdata_is_printed_as_zone_files_have_it() {
        for (rtype, rdata, text) in [
            (Rtype::A, &[192, 0, 2, 1][..], "192.0.2.1"),
            (Rtype::AAAA, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1"),
            (Rtype::MX, b"\x00\x0a\x02mx\x00", "10 mx."),
            (Rtype::MX, b"\x00\x00\x00", "0 ."),
            (Rtype::TXT, b"\x05a\"b\\c\x00\x02\xc3\xa9", r#""a\"b\\c" "" "\195\169""#),
            (Rtype::CAA, b"\x80\x05issueca.example; x=1", "128 issue \"ca.example; x=1\""),
            (Rtype::DS, b"\x00\x01\x0d\x02\xab\xcd", "1 13 2 ABCD"),
            (Rtype::SRV, b"\x00\x01\x00\x02\x01\xbb\x01h\x00", "1 2 443 h."),
            (Rtype::NAPTR, b"\x00\x01\x00\x02\x01S\x03SIP\x05!^.*!\x00", "1 2 \"S\" \"SIP\" \"!^.*!\" ."),
            // What does not read, and what we have no text for.
            (Rtype::A, &[192, 0, 2], "\\# 3 C00002"),
            (Rtype::CAA, b"\x00\x00x", "\\# 3 000078"),
            (Rtype::TXT, b"", "\\# 0"),
            (Rtype(65280), b"\x01\xff", "\\# 2 01FF"),
            (Rtype::HTTPS, b"\x00\x01\x00", "1 ."),
            (
                Rtype::SVCB,
                b"\0\x01\x01A\0\0\0\0\x04\0\x01\0\x07\0\x01\0\x07\x02h2\x03h,\\\0\x02\0\0\0\x03\0\x02\x01\xbb\0\x07\0\x02/q",
                r#"1 A. mandatory=alpn,key7 alpn="h2,h\\,\\\\" no-default-alpn port=443 key7="/q""#,
            ),
            (
                Rtype::HTTPS,
                b"\0\x01\0\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02\0\x05\0\x06\0\x04\xfe\x0d\0\0\0\x08\0\0\xfe\0\0\x01\"",
                r#"1 . ipv4hint=192.0.2.1,192.0.2.2 ech=AAT+DQAA key8 key65024="\"""#,
            ),
            (Rtype::HTTPS, b"\0\x01\0\0\x03\0\x01\0", "\\# 8 0001000003000100"),
        ] {
            assert_eq!(Rdata(rtype, rdata).to_string(), text, "{rtype}");
        }
    }
}
