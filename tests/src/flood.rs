//! A flood: NOTIFY and noise from strangers, from many addresses of 127.0.0.0/8, as many a second as is asked for.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// A flood that goes on beside the test. Dropping it ends it.
#[derive(Debug)]
pub struct Flood {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    ended: AtomicBool,
    sent: AtomicU64,
}

/// How much, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Datagrams in all.
    pub count: u64,
    /// Datagrams a second, as far as the machine can.
    pub per_second: u32,
}

/// Addresses that it comes from: 127.0.1.1 and so on.
const SOURCES: u8 = 64;
/// Different datagrams that are sent again and again.
const KINDS: usize = 256;
/// Between two volleys.
const PAUSE: Duration = Duration::from_micros(500);

impl Flood {
    /// Begins to send to `to`, some of it about the zone of this wire-format name.
    ///
    /// # Errors
    /// A socket cannot be had.
    pub fn start(to: SocketAddr, zone: &[u8], pace: Pace) -> io::Result<Self> {
        let sockets = (1..=SOURCES).map(|host| UdpSocket::bind((Ipv4Addr::new(127, 0, 1, host), 0)));
        let sockets = sockets.collect::<io::Result<Vec<_>>>()?;
        let messages = messages(zone);
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || send(&sockets, &messages, to, pace, &shared)
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Datagrams until now.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Whether all were sent.
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

fn send(sockets: &[UdpSocket], messages: &[Vec<u8>], to: SocketAddr, pace: Pace, shared: &Shared) {
    #[expect(clippy::disallowed_methods, reason = "a rate is measured by a clock")]
    let began = Instant::now();
    let mut sent = 0;
    while sent < pace.count && !shared.stop.load(Ordering::Relaxed) {
        let elapsed = began.elapsed().as_micros();
        let due = u64::try_from(elapsed * u128::from(pace.per_second) / 1_000_000).unwrap_or(u64::MAX).min(pace.count);
        for number in sent..due {
            let at = |length: usize| usize::try_from(number % length as u64).unwrap_or_default();
            // What does not fit into a queue of the kernel is lost, as on any way.
            let _ = sockets[at(sockets.len())].send_to(&messages[at(messages.len())], to);
        }
        sent = due.max(sent);
        shared.sent.store(sent, Ordering::Relaxed);
        std::thread::sleep(PAUSE);
    }
    shared.ended.store(true, Ordering::Relaxed);
}

/// Half of them are NOTIFY that only their source is wrong with, the others malformed, each in its way.
fn messages(zone: &[u8]) -> Vec<Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(1996);
    let notify = [&[0, 1, 0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0], zone, &[0, 6, 0, 1]].concat();
    (0..KINDS)
        .map(|kind| {
            let mut message = notify.clone();
            message[..2].copy_from_slice(&rng.random::<[u8; 2]>());
            match kind % 14 {
                // Counts that promise what is not there.
                0 => message[4..12].fill(0xff),
                // A response, another opcode.
                1 => message[2] |= 0x80,
                2 => message[2] = rng.random(),
                // Cut anywhere: within the header, too.
                3 => message.truncate(rng.random_range(0..message.len())),
                // A name that points at itself.
                4 => message.splice(12.., [0xc0, 12, 0, 6, 0, 1]).for_each(drop),
                // Noise, short and long.
                5 => message = (0..rng.random_range(1..64)).map(|_| rng.random()).collect(),
                6 => message = (0..1400).map(|_| rng.random()).collect(),
                _ => {}
            }
            message
        })
        .collect()
}
