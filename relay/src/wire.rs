//! DNS messages (RFC 1035 §4) as octets: the header, the question, and where each record stands.
//!
//! RDATA is not judged here. A parser that knows every type rejects a whole message for one odd record, and a zone of
//! a hundred thousand records for it; the few types that must be read are read by who needs them.

use std::ops::Range;

use secondary53_zone::name;
use secondary53_zone::{NameError, Rtype};

/// Octets of a header (RFC 1035 §4.1.1).
pub const HEADER: usize = 12;
/// Class IN (RFC 1035 §3.2.4).
pub const CLASS_IN: u16 = 1;

/// A header (RFC 1035 §4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What ties an answer to its question.
    pub id: u16,
    flags: u16,
    /// Entries in the question section.
    pub questions: u16,
    /// Records in the answer section.
    pub answers: u16,
    /// Records in the authority section.
    pub authorities: u16,
    /// Records in the additional section.
    pub additionals: u16,
}

/// A walk through a message, from its front to its end.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    message: &'a [u8],
    at: usize,
}

/// One entry of the question section; its name goes where the caller says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The type asked for.
    pub rtype: Rtype,
    /// The class asked for.
    pub class: u16,
}

/// One record; its owner goes where the caller says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its type.
    pub rtype: Rtype,
    /// Its class.
    pub class: u16,
    /// Its time to live, in seconds, as it came.
    pub ttl: u32,
    /// Where its RDATA stands in the message.
    pub rdata: Range<usize>,
}

/// Why octets are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They end too soon.
    #[error("it is cut short")]
    CutShort,
    /// A name is none.
    #[error("a name in it is bad: {0}")]
    Name(#[from] NameError),
    /// Octets follow the last record that the header counts.
    #[error("{0} octets follow its last record")]
    Surplus(usize),
}

impl Header {
    /// Whether it is an answer (QR).
    pub const fn is_response(self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// The kind of request (RFC 1035 §4.1.1, RFC 6895 §2.2).
    pub const fn opcode(self) -> u8 {
        (self.flags >> 11 & 0x0f) as u8
    }

    /// Whether it comes from an authority for the name (AA).
    pub const fn is_authoritative(self) -> bool {
        self.flags & 0x0400 != 0
    }

    /// Whether it was cut to fit (TC).
    pub const fn is_truncated(self) -> bool {
        self.flags & 0x0200 != 0
    }

    /// How it went, without EDNS's upper bits.
    pub const fn rcode(self) -> u8 {
        (self.flags & 0x0f) as u8
    }
}

impl<'a> Walk<'a> {
    /// Reads the header; the walk stands at the question section then.
    pub fn begin(message: &'a [u8]) -> Result<(Header, Self), WireError> {
        let mut walk = Self { message, at: 0 };
        let header = Header {
            id: walk.u16()?,
            flags: walk.u16()?,
            questions: walk.u16()?,
            answers: walk.u16()?,
            authorities: walk.u16()?,
            additionals: walk.u16()?,
        };
        Ok((header, walk))
    }

    /// Reads an entry of the question section; `name` is set to its name in lower case.
    pub fn question(&mut self, name: &mut Vec<u8>) -> Result<Question, WireError> {
        self.name(name)?;
        Ok(Question { rtype: Rtype(self.u16()?), class: self.u16()? })
    }

    /// Reads a record; `owner` is set to its owner in lower case.
    pub fn record(&mut self, owner: &mut Vec<u8>) -> Result<Record, WireError> {
        self.name(owner)?;
        let (rtype, class) = (Rtype(self.u16()?), self.u16()?);
        let ttl = u32::from(self.u16()?) << 16 | u32::from(self.u16()?);
        let length = usize::from(self.u16()?);
        let rdata = self.at..self.at + length;
        if rdata.end > self.message.len() {
            return Err(WireError::CutShort);
        }
        self.at = rdata.end;
        Ok(Record { rtype, class, ttl, rdata })
    }

    /// The message that is walked.
    pub const fn message(&self) -> &'a [u8] {
        self.message
    }

    /// How many octets were passed.
    pub const fn passed(&self) -> usize {
        self.at
    }

    /// Demands that nothing is left.
    pub const fn end(&self) -> Result<(), WireError> {
        match self.message.len() - self.at {
            0 => Ok(()),
            surplus => Err(WireError::Surplus(surplus)),
        }
    }

    fn name(&mut self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.clear();
        self.at = name::expand(self.message, self.at, out)?;
        Ok(())
    }

    fn u16(&mut self) -> Result<u16, WireError> {
        let rest = self.message.get(self.at..).unwrap_or_default();
        let (octets, _) = rest.split_first_chunk().ok_or(WireError::CutShort)?;
        self.at += octets.len();
        Ok(u16::from_be_bytes(*octets))
    }
}
