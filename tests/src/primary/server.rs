//! The sockets: one UDP, one TCP, on the same port of a loopback address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::base::iana::Rtype;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::answer::{Answer, Served};
use super::message::Incoming;
use super::notify::{Notification, NotifyAnswer, NotifyError, Transport, WAITS};
use super::received::{Log, Received, WaitError, wait};
use super::transfer::{Step, Steps, framed};
use super::watch::{Watch, WatchEvent};
use super::{Behaviour, Config, Name, SoaBehaviour, ZoneFile, ZoneFileError};

/// A connection on which nothing is asked is closed (RFC 7766 §6.2.3), as is a silent one that its peer leaves open.
const IDLE: Duration = Duration::from_mins(2);
/// TCP chooses a port; UDP may find the same one taken.
const BIND_ATTEMPTS: usize = 16;
/// Served at once; more wait to be accepted.
const CONNECTIONS: usize = 100;
/// Out of file descriptors, say: not to be tried again at once.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// Why a primary did not start.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen as a primary on {address}: {source}")]
pub struct StartError {
    /// UDP or TCP here.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// A primary that is being served. Dropping it stops it.
pub struct Primary {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

impl Primary {
    /// Listens and serves, in tasks of the current runtime.
    ///
    /// # Errors
    /// The address cannot be listened on, or not for both UDP and TCP.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let wanted = config.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let failed = |source| StartError { address: wanted, source };
        let (tcp, udp, address) = bind(wanted).await.map_err(failed)?;
        let notify_waits = config.notify_waits.unwrap_or_else(|| WAITS.to_vec()).into();
        let shared = Arc::new(Shared {
            served: Mutex::new(config.served),
            log: watch::Sender::default(),
            source: address.ip(),
            notify_waits,
        });
        let tasks =
            [tokio::spawn(serve_udp(udp, Arc::clone(&shared))), tokio::spawn(serve_tcp(tcp, Arc::clone(&shared)))];
        Ok(Self { address, shared, tasks })
    }

    /// Where it listens, UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and returns when the port is free again.
    pub async fn stop(mut self) {
        for task in &mut self.tasks {
            task.abort();
            // Cancelled, as was asked for.
            let _cancelled = task.await;
        }
    }

    /// Serves this zone from now on; a transfer that is under way goes on with the old one.
    pub fn set_zone(&self, zone: ZoneFile) {
        self.shared.set_zone(zone);
    }

    /// The zone of this name as it is served now.
    pub fn zone(&self, apex: &Name) -> Option<Arc<ZoneFile>> {
        self.shared.zone(apex)
    }

    /// Every transfer goes like this from now on; what is left of a script is dropped.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        let mut served = self.shared.served();
        served.transfers.next.clear();
        served.transfers.then = behaviour;
    }

    /// Adds to the script: the next transfers go like these, one each.
    pub fn script_transfers(&self, script: impl IntoIterator<Item = Behaviour>) {
        self.shared.served().transfers.next.extend(script);
    }

    /// Every SOA query is answered like this from now on; what is left of a script is dropped.
    pub fn set_soa_behaviour(&self, behaviour: SoaBehaviour) {
        let mut served = self.shared.served();
        served.soa_answers.next.clear();
        served.soa_answers.then = behaviour;
    }

    /// Sends NOTIFY for the only zone over UDP from the address it listens on, again until it is answered, as
    /// often as [`Config::notify_waits`] says.
    ///
    /// # Errors
    /// No answer, or there is not exactly one zone.
    pub async fn notify(&self, target: SocketAddr) -> Result<NotifyAnswer, NotifyError> {
        let only = {
            let served = self.shared.served();
            let mut zones = served.zones.values();
            zones.next().filter(|_| served.zones.len() == 1).cloned()
        };
        let zone = only.ok_or(NotifyError::NotOneZone)?;
        self.shared.notification(&zone).send(target, Transport::Udp).await
    }

    /// Sends NOTIFY for one of several zones, over UDP or TCP.
    ///
    /// # Errors
    /// No answer, or no such zone.
    pub async fn notify_zone(
        &self,
        apex: &Name,
        target: SocketAddr,
        transport: Transport,
    ) -> Result<NotifyAnswer, NotifyError> {
        let zone = self.zone(apex).ok_or_else(|| NotifyError::UnknownZone { zone: apex.clone() })?;
        self.shared.notification(&zone).send(target, transport).await
    }

    /// Serves the zone in this file, and serves it again each time the file is saved, with NOTIFY to `targets`.
    ///
    /// # Errors
    /// The file as it is now cannot be read as a zone.
    pub fn watch(
        &self,
        path: impl AsRef<Path>,
        origin: Option<&str>,
        targets: Vec<SocketAddr>,
    ) -> Result<(Watch, tokio::sync::mpsc::Receiver<WatchEvent>), ZoneFileError> {
        Watch::start(Arc::clone(&self.shared), path.as_ref(), origin, targets)
    }

    /// The queries received, oldest first; of more than 10,000, the newest.
    pub fn received(&self) -> Vec<Received> {
        self.shared.log.borrow().queries.iter().cloned().collect()
    }

    /// How many queries of this type came.
    pub fn count(&self, rtype: Rtype) -> u64 {
        self.shared.log.borrow().count(rtype)
    }

    /// Waits until `n` AXFR queries have come since the start, whatever was answered.
    ///
    /// # Errors
    /// They did not come within a minute.
    pub async fn wait_for_axfr(&self, n: u64) -> Result<(), WaitError> {
        self.wait_for(Rtype::AXFR, n).await
    }

    /// Waits until `n` queries of this type have come since the start.
    ///
    /// # Errors
    /// They did not come within a minute.
    pub async fn wait_for(&self, rtype: Rtype, n: u64) -> Result<(), WaitError> {
        wait(&self.shared.log, &rtype.to_string(), n, |log| log.count(rtype)).await
    }

    /// Waits until `n` transfers have been written to the end of their script without an error of the connection.
    ///
    /// # Errors
    /// They were not within a minute.
    pub async fn wait_for_transfers_sent(&self, n: u64) -> Result<(), WaitError> {
        wait(&self.shared.log, "transfers sent", n, |log| log.transfers_sent).await
    }
}

impl Drop for Primary {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What the tasks and the handle share.
pub(super) struct Shared {
    served: Mutex<Served>,
    log: watch::Sender<Log>,
    /// A secondary knows its primary by the address: NOTIFY comes from where it listens.
    source: IpAddr,
    notify_waits: Arc<[Duration]>,
}

impl Shared {
    fn served(&self) -> MutexGuard<'_, Served> {
        // Nothing is left half-done under this lock, so that a panic elsewhere does not spoil it.
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_zone(&self, zone: ZoneFile) {
        self.served().set_zone(zone);
    }

    pub fn zone(&self, apex: &Name) -> Option<Arc<ZoneFile>> {
        self.served().zones.get(apex).cloned()
    }

    pub fn notification(&self, zone: &ZoneFile) -> Notification {
        Notification { source: self.source, soa: zone.soa().clone(), waits: Arc::clone(&self.notify_waits) }
    }

    fn answer(&self, octets: &[u8], peer: SocketAddr, transport: Transport) -> Answer {
        let incoming = Incoming::read(octets);
        let answer = self.served().answer(&incoming, transport);
        if let Incoming::Query(query) = incoming {
            tracing::debug!(%peer, %transport, name = %query.name, rtype = %query.rtype, "query");
            let received = Received { transport, peer, name: query.name, rtype: query.rtype };
            self.log.send_modify(|log| log.push(received));
        }
        answer
    }
}

async fn bind(wanted: SocketAddr) -> io::Result<(TcpListener, UdpSocket, SocketAddr)> {
    let mut attempt = 1;
    loop {
        let tcp = TcpListener::bind(wanted).await?;
        let address = tcp.local_addr()?;
        match UdpSocket::bind(address).await {
            Ok(udp) => return Ok((tcp, udp, address)),
            Err(_) if wanted.port() == 0 && attempt < BIND_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let mut octets = vec![0; usize::from(u16::MAX)];
    loop {
        let (length, peer) = match socket.recv_from(&mut octets).await {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, "failed to receive over UDP");
                tokio::time::sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let Some(query) = octets.get(..length) else { continue };
        if let Answer::Message(message) = shared.answer(query, peer, Transport::Udp)
            && let Err(error) = socket.send_to(&message, peer).await
        {
            tracing::debug!(%peer, %error, "failed to send an answer over UDP");
        }
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    // Owned here: the connections end with the listener.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, peer)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    if let Err(error) = serve_connection(stream, peer, &shared).await {
                        tracing::debug!(%peer, %error, "connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

async fn serve_connection(mut stream: TcpStream, peer: SocketAddr, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let Ok(length) = timeout(IDLE, stream.read_u16()).await else { return Ok(()) };
        let mut query = match length {
            Ok(length) => vec![0; usize::from(length)],
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        timeout(IDLE, stream.read_exact(&mut query)).await??;
        match shared.answer(&query, peer, Transport::Tcp) {
            Answer::Nothing => {}
            Answer::Message(message) => timeout(IDLE, stream.write_all(&framed(&message))).await??,
            Answer::Transfer(steps) => {
                let after = perform(&mut stream, steps).await?;
                shared.log.send_modify(|log| log.transfers_sent += 1);
                match after {
                    After::NextQuery => {}
                    After::Drained => return drain(&mut stream).await,
                    After::Dropped => return Ok(()),
                }
            }
        }
    }
}

enum After {
    NextQuery,
    /// Nothing more is said; the peer closes.
    Drained,
    Dropped,
}

async fn perform(stream: &mut TcpStream, steps: Steps) -> io::Result<After> {
    for step in steps {
        match step {
            Step::Send(octets) => timeout(IDLE, stream.write_all(&octets)).await??,
            Step::Pause(pause) => tokio::time::sleep(pause).await,
            Step::Close => {
                stream.shutdown().await?;
                return Ok(After::Drained);
            }
            Step::Reset => {
                stream.set_zero_linger()?;
                return Ok(After::Dropped);
            }
            Step::Silence => return Ok(After::Drained),
        }
    }
    Ok(After::NextQuery)
}

/// Reads what the peer still sends: dropping a stream with unread octets would reset it, and an orderly close be lost.
async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 512];
    while timeout(IDLE, stream.read(&mut ignored)).await?? > 0 {}
    Ok(())
}
