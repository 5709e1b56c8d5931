//! A record as it goes over the wire: nothing of its data is interpreted but an SOA's serial.

use std::cmp::Ordering;

use bytes::Bytes;
use domain::base::CanonicalOrd as _;
use domain::base::iana::{Class, Rtype};
use domain::base::name::FromStrError;

use super::Name;

/// One record. Any type, class and RDATA can be expressed, legal or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Kept in the case it was written in.
    pub owner: Name,
    /// `IN`, unless a test says otherwise.
    pub class: Class,
    /// Any of the 65,536.
    pub rtype: Rtype,
    /// Seconds.
    pub ttl: u32,
    /// Wire form, names not compressed.
    pub rdata: Bytes,
}

impl Record {
    /// A record of class IN with this RDATA in wire form.
    ///
    /// # Errors
    /// `owner` is not an absolute name in presentation form.
    pub fn new(owner: &str, rtype: Rtype, ttl: u32, rdata: impl Into<Bytes>) -> Result<Self, FromStrError> {
        let owner = Name::bytes_from_str(owner)?;
        Ok(Self { owner, class: Class::IN, rtype, ttl, rdata: rdata.into() })
    }

    /// The same in another class.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// The serial, where this is a whole SOA: the first of the five numbers that end its RDATA (RFC 1035 §3.3.13).
    pub fn serial(&self) -> Option<u32> {
        let at = self.soa_numbers()?;
        let octets = self.rdata.get(at..at + 4)?;
        Some(u32::from_be_bytes(octets.try_into().ok()?))
    }

    /// The same SOA with another serial; any other record unchanged.
    #[must_use]
    pub fn with_serial(self, serial: u32) -> Self {
        self.with_soa_number(0, |_| serial)
    }

    /// The same SOA with one of its five numbers (serial, refresh, retry, expire, minimum) changed.
    pub(super) fn with_soa_number(mut self, index: usize, change: impl FnOnce(u32) -> u32) -> Self {
        if let Some(at) = self.soa_numbers() {
            let mut rdata = self.rdata.to_vec();
            if let Some(octets) = rdata.get_mut(at + 4 * index..).and_then(|rest| rest.first_chunk_mut::<4>()) {
                *octets = change(u32::from_be_bytes(*octets)).to_be_bytes();
            }
            self.rdata = rdata.into();
        }
        self
    }

    fn soa_numbers(&self) -> Option<usize> {
        if self.rtype == Rtype::SOA { self.rdata.len().checked_sub(20) } else { None }
    }

    /// An order in which equal records stand together, to compare zones as multisets.
    pub(super) fn canonical_cmp(&self, other: &Self) -> Ordering {
        let key = |record: &Self| (record.class.to_int(), record.rtype.to_int(), record.ttl);
        let owner = self.owner.canonical_cmp(&other.owner);
        owner.then_with(|| key(self).cmp(&key(other))).then_with(|| self.rdata.cmp(&other.rdata))
    }
}

/// Whether serial `a` is newer than `b` (RFC 1982 §3.2). At a distance of exactly 2³¹, which the RFC leaves open: no.
pub fn newer(a: u32, b: u32) -> bool {
    let distance = a.wrapping_sub(b);
    distance != 0 && distance < 1 << 31
}
