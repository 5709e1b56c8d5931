//! The ways in which a primary can be wrong, or right in ways that few are.

use std::time::Duration;

use super::{Rcode, Record};

/// How one transfer (AXFR or IXFR) goes. Messages and records are counted from 0 and in whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As RFC 5936 says.
    #[default]
    Honest,

    // The connection.
    /// Closes it in order after this many messages.
    CutAfterMessages(usize),
    /// Closes it in order after this many records, the opening SOA being the first.
    CutAfterRecords(usize),
    /// Closes it in order after this many octets of the stream, length prefixes included: inside a message.
    CutAfterOctets(usize),
    /// Resets it (RST) after this many messages.
    ResetAfterMessages(usize),
    /// Sends this many messages, then nothing, and keeps it open.
    SilentAfterMessages(usize),
    /// Honest, but only so many octets at a time.
    Drip {
        /// Octets at a time.
        octets: usize,
        /// The time between them.
        pause: Duration,
    },
    /// Records without end: new ones, all inside the zone. (It does end, in an orderly close, after about a gigabyte.)
    Endless,

    // The header.
    /// Something in the header or question is wrong, in every message from this one on.
    Forge(Forgery, usize),
    /// One message without records.
    EmptyAnswer,
    /// ANCOUNT is one more than the first message holds.
    CountTooHigh,

    // The records.
    /// The closing SOA has this serial.
    ClosingSerial(u32),
    /// The closing SOA has the same serial and another minimum.
    ClosingContent,
    /// Everything but the closing SOA, then an orderly close.
    NoClosingSoa,
    /// Everything but the opening SOA.
    NoOpeningSoa,
    /// One more record after the closing SOA, in the same message (in one of its own, where it does not fit).
    TrailingRecord,
    /// One more message after the closing SOA, with a record.
    TrailingMessage,
    /// A record whose owner is not in the zone, half-way.
    OutsideZone,
    /// These records, half-way: another class, OPT, a meta type, whatever is to be tried.
    With(Vec<Record>),

    // The octets.
    /// After the opening SOA, a record whose owner is a compression pointer to itself.
    PointerLoop,
    /// After the opening SOA, a record whose RDLENGTH reaches beyond the message.
    RdlengthTooLong,
    /// After the opening SOA, an MX whose RDLENGTH ends inside the name in its RDATA.
    RdlengthTooShort,
}

/// What can be wrong in the header or question of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// Another ID.
    WrongId,
    /// A question for another name.
    WrongQuestion,
    /// QR = 0: a query, not an answer.
    NotAnAnswer,
    /// Opcode NOTIFY.
    WrongOpcode,
    /// TC = 1.
    Truncated,
    /// This RCODE and no records; nothing follows.
    Rcode(Rcode),
}

/// How one SOA query is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoaBehaviour {
    /// With the SOA.
    #[default]
    Honest,
    /// Not at all. Over TCP the connection stays open.
    NoAnswer,
    /// With something wrong in the header or question.
    Forge(Forgery),
    /// TC = 1 and no records over UDP, honestly over TCP.
    TruncatedOverUdp,
    /// NOERROR and no records.
    EmptyAnswer,
    /// An SOA with another serial than the zone that would be transferred.
    Serial(u32),
}

/// How the records of a transfer are put into messages (RFC 5936 §2.2, §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Octets per message at most; a record that does not fit alone still gets a message, up to 65,535.
    pub octets: usize,
    /// Records per message at most: 1 is the form of old servers.
    pub records: usize,
    /// Owner names are compressed.
    pub compress_owners: bool,
    /// Names in the RDATA of the types that RFC 3597 §4 allows it for are compressed.
    pub compress_rdata: bool,
    /// The question is in every message, not only in the first.
    pub repeat_question: bool,
}

impl Packing {
    /// One record in each message.
    pub fn one_record() -> Self {
        Self { records: 1, ..Self::default() }
    }
}

impl Default for Packing {
    /// Messages as full as TCP allows, all names compressed, the question in the first only.
    fn default() -> Self {
        Self {
            octets: 65_535,
            records: usize::MAX,
            compress_owners: true,
            compress_rdata: true,
            repeat_question: false,
        }
    }
}
