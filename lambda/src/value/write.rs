//! RDATA → Route 53's text.

use std::fmt::Write as _;

use secondary53_zone::rdata::{self, Value};
use secondary53_zone::rrset::Rtype;

use super::name::push_name;
use super::{ValueError, held_fields, svcb};

/// Writes RDATA as Route 53 takes it.
pub fn to_text(rtype: Rtype, rdata: &[u8]) -> Result<String, ValueError> {
    let values = rdata::values(held_fields(rtype)?, rdata)?;
    hold(rtype, &values)?;
    let mut text = String::with_capacity(2 * rdata.len());
    for (index, value) in values.iter().enumerate() {
        if let (Rtype::SVCB | Rtype::HTTPS, Value::Rest(octets)) = (rtype, value) {
            svcb::push_params(&mut text, octets)?;
            break;
        }
        if index > 0 {
            text.push(' ');
        }
        match (rtype, value) {
            (_, Value::Name(name)) => push_name(&mut text, *name),
            (Rtype::CAA, Value::CharacterString(tag)) => text.extend(tag.iter().copied().map(char::from)),
            (_, Value::CharacterString(octets)) | (Rtype::CAA, Value::Rest(octets)) => push_quoted(&mut text, octets),
            // Writing to a String does not fail.
            (_, Value::Rest(octets)) => octets.iter().for_each(|octet| _ = write!(text, "{octet:02X}")),
            (_, Value::Number(number)) => _ = write!(text, "{number}"),
            (_, Value::Ipv4(address)) => _ = write!(text, "{address}"),
            (_, Value::Ipv6(address)) => _ = write!(text, "{address}"),
        }
    }
    Ok(text)
}

/// Whether Route 53 can be trusted to take it: what its page on the types lists, and no RDATA that breaks its own RFC.
fn hold(rtype: Rtype, values: &[Value<'_>]) -> Result<(), ValueError> {
    let all_alphanumeric = |octets: &[u8]| octets.iter().all(u8::is_ascii_alphanumeric);
    let why = match (rtype, values) {
        (Rtype::NS | Rtype::CNAME | Rtype::PTR, [Value::Name(target)]) if target.as_wire() == [0] => {
            "it points at the root, for which Route 53 is not known to have a text"
        }
        // AWS's page says letters and digits, as RFC 8659 §4.1 does, and then has an example with hyphens. No tag at IANA
        // has one, so little is lost where the rule holds and not the example.
        (Rtype::CAA, [_, Value::CharacterString(tag), _]) if tag.is_empty() || !all_alphanumeric(tag) => {
            "its CAA tag is empty or not of letters and digits (RFC 8659 §4.1)"
        }
        (Rtype::DS, [_, _, Value::Number(digest), Value::Rest(octets)]) if !fits(octets, ds_length(*digest)) => {
            "its digest is not as long as its digest type says"
        }
        (Rtype::SSHFP, [_, Value::Number(kind), Value::Rest(octets)]) if !fits(octets, sshfp_length(*kind)) => {
            "its fingerprint is not as long as its fingerprint type says"
        }
        (Rtype::TLSA, [Value::Number(4..), ..] | [_, Value::Number(2..), ..] | [_, _, Value::Number(3..), _]) => {
            "it is of a usage, selector or matching type that Route 53 does not list"
        }
        (Rtype::TLSA, [_, _, Value::Number(matching), Value::Rest(octets)])
            if !fits(octets, tlsa_length(*matching)) =>
        {
            "its data is not as long as its matching type says"
        }
        (Rtype::NAPTR, [_, _, Value::CharacterString(flags), ..]) if !all_alphanumeric(flags) => {
            "its flags are not letters and digits (RFC 3403 §4.1)"
        }
        (Rtype::NAPTR, [.., Value::CharacterString(regexp), Value::Name(replacement)])
            if !regexp.is_empty() && replacement.as_wire() != [0] =>
        {
            "it has both a regexp and a replacement (RFC 3403 §4.1)"
        }
        (Rtype::SVCB | Rtype::HTTPS, [Value::Number(0x8000..), ..]) => {
            "its priority is over 32767, the highest that Route 53 takes"
        }
        // RFC 9460 §2.4.2 tells clients to ignore them, so they were a mistake.
        (Rtype::SVCB | Rtype::HTTPS, [Value::Number(0), _, Value::Rest([_, ..])]) => {
            "it has parameters in AliasMode (RFC 9460 §2.4.2)"
        }
        _ => return Ok(()),
    };
    Err(ValueError::NotHeld(why))
}

/// Some octets, and as many as are asked for.
fn fits(octets: &[u8], length: Option<usize>) -> bool {
    !octets.is_empty() && length.is_none_or(|length| octets.len() == length)
}

/// Of SHA-1 (RFC 4034 §5.1.3), SHA-256 (RFC 4509 §2.2), SHA-384 (RFC 6605 §2), and the 256 bits of both GOST R 34.11
/// (RFC 5933, RFC 9558) and of SM3 (RFC 9563). Type 0 is reserved (RFC 3658 §2.4): no digest fits it.
const fn ds_length(digest_type: u32) -> Option<usize> {
    match digest_type {
        0 => Some(0),
        1 => Some(20),
        2 | 3 | 5 | 6 => Some(32),
        4 => Some(48),
        _ => None,
    }
}

/// Of SHA-1 (RFC 4255 §3.1.2), SHA-256 (RFC 6594 §3.2).
const fn sshfp_length(fingerprint_type: u32) -> Option<usize> {
    match fingerprint_type {
        1 => Some(20),
        2 => Some(32),
        _ => None,
    }
}

/// Of SHA-256, SHA-512 (RFC 6698 §2.1.3).
const fn tlsa_length(matching_type: u32) -> Option<usize> {
    match matching_type {
        1 => Some(32),
        2 => Some(64),
        _ => None,
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
