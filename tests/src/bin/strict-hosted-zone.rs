//! The strict hosted zone as a program: a Route 53 to try things against.

use std::{error::Error, io::Write, net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use secondary53_tests::strict::{CHANGES, Config, REQUESTS, Server, ZoneSpec};
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// A stand-in for Route 53 that refuses what Route 53 refuses, and serves its zones over DNS.
///
/// Prints one line of JSON with its addresses and zones when it is ready. What it was asked: GET /_strict/calls;
/// what it holds: GET /_strict/zones; to forget the calls: POST /_strict/calls/reset.
#[derive(Debug, Parser)]
#[command(name = "strict-hosted-zone", version)]
struct Arguments {
    /// Where the API listens.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    http: SocketAddr,
    /// Where DNS is served, UDP and TCP.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    dns: SocketAddr,
    /// A public hosted zone to begin with; may be repeated.
    #[arg(long = "zone", value_name = "NAME[=ID]")]
    zones: Vec<String>,
    /// RRsets that a zone may hold, its NS and SOA among them.
    #[arg(long, default_value_t = 10_000, value_name = "COUNT")]
    max_rrsets: u64,
    /// Throttle requests: 50 at once, 10 a second, per action.
    #[arg(long)]
    throttle_requests: bool,
    /// Throttle changes: 1,500 at once, 100 a second, an UPSERT counting twice.
    #[arg(long)]
    throttle_changes: bool,
    /// Milliseconds for which a batch is being processed; meanwhile the zone takes no other.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    processing_ms: u64,
    /// Milliseconds from PENDING to INSYNC, when DNS begins to serve a change.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    propagation_ms: u64,
}

impl Arguments {
    fn into_config(self) -> Config {
        let spec = |zone: &String| match zone.split_once('=') {
            Some((name, id)) => ZoneSpec::public(name).with_id(id),
            None => ZoneSpec::public(zone),
        };
        Config {
            http: self.http,
            dns: self.dns,
            zones: self.zones.iter().map(spec).collect(),
            max_rrsets: self.max_rrsets,
            request_rate: self.throttle_requests.then_some(REQUESTS),
            change_rate: self.throttle_changes.then_some(CHANGES),
            processing: Duration::from_millis(self.processing_ms),
            propagation: Duration::from_millis(self.propagation_ms),
            ..Config::default()
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let given = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = given.unwrap_or_else(|| Targets::new().with_default(Level::ERROR));
    tracing_subscriber::registry()
        .with(filter)
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("strict-hosted-zone: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // Before anybody can know that it runs, so that a signal never finds it unprepared.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = Server::start(arguments.into_config()).await?;
    let zones: Vec<_> =
        server.zones().into_iter().map(|zone| serde_json::json!({ "id": zone.id, "name": zone.name })).collect();
    let ready = serde_json::json!({ "http": server.endpoint(), "dns": server.dns(), "zones": zones });
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{ready}")?;
    stdout.flush()?;
    drop(stdout);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await;
    Ok(())
}
