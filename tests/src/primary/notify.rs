//! NOTIFY (RFC 1996), from the primary's side.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

use super::message::{Header, Section, Writer};
use super::transfer::framed;
use super::{Name, Packing, Record};

/// RFC 1996 §3.6 asks for retries with backoff, and proposes five with a minute between them; on loopback an answer is
/// there in milliseconds, and a test wants to know sooner that there is none.
pub(super) const WAITS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(8),
];
const TCP_PATIENCE: Duration = Duration::from_secs(20);

/// UDP or TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// The answer to a NOTIFY: its ID, opcode and question are those that were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyAnswer {
    /// NOERROR, where the NOTIFY was accepted.
    pub rcode: Rcode,
    /// How often it was sent until the answer came.
    pub attempts: usize,
    /// The whole answer.
    pub octets: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Nothing, or nothing that matches, came back.
    #[error("failed to have NOTIFY for {zone} answered by {target} over {transport}: sent {attempts} times")]
    Unanswered {
        /// The zone.
        zone: Name,
        /// To whom.
        target: SocketAddr,
        /// How.
        transport: Transport,
        /// How often.
        attempts: usize,
    },
    /// The socket said no.
    #[error("failed to send NOTIFY for {zone} to {target} over {transport}: {source}")]
    Io {
        /// The zone.
        zone: Name,
        /// To whom.
        target: SocketAddr,
        /// How.
        transport: Transport,
        /// What the system said.
        source: io::Error,
    },
    /// The primary has no zone of this name.
    #[error("failed to send NOTIFY: the primary has no zone {zone}")]
    UnknownZone {
        /// What was asked for.
        zone: Name,
    },
    /// It is not said which zone is meant.
    #[error("failed to send NOTIFY: there is not exactly one zone, name the one that is meant")]
    NotOneZone,
}

/// One NOTIFY to be sent to any number of targets.
#[derive(Clone)]
pub(super) struct Notification {
    /// The primary's own address: a secondary knows it by that.
    pub source: IpAddr,
    pub soa: Record,
    /// How long each attempt over UDP waits for its answer.
    pub waits: Arc<[Duration]>,
}

impl Notification {
    pub async fn send(&self, target: SocketAddr, transport: Transport) -> Result<NotifyAnswer, NotifyError> {
        let id = rand::random();
        let message = self.message(id);
        let answer = match transport {
            Transport::Udp => self.over_udp(target, id, &message).await,
            Transport::Tcp => match timeout(TCP_PATIENCE, self.over_tcp(target, id, &message)).await {
                Ok(answer) => answer,
                Err(_late) => Ok(None),
            },
        };
        let zone = self.soa.owner.clone();
        match answer {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => {
                let attempts = if transport == Transport::Udp { self.waits.len() } else { 1 };
                Err(NotifyError::Unanswered { zone, target, transport, attempts })
            }
            Err(source) => Err(NotifyError::Io { zone, target, transport, source }),
        }
    }

    /// RFC 1996 §3.7: QR 0, opcode 4, AA 1; the new SOA in the answer section is a hint.
    fn message(&self, id: u16) -> Vec<u8> {
        let header = Header {
            id,
            answer: false,
            opcode: Opcode::NOTIFY,
            authoritative: true,
            truncated: false,
            recursion_desired: false,
            rcode: Rcode::NOERROR,
        };
        let question = Some((&self.soa.owner, Rtype::SOA, Class::IN));
        let mut message = Writer::new(header, question, Packing::default());
        // An SOA always fits: two names and 20 octets.
        let _fits = message.record(Section::Answer, &self.soa);
        message.finish()
    }

    async fn over_udp(&self, target: SocketAddr, id: u16, message: &[u8]) -> io::Result<Option<NotifyAnswer>> {
        let socket = UdpSocket::bind(SocketAddr::new(self.source, 0)).await?;
        // Connected: answers from elsewhere do not get here.
        socket.connect(target).await?;
        for (attempt, wait) in self.waits.iter().enumerate() {
            // A port that nobody listens on (yet) is as good as no answer.
            let _refused = socket.send(message).await;
            let matching = async {
                let mut octets = vec![0; usize::from(u16::MAX)];
                loop {
                    match socket.recv(&mut octets).await {
                        Ok(length) => {
                            if let Some(answer) = self.matching(id, octets.get(..length).unwrap_or(&[]), attempt + 1) {
                                return answer;
                            }
                        }
                        Err(_refused) => std::future::pending().await,
                    }
                }
            };
            if let Ok(answer) = timeout(*wait, matching).await {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    async fn over_tcp(&self, target: SocketAddr, id: u16, message: &[u8]) -> io::Result<Option<NotifyAnswer>> {
        let socket = if self.source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(self.source, 0))?;
        let mut stream = socket.connect(target).await?;
        stream.write_all(&framed(message)).await?;
        let length = stream.read_u16().await?;
        let mut octets = vec![0; usize::from(length)];
        stream.read_exact(&mut octets).await?;
        Ok(self.matching(id, &octets, 1))
    }

    /// RFC 1996 §4.7: the answer has the ID, opcode and question of the request.
    fn matching(&self, id: u16, octets: &[u8], attempts: usize) -> Option<NotifyAnswer> {
        let octets = Bytes::copy_from_slice(octets);
        let message = Message::from_octets(octets.clone()).ok()?;
        let header = message.header();
        let question = message.sole_question().ok()?;
        let matches = header.qr()
            && header.id() == id
            && header.opcode() == Opcode::NOTIFY
            && *question.qname() == self.soa.owner
            && question.qtype() == Rtype::SOA
            && question.qclass() == Class::IN;
        matches.then(|| NotifyAnswer { rcode: header.rcode(), attempts, octets })
    }
}
