//! What RDATA is made of, type by type, for the types whose parts matter here: those that hold names, which must be
//! expanded and lowered, and those that are written as text.
//!
//! Every other type is octets, kept as they came (RFC 3597 §3). So a record that we know nothing about, or that is
//! merely odd, costs nobody anything.

use crate::name::{self, NameError, NameRef};
use crate::rrset::Rtype;

/// One part of RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A domain name that canonical form lowers (RFC 4034 §6.2) and senders may have compressed (RFC 3597 §4).
    Name,
    /// A domain name that is neither lowered nor compressed (RFC 9460 §2.2, and any type later than RFC 3597).
    PlainName,
    /// An unsigned number of one octet.
    U8,
    /// An unsigned number of two octets.
    U16,
    /// An unsigned number of four octets.
    U32,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A length octet and so many octets (RFC 1035 §3.3).
    CharacterString,
    /// One or more character strings, to the end.
    CharacterStrings,
    /// Octets to the end, written as one quoted string (RFC 8659 §4.1.1).
    QuotedRest,
    /// Octets to the end, written in hexadecimal.
    HexRest,
}

use Field::{CharacterString, CharacterStrings, HexRest, Ipv4, Ipv6, Name, PlainName, QuotedRest, U8, U16, U32};

/// The parts of a type's RDATA in their order; `None` where RDATA is octets to us.
pub const fn fields(rtype: Rtype) -> Option<&'static [Field]> {
    Some(match rtype {
        Rtype::A => &[Ipv4],
        Rtype::AAAA => &[Ipv6],
        Rtype::NS
        | Rtype::CNAME
        | Rtype::PTR
        | Rtype::DNAME
        | Rtype::MD
        | Rtype::MF
        | Rtype::MB
        | Rtype::MG
        | Rtype::MR => &[Name],
        Rtype::SOA => &[Name, Name, U32, U32, U32, U32, U32],
        Rtype::MX | Rtype::AFSDB | Rtype::RT | Rtype::KX => &[U16, Name],
        Rtype::MINFO | Rtype::RP => &[Name, Name],
        Rtype::PX => &[U16, Name, Name],
        Rtype::SRV => &[U16, U16, U16, Name],
        Rtype::NAPTR => &[U16, U16, CharacterString, CharacterString, CharacterString, Name],
        Rtype::NXT => &[Name, HexRest],
        Rtype::TXT | Rtype::SPF => &[CharacterStrings],
        Rtype::CAA => &[U8, CharacterString, QuotedRest],
        Rtype::DS => &[U16, U8, U8, HexRest],
        Rtype::SSHFP => &[U8, U8, HexRest],
        Rtype::TLSA => &[U8, U8, U8, HexRest],
        Rtype::SVCB | Rtype::HTTPS => &[U16, PlainName, HexRest],
        _ => return None,
    })
}

/// Why RDATA does not read as its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdataError {
    /// It ends within a part.
    #[error("it ends before all its parts are there")]
    CutShort,
    /// Octets follow the last part.
    #[error("octets follow its last part")]
    Surplus,
    /// A name in it is none.
    #[error("a name in it is bad: {0}")]
    Name(#[from] NameError),
}

/// One part of RDATA, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A domain name.
    Name(NameRef<'a>),
    /// An unsigned number.
    Number(u32),
    /// An address.
    Ipv4(std::net::Ipv4Addr),
    /// An address.
    Ipv6(std::net::Ipv6Addr),
    /// A character string, without its length.
    CharacterString(&'a [u8]),
    /// All octets to the end.
    Rest(&'a [u8]),
}

/// Splits uncompressed RDATA into its parts. [`Field::CharacterStrings`] gives one value for each string.
pub fn values<'a>(fields: &[Field], rdata: &'a [u8]) -> Result<Vec<Value<'a>>, RdataError> {
    let mut values = Vec::with_capacity(fields.len());
    split(fields, rdata, |value| values.push(value))?;
    Ok(values)
}

/// Whether uncompressed RDATA has these parts.
pub fn reads(fields: &[Field], rdata: &[u8]) -> bool {
    split(fields, rdata, |_| {}).is_ok()
}

fn split<'a>(fields: &[Field], rdata: &'a [u8], mut give: impl FnMut(Value<'a>)) -> Result<(), RdataError> {
    let mut rest = rdata;
    for field in fields {
        match field {
            Field::Name | Field::PlainName => {
                let (name, tail) = NameRef::split_from(rest)?;
                rest = tail;
                give(Value::Name(name));
            }
            Field::U8 => give(Value::Number(take::<1>(&mut rest)?[0].into())),
            Field::U16 => give(Value::Number(u16::from_be_bytes(take(&mut rest)?).into())),
            Field::U32 => give(Value::Number(u32::from_be_bytes(take(&mut rest)?))),
            Field::Ipv4 => give(Value::Ipv4(take::<4>(&mut rest)?.into())),
            Field::Ipv6 => give(Value::Ipv6(take::<16>(&mut rest)?.into())),
            Field::CharacterString => give(Value::CharacterString(string(&mut rest)?)),
            Field::CharacterStrings => {
                // "One or more" (RFC 1035 §3.3.14): none at all is cut short.
                give(Value::CharacterString(string(&mut rest)?));
                while !rest.is_empty() {
                    give(Value::CharacterString(string(&mut rest)?));
                }
            }
            Field::QuotedRest | Field::HexRest => give(Value::Rest(std::mem::take(&mut rest))),
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(RdataError::Surplus) }
}

/// Appends the canonical form (RFC 4034 §6.2) of the RDATA that stands at `start..end` of a message: names expanded and
/// in lower case, all else as it came.
///
/// A type without names is copied unread. One with names must read as its type says, for a name could not be found
/// otherwise.
pub fn push_canonical(
    rtype: Rtype,
    message: &[u8],
    start: usize,
    end: usize,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    // What is past `end` is another record's: no part may reach into it.
    let message = message.get(..end).ok_or(RdataError::CutShort)?;
    if rtype == Rtype::RRSIG && push_signature(message, start, out) {
        return Ok(());
    }
    let with_names = fields(rtype).filter(|fields| fields.contains(&Field::Name));
    let mut at = start;
    for field in with_names.unwrap_or(&[]) {
        let length = match field {
            Field::Name => {
                at = name::expand(message, at, out)?;
                continue;
            }
            Field::U8 => 1,
            Field::U16 => 2,
            Field::U32 => 4,
            Field::CharacterString => 1 + usize::from(*message.get(at).ok_or(RdataError::CutShort)?),
            _ => break,
        };
        out.extend_from_slice(message.get(at..at + length).ok_or(RdataError::CutShort)?);
        at += length;
    }
    let rest = message.get(at..).ok_or(RdataError::CutShort)?;
    let ends_in_name = with_names.is_some_and(|fields| fields.last() != Some(&Field::HexRest));
    if ends_in_name && !rest.is_empty() {
        return Err(RdataError::Surplus);
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Appends the RDATA of an RRSIG with its signer in lower case (RFC 6840 §5.1); false, and nothing is appended, where it
/// does not read as one: it is octets then, for it is only needed for the digest of the zone.
fn push_signature(message: &[u8], start: usize, out: &mut Vec<u8>) -> bool {
    /// What stands before the signer (RFC 4034 §3.1).
    const FIXED: usize = 18;
    let begun = out.len();
    let Some(fixed) = message.get(start..start + FIXED) else { return false };
    out.extend_from_slice(fixed);
    let signature = name::expand(message, start + FIXED, out).ok().and_then(|at| message.get(at..));
    match signature {
        Some(signature) => out.extend_from_slice(signature),
        None => out.truncate(begun),
    }
    signature.is_some()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RdataError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(RdataError::CutShort)?;
    *rest = tail;
    Ok(*head)
}

fn string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], RdataError> {
    let (&length, tail) = rest.split_first().ok_or(RdataError::CutShort)?;
    let (string, tail) = tail.split_at_checked(length.into()).ok_or(RdataError::CutShort)?;
    *rest = tail;
    Ok(string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(rtype: Rtype, message: &[u8], start: usize) -> Result<Vec<u8>, RdataError> {
        let mut out = Vec::new();
        push_canonical(rtype, message, start, message.len(), &mut out)?;
        Ok(out)
    }

    #[test]
    fn names_are_expanded_and_lowered_and_the_rest_kept() {
        let mut message = b"\x04MAIL\x00".to_vec();
        message.extend(b"\x00\x0a\x02MX\xc0\x00");
        assert_eq!(canonical(Rtype::MX, &message, 6).unwrap(), b"\x00\x0a\x02mx\x04mail\x00");
        assert_eq!(canonical(Rtype::TXT, b"\x03ABC\xc0\x00", 0).unwrap(), b"\x03ABC\xc0\x00");
        assert_eq!(canonical(Rtype::HTTPS, b"\x00\x01\x03ABC\x00", 0).unwrap(), b"\x00\x01\x03ABC\x00");
        assert_eq!(
            canonical(Rtype::NAPTR, b"\x00\x01\x00\x02\x01S\x03SIP\x00\x01A\x00", 0).unwrap(),
            b"\x00\x01\x00\x02\x01S\x03SIP\x00\x01a\x00"
        );
    }

    #[test]
    fn what_does_not_read_is_refused_only_where_names_are_sought() {
        assert_eq!(canonical(Rtype::MX, b"\x00", 0), Err(RdataError::CutShort));
        assert_eq!(canonical(Rtype::NS, b"\x00\x01", 0), Err(RdataError::Surplus));
        assert_eq!(canonical(Rtype::NS, b"", 0), Err(RdataError::Name(NameError::CutShort)));
        // Odd, and nobody's business but Route 53's.
        for rtype in [Rtype::A, Rtype::TXT, Rtype::CAA, Rtype(65280)] {
            assert_eq!(canonical(rtype, b"", 0).unwrap(), b"");
        }
    }

    #[test]
    fn the_signer_of_a_signature_is_lowered_where_there_is_one() {
        let rdata = [&[7; 18][..], b"\x02NS\x00", b"ABC"].concat();
        assert_eq!(canonical(Rtype::RRSIG, &rdata, 0).unwrap(), [&[7; 18][..], b"\x02ns\x00", b"ABC"].concat());
        for odd in [&rdata[..17], &rdata[..20], b""] {
            assert_eq!(canonical(Rtype::RRSIG, odd, 0).unwrap(), odd);
        }
    }

    #[test]
    fn a_name_may_not_run_into_the_next_record() {
        let message = b"\x03abc\x00";
        let mut out = Vec::new();
        assert!(push_canonical(Rtype::NS, message, 0, 3, &mut out).is_err());
    }

    #[test]
    fn values_are_split_and_must_fill_the_rdata() {
        let values = |rtype: Rtype, rdata| values(fields(rtype).unwrap(), rdata);
        assert_eq!(values(Rtype::A, &[192, 0, 2, 1]), Ok(vec![Value::Ipv4([192, 0, 2, 1].into())]));
        assert_eq!(values(Rtype::A, &[192, 0, 2]), Err(RdataError::CutShort));
        assert_eq!(values(Rtype::A, &[192, 0, 2, 1, 1]), Err(RdataError::Surplus));
        assert_eq!(
            values(Rtype::TXT, b"\x01a\x00"),
            Ok(vec![Value::CharacterString(b"a"), Value::CharacterString(b"")])
        );
        assert_eq!(values(Rtype::TXT, b""), Err(RdataError::CutShort));
        assert_eq!(values(Rtype::TXT, b"\x02a"), Err(RdataError::CutShort));
        assert_eq!(
            values(Rtype::CAA, b"\x80\x05issueca.example"),
            Ok(vec![Value::Number(128), Value::CharacterString(b"issue"), Value::Rest(b"ca.example")])
        );
    }
}
