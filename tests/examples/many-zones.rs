//! One relay with many zones: how long until all are sent, what it holds at rest and does there, and what becomes of many
//! changes at once.
//!
//! usage: `many-zones ZONES CHANGED [IDLE_SECONDS]`
//!
//! Zones of 20 records, with a refresh of an hour, from the scripted primary; what is sent goes to a queue that takes all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use secondary53_tests::primary::{self, Config, Primary, Transport, ZoneFile};
use secondary53_tests::stack::ministack::AMBIENT;
use secondary53_tests::stack::process::Process;
use secondary53_tests::stack::sink::{Accepted, Sink};
use secondary53_tests::stack::{StackError, programs, usage};
use tokio::sync::watch;

/// No step here takes longer.
const LIMIT: Duration = Duration::from_mins(30);
/// NOTIFYs that wait for their answer at the same time, as of a primary with many zones.
const NOTIFIES: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<Vec<usize>, _>>()?;
    let (zones, changed, idle) = match arguments[..] {
        [zones, changed] => (zones, changed, 0),
        [zones, changed, idle] => (zones, changed, u64::try_from(idle)?),
        _ => return Err("usage: many-zones ZONES CHANGED [IDLE_SECONDS]".into()),
    };
    let mut config = Config::new();
    for index in 0..zones {
        config = config.zone(zone(index, 1)?);
    }
    let primary = Primary::start(config).await?;
    let sink = Sink::start().await?;
    let mut accepted = sink.accepted();
    let dir = tempfile::tempdir()?;
    let listen = programs::free_address()?;
    let began = usage::now();
    let relay = start(dir.path(), zones, listen, primary.address(), sink.address)?;
    relay.listens(listen).await?;
    println!("{zones} zones: listening after {:.3} s", began.elapsed().as_secs_f64());
    let sent = until(&mut accepted, zones).await?;
    let last = sent.iter().map(|one| one.at).max().ok_or("nothing was sent")?;
    println!("all sent for the first time after {:.3} s", (last - began).as_secs_f64());
    show(&relay, began, "then")?;

    let began_change = usage::now();
    for index in 0..changed {
        primary.set_zone(zone(index, 2)?);
    }
    let notified = stream::iter(0..changed).map(|index| notify(&primary, index, listen)).buffer_unordered(NOTIFIES);
    let attempts: Vec<usize> = notified.collect().await;
    let answered = usage::now();
    let mut by_attempts = BTreeMap::new();
    for attempts in attempts {
        *by_attempts.entry(attempts).or_insert(0) += 1;
    }
    let sent = until(&mut accepted, zones + changed).await?;
    let last = sent.iter().map(|one| one.at).max().ok_or("nothing was sent")?;
    let lost = by_attempts.remove(&0).unwrap_or(0);
    println!("{changed} changed: NOTIFYs never answered: {lost}; answered, by attempts: {by_attempts:?}");
    println!(
        "all answered after {:.3} s, all sent after {:.3} s",
        (answered - began_change).as_secs_f64(),
        (last - began_change).as_secs_f64()
    );
    show(&relay, began, "then")?;
    if idle > 0 {
        let before = usage::so_far(&relay, began)?;
        tokio::time::sleep(Duration::from_secs(idle)).await;
        let after = usage::so_far(&relay, began)?;
        println!("idle for {idle} s: {:.3} s of processor time", after.cpu.saturating_sub(before.cpu).as_secs_f64());
        show(&relay, began, "then")?;
    }
    Ok(())
}

fn name(index: usize) -> String {
    format!("zone-{index:05}.example")
}

fn zone(index: usize, serial: u32) -> Result<ZoneFile, primary::ZoneFileError> {
    let mut text = format!("@ 300 SOA ns host {serial} 3600 600 604800 300\n@ 300 NS ns\nns 300 A 192.0.2.1\n");
    for host in 0..17 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "host-{host} 300 A 192.0.2.{}", (index + host) % 250);
    }
    ZoneFile::parse_in(&name(index), &text)
}

/// Attempts until it was answered; none where it never was.
async fn notify(primary: &Primary, index: usize, relay: SocketAddr) -> usize {
    let Ok(zone) = name(index).parse() else { return 0 };
    primary.notify_zone(&zone, relay, Transport::Udp).await.map_or(0, |answer| answer.attempts)
}

fn start(
    dir: &Path,
    zones: usize,
    listen: SocketAddr,
    primary: SocketAddr,
    sink: SocketAddr,
) -> Result<Process, StackError> {
    let config = dir.join("relay.toml");
    let mut text = format!(
        r#"version = 1
listen = ["{listen}"]
http = "127.0.0.1:0"
resolvers = ["127.0.0.1:1"]
state_dir = "{}"
[queue.main]
url = "http://{sink}/000000000000/main.fifo"
region = "eu-west-1"
[primary.main]
address = "{primary}"
"#,
        dir.join("state").display()
    );
    for index in 0..zones {
        // Writing to a String cannot fail.
        let _ = write!(text, "[[zone]]\nname = \"{}\"\nconfirm = false\n", name(index));
    }
    std::fs::write(&config, text).map_err(StackError::io(format!("write {}", config.display())))?;
    let mut command = Command::new(programs::built("secondary53-relay")?);
    command.args(["run", "--config"]).arg(&config).envs(AMBIENT).env("RUST_LOG", "warn");
    command.env("AWS_ENDPOINT_URL_SQS", format!("http://{sink}"));
    Process::start("relay", &command, dir)
}

async fn until(accepted: &mut watch::Receiver<Vec<Accepted>>, count: usize) -> Result<Vec<Accepted>, String> {
    let enough = tokio::time::timeout(LIMIT, accepted.wait_for(|all| all.len() >= count)).await;
    let enough = enough.map_err(|_| format!("{count} messages did not come"))?;
    enough.map(|all| all.clone()).map_err(|error| error.to_string())
}

fn show(relay: &Process, began: Instant, when: &str) -> Result<(), StackError> {
    let peak = usage::mib(usage::so_far(relay, began)?.peak_kib);
    println!("{when} it holds {:.1} MiB, at most {peak:.1}", usage::mib(usage::resident_kib(relay)?));
    Ok(())
}
