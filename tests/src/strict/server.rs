//! The running stand-in: sockets, tasks, and the handles by which a test looks inside.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::Body as HttpBody,
    http::{Request, Response},
};
use serde::Serialize;
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::watch,
    task::JoinSet,
};

use super::{
    api, change,
    clock::Clock,
    dns,
    log::{Call, Log},
    model::{Body, HostedZone, Key, RecordSet, ZoneSpec},
    name::Name,
    policy::Denial,
    rates::{Rate, Rates},
    request::{Action, Change},
    syntax::{Fault, RecordType},
};
use crate::zones::Contents;

/// How the stand-in behaves. The default is Route 53 without its rate limits, at an address of the system's choice.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the API listens.
    pub http: SocketAddr,
    /// Where DNS is served, UDP and TCP.
    pub dns: SocketAddr,
    /// Zones to begin with.
    pub zones: Vec<ZoneSpec>,
    /// Quota of RRsets per zone, its NS and SOA among them.
    pub max_rrsets: u64,
    /// Requests, per action; none switches the limit off. See [`super::REQUESTS`].
    pub request_rate: Option<Rate>,
    /// Changes; none switches the limit off. See [`super::CHANGES`].
    pub change_rate: Option<Rate>,
    /// How long a batch is being processed. Meanwhile the next for its zone gets `PriorRequestNotComplete`.
    pub processing: Duration,
    /// From `PENDING` to `INSYNC`. The name servers serve a change from then on.
    pub propagation: Duration,
    /// What the stand-in goes by.
    pub clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            http: any,
            dns: any,
            zones: Vec::new(),
            max_rrsets: 10_000,
            request_rate: None,
            change_rate: None,
            processing: Duration::ZERO,
            propagation: Duration::ZERO,
            clock: Clock::System,
        }
    }
}

/// Why the stand-in did not start, or did not take a zone.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket.
    #[error("failed to listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A zone's name.
    #[error("failed to create hosted zone {name}: {reason}")]
    Zone {
        /// As given.
        name: String,
        /// In Route 53's words.
        reason: String,
    },
    /// A seeded RRset, or one to protect.
    #[error("failed to seed hosted zone {id}: {reason}")]
    Seed {
        /// The zone.
        id: String,
        /// In Route 53's words.
        reason: String,
    },
}

/// A running stand-in. Dropping it stops it; [`Server::stop`] waits until it has.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    http: SocketAddr,
    dns: SocketAddr,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Binds, creates the zones and starts answering.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let http = TcpListener::bind(config.http).await.map_err(listen(config.http))?;
        let (udp, tcp) = bind_both(config.dns).await.map_err(listen(config.dns))?;
        let address = |result: io::Result<SocketAddr>, wanted| result.map_err(listen(wanted));
        let (http_address, dns_address) =
            (address(http.local_addr(), config.http)?, address(udp.local_addr(), config.dns)?);
        let shared = Arc::new(Shared::new(config)?);
        let (stopping, stop) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(api::serve(http, Arc::clone(&shared), stop.clone()));
        tasks.spawn(dns::serve_udp(udp, Arc::clone(&shared), stop.clone()));
        tasks.spawn(dns::serve_tcp(tcp, Arc::clone(&shared), stop));
        Ok(Self { shared, http: http_address, dns: dns_address, stopping, tasks })
    }

    /// The same without sockets: it is reached by [`Server::call`] alone.
    ///
    /// # Errors
    /// A zone cannot be created.
    pub fn without_sockets(config: Config) -> Result<Self, StartError> {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let shared = Arc::new(Shared::new(config)?);
        let (stopping, _) = watch::channel(false);
        Ok(Self { shared, http: nowhere, dns: nowhere, stopping, tasks: JoinSet::new() })
    }

    /// Answers a request of the API.
    pub async fn call(&self, request: Request<HttpBody>) -> Response<HttpBody> {
        api::answer(Arc::clone(&self.shared), request).await
    }

    /// Stops answering and returns when requests in flight are done, or after five seconds.
    pub async fn stop(mut self) {
        const GRACE: Duration = Duration::from_secs(5);
        self.stopping.send_replace(true);
        // What is left after that waits for a clock that nobody moves; dropping the tasks ends it.
        let _ = tokio::time::timeout(GRACE, async { while self.tasks.join_next().await.is_some() {} }).await;
    }

    /// For `AWS_ENDPOINT_URL_ROUTE_53`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where DNS is served, UDP and TCP.
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// Creates a zone; its id.
    pub fn create_zone(&self, spec: &ZoneSpec) -> Result<String, StartError> {
        let reason = |fault: Fault| StartError::Zone { name: spec.name.clone(), reason: fault.to_string() };
        self.shared.account().create_zone(spec, None).map_err(reason)
    }

    /// Puts RRsets into a zone, past the limits of a batch and unseen by the log, by the other rules all the same:
    /// `(name, type, TTL, values)`, each name and type once. They are served at once.
    pub fn seed(&self, id: &str, rrsets: &[(&str, &str, u32, &[&str])]) -> Result<(), StartError> {
        let refused = |reason: String| StartError::Seed { id: id.to_owned(), reason };
        let max_rrsets = self.shared.config.max_rrsets;
        let mut account = self.shared.account();
        let zone = account.zones.get_mut(id).ok_or_else(|| refused("no such hosted zone".to_owned()))?;
        let mut changes = Vec::with_capacity(rrsets.len());
        for (name, rtype, ttl, values) in rrsets {
            let rtype = RecordType::parse(rtype).ok_or_else(|| refused(format!("no such type: {rtype}")))?;
            changes.push(Change::plain(Action::Upsert, name, rtype, *ttl, values));
        }
        let applied =
            change::apply_unlimited(zone, &changes, max_rrsets).map_err(|errors| refused(errors.join(", ")))?;
        zone.replace(applied.rrsets, Duration::ZERO);
        Ok(())
    }

    /// Takes an RRset that is not routed out of a zone, past the API, as an operator might. Whether it was there.
    pub fn remove(&self, id: &str, name: &str, rtype: &str) -> bool {
        let (Ok(name), Some(rtype)) = (Name::parse(name), RecordType::parse(rtype)) else { return false };
        let mut account = self.shared.account();
        let Some(zone) = account.zones.get_mut(id) else { return false };
        let mut rrsets = (*zone.rrsets).clone();
        let was_there = rrsets.remove(&Key::simple(name, rtype)).is_some();
        zone.replace(rrsets, Duration::ZERO);
        was_there
    }

    /// From now on this RRset may not be changed (record-set protections).
    pub fn protect(&self, id: &str, name: &str, rtype: &str) -> Result<(), StartError> {
        self.with_rrset(id, name, rtype, |zone, rrset| _ = zone.protected.insert(rrset))
    }

    /// From now on it may be changed, and is taken, again.
    pub fn allow(&self, id: &str, name: &str, rtype: &str) -> Result<(), StartError> {
        self.with_rrset(id, name, rtype, |zone, rrset| {
            zone.protected.remove(&rrset);
            zone.refused.remove(&rrset);
        })
    }

    /// From now on a batch that creates this RRset is refused with these words: for what Route 53 refuses and the stand-in
    /// has no rule for.
    pub fn refuse(&self, id: &str, name: &str, rtype: &str, words: &str) -> Result<(), StartError> {
        self.refuse_ttl(id, name, rtype, None, words)
    }

    /// The same, where it has this TTL: with another it is taken.
    pub fn refuse_ttl(
        &self,
        id: &str,
        name: &str,
        rtype: &str,
        ttl: Option<u32>,
        words: &str,
    ) -> Result<(), StartError> {
        self.with_rrset(id, name, rtype, |zone, rrset| _ = zone.refused.insert(rrset, (ttl, words.to_owned())))
    }

    /// From now on the caller may change no RRset of this name and type; of any where none is given.
    pub fn deny(&self, name: Option<&str>, rtype: Option<&str>) -> Result<(), StartError> {
        let refused = |reason: String| StartError::Seed { id: String::new(), reason };
        let name = name.map(Name::parse).transpose().map_err(|fault| refused(fault.to_string()))?;
        let read = |text| RecordType::parse(text).ok_or_else(|| refused(format!("no such type: {text}")));
        let rtype = rtype.map(read).transpose()?;
        self.shared.account().denied.push(Denial { name, rtype });
        Ok(())
    }

    /// From now on the caller may change everything.
    pub fn permit(&self) {
        self.shared.account().denied.clear();
    }

    fn with_rrset(
        &self,
        id: &str,
        name: &str,
        rtype: &str,
        act: impl FnOnce(&mut HostedZone, (Name, RecordType)),
    ) -> Result<(), StartError> {
        let refused = |reason: String| StartError::Seed { id: id.to_owned(), reason };
        let name = Name::parse(name).map_err(|fault| refused(fault.to_string()))?;
        let rtype = RecordType::parse(rtype).ok_or_else(|| refused(format!("no such type: {rtype}")))?;
        let mut account = self.shared.account();
        let zone = account.zones.get_mut(id).ok_or_else(|| refused("no such hosted zone".to_owned()))?;
        act(zone, (name, rtype));
        Ok(())
    }

    /// Makes `GetChange` know none of the changes so far: what a fail-over of a zone with accelerated recovery can do.
    pub fn forget_changes(&self) {
        self.shared.account().submitted.clear();
    }

    /// What a zone holds, as the API would list it.
    pub fn zone(&self, id: &str) -> Option<ZoneView> {
        self.shared.account().zones.get(id).map(ZoneView::of)
    }

    /// The serial of a zone's SOA.
    pub fn serial(&self, id: &str) -> Option<u32> {
        self.shared.account().zones.get(id).map(HostedZone::serial)
    }

    /// All zones, by id.
    pub fn zones(&self) -> Vec<ZoneView> {
        self.shared.zones()
    }

    /// Whether a batch for the zone is being processed.
    pub fn is_busy(&self, id: &str) -> bool {
        self.shared.account().zones.get(id).is_some_and(|zone| zone.busy)
    }

    /// The calls so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.account().log.calls()
    }

    /// Forgets the calls.
    pub fn reset_calls(&self) {
        self.shared.account().log.reset();
    }
}

/// A zone to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneView {
    /// Without `/hostedzone/`.
    pub id: String,
    /// With the trailing dot, escaped.
    pub name: String,
    /// Whether it is private.
    pub private: bool,
    /// Of the SOA.
    pub serial: u32,
    /// In the order of a listing.
    pub rrsets: Vec<RecordSetView>,
}

/// An RRset to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordSetView {
    /// With the trailing dot, escaped.
    pub name: String,
    /// A, AAAA, …
    pub rtype: &'static str,
    /// None for what is not routed.
    pub set_identifier: Option<String>,
    /// Seconds; none for an alias or a traffic policy.
    pub ttl: Option<u32>,
    /// As they were given; empty for an alias or a traffic policy.
    pub values: Vec<String>,
}

impl ZoneView {
    fn of(zone: &HostedZone) -> Self {
        Self {
            id: zone.id.clone(),
            name: zone.name.to_string(),
            private: zone.private,
            serial: zone.serial(),
            rrsets: zone.rrsets.values().map(|set| RecordSetView::of(set)).collect(),
        }
    }

    /// What it holds, the SOA and the NS of the apex left out.
    pub fn contents(&self) -> Contents {
        let is_apex = |set: &&RecordSetView| set.name == self.name && matches!(set.rtype, "NS" | "SOA");
        let entry = |set: &RecordSetView| {
            let mut values = set.values.clone();
            values.sort();
            ((set.name.clone(), set.rtype.to_owned()), (set.ttl.unwrap_or_default(), values))
        };
        self.rrsets.iter().filter(|set| !is_apex(set)).map(entry).collect()
    }

    /// The RRset of this name (escaped, with the trailing dot) and type that is not routed.
    pub fn rrset(&self, name: &str, rtype: &str) -> Option<&RecordSetView> {
        self.rrsets.iter().find(|set| set.name == name && set.rtype == rtype && set.set_identifier.is_none())
    }
}

impl RecordSetView {
    fn of(set: &RecordSet) -> Self {
        let (ttl, values) = match &set.body {
            Body::Records { ttl, values } => (Some(*ttl), values.iter().map(|value| value.text.clone()).collect()),
            Body::Alias { .. } | Body::TrafficPolicy(_) => (None, Vec::new()),
        };
        Self {
            name: set.key.name.to_string(),
            rtype: set.key.rtype.as_str(),
            set_identifier: set.key.set_identifier.clone(),
            ttl,
            values,
        }
    }
}

/// What the API and DNS share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    account: Mutex<Account>,
}

impl Shared {
    fn new(config: Config) -> Result<Self, StartError> {
        let mut account = Account {
            zones: BTreeMap::new(),
            submitted: BTreeMap::new(),
            denied: Vec::new(),
            rates: Rates::new(config.request_rate, config.change_rate, config.clock.now()),
            log: Log::default(),
            counter: 0,
        };
        for spec in &config.zones {
            let reason = |fault: Fault| StartError::Zone { name: spec.name.clone(), reason: fault.to_string() };
            account.create_zone(spec, None).map_err(reason)?;
        }
        Ok(Self { config, account: Mutex::new(account) })
    }

    /// Never held across an `await`.
    pub(super) fn account(&self) -> MutexGuard<'_, Account> {
        // A batch is applied to a copy and swapped in whole, so a panic elsewhere leaves no half of one.
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn zones(&self) -> Vec<ZoneView> {
        self.account().zones.values().map(ZoneView::of).collect()
    }
}

/// Everything that changes.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) zones: BTreeMap<String, HostedZone>,
    /// Changes by id.
    pub(super) submitted: BTreeMap<String, Submitted>,
    /// What IAM does not allow.
    pub(super) denied: Vec<Denial>,
    pub(super) rates: Rates,
    pub(super) log: Log,
    counter: u32,
}

/// A change that `GetChange` tells of.
#[derive(Clone, Debug)]
pub(super) struct Submitted {
    pub(super) at: Duration,
    pub(super) in_sync_at: Duration,
    pub(super) comment: Option<String>,
}

impl Account {
    /// Without a caller reference, one is made up.
    pub(super) fn create_zone(&mut self, spec: &ZoneSpec, caller_reference: Option<&str>) -> Result<String, Fault> {
        self.counter += 1;
        let id = spec.id.clone().unwrap_or_else(|| format!("Z{:020}", self.counter));
        let well_formed = (1..=32).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
        if !well_formed || self.zones.contains_key(&id) {
            return Err(Fault::new("InvalidHostedZoneId", "Id is taken or not 1 to 32 letters and digits", &id));
        }
        let reference = caller_reference.map_or_else(|| id.clone(), ToOwned::to_owned);
        let zone = HostedZone::new(spec, id.clone(), reference, self.counter)?;
        self.zones.insert(id.clone(), zone);
        Ok(id)
    }

    /// Notes a change; its id.
    pub(super) fn submit(&mut self, submitted: Submitted) -> String {
        /// Changes that `GetChange` knows; Route 53 forgets old ones too.
        const MAX_SUBMITTED: usize = 100_000;
        self.counter += 1;
        let id = format!("C{:020}", self.counter);
        if self.submitted.len() == MAX_SUBMITTED {
            self.submitted.pop_first();
        }
        self.submitted.insert(id.clone(), submitted);
        id
    }
}

fn listen(address: SocketAddr) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Listen { address, source }
}

/// UDP and TCP on one port. Where the system picks the port for the one, the other may find it taken: a few attempts.
async fn bind_both(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    const ATTEMPTS: usize = 16;
    let mut attempt = 1;
    loop {
        let udp = UdpSocket::bind(address).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if address.port() != 0 || attempt == ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}
