//! How long a change takes from the operator's nsupdate to Route 53's acceptance, through the real processes, with the
//! worker warm. Numbers to look at, no judgement: build with --release.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use secondary53_tests::stack::chain::{Chain, Layout};
use secondary53_tests::stack::name_server::ZoneFile;
use secondary53_tests::stack::wait::unix_ms;
use secondary53_tests::stack::{StackError, bind, knot, programs};
use secondary53_tests::strict::{self, ZoneSpec};

/// Milliseconds from nsupdate to the hosted zone, over a number of changes one after the other.
#[derive(Debug, Parser)]
#[command(name = "latency", version)]
struct Arguments {
    /// The primary.
    #[arg(long, value_enum, default_value_t = Daemon::Bind)]
    primary: Daemon,
    /// Changes, after one that is not counted.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    changes: u32,
    /// Records in the zone besides the few that every zone has.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=9_000))]
    records: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Daemon {
    Bind,
    Knot,
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
    let zone = ZoneFile { zone: ZONE.to_owned(), text: zone_text(arguments.records) };
    let primary = match arguments.primary {
        Daemon::Bind => bind::start(dir.path(), &zone, listen).await?,
        Daemon::Knot => knot::start(dir.path(), &zone, listen).await?,
    };
    let config = strict::Config { zones: vec![ZoneSpec::public(ZONE)], ..strict::Config::default() };
    let failed = |error: strict::StartError| StackError::step("start the stand-in for Route 53", &error);
    let route53 = strict::Server::start(config).await.map_err(failed)?;
    let id = route53.zones().first().map(|zone| zone.id.clone()).unwrap_or_default();
    let chain = Chain::start(Layout::anywhere(dir.path(), primary.address, listen, ZONE)?, route53).await?;
    chain.reaches(&id, primary.serial().await?).await?;

    let mut took_ms = Vec::new();
    for number in 0..=arguments.changes {
        let change = format!("add measured.{ZONE}. 60 TXT \"{number}\"");
        chain.route53.reset_calls();
        let since_ms = unix_ms();
        primary.update(&[&format!("delete measured.{ZONE}. TXT"), &change]).await?;
        chain.reaches(&id, primary.serial().await?).await?;
        let accepted_ms = chain.route53.calls().iter().filter(|call| call.error.is_none()).map(|call| call.at_ms).max();
        took_ms.push(accepted_ms.unwrap_or_default().saturating_sub(since_ms));
    }
    // The first one finds caches and connections cold.
    took_ms.remove(0);
    took_ms.sort_unstable();
    let (median, max) = (took_ms.get(took_ms.len() / 2), took_ms.last());
    println!(
        "{} changes at {:?}, zone of {} records: median {} ms, max {} ms",
        took_ms.len(),
        arguments.primary,
        arguments.records,
        median.copied().unwrap_or_default(),
        max.copied().unwrap_or_default(),
    );
    Ok(())
}

fn zone_text(records: u32) -> String {
    let mut text =
        "$ORIGIN example.com.\n$TTL 300\n@ SOA ns1 host 2026 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.53\n"
            .to_owned();
    for number in 0..records {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "host-{number} A 192.0.2.{}", number % 256);
    }
    text
}
