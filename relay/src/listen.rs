//! The sockets that NOTIFY comes in on: UDP and TCP, bounded in connections, octets and time.
//!
//! An answer over UDP leaves from the address that was asked. From 0.0.0.0 the system would choose one, and a primary that
//! gets its answer from another address than it asked sends again.
//!
//! Anybody may send to these sockets, as much as the network carries. So datagrams are read many at a time, those of primaries
//! are heard before those of strangers, and of strangers only so many a second are answered, or even read.

use std::array;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::daemon::Clock;
use crate::notify::{self, Authorised, Sources};

/// Sockets that are bound and not read yet.
#[derive(Debug)]
pub struct Listener {
    udp: UdpSocket,
    /// Knows how to tell the address that a datagram came to.
    addresses: UdpSocketState,
    tcp: TcpListener,
}

/// What all sockets share.
#[derive(Clone, Debug)]
pub struct Ears {
    /// Who may notify of what, as it is now.
    pub sources: watch::Receiver<Sources>,
    /// Where the NOTIFY that were heard go.
    pub heard: mpsc::Sender<(Authorised, SocketAddr)>,
    /// How much was refused.
    pub refusals: Arc<Refusals>,
    /// For the time of signatures.
    pub clock: Clock,
}

/// The longest message that is read. A NOTIFY with a SOA and a TSIG has some hundreds of octets; UDP's larger ones are cut
/// and fail to parse.
const MESSAGE_MAX: usize = 4096;
/// Several datagrams of one source may be read as one (`UDP_GRO`); this is the most that it can be.
const COALESCED: usize = 64 << 10;
/// Datagrams that are read at once.
const BATCH: usize = quinn_udp::BATCH_SIZE;
/// Octets of datagrams that may wait to be read, as the kernel counts them. It gives less where `net.core.rmem_max` is less.
const WAITING: usize = 4 << 20;
/// Datagrams of strangers that are read and answered in each second; of the others the source alone is looked at.
const STRANGERS_HEARD: u32 = 1_000;
/// Connections at once from primaries.
const CONNECTIONS: usize = 64;
/// Connections at once from anybody else, who is only to be told so.
const STRANGERS: usize = 8;
/// The longest wait for a message on a connection.
const IDLE: Duration = Duration::from_secs(10);
/// The longest life of a connection.
const LIFE: Duration = Duration::from_mins(1);
/// The pause after an error of a socket, lest it be an error each time.
const PAUSE: Duration = Duration::from_millis(100);
/// Refusals that are told in each [`TOLD_EVERY`]: anybody can send what is refused, and nobody may fill the log with it.
const TOLD: usize = 20;
/// How often refusals may be told anew.
const TOLD_EVERY: Duration = Duration::from_mins(1);
/// How often a port is tried that the system chose for TCP and that UDP may have in use.
const PORT_ATTEMPTS: usize = 16;

/// Refusals, told or not.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Since the last minute began.
    recent: AtomicUsize,
    /// Since the start.
    all: AtomicU64,
}

impl Refusals {
    /// Begins each minute anew, and says how many of the last were not told.
    pub fn start(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        let refusals = Arc::clone(self);
        tasks.spawn(async move {
            loop {
                sleep(TOLD_EVERY).await;
                let untold = refusals.recent.swap(0, Ordering::Relaxed).saturating_sub(TOLD);
                if untold > 0 {
                    tracing::info!(untold, "more was refused than is told one by one");
                }
            }
        });
    }

    /// How many there were since the start.
    pub fn total(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// Counts one, and says whether it may be told.
    fn may_tell(&self) -> bool {
        self.all.fetch_add(1, Ordering::Relaxed);
        self.recent.fetch_add(1, Ordering::Relaxed) < TOLD
    }
}

/// Binds UDP and TCP to an address. With port 0 the system chooses one that both get.
pub fn bind(address: SocketAddr) -> io::Result<Listener> {
    let mut attempts = if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        let tcp = socket(address, Type::STREAM, Protocol::TCP)?;
        tcp.listen(128)?;
        let tcp = TcpListener::from_std(tcp.into())?;
        attempts -= 1;
        match socket(tcp.local_addr()?, Type::DGRAM, Protocol::UDP) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            udp => {
                let udp = UdpSocket::from_std(udp?.into())?;
                let addresses = UdpSocketState::new((&udp).into())?;
                return Ok(Listener { udp, addresses, tcp });
            }
        }
    }
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // 0.0.0.0 and [::] are two sockets here, and would be in each other's way.
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        // A restart must not wait for the connections of before.
        socket.set_reuse_address(true)?;
    } else {
        socket.set_recv_buffer_size(WAITING)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

impl Listener {
    /// The address, with the port that the system chose.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Hears until `tasks` is dropped.
    pub fn start(self, ears: &Ears, tasks: &mut JoinSet<()>) {
        tasks.spawn(datagrams(self.udp, self.addresses, ears.clone()));
        tasks.spawn(connections(self.tcp, ears.clone()));
    }
}

async fn datagrams(socket: UdpSocket, addresses: UdpSocketState, ears: Ears) {
    let mut buffer = vec![0; BATCH * COALESCED];
    let mut strangers = Allowance::default();
    loop {
        let mut came = [RecvMeta::default(); BATCH];
        let read = || {
            let mut slots = buffer.chunks_mut(COALESCED);
            let mut slots: [_; BATCH] = array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
            addresses.recv((&socket).into(), &mut slots, &mut came)
        };
        let count = match socket.async_io(Interest::READABLE, read).await {
            Ok(count) => count,
            Err(error) => {
                tracing::debug!(%error, "failed to receive");
                sleep(PAUSE).await;
                continue;
            }
        };
        let mut batch: [_; BATCH] = {
            let sources = ears.sources.borrow();
            array::from_fn(|index| (index < count && sources.know(came[index].addr.ip()), index))
        };
        let batch = &mut batch[..count.min(BATCH)];
        // In the order in which they came, but primaries first.
        batch.sort_by_key(|(is_known, _)| !is_known);
        for &mut (is_known, index) in batch {
            let RecvMeta { addr: source, len, stride, dst_ip, .. } = came[index];
            for datagram in buffer[index * COALESCED..][..len].chunks(stride.max(1)) {
                if !is_known && !strangers.take(ears.clock.unix_s()) {
                    ears.pass_over(source);
                    continue;
                }
                let message = &datagram[..datagram.len().min(MESSAGE_MAX)];
                let Some(reply) = ears.hear(message, source, "udp").await else { continue };
                let transmit =
                    Transmit { destination: source, ecn: None, contents: &reply, segment_size: None, src_ip: dst_ip };
                let send = || addresses.try_send((&socket).into(), &transmit);
                if let Err(error) = socket.async_io(Interest::WRITABLE, send).await {
                    tracing::debug!(%source, %error, "failed to answer");
                }
            }
        }
    }
}

/// How many strangers are heard in a second.
#[derive(Default)]
struct Allowance {
    second: u64,
    taken: u32,
}

impl Allowance {
    fn take(&mut self, second: u64) -> bool {
        if self.second != second {
            *self = Self { second, taken: 0 };
        }
        self.taken = self.taken.saturating_add(1);
        self.taken <= STRANGERS_HEARD
    }
}

async fn connections(listener: TcpListener, ears: Ears) {
    let (primaries, strangers) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Semaphore::new(STRANGERS)));
    let mut open = JoinSet::new();
    loop {
        let (stream, source) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "failed to accept a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        while open.try_join_next().is_some() {}
        let slots = if ears.sources.borrow().know(source.ip()) { &primaries } else { &strangers };
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
            if ears.refusals.may_tell() {
                tracing::warn!(%source, "too many connections: one was closed");
            }
            continue;
        };
        let ears = ears.clone();
        open.spawn(async move {
            let _slot = slot;
            if let Ok(Err(error)) = timeout(LIFE, converse(stream, source, &ears)).await {
                tracing::debug!(%source, %error, "connection ended");
            }
        });
    }
}

/// Messages framed by their length (RFC 1035 §4.2.2), until the other end has no more.
async fn converse(mut stream: TcpStream, source: SocketAddr, ears: &Ears) -> io::Result<()> {
    let mut message = Vec::new();
    loop {
        let read = async {
            let length = usize::from(stream.read_u16().await?);
            if length > MESSAGE_MAX {
                return Err(io::Error::other("the message is too long for a NOTIFY"));
            }
            message.resize(length, 0);
            stream.read_exact(&mut message).await
        };
        match timeout(IDLE, read).await? {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        };
        if let Some(reply) = ears.hear(&message, source, "tcp").await {
            let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
            timeout(IDLE, stream.write_all(&[&length.to_be_bytes()[..], &reply].concat())).await??;
        }
    }
}

impl Ears {
    /// Counts what is not read.
    fn pass_over(&self, source: SocketAddr) {
        if self.refusals.may_tell() {
            tracing::info!(%source, over = "udp", why = %notify::Unheard::Stranger, "NOTIFY refused");
        }
    }

    async fn hear(&self, message: &[u8], source: SocketAddr, over: &'static str) -> Option<Vec<u8>> {
        let notify::Heard { reply, outcome } =
            notify::hear(message, source.ip(), &self.sources.borrow(), self.clock.unix_s());
        match outcome {
            // Told to the daemon first: an answer means that the NOTIFY will be acted on. Where the daemon is busy, this
            // waits, and the primary sends it again.
            Ok(authorised) => self.heard.send((authorised, source)).await.ok()?,
            Err(why) if self.refusals.may_tell() => tracing::info!(%source, over, %why, "NOTIFY refused"),
            Err(_) => {}
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_strangers_are_heard_in_a_second() {
        let mut strangers = Allowance::default();
        for second in [7, 8, 7] {
            let heard = (0..STRANGERS_HEARD * 2).filter(|_| strangers.take(second)).count();
            assert_eq!(heard, STRANGERS_HEARD as usize, "{second}");
        }
    }
}
