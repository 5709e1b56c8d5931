//! A primary: the SOA query, and the transfer on the same connection.
//!
//! What is newer than the stored zone is asked for as differences (RFC 1995), where there is a stored zone that they can be
//! applied to, and where that fails for whatever reason as a whole: an incremental transfer must never cost a zone.
//!
//! The SOA is asked for over TCP, not UDP: a datagram can be lost, cut, or forged by whoever guesses a port and an ID, and
//! the connection is needed for the transfer anyway. What comes in is put together by [`transfer`](crate::transfer).

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name as QueryName, RecordType};
use secondary53_zone::{Limits as ZoneLimits, Name, Rtype, Serial, Soa, rdata};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{debug, info};

use crate::daemon::Clock;
use crate::prompt::Prompt;
use crate::refresh::{Standing, Takes};
use crate::store::Store;
use crate::tls::{self, Tls, TlsError};
use crate::transfer::incremental::{Base, Incremental, Outcome};
use crate::transfer::{self, Assembly, Progress, Refusal, Stray, Transferred};
use crate::tsig::{Exchange, Fault, Key};
use crate::wire::{CLASS_IN, HEADER, Walk, WireError};

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

/// Where a primary is, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it is asked.
    pub address: SocketAddr,
    /// What queries are signed with, and answers must be.
    pub key: Option<Arc<Key>>,
    /// What the connection goes through, and what the certificate must show.
    pub tls: Option<Arc<Tls>>,
}

impl From<SocketAddr> for Server {
    /// One that is spoken to in plain.
    fn from(address: SocketAddr) -> Self {
        Self { address, key: None, tls: None }
    }
}

/// What is asked of a primary.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The zone.
    pub zone: &'a Name,
    /// What we have.
    pub ours: Option<Serial>,
    /// What is transferred: what is newer or, in whole and never as differences, more than that.
    pub takes: Takes,
    /// Whether a signed zone is taken, without what belongs to its signing.
    pub strip_dnssec: bool,
    /// Where a zone is stored that an incremental transfer may start from; `None` for whole transfers only.
    pub stored: Option<&'a Arc<Store>>,
}

/// A zone, and where it came from.
#[derive(Debug)]
pub struct Fetched {
    /// The primary that it came from.
    pub primary: SocketAddr,
    /// The zone, and what was left out of it.
    pub transferred: Box<Transferred>,
}

/// What a look at one primary shows.
#[derive(Debug)]
pub enum Look {
    /// It has nothing that was wanted: the same serial or, if going backwards, another.
    NotNewer(Serial),
    /// It has what was wanted, and here it is.
    Transferred(Box<Transferred>),
}

/// Why one primary gave no zone.
#[derive(Debug, thiserror::Error)]
pub enum PrimaryError {
    /// The connection could not be made, or broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The primary could not be known for what it is.
    #[error("TLS failed: {0}")]
    Tls(#[from] TlsError),
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
    /// A message is not signed as it must be.
    #[error("message {message} {fault}")]
    Signature {
        /// Which one of the answer, from 1.
        message: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The transfer is no zone.
    #[error("transfer refused: {0}")]
    Refused(#[from] Refusal),
    /// It was not reached: there was no connection, or no answer to the first query on it. Other zones fare no better there.
    #[error("{0}")]
    NotReached(Box<Self>),
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
    /// RDATA in it does not read as its type has it.
    #[error("holds RDATA that does not read")]
    Unreadable,
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
pub async fn fetch(zone: &Name, primaries: &[Server], limits: Limits, clock: Clock) -> Result<Fetched, FetchError> {
    let mut tried = Vec::new();
    let wanted = Wanted { zone, ours: None, takes: Takes::Newer, strip_dnssec: false, stored: None };
    for server in primaries {
        let primary = server.address;
        match look(wanted, server, limits, clock).await {
            Ok(Look::Transferred(transferred)) => return Ok(Fetched { primary, transferred }),
            // Anything is newer than nothing.
            Ok(Look::NotNewer(_)) => {}
            Err(error) => tried.push((primary, error)),
        }
    }
    Err(FetchError { zone: zone.clone(), tried })
}

/// Asks a primary for the SOA of a zone, and transfers the zone if its serial is one that is wanted.
pub async fn look(wanted: Wanted<'_>, server: &Server, limits: Limits, clock: Clock) -> Result<Look, PrimaryError> {
    let looked = timeout(limits.total, look_without_end(wanted, server, limits, clock));
    looked.await.map_err(|_| PrimaryError::TooLong(limits.total))?
}

async fn look_without_end(
    wanted: Wanted<'_>,
    server: &Server,
    limits: Limits,
    clock: Clock,
) -> Result<Look, PrimaryError> {
    let Wanted { zone, ours, takes, strip_dnssec, .. } = wanted;
    let open = || Connection::open(server, limits.idle, clock);
    let mut connection = open().await.map_err(PrimaryError::before_an_answer)?;
    let soa = connection.soa(zone).await.map_err(PrimaryError::before_an_answer)?;
    debug!(%zone, primary = %server.address, serial = %soa.serial, "answered");
    if !takes.includes(Standing::of(ours, soa.serial)) {
        return Ok(Look::NotNewer(soa.serial));
    }
    if let Some(base) = base(wanted, soa.serial, limits.zone).await {
        let (from, primary) = (base.serial(), server.address);
        match connection.ixfr(base, limits.zone).await {
            Ok(Outcome::Transferred(transferred)) => return Ok(Look::Transferred(transferred)),
            Ok(Outcome::Current(serial)) => return Ok(Look::NotNewer(serial)),
            Err(error) => info!(%zone, %primary, %from, %error, "no incremental transfer; asking for the whole zone"),
        }
        // Something may still come on the old one.
        connection = open().await?;
    }
    let assembly = match connection.axfr(zone, strip_dnssec, limits.zone).await {
        // A server may close a connection after one answer (RFC 7766 §6.2.1 advises against it): ask on a new one.
        Err(PrimaryError::HungUp(0)) => open().await?.axfr(zone, strip_dnssec, limits.zone).await?,
        ended => ended?,
    };
    // Sorting a million records would hold up everything else.
    let finished = spawn_blocking(|| assembly.finish()).await;
    Ok(Look::Transferred(Box::new(finished.map_err(std::io::Error::other)??)))
}

impl PrimaryError {
    /// Whether the primary was not reached, and it is not this zone there that is out of order.
    pub fn is_not_reached(&self) -> bool {
        matches!(self, Self::NotReached(_))
    }

    fn before_an_answer(self) -> Self {
        match self {
            Self::Io(_) | Self::Tls(_) | Self::Idle(_) => Self::NotReached(Box::new(self)),
            // It has hung up, or said something.
            other => other,
        }
    }
}

/// The stored zone, where differences from it to what the primary has now can be asked for.
async fn base(wanted: Wanted<'_>, theirs: Serial, limits: ZoneLimits) -> Option<Base> {
    let stored = wanted.stored.filter(|_| wanted.takes == Takes::Newer)?;
    let (store, zone, strip_dnssec) = (Arc::clone(stored), wanted.zone.clone(), wanted.strip_dnssec);
    // A file that cannot be read was told when the relay started, and is as good as none.
    let read = move || Base::of(store.read(&zone, limits).ok().flatten()?, strip_dnssec);
    let base = spawn_blocking(read).await.ok().flatten()?;
    (Standing::of(Some(base.serial()), theirs) == Standing::Newer).then_some(base)
}

/// What messages go over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a primary. It has one query under way at most.
struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    key: Option<Arc<Key>>,
    /// The query under way, where it was signed.
    exchange: Option<Exchange>,
    /// Messages of its answer.
    answers: usize,
    clock: Clock,
    idle: Duration,
    /// The message at hand. A message has 65,535 octets at most (RFC 1035 §4.2.2), and so has this.
    message: Vec<u8>,
}

impl Connection {
    const BUFFER: usize = 64 << 10;

    async fn open(server: &Server, idle: Duration, clock: Clock) -> Result<Self, PrimaryError> {
        let stream =
            timeout(idle, TcpStream::connect(server.address)).await.map_err(|_| PrimaryError::Idle(idle))??;
        stream.set_nodelay(true)?;
        let stream = Prompt::new(stream);
        let stream: Box<dyn Stream> = match &server.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(timeout(idle, tls.connect(stream)).await.map_err(|_| PrimaryError::Idle(idle))??),
        };
        let stream = BufReader::with_capacity(Self::BUFFER, stream);
        let key = server.key.clone();
        Ok(Self { stream, key, exchange: None, answers: 0, clock, idle, message: Vec::new() })
    }

    async fn soa(&mut self, zone: &Name) -> Result<Soa, PrimaryError> {
        let id = self.ask(query(zone, RecordType::SOA)?).await?;
        if !self.read().await? {
            return Err(PrimaryError::HungUp(0));
        }
        read_soa(&self.message, id, zone).map_err(PrimaryError::Soa)
    }

    async fn axfr(&mut self, zone: &Name, strip_dnssec: bool, limits: ZoneLimits) -> Result<Assembly, PrimaryError> {
        let id = self.ask(query(zone, RecordType::AXFR)?).await?;
        let mut assembly = Assembly::new(zone.clone(), id, limits).strip_dnssec(strip_dnssec);
        self.receive(|message| assembly.message(message)).await?;
        Ok(assembly)
    }

    async fn ixfr(&mut self, base: Base, limits: ZoneLimits) -> Result<Outcome, PrimaryError> {
        let id = self.ask(ixfr_query(&base)?).await?;
        let mut incremental = Incremental::new(base, id, limits);
        self.receive(|message| incremental.message(message)).await?;
        let finished = spawn_blocking(|| incremental.finish()).await;
        Ok(finished.map_err(std::io::Error::other)??)
    }

    async fn receive(&mut self, mut take: impl FnMut(&[u8]) -> Result<Progress, Refusal>) -> Result<(), PrimaryError> {
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
            if take(&self.message)? == Progress::Done {
                self.end()?;
                break;
            }
        }
        Ok(())
    }

    async fn ask(&mut self, (id, mut query): (u16, Vec<u8>)) -> Result<u16, PrimaryError> {
        self.exchange = self.key.as_ref().map(|key| Exchange::request(key, &mut query, self.clock.unix_s()));
        self.answers = 0;
        let length = u16::try_from(query.len()).map_err(|error| PrimaryError::Query(error.to_string()))?;
        let query = [&length.to_be_bytes()[..], &query].concat();
        let write = async {
            self.stream.write_all(&query).await?;
            // TLS keeps what it has not sent yet.
            self.stream.flush().await
        };
        match timeout(self.idle, write).await {
            Err(_) => Err(PrimaryError::Idle(self.idle)),
            // The other end is gone since the last answer: that is a connection that gave no message.
            Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => Err(PrimaryError::HungUp(0)),
            Ok(written) => written.map(|()| id).map_err(PrimaryError::Io),
        }
    }

    /// Reads the next message, and verifies it; `false` where the connection was closed instead.
    async fn read(&mut self) -> Result<bool, PrimaryError> {
        let Self { stream, message, idle, .. } = self;
        let read = async {
            match stream.fill_buf().await {
                Ok([]) => return Ok(false),
                // TLS that ends without saying so: what is missing is seen by what has come.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
                begun => begun?,
            };
            let length = stream.read_u16().await?;
            message.resize(length.into(), 0);
            stream.read_exact(message).await?;
            Ok(true)
        };
        let read = timeout(*idle, read).await.map_err(|_| PrimaryError::Idle(*idle))?;
        let read = read.map_err(|error| tls::of_our_certificate(&error).map_or(PrimaryError::Io(error), Into::into));
        self.answers += usize::from(matches!(read, Ok(true)));
        if let (Ok(true), Some(exchange)) = (&read, &mut self.exchange) {
            let verified = exchange.answer(&mut self.message, self.clock.unix_s());
            verified.map_err(|fault| PrimaryError::Signature { message: self.answers, fault })?;
        }
        read
    }

    /// Verifies that the message at hand may be the last of its answer.
    fn end(&self) -> Result<(), PrimaryError> {
        let ended = self.exchange.as_ref().map_or(Ok(()), Exchange::end);
        ended.map_err(|fault| PrimaryError::Signature { message: self.answers, fault })
    }
}

fn query(zone: &Name, rtype: RecordType) -> Result<(u16, Vec<u8>), PrimaryError> {
    let failed = |error: hickory_proto::ProtoError| PrimaryError::Query(error.to_string());
    let mut name = QueryName::from_labels(zone.by_ref().labels()).map_err(failed)?;
    name.set_fqdn(true);
    let mut message = Message::query();
    message.add_query(Query::query(name, rtype));
    let octets = message.to_vec().map_err(failed)?;
    Ok((message.metadata.id, octets))
}

/// The question for what is newer than `base`, whose SOA stands in the authority section (RFC 1995 §3).
fn ixfr_query(base: &Base) -> Result<(u16, Vec<u8>), PrimaryError> {
    /// Where the header counts the records of authority (RFC 1035 §4.1.1).
    const AUTHORITIES: usize = 8;
    /// A pointer to the name of the question, behind the header (RFC 1035 §4.1.4).
    const QUESTION: u16 = 0xc00c;
    const _: () = assert!(QUESTION as usize == 0xc000 | HEADER);
    let (id, mut octets) = query(base.apex(), RecordType::IXFR)?;
    octets[AUTHORITIES..AUTHORITIES + 2].copy_from_slice(&1_u16.to_be_bytes());
    let rdata = base.soa_rdata();
    let length = u16::try_from(rdata.len()).map_err(|error| PrimaryError::Query(error.to_string()))?;
    octets.extend([QUESTION, Rtype::SOA.0, CLASS_IN, 0, 0, length].map(u16::to_be_bytes).concat());
    octets.extend(rdata);
    Ok((id, octets))
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
    use secondary53_zone::snapshot::Exact;

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
        let mut expected = id.to_be_bytes().to_vec();
        expected.extend(b"\0\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\xfc\0\x01");
        assert_eq!(octets, expected);
        // Names that hickory would rather not see as text go as octets.
        assert!(query(&"\\000\\255._x.example".parse().unwrap(), RecordType::SOA).is_ok());
        assert!(query(&Name::root(), RecordType::SOA).is_ok());
    }

    #[test]
    fn a_query_for_differences_says_what_we_have() {
        let soa = [&b"\x02ns\x00\x00"[..], &9_u32.to_be_bytes(), &[0; 16]].concat();
        let mut builder = secondary53_zone::ZoneBuilder::new(zone(), ZoneLimits::default());
        builder.push(zone().by_ref(), Rtype::SOA, 60, &soa).unwrap();
        let snapshot =
            secondary53_zone::Snapshot::new(builder.build().unwrap().zone).with_exact(Some(Exact::default()));
        let (id, octets) = ixfr_query(&Base::of(snapshot, false).unwrap()).unwrap();
        let mut expected = id.to_be_bytes().to_vec();
        expected.extend(b"\0\0\0\x01\0\0\0\x01\0\0\x07example\x03com\0\0\xfb\0\x01");
        expected.extend(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x19");
        expected.extend(soa);
        assert_eq!(octets, expected);
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
