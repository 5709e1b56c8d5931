//! How long a change takes to Route 53's acceptance, through the real processes, with the worker warm. Numbers to look
//! at, no judgement. BIND and Knot spread their NOTIFYs over up to a second; `--primary ours` sends them at once and so
//! shows what the relay, the queue and the worker take.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use secondary53_tests::primary::{Config as PrimaryConfig, Primary, ZoneFile as EmbeddedZone};
use secondary53_tests::stack::chain::{Chain, Layout};
use secondary53_tests::stack::name_server::{NameServer, ZoneFile};
use secondary53_tests::stack::wait::unix_ms;
use secondary53_tests::stack::{StackError, bind, knot, programs};
use secondary53_tests::strict::{self, ZoneSpec};

/// Milliseconds from a change at the primary to its acceptance by Route 53, over a number of changes one after the other.
#[derive(Debug, Parser)]
#[command(name = "latency", version)]
struct Arguments {
    /// The primary.
    #[arg(long, value_enum, default_value_t = Kind::Ours)]
    primary: Kind,
    /// Changes, after one that is not counted.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    changes: u32,
    /// Records in the zone besides the few that every zone has.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=9_000))]
    records: u32,
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
    let config = strict::Config { zones: vec![ZoneSpec::public(ZONE)], ..strict::Config::default() };
    let failed = |error: strict::StartError| StackError::step("start the stand-in for Route 53", &error);
    let route53 = strict::Server::start(config).await.map_err(failed)?;
    let id = route53.zones().first().map(|zone| zone.id.clone()).unwrap_or_default();
    let chain = Chain::start(Layout::anywhere(dir.path(), primary.address(), listen, ZONE)?, route53).await?;
    chain.reaches(&id, primary.serial().await?).await?;

    let mut took_ms = Vec::new();
    for number in 0..=arguments.changes {
        chain.route53.reset_calls();
        let since_ms = unix_ms();
        primary.change(number, listen).await?;
        chain.reaches(&id, primary.serial().await?).await?;
        let accepted_ms = chain.route53.calls().iter().filter(|call| call.error.is_none()).map(|call| call.at_ms).max();
        took_ms.push(accepted_ms.unwrap_or_default().saturating_sub(since_ms));
    }
    // The first one finds caches and connections cold.
    took_ms.remove(0);
    took_ms.sort_unstable();
    let part =
        |percent: usize| took_ms.get(took_ms.len() * percent / 100).or(took_ms.last()).copied().unwrap_or_default();
    println!(
        "{} changes at {:?}, a zone of {} records: median {} ms, p99 {} ms, max {} ms",
        took_ms.len(),
        arguments.primary,
        arguments.records,
        part(50),
        part(99),
        part(100),
    );
    Ok(())
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

    async fn change(&self, number: u32, listen: SocketAddr) -> Result<(), StackError> {
        let record = format!("measured.{ZONE}. 60 TXT \"{number}\"");
        match self {
            Self::Daemon(server) => {
                server.update(&[&format!("delete measured.{ZONE}. TXT"), &format!("add {record}")]).await
            }
            Self::Ours { primary, records } => {
                let serial = self.serial().await?.wrapping_add(1);
                primary.set_zone(parsed(&format!("{}{record}\n", zone_text(serial, *records)))?);
                let answered = primary.notify(listen).await;
                answered.map(drop).map_err(|error| StackError::step("notify the relay", &error))
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

fn parsed(text: &str) -> Result<EmbeddedZone, StackError> {
    EmbeddedZone::parse(text).map_err(|error| StackError::step("read the zone", &error))
}

fn zone_text(serial: u32, records: u32) -> String {
    let mut text = format!(
        "$ORIGIN example.com.\n$TTL 300\n@ SOA ns1 host {serial} 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.53\n"
    );
    for number in 0..records {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "host-{number} A 192.0.2.{}", number % 256);
    }
    text
}
