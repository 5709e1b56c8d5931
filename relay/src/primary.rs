//! A primary: the SOA query, and the transfer on the same connection.
//!
//! The SOA is asked for over TCP, not UDP: a datagram can be lost, cut, or forged by whoever guesses a port and an ID, and
//! the connection is needed for the transfer anyway. What comes in is put together by [`transfer`](crate::transfer).

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name as QueryName, RecordType};
use secondary53_zone::{Limits as ZoneLimits, Name, Rtype, Serial, Soa, rdata};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::refresh::Standing;
use crate::transfer::{self, Assembly, Progress, Refusal, Stray, Transferred};
use crate::wire::{CLASS_IN, Walk, WireError};

/// What a zone and its transfer may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records and octets, counted while reading.
    pub zone: ZoneLimits,
    /// The longest wait for the connection, and for each message.
    pub idle: Duration,
    /// The longest time from the connection to the last message.
    pub total: Duration,
}

impl Default for Limits {
    /// What the relay's configuration has by default.
    fn default() -> Self {
        Self { zone: ZoneLimits::default(), idle: Duration::from_secs(10), total: Duration::from_mins(10) }
    }
}

/// A zone, and where it came from.
#[derive(Debug)]
pub struct Fetched {
    /// The primary that it came from.
    pub primary: SocketAddr,
    /// The zone, and what was left out of it.
    pub transferred: Transferred,
}

/// What a look at one primary shows.
#[derive(Debug)]
pub enum Look {
    /// It has nothing newer: the same serial or, if going backwards, another.
    NotNewer(Serial),
    /// It has something newer, and here it is.
    Transferred(Transferred),
}

/// Why one primary gave no zone.
#[derive(Debug, thiserror::Error)]
pub enum PrimaryError {
    /// The connection could not be made, or broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Nothing came for too long.
    #[error("nothing came for {}", humantime::format_duration(*.0))]
    Idle(Duration),
    /// It came too slowly.
    #[error("it took longer than {} in all", humantime::format_duration(*.0))]
    TooLong(Duration),
    /// It hung up where a message was to come.
    #[error("it closed the connection before the end, after {0} messages")]
    HungUp(usize),
    /// The name does not fit a query. Names that a zone can have do.
    #[error("the query could not be made: {0}")]
    Query(String),
    /// The answer to the SOA query is no answer.
    #[error("the answer to the SOA query {0}")]
    Soa(SoaFault),
    /// The transfer is no zone.
    #[error("transfer refused: {0}")]
    Refused(#[from] Refusal),
}

/// What is wrong with an answer to a SOA query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoaFault {
    /// It is not an answer to this query.
    #[error(transparent)]
    Stray(#[from] Stray),
    /// It does not read.
    #[error("is malformed: {0}")]
    Malformed(#[from] WireError),
    /// AA is clear: the server has the zone from a cache, or has let it expire.
    #[error("is not authoritative: the server does not serve the zone, or its copy has expired")]
    Lame,
    /// There is no SOA of the zone in it.
    #[error("holds no SOA of the zone")]
    Missing,
}

/// Why no primary gave the zone.
#[derive(Debug, thiserror::Error)]
#[error("failed to transfer {zone} {}", list(.tried))]
pub struct FetchError {
    /// The zone.
    pub zone: Name,
    /// Each primary tried and what was wrong, in that order.
    pub tried: Vec<(SocketAddr, PrimaryError)>,
}

/// Transfers a zone from the first of its primaries that gives it, whatever its serial.
pub async fn fetch(zone: &Name, primaries: &[SocketAddr], limits: Limits) -> Result<Fetched, FetchError> {
    let mut tried = Vec::new();
    for &primary in primaries {
        match look(zone, None, primary, limits).await {
            Ok(Look::Transferred(transferred)) => return Ok(Fetched { primary, transferred }),
            // Anything is newer than nothing.
            Ok(Look::NotNewer(_)) => {}
            Err(error) => tried.push((primary, error)),
        }
    }
    Err(FetchError { zone: zone.clone(), tried })
}

/// Asks a primary for the SOA of a zone, and transfers the zone if its serial is newer than `ours`.
pub async fn look(
    zone: &Name,
    ours: Option<Serial>,
    primary: SocketAddr,
    limits: Limits,
) -> Result<Look, PrimaryError> {
    let assembly = timeout(limits.total, async {
        let mut connection = Connection::open(primary, limits.idle).await?;
        let soa = connection.soa(zone).await?;
        if Standing::of(ours, soa.serial) != Standing::Newer {
            return Ok(Err(soa.serial));
        }
        match connection.axfr(zone, limits.zone).await {
            // A server may close a connection after one answer (RFC 7766 §6.2.1 advises against it): ask on a new one.
            Err(PrimaryError::HungUp(0)) => {}
            ended => return ended.map(Ok),
        }
        Connection::open(primary, limits.idle).await?.axfr(zone, limits.zone).await.map(Ok)
    });
    match assembly.await.map_err(|_| PrimaryError::TooLong(limits.total))?? {
        Err(theirs) => Ok(Look::NotNewer(theirs)),
        Ok(assembly) => {
            // Sorting a million records would hold up everything else.
            let finished = tokio::task::spawn_blocking(|| assembly.finish()).await;
            Ok(Look::Transferred(finished.map_err(std::io::Error::other)??))
        }
    }
}

/// A connection to a primary. It has one query under way at most.
struct Connection {
    stream: BufReader<TcpStream>,
    idle: Duration,
    /// The message at hand. A message has 65,535 octets at most (RFC 1035 §4.2.2), and so has this.
    message: Vec<u8>,
}

impl Connection {
    const BUFFER: usize = 64 << 10;

    async fn open(primary: SocketAddr, idle: Duration) -> Result<Self, PrimaryError> {
        let stream = timeout(idle, TcpStream::connect(primary)).await.map_err(|_| PrimaryError::Idle(idle))??;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(Self::BUFFER, stream), idle, message: Vec::new() })
    }

    async fn soa(&mut self, zone: &Name) -> Result<Soa, PrimaryError> {
        let id = self.ask(zone, RecordType::SOA).await?;
        if !self.read().await? {
            return Err(PrimaryError::HungUp(0));
        }
        read_soa(&self.message, id, zone).map_err(PrimaryError::Soa)
    }

    async fn axfr(&mut self, zone: &Name, limits: ZoneLimits) -> Result<Assembly, PrimaryError> {
        let id = self.ask(zone, RecordType::AXFR).await?;
        let mut assembly = Assembly::new(zone.clone(), id, limits);
        for messages in 0.. {
            match self.read().await {
                Ok(true) => {}
                Ok(false) => return Err(PrimaryError::HungUp(messages)),
                // A server that closed after the SOA resets what asks it again.
                Err(PrimaryError::Io(error)) if messages == 0 && error.kind() == ErrorKind::ConnectionReset => {
                    return Err(PrimaryError::HungUp(0));
                }
                Err(error) => return Err(error),
            }
            if assembly.message(&self.message)? == Progress::Done {
                break;
            }
        }
        Ok(assembly)
    }

    async fn ask(&mut self, zone: &Name, rtype: RecordType) -> Result<u16, PrimaryError> {
        let (id, query) = query(zone, rtype)?;
        match timeout(self.idle, self.stream.write_all(&query)).await {
            Err(_) => Err(PrimaryError::Idle(self.idle)),
            // The other end is gone since the last answer: that is a connection that gave no message.
            Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => Err(PrimaryError::HungUp(0)),
            Ok(written) => written.map(|()| id).map_err(PrimaryError::Io),
        }
    }

    /// Reads the next message; `false` where the connection was closed instead.
    async fn read(&mut self) -> Result<bool, PrimaryError> {
        let Self { stream, message, idle } = self;
        let read = async {
            if stream.fill_buf().await?.is_empty() {
                return Ok(false);
            }
            let length = stream.read_u16().await?;
            message.resize(length.into(), 0);
            stream.read_exact(message).await?;
            Ok(true)
        };
        timeout(*idle, read).await.map_err(|_| PrimaryError::Idle(*idle))?
    }
}

fn query(zone: &Name, rtype: RecordType) -> Result<(u16, Vec<u8>), PrimaryError> {
    let failed = |error: hickory_proto::ProtoError| PrimaryError::Query(error.to_string());
    let mut name = QueryName::from_labels(zone.by_ref().labels()).map_err(failed)?;
    name.set_fqdn(true);
    let mut message = Message::query();
    message.add_query(Query::query(name, rtype));
    let octets = message.to_vec().map_err(failed)?;
    let length = u16::try_from(octets.len()).map_err(|error| PrimaryError::Query(error.to_string()))?;
    Ok((message.metadata.id, [&length.to_be_bytes()[..], &octets].concat()))
}

/// The SOA of the zone in an answer to a SOA query.
pub(crate) fn read_soa(message: &[u8], id: u16, zone: &Name) -> Result<Soa, SoaFault> {
    let (header, mut walk) = Walk::begin(message)?;
    transfer::check(header, id)?;
    let mut owner = Vec::new();
    for _ in 0..header.questions {
        let question = walk.question(&mut owner)?;
        if question.rtype != Rtype::SOA || question.class != CLASS_IN || owner != zone.as_wire() {
            return Err(Stray::Question.into());
        }
    }
    if !header.is_authoritative() {
        return Err(SoaFault::Lame);
    }
    for _ in 0..header.answers {
        let record = walk.record(&mut owner)?;
        if record.rtype == Rtype::SOA && record.class == CLASS_IN && owner == zone.as_wire() {
            let mut soa = Vec::new();
            return rdata::push_canonical(Rtype::SOA, message, record.rdata.start, record.rdata.end, &mut soa)
                .and_then(|()| Soa::from_rdata(&soa))
                .map_err(|_| SoaFault::Missing);
        }
    }
    Err(SoaFault::Missing)
}

/// What was wrong with each, in a line.
pub(crate) fn list(tried: &[(SocketAddr, PrimaryError)]) -> String {
    let each: Vec<_> = tried.iter().map(|(primary, error)| format!("from {primary}: {error}")).collect();
    if each.is_empty() { "from no primary: none is configured".to_owned() } else { each.join("; ") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone() -> Name {
        "example.com".parse().unwrap()
    }

    fn answer(flags: u16, rest: &[u8], counts: [u16; 4]) -> Vec<u8> {
        let mut message = vec![0, 7];
        message.extend(flags.to_be_bytes());
        message.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
        message.extend(rest);
        message
    }

    #[test]
    fn the_query_is_a_plain_one() {
        let (id, octets) = query(&zone(), RecordType::AXFR).unwrap();
        let mut expected = vec![0, 29];
        expected.extend(id.to_be_bytes());
        expected.extend(b"\0\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\xfc\0\x01");
        assert_eq!(octets, expected);
        // Names that hickory would rather not see as text go as octets.
        assert!(query(&"\\000\\255._x.example".parse().unwrap(), RecordType::SOA).is_ok());
        assert!(query(&Name::root(), RecordType::SOA).is_ok());
    }

    #[test]
    fn a_soa_counts_from_an_authority_only() {
        let mut record = b"\x07example\x03com\0\0\x06\0\x01\0\0\0\x01\0\x16\0\0".to_vec();
        record.extend([0, 0, 0, 9]);
        record.extend([0; 16]);
        let read = |flags, counts| read_soa(&answer(flags, &record, counts), 7, &zone());
        assert_eq!(read(0x8400, [0, 1, 0, 0]).unwrap().serial, Serial(9));
        assert_eq!(read(0x8000, [0, 1, 0, 0]), Err(SoaFault::Lame));
        assert_eq!(read(0x8405, [0, 1, 0, 0]), Err(SoaFault::Stray(Stray::Rcode(5))));
        assert_eq!(read(0x8600, [0, 1, 0, 0]), Err(SoaFault::Stray(Stray::Truncated)));
        assert_eq!(read(0x8400, [0, 0, 0, 0]), Err(SoaFault::Missing));
        assert_eq!(read_soa(&answer(0x8400, &record, [0, 1, 0, 0]), 8, &zone()), Err(SoaFault::Stray(Stray::Id)));
    }

    proptest! {
        #[test]
        fn arbitrary_octets_are_no_soa(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_soa(&octets, 0, &zone());
        }
    }
}
