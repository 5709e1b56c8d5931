//! RDATA in wire form ⇄ the text that Route 53 takes and gives ("Supported DNS record types", Amazon Route 53 Developer
//! Guide).
//!
//! Route 53's text looks like a zone file's and is another language: its `\ooo` is **octal** where a zone file's `\DDD` is
//! decimal, and every name is absolute, dot or no dot.
//!
//! - `write`: narrow. One value that Route 53 refuses costs the whole request, so what its pages do not promise to take
//!   is not written; it is left out, with the reason.
//! - `read`: generous. What is there may have been written by a console or by another tool: quotes may be missing,
//!   strings may touch, numbers may begin with zeros, names may be in any case.
//! - `svcb`: the parameters of SVCB and HTTPS, both ways; `name`: names, both ways.

mod name;
mod read;
mod svcb;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;

use secondary53_zone::name::{NameError, NameRef};
use secondary53_zone::rdata::{self, Field};
use secondary53_zone::rrset::Rtype;
use secondary53_zone::svcb::SvcbError;

pub use self::name::{name_text, parse_name};
pub use self::read::from_text;
pub use self::write::to_text;

/// The types that Route 53 has. Records of any other are left out of the hosted zone, and counted.
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
    /// The type is not among [`HELD`].
    #[error("Route 53 has no type {0}")]
    Type(Rtype),
    /// The RDATA does not read as its type says.
    #[error("its RDATA does not read: {0}")]
    Rdata(#[from] rdata::RdataError),
    /// Parameters of SVCB or HTTPS that a client would call malformed.
    #[error(transparent)]
    Params(#[from] SvcbError),
    /// A key of SVCB or HTTPS that Route 53 refuses.
    #[error("Route 53 does not know its parameter key{0}")]
    Key(u16),
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

/// RDATA as [`from_text`] gives it: the target name of SVCB and HTTPS in lower case too. RFC 4034 §6.2 leaves its case
/// alone and Route 53 does not, so two that differ in nothing else are one value there.
pub fn as_held(rtype: Rtype, rdata: &[u8]) -> Cow<'_, [u8]> {
    const PRIORITY: usize = 2;
    let target = rdata.get(PRIORITY..).map(NameRef::split_from);
    match target {
        Some(Ok((target, _))) if has_plain_name(rtype) && target.as_wire().iter().any(u8::is_ascii_uppercase) => {
            let mut lowered = rdata.to_vec();
            // A length octet is at most 63, below 'A'.
            lowered[PRIORITY..PRIORITY + target.as_wire().len()].make_ascii_lowercase();
            lowered.into()
        }
        _ => rdata.into(),
    }
}

/// Whether it is SVCB or HTTPS.
fn has_plain_name(rtype: Rtype) -> bool {
    held_fields(rtype).is_ok_and(|fields| fields.contains(&Field::PlainName))
}

fn held_fields(rtype: Rtype) -> Result<&'static [Field], ValueError> {
    rdata::fields(rtype).filter(|_| HELD.contains(&rtype)).ok_or(ValueError::Type(rtype))
}
