//! Types, and the RRset that a zone hands out.

use std::fmt;
use std::str::FromStr;

use crate::name::NameRef;

/// An RR type (RFC 1035 §3.2.2, IANA "Resource Record (RR) TYPEs"), any of the 65,536.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rtype(pub u16);

/// One RRset of a zone: an owner, a type, one TTL, and its RDATA in canonical form and order (RFC 4034 §6.3).
#[derive(Clone, Copy)]
pub struct Rrset<'a> {
    pub(crate) octets: &'a [u8],
    pub(crate) records: &'a [Record],
}

/// One record: where its parts stand in the zone's octets. The owner's length is in the owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) owner_at: u32,
    pub(crate) rdata_at: u32,
    pub(crate) ttl: u32,
    pub(crate) rtype: Rtype,
    pub(crate) rdata_len: u16,
}

impl<'a> Rrset<'a> {
    /// The owner name.
    pub fn owner(&self) -> NameRef<'a> {
        self.records[0].owner(self.octets)
    }

    /// Where the owner stands: at one place for all RRsets of a zone that have it.
    pub(crate) fn owner_at(&self) -> u32 {
        self.records[0].owner_at
    }

    /// The type.
    pub fn rtype(&self) -> Rtype {
        self.records[0].rtype
    }

    /// The TTL in seconds, 0 to 2³¹−1.
    pub fn ttl(&self) -> u32 {
        self.records[0].ttl
    }

    /// The RDATA of its records: wire form, canonical, sorted, no two alike; at least one.
    pub fn rdata(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let octets = self.octets;
        self.records.iter().map(move |record| record.rdata(octets))
    }
}

impl PartialEq for Rrset<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.owner() == other.owner()
            && self.rtype() == other.rtype()
            && self.ttl() == other.ttl()
            && self.rdata().eq(other.rdata())
    }
}

impl Eq for Rrset<'_> {}

impl fmt::Debug for Rrset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rdata in self.rdata() {
            write!(f, "[{} {} {} {rdata:02x?}]", self.owner(), self.ttl(), self.rtype())?;
        }
        Ok(())
    }
}

impl Record {
    pub(crate) fn owner(self, octets: &[u8]) -> NameRef<'_> {
        let start = self.owner_at as usize;
        let mut end = start;
        while octets[end] != 0 {
            end += 1 + usize::from(octets[end]);
        }
        NameRef::trusted(&octets[start..=end])
    }

    pub(crate) fn rdata(self, octets: &[u8]) -> &[u8] {
        &octets[self.rdata_at as usize..][..usize::from(self.rdata_len)]
    }
}

macro_rules! mnemonics {
    ($($name:ident = $code:literal),* $(,)?) => {
        impl Rtype {
            $(
                #[doc = concat!("Type ", stringify!($name), ", ", $code, ".")]
                pub const $name: Self = Self($code);
            )*

            /// Its mnemonic at IANA, where we know it.
            pub const fn mnemonic(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            fn from_mnemonic(text: &str) -> Option<Self> {
                $(if text.eq_ignore_ascii_case(stringify!($name)) { return Some(Self::$name); })*
                None
            }
        }
    };
}

mnemonics! {
    A = 1, NS = 2, MD = 3, MF = 4, CNAME = 5, SOA = 6, MB = 7, MG = 8, MR = 9, PTR = 12, HINFO = 13, MINFO = 14, MX = 15,
    TXT = 16, RP = 17, AFSDB = 18, RT = 21, SIG = 24, KEY = 25, PX = 26, AAAA = 28, LOC = 29, NXT = 30, SRV = 33,
    NAPTR = 35, KX = 36, CERT = 37, DNAME = 39, OPT = 41, APL = 42, DS = 43, SSHFP = 44, IPSECKEY = 45, RRSIG = 46,
    NSEC = 47, DNSKEY = 48, DHCID = 49, NSEC3 = 50, NSEC3PARAM = 51, TLSA = 52, SMIMEA = 53, HIP = 55, CDS = 59,
    CDNSKEY = 60, OPENPGPKEY = 61, CSYNC = 62, ZONEMD = 63, SVCB = 64, HTTPS = 65, SPF = 99, TKEY = 249, TSIG = 250,
    IXFR = 251, AXFR = 252, ANY = 255, URI = 256, CAA = 257,
}

impl Rtype {
    /// Whether it is a type of queries and messages (RFC 6895 §3.1: Q-TYPEs and meta-TYPEs, 128–255, and OPT): never
    /// data of a zone.
    pub const fn is_meta(self) -> bool {
        matches!(self.0, 41 | 128..=255)
    }

    /// Whether it belongs to the signing of this zone (RFC 4034, 5155, 7344, 8976) and says nothing true once the zone
    /// is published by a server that does not sign it so. DS is not of these: it is the child's.
    pub const fn is_of_signing(self) -> bool {
        matches!(
            self,
            Self::RRSIG
                | Self::NSEC
                | Self::DNSKEY
                | Self::NSEC3
                | Self::NSEC3PARAM
                | Self::CDS
                | Self::CDNSKEY
                | Self::ZONEMD
        )
    }
}

impl fmt::Display for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(mnemonic) => f.pad(mnemonic),
            // RFC 3597 §5.
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is neither a mnemonic that we know nor `TYPEnnn`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither the mnemonic of an RR type nor TYPE and a number (RFC 3597)")]
pub struct UnknownRtype(pub String);

impl FromStr for Rtype {
    type Err = UnknownRtype;
    fn from_str(text: &str) -> Result<Self, UnknownRtype> {
        let numbered = || {
            let (head, number) = text.split_at_checked(4)?;
            head.eq_ignore_ascii_case("TYPE").then(|| number.parse().ok().map(Self))?
        };
        Self::from_mnemonic(text).or_else(numbered).ok_or_else(|| UnknownRtype(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_printed() {
        for code in 0..=u16::MAX {
            assert_eq!(Rtype(code).to_string().parse(), Ok(Rtype(code)));
        }
        assert_eq!("TYPE28".parse(), Ok(Rtype::AAAA));
        assert_eq!("aaaa".parse(), Ok(Rtype::AAAA));
        assert!("TYPE65536".parse::<Rtype>().is_err());
        assert!("".parse::<Rtype>().is_err());
    }
}
