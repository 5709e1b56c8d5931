//! The serial that name servers have: a SOA query over UDP, and over TCP where the answer was cut (RFC 7766 §5).
//!
//! Over UDP, unlike what is asked of a [`primary`](crate::primary): it is only watched, nothing is done for it. Each
//! question goes from a socket of its own, connected, so that an answer comes from the server, to a port that the system
//! chose, with an ID that chance chose.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use secondary53_zone::{Name, Rtype, Serial, rdata};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::primary::{SoaFault, read_soa};
use crate::transfer::{self, Stray};
use crate::wire::{CLASS_IN, Walk};

/// What the name servers of a zone have.
#[derive(Debug)]
pub struct Asked {
    /// The serials, of those that gave one.
    pub serials: Vec<(SocketAddr, Serial)>,
    /// Those that gave none, and why.
    pub failed: Vec<(SocketAddr, LiveError)>,
}

/// Why a name server gave no serial.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The system would not, or the server refused the connection.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Nothing came.
    #[error("no answer in {} s", PATIENCE.as_secs())]
    Silent,
    /// What came is no answer.
    #[error("the answer {0}")]
    Answer(#[from] SoaFault),
}

/// A question about a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) name: &'a Name,
    pub(crate) rtype: Rtype,
    /// RD: set for a resolver, clear for a server that is asked for what it has itself.
    pub(crate) recursion: bool,
    pub(crate) id: u16,
}

/// The longest wait for an answer, over UDP and over TCP.
const PATIENCE: Duration = Duration::from_secs(3);
/// An answer over UDP without EDNS is no longer (RFC 1035 §4.2.1).
const DATAGRAM: usize = 512;

/// Asks all of them, side by side.
pub async fn ask(zone: &Name, servers: &[SocketAddr]) -> Asked {
    let mut questions = JoinSet::new();
    for &server in servers {
        let zone = zone.clone();
        questions.spawn(async move { (server, serial(&zone, server).await) });
    }
    let mut asked = Asked { serials: Vec::new(), failed: Vec::new() };
    for (server, answer) in questions.join_all().await {
        match answer {
            Ok(serial) => asked.serials.push((server, serial)),
            Err(error) => asked.failed.push((server, error)),
        }
    }
    asked
}

impl Asked {
    /// Why this serial, which was sent so long ago, does not count as live.
    pub fn why_not(&self, serial: Serial, sent: Duration) -> String {
        let serials = self.serials.iter().map(|(server, serial)| format!("{server} has {serial}"));
        let failed = self.failed.iter().map(|(server, error)| format!("{server}: {error}"));
        let told: Vec<_> = serials.chain(failed).collect();
        let sent = humantime::format_duration(Duration::from_secs(sent.as_secs()));
        format!(
            "serial {serial}, sent {sent} ago, is not live ({}): look at the worker's log and its dead-letter queue",
            told.join("; ")
        )
    }

    /// The oldest serial among them: what is live everywhere that can be seen. Where one of two is not older (RFC 1982 has
    /// such pairs), the one that was given first.
    pub fn oldest(&self) -> Option<Serial> {
        self.serials
            .iter()
            .map(|(_, serial)| *serial)
            .reduce(|oldest, serial| if serial < oldest { serial } else { oldest })
    }
}

async fn serial(zone: &Name, server: SocketAddr) -> Result<Serial, LiveError> {
    let question = Question { name: zone, rtype: Rtype::SOA, recursion: false, id: rand::random() };
    exchange(server, &question, |message| read_soa(message, question.id, zone).map(|soa| soa.serial)).await
}

/// An RRset as a name server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// In seconds; of several, the lowest.
    pub ttl: u32,
    /// In canonical form and order (RFC 4034 §6), no two alike.
    pub rdata: Vec<Vec<u8>>,
}

/// Asks a name server for an RRset; `None` where it says that there is none. The NS of a delegation counts where it stands:
/// in a referral (RFC 1034 §4.3.2).
pub async fn rrset(server: SocketAddr, name: &Name, rtype: Rtype) -> Result<Option<Answered>, LiveError> {
    let question = Question { name, rtype, recursion: false, id: rand::random() };
    exchange(server, &question, |message| read_rrset(message, &question)).await
}

fn read_rrset(message: &[u8], asked: &Question<'_>) -> Result<Option<Answered>, SoaFault> {
    /// There is no such name (RFC 1035 §4.1.1).
    const NXDOMAIN: u8 = 3;
    let (header, mut walk) = Walk::begin(message)?;
    let exists = match transfer::check(header, asked.id) {
        Err(Stray::Rcode(NXDOMAIN)) => false,
        checked => checked.map(|()| true)?,
    };
    let mut owner = Vec::new();
    for _ in 0..header.questions {
        let question = walk.question(&mut owner)?;
        if question.rtype != asked.rtype || question.class != CLASS_IN || owner != asked.name.as_wire() {
            return Err(Stray::Question.into());
        }
    }
    let mut found = Answered { ttl: u32::MAX, rdata: Vec::new() };
    for _ in 0..u32::from(header.answers) + u32::from(header.authorities) {
        let record = walk.record(&mut owner)?;
        if record.rtype == asked.rtype && record.class == CLASS_IN && owner == asked.name.as_wire() {
            let mut octets = Vec::new();
            rdata::push_canonical(asked.rtype, message, record.rdata.start, record.rdata.end, &mut octets)
                .map_err(|_| SoaFault::Unreadable)?;
            found.rdata.push(octets);
            found.ttl = found.ttl.min(record.ttl);
        }
    }
    found.rdata.sort_unstable();
    found.rdata.dedup();
    Ok((exists && !found.rdata.is_empty()).then_some(found))
}

/// Asks a server, and reads its answer.
pub(crate) async fn exchange<T>(
    server: SocketAddr,
    question: &Question<'_>,
    read: impl Fn(&[u8]) -> Result<T, SoaFault>,
) -> Result<T, LiveError> {
    let query = question.octets();
    let answer = timeout(PATIENCE, over_udp(server, &query, &read)).await.map_err(|_| LiveError::Silent)?;
    match answer {
        Err(LiveError::Answer(SoaFault::Stray(Stray::Truncated))) => {
            timeout(PATIENCE, over_tcp(server, &query, &read)).await.map_err(|_| LiveError::Silent)?
        }
        answer => answer,
    }
}

async fn over_udp<T>(
    server: SocketAddr,
    query: &[u8],
    read: impl Fn(&[u8]) -> Result<T, SoaFault>,
) -> Result<T, LiveError> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut answer = [0; DATAGRAM];
    loop {
        let length = socket.recv(&mut answer).await?;
        match read(&answer[..length]) {
            // Not an answer to this question: it may be forged, and ours still comes.
            Err(SoaFault::Stray(Stray::Id | Stray::Question | Stray::NotAResponse) | SoaFault::Malformed(_)) => {}
            read => return Ok(read?),
        }
    }
}

async fn over_tcp<T>(
    server: SocketAddr,
    query: &[u8],
    read: impl Fn(&[u8]) -> Result<T, SoaFault>,
) -> Result<T, LiveError> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], query].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    Ok(read(&answer)?)
}

impl Question<'_> {
    fn octets(&self) -> Vec<u8> {
        let header = [self.id.to_be_bytes(), [self.recursion.into(), 0], [0, 1], [0, 0], [0, 0], [0, 0]].concat();
        [&header, self.name.as_wire(), &self.rtype.0.to_be_bytes(), &CLASS_IN.to_be_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_a_plain_one() {
        let name = "example.com".parse().unwrap();
        let octets = Question { name: &name, rtype: Rtype::SOA, recursion: false, id: 0x1234 }.octets();
        assert_eq!(octets, b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x06\0\x01");
    }

    #[test]
    fn an_rrset_is_read_where_it_stands() {
        let name: Name = "a.example".parse().unwrap();
        let asked = Question { name: &name, rtype: Rtype::NS, recursion: false, id: 7 };
        let record = |ttl: u8, host: u8| [b"\xc0\x0c\0\x02\0\x01\0\0\0", &[ttl, 0, 3, 1, host, 0][..]].concat();
        let message = |flags: u16, counts: [u8; 2], records: &[Vec<u8>]| {
            let header = [&[0, 7][..], &flags.to_be_bytes(), &[0, 1, 0, counts[0], 0, counts[1], 0, 0]].concat();
            [&header, &b"\x01a\x07example\0\0\x02\0\x01"[..], &records.concat()].concat()
        };
        let read = |message: &[u8]| read_rrset(message, &asked);
        // In canonical order, once, with the lowest TTL; names in lower case.
        let several = [record(9, b'B'), record(5, b'a'), record(9, b'b')];
        let rdata = vec![b"\x01a\0".to_vec(), b"\x01b\0".to_vec()];
        assert_eq!(read(&message(0x8400, [3, 0], &several)), Ok(Some(Answered { ttl: 5, rdata })));
        // A referral has it in the authority section.
        let referral = read(&message(0x8000, [0, 1], &several[1..2])).unwrap();
        assert_eq!(referral.map(|found| found.ttl), Some(5));
        assert_eq!(read(&message(0x8400, [0, 0], &[])), Ok(None));
        assert_eq!(read(&message(0x8403, [0, 0], &[])), Ok(None));
        assert_eq!(read(&message(0x8405, [0, 0], &[])), Err(SoaFault::Stray(Stray::Rcode(5))));
        assert_eq!(read(&message(0x8600, [0, 0], &[])), Err(SoaFault::Stray(Stray::Truncated)));
        assert!(matches!(read(&message(0x8400, [u8::MAX, u8::MAX], &several)), Err(SoaFault::Malformed(_))));
    }

    #[test]
    fn the_oldest_counts() {
        let server = SocketAddr::from(([192, 0, 2, 1], 53));
        let asked = |serials: &[u32]| {
            let serials = serials.iter().map(|serial| (server, Serial(*serial))).collect();
            Asked { serials, failed: Vec::new() }.oldest()
        };
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[8, 7, 9]), Some(Serial(7)));
        assert_eq!(asked(&[3, u32::MAX]), Some(Serial(u32::MAX)));
    }
}
