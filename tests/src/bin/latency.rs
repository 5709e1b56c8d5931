//! How long a change takes to Route 53's acceptance, through the real processes, with the worker warm, and where that time
//! goes. Numbers to look at, no judgement. BIND and Knot spread their NOTIFYs over up to a second; `--primary ours` sends
//! them at once and so shows what the relay, the queue and the worker take.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Parser, ValueEnum};
use secondary53_tests::primary::{Config as PrimaryConfig, Primary, ZoneFile as EmbeddedZone};
use secondary53_tests::stack::chain::{Chain, Layout};
use secondary53_tests::stack::name_server::{NameServer, ZoneFile};
use secondary53_tests::stack::timeline::{self, Change};
use secondary53_tests::stack::wait::time_of_day;
use secondary53_tests::stack::{StackError, bind, knot, programs};
use secondary53_tests::strict::{self, ZoneSpec};
use serde_json::json;
use tokio::time::MissedTickBehavior;

/// Milliseconds from a change at the primary to its acceptance by Route 53, over a number of changes one after the other.
#[derive(Debug, Parser)]
#[command(name = "latency", version)]
struct Arguments {
    /// The primary.
    #[arg(long, value_enum, default_value_t = Kind::Ours)]
    primary: Kind,
    /// Changes, after one that is not counted.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    changes: u32,
    /// Records in the zone besides the few that every zone has. The hosted zone has them from the beginning.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=50_000))]
    records: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// From nsupdate's start.
    Bind,
    /// From nsupdate's start.
    Knot,
    /// From NOTIFY.
    Ours,
}

const ZONE: &str = "example.com";
/// From one change to the next at least: the worker asks Route 53 for nothing more than ten times a second.
const PAUSE: Duration = Duration::from_millis(125);

#[tokio::main]
async fn main() -> ExitCode {
    match measure(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latency: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<(), StackError> {
    let dir = tempfile::tempdir().map_err(StackError::io("make a temporary directory"))?;
    let listen = programs::free_address()?;
    let primary = Changing::start(arguments, dir.path(), listen).await?;
    let zones = vec![ZoneSpec::public(ZONE)];
    let config = strict::Config { zones, max_rrsets: 100_000, ..strict::Config::default() };
    let failed = |error: strict::StartError| StackError::step("start the stand-in for Route 53", &error);
    let route53 = strict::Server::start(config).await.map_err(failed)?;
    let id = route53.zones().first().map(|zone| zone.id.clone()).unwrap_or_default();
    seed(&route53, &id, arguments.records).map_err(failed)?;
    let mut layout = Layout::anywhere(dir.path(), primary.address(), listen, ZONE)?;
    layout.detours = timeline::detours();
    // There is one, and all of Route 53's rates are for it.
    layout.detours.worker.insert("WORKERS", "1".to_owned());
    let chain = Chain::start(layout, route53).await?;
    chain.reaches(&id, primary.serial().await?).await?;

    let mut changes = Vec::new();
    let mut pauses = tokio::time::interval(PAUSE);
    pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0..=arguments.changes {
        pauses.tick().await;
        let since = primary.change(number, listen).await?;
        chain.reaches(&id, primary.serial().await?).await?;
        changes.push(Change::since(since));
    }
    // What a worker says is in the log when its invocation has ended, which is after the hosted zone has the change.
    let last = primary.serial().await?;
    chain.ministack.process.logged(&format!("\"serial\":\"{last}\"")).await?;
    // The first one finds caches and connections cold.
    let took = timeline::timelines(&chain, changes.get(1..).unwrap_or_default());
    if took.len() != changes.len() - 1 {
        let missing = changes.len() - 1 - took.len();
        return Err(StackError::step("find all changes in the logs", &format_args!("{missing} are missing")));
    }
    tell(arguments, &took);
    Ok(())
}

/// Milliseconds: median, 99 %, the most.
struct Spread([f64; 3]);

impl Spread {
    fn of(took: impl Iterator<Item = Duration>) -> Self {
        let mut sorted: Vec<_> = took.collect();
        sorted.sort_unstable();
        let part = |percent: usize| {
            let took = sorted.get(sorted.len() * percent / 100).or(sorted.last()).copied().unwrap_or_default();
            took.as_secs_f64() * 1_000.0
        };
        Self([part(50), part(99), part(100)])
    }
}

fn tell(arguments: &Arguments, took: &[Vec<Duration>]) {
    let all = ("all", Spread::of(took.iter().map(|steps| steps.iter().sum())));
    let step = |(index, name)| (name, Spread::of(took.iter().filter_map(|steps| steps.get(index).copied())));
    let rows = std::iter::once(all).chain(timeline::steps().enumerate().map(step));
    if arguments.json {
        let rows: Vec<_> = rows.map(|(name, Spread(ms))| json!({ "step": name, "ms": ms })).collect();
        println!("{}", json!({ "changes": took.len(), "steps": rows }));
        return;
    }
    let (changes, primary, records) = (took.len(), arguments.primary, arguments.records);
    println!("{changes} changes at {primary:?}, a zone of {records} records: milliseconds");
    println!("{:10} {:>9} {:>9} {:>9}", "", "median", "99 %", "most");
    for (name, Spread([median, p99, most])) in rows {
        println!("{name:10} {median:9.2} {p99:9.2} {most:9.2}");
    }
}

/// A primary with one record that changes.
enum Changing {
    Daemon(NameServer),
    Ours { primary: Primary, records: u32 },
}

impl Changing {
    async fn start(arguments: &Arguments, dir: &Path, listen: SocketAddr) -> Result<Self, StackError> {
        let records = arguments.records;
        let zone = ZoneFile { zone: ZONE.to_owned(), text: zone_text(FIRST_SERIAL, records) };
        Ok(match arguments.primary {
            Kind::Bind => Self::Daemon(bind::start(dir, &zone, listen).await?),
            Kind::Knot => Self::Daemon(knot::start(dir, &zone, listen).await?),
            Kind::Ours => {
                let config = PrimaryConfig::new().zone(parsed(&zone.text)?);
                let primary =
                    Primary::start(config).await.map_err(|error| StackError::step("start a primary", &error))?;
                Self::Ours { primary, records }
            }
        })
    }

    /// When it began.
    async fn change(&self, number: u32, listen: SocketAddr) -> Result<SystemTime, StackError> {
        let record = format!("measured.{ZONE}. 60 TXT \"{number}\"");
        match self {
            Self::Daemon(server) => {
                let since = time_of_day();
                server.update(&[&format!("delete measured.{ZONE}. TXT"), &format!("add {record}")]).await?;
                Ok(since)
            }
            Self::Ours { primary, records } => {
                let serial = self.serial().await?.wrapping_add(1);
                primary.set_zone(parsed(&format!("{}{record}\n", zone_text(serial, *records)))?);
                let since = time_of_day();
                let answered = primary.notify(listen).await;
                answered.map_err(|error| StackError::step("notify the relay", &error))?;
                Ok(since)
            }
        }
    }

    async fn serial(&self) -> Result<u32, StackError> {
        match self {
            Self::Daemon(server) => server.serial().await,
            Self::Ours { primary, .. } => {
                let apex = parsed(&zone_text(FIRST_SERIAL, 0))?.apex().clone();
                Ok(primary.zone(&apex).map_or(FIRST_SERIAL, |zone| zone.serial()))
            }
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Daemon(server) => server.address,
            Self::Ours { primary, .. } => primary.address(),
        }
    }
}

const FIRST_SERIAL: u32 = 2026;
const TTL: u32 = 300;

fn parsed(text: &str) -> Result<EmbeddedZone, StackError> {
    EmbeddedZone::parse(text).map_err(|error| StackError::step("read the zone", &error))
}

/// Names and addresses beside the SOA and the NS of the apex.
fn hosts(records: u32) -> impl Iterator<Item = (String, String)> {
    let host = |number| (format!("host-{number}.{ZONE}."), format!("192.0.2.{}", number % 256));
    std::iter::once((format!("ns1.{ZONE}."), "192.0.2.53".to_owned())).chain((0..records).map(host))
}

fn zone_text(serial: u32, records: u32) -> String {
    let mut text =
        format!("$ORIGIN {ZONE}.\n$TTL {TTL}\n@ SOA ns1 host {serial} 3600 600 86400 60\n@ NS ns1.{ZONE}.\n");
    for (name, address) in hosts(records) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} A {address}");
    }
    text
}

/// What a first sync would have brought, which at Route 53's rates takes minutes.
fn seed(route53: &strict::Server, id: &str, records: u32) -> Result<(), strict::StartError> {
    let hosts: Vec<_> = hosts(records).collect();
    let values: Vec<_> = hosts.iter().map(|(_, address)| [address.as_str()]).collect();
    let rrsets: Vec<_> =
        hosts.iter().zip(&values).map(|((name, _), values)| (name.as_str(), "A", TTL, values.as_slice())).collect();
    route53.seed(id, &rrsets)
}
