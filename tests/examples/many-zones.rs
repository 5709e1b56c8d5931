//! One relay with many zones: how long until all are sent, what it holds at rest and does there, and what becomes of many
//! changes at once.
//!
//! usage: `many-zones ZONES [CHANGED[,CHANGED…] [IDLE_SECONDS]]`
//!
//! Zones of 20 records, with a refresh of an hour, from the scripted primary; what is sent goes to a queue that takes all. Each
//! line is a step: what it took, and what the relay has used and holds at its end.

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
use secondary53_tests::stack::usage::{self, Usage};
use secondary53_tests::stack::{StackError, programs};
use tokio::sync::watch;

/// No step here takes longer.
const LIMIT: Duration = Duration::from_mins(30);
/// NOTIFYs that wait for their answer at the same time, as of a primary with many zones.
const NOTIFIES: usize = 100;
/// Between two looks at how many sockets there are.
const LOOK: Duration = Duration::from_millis(100);

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    const USAGE: &str = "usage: many-zones ZONES [CHANGED[,CHANGED…] [IDLE_SECONDS]]";
    let mut arguments = std::env::args().skip(1);
    let zones: usize = arguments.next().ok_or(USAGE)?.parse()?;
    let changed = arguments.next().unwrap_or_default();
    let changed = changed.split(',').filter(|number| !number.is_empty()).map(str::parse);
    let changed: Vec<usize> = changed.collect::<Result<_, _>>()?;
    let idle: u64 = arguments.next().map_or(Ok(0), |seconds| seconds.parse())?;
    if zones == 0 || arguments.next().is_some() || changed.iter().any(|changed| !(1..=zones).contains(changed)) {
        return Err(USAGE.into());
    }

    let mut config = Config::new();
    for index in 0..zones {
        config = config.zone(zone(index, 1)?);
    }
    let primary = Primary::start(config).await?;
    let sink = Sink::start().await?;
    let dir = tempfile::tempdir()?;
    let listen = programs::free_address()?;
    let began = usage::now();
    let relay = start(dir.path(), zones, listen, primary.address(), sink.address)?;
    let mut watch = Watch { relay, began, accepted: sink.accepted(), sink, seen: 0, requests: 0, cpu: Duration::ZERO };
    watch.relay.listens(listen).await?;
    println!("{zones} zones of 20 records: listening after {:.3} s", began.elapsed().as_secs_f64());
    let (last, sockets) = watch.until(zones, std::future::ready(())).await?;
    watch.tell("all sent for the first time", last - began, sockets)?;

    let mut serial = 1;
    for changed in changed {
        serial += 1;
        for index in 0..changed {
            primary.set_zone(zone(index, serial)?);
        }
        let began = usage::now();
        let notified = stream::iter(0..changed).map(|index| notify(&primary, index, listen));
        let notified = notified.buffer_unordered(NOTIFIES).collect::<Vec<_>>();
        let mut attempts = Vec::new();
        let all = async { attempts = notified.await };
        let (last, sockets) = watch.until(changed, all).await?;
        let lost = attempts.iter().filter(|attempts| **attempts == 0).count();
        let again = attempts.iter().filter(|attempts| **attempts > 1).count();
        let what = format!("{changed} changed, {again} NOTIFYs sent again, {lost} never answered");
        watch.tell(&what, last - began, sockets)?;
    }
    if idle > 0 {
        watch.so_far()?;
        tokio::time::sleep(Duration::from_secs(idle)).await;
        let sockets = usage::sockets(&watch.relay)?;
        watch.tell("idle", Duration::from_secs(idle), sockets)?;
    }
    Ok(())
}

/// The relay, and what was seen of it so far.
struct Watch {
    relay: Process,
    began: Instant,
    sink: Sink,
    accepted: watch::Receiver<Vec<Accepted>>,
    seen: usize,
    requests: usize,
    cpu: Duration,
}

impl Watch {
    /// Waits until so many more messages were accepted and `meanwhile` is done: when the last came, and the most sockets that
    /// the relay had.
    async fn until(&mut self, more: usize, meanwhile: impl Future<Output = ()>) -> Result<(Instant, usize), Failure> {
        let wanted = self.seen + more;
        let mut most = 0;
        let (relay, accepted) = (&self.relay, &mut self.accepted);
        let looking = async {
            loop {
                // Of a relay that has ended, the messages tell.
                most = most.max(usage::sockets(relay).unwrap_or_default());
                tokio::time::sleep(LOOK).await;
            }
        };
        let enough = async {
            let (enough, ()) = tokio::join!(accepted.wait_for(|all| all.len() >= wanted), meanwhile);
            enough.map(|all| all.get(wanted - more..wanted).and_then(|new| new.iter().map(|one| one.at).max()))
        };
        let last = tokio::select! {
            last = tokio::time::timeout(LIMIT, enough) => last.map_err(|_| format!("{wanted} messages did not come"))??,
            () = looking => None,
        };
        Ok((last.ok_or("nothing was sent")?, most))
    }

    fn so_far(&mut self) -> Result<(Usage, Duration), StackError> {
        let usage = usage::so_far(&self.relay, self.began)?;
        let cpu = usage.cpu.saturating_sub(self.cpu);
        self.cpu = usage.cpu;
        Ok((usage, cpu))
    }

    fn tell(&mut self, what: &str, took: Duration, sockets: usize) -> Result<(), StackError> {
        let (usage, cpu) = self.so_far()?;
        let all = self.accepted.borrow_and_update();
        let new = all.get(self.seen..).unwrap_or_default();
        let (messages, octets) = (new.len(), new.iter().map(|one| one.octets).sum::<usize>());
        self.seen = all.len();
        drop(all);
        let requests = self.sink.requests() - self.requests;
        self.requests += requests;
        println!(
            "{what}: {:.3} s, processor {:.3} s, {messages} messages, {requests} requests, {octets} octets, \
             {sockets} sockets, holds {:.1} MiB, at most {:.1} MiB",
            took.as_secs_f64(),
            cpu.as_secs_f64(),
            usage::mib(usage::resident_kib(&self.relay)?),
            usage::mib(usage.peak_kib),
        );
        Ok(())
    }
}

fn name(index: usize) -> String {
    format!("zone-{index:05}.example")
}

fn zone(index: usize, serial: u32) -> Result<ZoneFile, primary::ZoneFileError> {
    let mut text = format!("@ 300 SOA ns host {serial} 3600 600 604800 300\n@ 300 NS ns\nns 300 A 192.0.2.{serial}\n");
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
