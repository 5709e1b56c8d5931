//! One zone from Knot, to all that can take it: our relay until its snapshot is stored, Knot and NSD as secondaries until
//! they serve it, dig and kdig until they have printed it. In turn, each time from another one on: the ratios hold on a noisy
//! machine.
//!
//! usage: secondaries RECORDS [RUNS]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use secondary53_relay::live;
use secondary53_tests::stack::ministack::AMBIENT;
use secondary53_tests::stack::secondary::{self, Secondary, Zones};
use secondary53_tests::stack::sink::Sink;
use secondary53_tests::stack::usage::{self, Usage};
use secondary53_tests::stack::wait::until;
use secondary53_tests::stack::{StackError, knot, name_server, process, programs};
use secondary53_zone::Name;

const ZONE: &str = "example.com";
const OURS: &str = "secondary53-relay";
/// Records that dnspython is given at most: of more, Knot loses patience with it.
const PYTHON: usize = 10_000;
/// No transfer here takes longer.
const LIMIT: Duration = Duration::from_mins(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let records = arguments.next().ok_or("usage: secondaries RECORDS [RUNS]")?;
    let runs: usize = arguments.next().map_or(Ok(5), |runs| runs.parse())?;

    let script = programs::workspace().join("tests/reference_zone.py");
    let script = script.to_str().ok_or("a path that is not UTF-8")?;
    let text = process::run(&programs::in_venv("python")?, &[script, &records], "").await?;
    let dir = tempfile::tempdir()?;
    let zone = name_server::ZoneFile { zone: ZONE.to_owned(), text };
    let server = knot::start(dir.path(), &zone, programs::free_address()?).await?;
    drop(zone);
    let primary = server.address;
    let sink = Sink::start().await?;

    let mut who = vec![OURS, "dig", "kdig", "Knot secondary", "NSD secondary"];
    if records.parse().is_ok_and(|records: usize| records <= PYTHON) {
        who.push("dnspython");
    }
    let mut all: BTreeMap<&str, Vec<Usage>> = BTreeMap::new();
    for _ in 0..runs {
        for name in &who {
            let usage = match *name {
                OURS => ours(primary, sink.address).await?,
                "dig" => client(name, &["+onesoa", "+nocomments", "+nostats"], primary).await?,
                "kdig" => client(name, &[], primary).await?,
                "Knot secondary" => theirs(primary, secondary::knot).await?,
                "NSD secondary" => theirs(primary, secondary::nsd).await?,
                _ => dnspython(primary).await?,
            };
            all.entry(name).or_default().push(usage);
        }
        // What one leaves behind, memory to be freed or a process that ends, is not the same one's burden each time.
        who.rotate_left(1);
    }
    let ours = usage::median(all.get(OURS).map_or(&[][..], Vec::as_slice));
    println!("{records} records, {runs} runs in turn: medians, and how many times ours");
    println!("{:18} {:>8} {:>8} {:>9}   wall  memory   least and most seconds", "", "wall s", "cpu s", "peak MiB");
    for (name, runs) in &all {
        let median = usage::median(runs);
        let walls = || runs.iter().map(|run| run.wall.as_secs_f64());
        let (least, most) = (walls().fold(f64::MAX, f64::min), walls().fold(0.0, f64::max));
        let wall = median.wall.as_secs_f64() / ours.wall.as_secs_f64();
        let memory = usage::mib(median.peak_kib) / usage::mib(ours.peak_kib);
        println!("{name:18} {median}  {wall:5.2}  {memory:6.2}   {least:.3} {most:.3}");
    }
    Ok(())
}

/// `once`, with nothing stored, to its end: the snapshot was accepted, and is stored.
async fn ours(primary: SocketAddr, sink: SocketAddr) -> Result<Usage, StackError> {
    let dir = tempfile::tempdir().map_err(StackError::io("make a directory"))?;
    let config = dir.path().join("relay.toml");
    let text = format!(
        r#"version = 1
http = ""
state_dir = "{}"
[queue.main]
url = "http://{sink}/000000000000/main.fifo"
region = "eu-west-1"
overflow_bucket = "overflow"

[limits]
records_per_zone = 2_000_000
[primary.main]
address = "{primary}"
[[zone]]
name = "{ZONE}"
"#,
        dir.path().join("state").display()
    );
    std::fs::write(&config, text).map_err(StackError::io(format!("write {}", config.display())))?;
    let mut command = Command::new(programs::built(OURS)?);
    command.args(["once", "--config"]).arg(&config).envs(AMBIENT);
    command.env("AWS_ENDPOINT_URL_SQS", format!("http://{sink}")).env("AWS_ENDPOINT_URL_S3", format!("http://{sink}"));
    let usage = usage::run_to_end(&command, dir.path()).await?;
    let stored = dir.path().join("state").join(format!("{ZONE}.snapshot"));
    std::fs::metadata(&stored).map_err(StackError::io(format!("find {}", stored.display())))?;
    Ok(usage)
}

async fn client(name: &str, options: &[&str], primary: SocketAddr) -> Result<Usage, StackError> {
    let dir = tempfile::tempdir().map_err(StackError::io("make a directory"))?;
    let mut command = Command::new(programs::installed(name)?);
    let (host, port) = (format!("@{}", primary.ip()), primary.port().to_string());
    command.args([&host, "-p", &port, "+tcp"]).args(options).args([ZONE, "AXFR"]);
    usage::run_to_end(&command, dir.path()).await
}

async fn dnspython(primary: SocketAddr) -> Result<Usage, StackError> {
    const SCRIPT: &str = "import sys, dns.query, dns.zone; host, port, zone = sys.argv[1:]; \
        dns.zone.from_xfr(dns.query.xfr(host, zone, port=int(port), relativize=False), relativize=False)";
    let dir = tempfile::tempdir().map_err(StackError::io("make a directory"))?;
    let mut command = Command::new(programs::in_venv("python")?);
    command.args(["-c", SCRIPT, &primary.ip().to_string(), &primary.port().to_string(), ZONE]);
    usage::run_to_end(&command, dir.path()).await
}

/// From its start, with nothing stored, until it gives the zone's SOA.
async fn theirs(
    primary: SocketAddr,
    start: impl Fn(&Path, Zones<'_>) -> Result<Secondary, StackError>,
) -> Result<Usage, StackError> {
    let dir = tempfile::tempdir().map_err(StackError::io("make a directory"))?;
    let zone: Name = ZONE.parse().map_err(|error| StackError::step("read a name", &error))?;
    let names = [ZONE.to_owned()];
    let began = usage::now();
    let secondary = start(dir.path(), Zones { names: &names, primary })?;
    let serves = until(LIMIT, "the secondary serve the zone", async || {
        let asked = live::ask(&zone, &[secondary.address]).await;
        Ok(asked.oldest().map(|_| usage::so_far(&secondary.process, began)))
    });
    serves.await?
}
