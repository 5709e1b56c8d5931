//! What a file means, and everything that is wrong with it.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use secondary53_aws::objects::is_bucket;
use secondary53_zone::{Limits as ZoneLimits, Name};
use toml::Spanned;

use super::file::{self, File, Key, Named};
use super::keys::Keys;
use super::tls::Given;
use super::zones::{Choice, Known};
use super::{Config, Limits, Primary, Queue};
use crate::notify::Source;
use crate::primary::{self, Server};
use crate::refresh::Bounds;
use crate::tls;

/// One thing that is wrong, and the octet of the text where it is.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) what: String,
}

/// The port of DNS (RFC 1035 §4.2).
const DNS: u16 = 53;
/// Where the status page is: for this host alone.
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9153);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
/// A zone can have no more labels and names than a 32-bit offset reaches; this is well within.
const RECORDS_MAX: u64 = 50_000_000;
/// Octets allowed for each record of the limit; a record of the reference mix has 45.
const OCTETS_PER_RECORD: usize = 256;
/// A relay id is shown in every message, and takes from its room.
const RELAY_ID_MAX: usize = 128;

pub(super) fn check(file: File) -> Result<Config, Vec<Fault>> {
    let mut check = Check { faults: Vec::new() };
    let config = check.file(file);
    if check.faults.is_empty() { Ok(config) } else { Err(check.faults) }
}

pub(super) struct Check {
    faults: Vec<Fault>,
}

impl Check {
    fn file(&mut self, file: File) -> Config {
        if let Some(version) = &file.version
            && *version.get_ref() != 1
        {
            self.fault(version, "version", format!("{} is not known; this relay reads version 1", version.get_ref()));
        }
        let http = match &file.http {
            None => Some(HTTP),
            Some(text) if text.get_ref().is_empty() => None,
            Some(text) => self.address("http", text),
        };
        let resolvers = file.resolvers.iter().flatten().filter_map(|text| self.host("resolvers", text, DNS)).collect();
        let keys = self.keys(file.key);
        let limits = self.limits(file.limits);
        let timers = self.timers(file.timers);
        let listen = self.listen(file.listen);
        let queues = self.queues(file.queue);
        let primaries = self.primaries(file.primary, &keys);
        let mut known = Known {
            primaries: Choice::new("primary", &primaries, |primary| &primary.name),
            queues: Choice::new("queue", &queues, |queue| &queue.name),
        };
        let discover = file.discover.as_ref().and_then(|discover| self.discover(discover, &mut known));
        let zones = self.zones(&file.zone, &mut known);
        let catalogs = self.catalogs(&file.catalog, &zones, &mut known);
        let asks = file.discover.as_ref().and_then(|discover| discover.get_ref().route53.as_ref());
        if file.zone.is_empty() && file.catalog.is_empty() && asks.is_none_or(|asks| !asks.get_ref()) {
            let how = "as [[zone]] with name = \"example.com\", in a [[catalog]], or by [discover]";
            self.fault_at(0, "zone", format!("there is none: name at least one, {how}"));
        }
        let relay_id = file.relay_id.filter(|id| !id.get_ref().is_empty());
        if let Some(id) = relay_id.as_ref().filter(|id| id.get_ref().len() > RELAY_ID_MAX) {
            self.fault(id, "relay_id", format!("it is longer than {RELAY_ID_MAX} octets"));
        }
        let state_dir = file.state_dir.unwrap_or_else(|| Spanned::new(0..0, "/var/lib/secondary53".to_owned()));
        if state_dir.get_ref().is_empty() {
            self.fault(&state_dir, "state_dir", "it is empty");
        }
        Config {
            listen,
            http,
            resolvers,
            state_dir: PathBuf::from(state_dir.into_inner()),
            relay_id: relay_id.map(Spanned::into_inner),
            queues,
            limits,
            timers,
            primaries,
            zones,
            catalogs,
            discover,
        }
    }

    fn listen(&mut self, given: Option<Vec<Spanned<String>>>) -> Vec<SocketAddr> {
        let Some(given) = given else {
            return vec![([0, 0, 0, 0], 53).into(), ([0; 8], 53).into()];
        };
        if given.is_empty() {
            self.fault_at(0, "listen", "it is empty: NOTIFY could not be heard");
        }
        let mut addresses = Vec::new();
        for text in &given {
            match self.address("listen", text) {
                Some(address) if addresses.contains(&address) => {
                    self.fault(text, "listen", format!("{:?} is there twice", text.get_ref()));
                }
                address => addresses.extend(address),
            }
        }
        addresses
    }

    fn limits(&mut self, given: file::Limits) -> Limits {
        let defaults = Limits::default();
        let transfers = self.number("limits.transfers", given.transfers, defaults.transfers, 1..=1_000);
        let each = defaults.transfers_per_primary;
        let each = self.number("limits.transfers_per_primary", given.transfers_per_primary, each, 1..=1_000);
        let records = defaults.transfer.zone.records;
        let records = self.number("limits.records_per_zone", given.records_per_zone, records, 1..=RECORDS_MAX);
        let octets = records.saturating_mul(OCTETS_PER_RECORD).clamp(1 << 20, ZoneLimits::MAX_OCTETS);
        let (idle, total) = (defaults.transfer.idle, defaults.transfer.total);
        let at = given.transfer_total.as_ref().or(given.transfer_idle.as_ref()).map_or(0, |value| value.span().start);
        let idle = self.duration("limits.transfer_idle", given.transfer_idle, idle, SECOND..=60 * 60 * SECOND);
        let total = self.duration("limits.transfer_total", given.transfer_total, total, SECOND..=DAY);
        self.ordered(at, ("limits.transfer_idle", idle), ("limits.transfer_total", total));
        Limits {
            transfers,
            transfers_per_primary: each,
            transfer: primary::Limits { zone: ZoneLimits { records, octets }, idle, total },
        }
    }

    fn timers(&mut self, given: file::Timers) -> Bounds {
        let range = SECOND..=366 * DAY;
        let defaults = Bounds::default();
        let start = |value: Option<&Spanned<String>>| value.map_or(0, |value| value.span().start);
        let refresh_at = start(given.refresh_max.as_ref().or(given.refresh_min.as_ref()));
        let retry_at = start(given.retry_max.as_ref().or(given.retry_min.as_ref()));
        let mut bound = |key, value, default| self.duration(key, value, default, range.clone());
        let bounds = Bounds {
            refresh_min: bound("timers.refresh_min", given.refresh_min, defaults.refresh_min),
            refresh_max: bound("timers.refresh_max", given.refresh_max, defaults.refresh_max),
            retry_min: bound("timers.retry_min", given.retry_min, defaults.retry_min),
            retry_max: bound("timers.retry_max", given.retry_max, defaults.retry_max),
            audit: self.audit(given.audit, defaults.audit),
        };
        let Bounds { refresh_min, refresh_max, retry_min, retry_max, .. } = bounds;
        self.ordered(refresh_at, ("timers.refresh_min", refresh_min), ("timers.refresh_max", refresh_max));
        self.ordered(retry_at, ("timers.retry_min", retry_min), ("timers.retry_max", retry_max));
        bounds
    }

    fn audit(&mut self, given: Option<Spanned<String>>, default: Option<Duration>) -> Option<Duration> {
        let at = given.as_ref().map_or(0, |value| value.span().start);
        let audit = self.duration("timers.audit", given, default.unwrap_or_default(), Duration::ZERO..=366 * DAY);
        if !audit.is_zero() && audit < SECOND {
            self.fault_at(at, "timers.audit", "it is shorter than 1s, and not \"0s\", which is never");
        }
        Some(audit).filter(|audit| !audit.is_zero())
    }

    fn queues(&mut self, given: Named<file::Queue>) -> Vec<Arc<Queue>> {
        if given.is_empty() {
            self.fault_at(0, "queue", "there is none: give at least one, as [queue.main] with its url");
        }
        let mut queues: Vec<Arc<Queue>> = Vec::new();
        for (name, queue) in given {
            let key = |leaf: &str| format!("queue.{name}.{leaf}");
            let at = queue.span().start;
            let file::Queue { url, region, overflow_bucket } = queue.into_inner();
            let overflow_bucket = self.bucket(&key("overflow_bucket"), overflow_bucket);
            let Some(url) = url else {
                self.fault_at(at, &key("url"), "it is missing");
                continue;
            };
            let text = url.get_ref().as_str();
            let Some(host) = queue_host(text) else {
                let form = "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME.fifo";
                self.fault(&url, &key("url"), format!("{text:?} is not the URL of a queue: {form}"));
                continue;
            };
            if text.rsplit_once('.').is_none_or(|(_, suffix)| suffix != "fifo") {
                let why = "it must end in .fifo: the order of a zone's snapshots matters";
                self.fault(&url, &key("url"), format!("{text:?} is not a FIFO queue: {why}"));
            }
            // A zone's queues are told apart by their URLs.
            if let Some(same) = queues.iter().find(|queue| queue.url == *text) {
                self.fault(&url, &key("url"), format!("{text:?} is that of queue.{} already", same.name));
            }
            let given = region.filter(|region| !region.get_ref().is_empty());
            match given.as_ref().map(|region| region.get_ref().clone()).or_else(|| region_of(host)) {
                Some(region) => {
                    queues.push(Arc::new(Queue { name, url: url.into_inner(), region, overflow_bucket }));
                }
                None => self.fault(&url, &key("region"), format!("it is not in the URL {text:?}, so it must be given")),
            }
        }
        queues
    }

    fn bucket(&mut self, key: &str, given: Key<String>) -> Option<String> {
        let given = given.filter(|given| !given.get_ref().is_empty())?;
        if !is_bucket(given.get_ref()) {
            let form = "3 to 63 lower-case letters, digits, hyphens and dots";
            self.fault(&given, key, format!("{:?} is not the name of an S3 bucket: {form}", given.get_ref()));
        }
        Some(given.into_inner())
    }

    fn primaries(&mut self, given: Named<file::Primary>, keys: &Keys) -> Vec<Arc<Primary>> {
        if given.is_empty() {
            self.fault_at(0, "primary", "there is none: give at least one, as [primary.main] with its address");
        }
        let mut primaries = Vec::new();
        let mut system = None;
        for (name, primary) in given {
            let path = |leaf: &str| format!("primary.{name}.{leaf}");
            let at = primary.span().start;
            let file::Primary {
                address,
                key,
                notify_from,
                tls,
                tls_name,
                tls_ca_file,
                tls_cert_file,
                tls_key_file,
                ixfr,
            } = primary.into_inner();
            let key = key.filter(|key| !key.get_ref().is_empty());
            let key = key.and_then(|key| self.key(&path("key"), &key, keys));
            let (cert_file, key_file) = (tls_cert_file, tls_key_file);
            let tls = Given { tls, name: tls_name, ca_file: tls_ca_file, cert_file, key_file };
            let nets: Vec<_> = notify_from.iter().filter_map(|text| self.net(&path("notify_from"), text)).collect();
            let Some(address) = address else {
                self.fault_at(at, &path("address"), "it is missing");
                continue;
            };
            let port = if tls.is_on() { tls::PORT } else { DNS };
            if let Some(address) = self.host(&path("address"), &address, port) {
                let tls = self.tls(path, &tls, address, &mut system);
                let mut sources = vec![IpNet::from(address.ip().to_canonical())];
                sources.extend(nets);
                let source = Arc::new(Source { nets: sources, key: key.clone() });
                let ixfr = ixfr.is_none_or(Spanned::into_inner);
                primaries.push(Arc::new(Primary { name, server: Server { address, key, tls }, source, ixfr }));
            }
        }
        primaries
    }

    pub(super) fn name(&mut self, key: &str, given: Option<&Spanned<String>>, at: usize) -> Option<Name> {
        let Some(given) = given else {
            self.fault_at(at, key, "it is missing");
            return None;
        };
        let text = given.get_ref();
        if !text.is_ascii() {
            // It would be a name of the octets of UTF-8, which no server has (RFC 5890 §2.3.2.1).
            self.fault(
                given,
                key,
                format!("{text:?} is not ASCII: write it as DNS has it, as in xn--bcher-kva.example"),
            );
            return None;
        }
        Name::parse(text)
            .map_err(|error| self.fault(given, key, format!("{text:?} is not the name of a zone: {error}")))
            .ok()
    }

    fn address(&mut self, key: &str, given: &Spanned<String>) -> Option<SocketAddr> {
        let text = given.get_ref();
        let address = text.parse().ok();
        if address.is_none() {
            let form = "192.0.2.1:53 or [2001:db8::1]:53";
            self.fault(given, key, format!("{text:?} is not an address and a port, as in {form} (no host names)"));
        }
        address
    }

    /// An address that something can be asked at, at `port` where it names none.
    pub(super) fn host(&mut self, key: &str, given: &Spanned<String>, port: u16) -> Option<SocketAddr> {
        let alone = given.get_ref().trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let address = alone.map(|ip| SocketAddr::new(ip, port)).or_else(|| self.address(key, given))?;
        let ip = address.ip().to_canonical();
        let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        if address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || broadcast {
            self.fault(given, key, format!("{:?} is not the address of a host and a port of it", given.get_ref()));
            return None;
        }
        Some(address)
    }

    fn net(&mut self, key: &str, given: &Spanned<String>) -> Option<IpNet> {
        let text = given.get_ref();
        let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
        if net.is_none() {
            self.fault(given, key, format!("{text:?} is not an address or a network, as in 192.0.2.0/28"));
        }
        net.map(canonical)
    }

    fn number(&mut self, key: &str, given: Key<u64>, default: usize, range: RangeInclusive<u64>) -> usize {
        let Some(given) = given else { return default };
        if !range.contains(given.get_ref()) {
            let what = format!("{} is not within {} and {}", given.get_ref(), range.start(), range.end());
            self.fault(&given, key, what);
        }
        usize::try_from(*given.get_ref()).unwrap_or(usize::MAX)
    }

    pub(super) fn duration(
        &mut self,
        key: &str,
        given: Key<String>,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(given) = given else { return default };
        let text = given.get_ref();
        match humantime::parse_duration(text) {
            Ok(duration) if range.contains(&duration) => return duration,
            Ok(_) => {
                let [least, most] = [range.start(), range.end()].map(|bound| humantime::format_duration(*bound));
                self.fault(&given, key, format!("{text:?} is not within {least} and {most}"));
            }
            Err(error) => {
                let what = format!("{text:?} is not a time with its unit, as in \"90s\", \"10m\" or \"1d\": {error}");
                self.fault(&given, key, what);
            }
        }
        default
    }

    fn ordered(&mut self, at: usize, (small_key, small): (&str, Duration), (large_key, large): (&str, Duration)) {
        if small > large {
            let [small, large] = [small, large].map(humantime::format_duration);
            self.fault_at(at, large_key, format!("{large} is less than {small_key}, {small}"));
        }
    }

    pub(super) fn unknown<'a>(
        &mut self,
        given: &Spanned<String>,
        key: &str,
        kind: &str,
        known: impl Iterator<Item = &'a String>,
    ) {
        let known: Vec<_> = known.map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        self.fault(given, key, format!("there is no {kind} {:?}; there is: {known}", given.get_ref()));
    }

    pub(super) fn fault<T>(&mut self, place: &Spanned<T>, key: &str, what: impl Display) {
        self.fault_at(place.span().start, key, what);
    }

    pub(super) fn fault_at(&mut self, at: usize, key: &str, what: impl Display) {
        self.faults.push(Fault { at, key: key.to_owned(), what: what.to_string() });
    }
}

/// Sources are compared as IPv4 where they are IPv4 in IPv6 (`::ffff:0:0/96`), so that is how a network of them is kept.
fn canonical(net: IpNet) -> IpNet {
    const PREFIX: u8 = 96;
    let mapped = match net {
        IpNet::V6(net) => net.addr().to_ipv4_mapped().zip(net.prefix_len().checked_sub(PREFIX)),
        IpNet::V4(_) => None,
    };
    mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(net, IpNet::from)
}

/// The host of a queue's URL, without its port.
fn queue_host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (authority, path) = rest.split_once('/')?;
    let plain = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'?' | b'#' | b'@');
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    (!host.is_empty() && !path.is_empty() && rest.bytes().all(plain)).then_some(host)
}

/// The region that a queue's URL names, where it names one.
pub fn region_of_url(url: &str) -> Option<String> {
    queue_host(url).and_then(region_of)
}

/// The region that a queue's host names: `sqs.REGION.…`, `sqs-fips.REGION.…`, and the old `REGION.queue.…`.
fn region_of(host: &str) -> Option<String> {
    let labels: Vec<_> = host.split('.').collect();
    let at = |wanted: &str| labels.iter().position(|label| *label == wanted);
    let after = at("sqs").or_else(|| at("sqs-fips")).and_then(|index| labels.get(index + 1));
    let before = || at("queue").and_then(|index| index.checked_sub(1)).and_then(|index| labels.get(index));
    let region = after.or_else(before)?;
    // eu-west-1, us-gov-east-1; not the "amazonaws" of a host without a region.
    let is_region = region.contains('-') && region.ends_with(|last: char| last.is_ascii_digit());
    is_region.then(|| (*region).to_owned())
}
