//! What a primary is started with.

use std::net::SocketAddr;
use std::time::Duration;

use super::answer::Served;
use super::{Behaviour, Packing, SoaBehaviour, ZoneFile};

/// What a [`Primary`](super::Primary) serves and how. Without a behaviour, it behaves.
#[derive(Default)]
pub struct Config {
    pub(super) listen: Option<SocketAddr>,
    pub(super) served: Served,
    pub(super) notify_waits: Option<Vec<Duration>>,
}

impl Config {
    /// No zones, port chosen by the system on 127.0.0.1.
    pub fn new() -> Self {
        Self::default()
    }

    /// The address for UDP and TCP; port 0 lets the system choose one that is free for both.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Serves this zone, in the place of one of the same name.
    #[must_use]
    pub fn zone(mut self, zone: ZoneFile) -> Self {
        self.served.set_zone(zone);
        self
    }

    /// Keeps so many earlier versions of each zone, and answers IXFR with the differences from them (RFC 1995). None are kept
    /// if not given: what is newer comes whole.
    #[must_use]
    pub fn history(mut self, versions: usize) -> Self {
        self.served.kept = versions;
        self
    }

    /// Every transfer goes like this, but for those of [`Config::transfers`].
    #[must_use]
    pub fn behaviour(mut self, behaviour: Behaviour) -> Self {
        self.served.transfers.then = behaviour;
        self
    }

    /// The first transfers go like these, one each.
    #[must_use]
    pub fn transfers(mut self, script: impl IntoIterator<Item = Behaviour>) -> Self {
        self.served.transfers.next.extend(script);
        self
    }

    /// Every SOA query is answered like this, but for those of [`Config::soa_answers`].
    #[must_use]
    pub fn soa_behaviour(mut self, behaviour: SoaBehaviour) -> Self {
        self.served.soa_answers.then = behaviour;
        self
    }

    /// The first SOA queries are answered like these, one each.
    #[must_use]
    pub fn soa_answers(mut self, script: impl IntoIterator<Item = SoaBehaviour>) -> Self {
        self.served.soa_answers.next.extend(script);
        self
    }

    /// How records are put into messages.
    #[must_use]
    pub fn packing(mut self, packing: Packing) -> Self {
        self.served.packing = packing;
        self
    }

    /// NOTIFY over UDP is sent as often as there are waits, each for its answer; 1, 2, 4, 8 and 8 seconds if not given.
    #[must_use]
    pub fn notify_waits(mut self, waits: impl IntoIterator<Item = Duration>) -> Self {
        self.notify_waits = Some(waits.into_iter().collect());
        self
    }
}
