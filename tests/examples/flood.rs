//! Strangers flood the relay with NOTIFY and noise. Does it still hear its primary, and what does it cost?
//!
//! usage: flood [SECONDS] [DATAGRAMS A SECOND]

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use secondary53_tests::flood::{Flood, Pace};
use secondary53_tests::primary::{Config, Primary, Transport, ZoneFile};
use secondary53_tests::stack::process::Process;
use secondary53_tests::stack::{memory, programs};

const ZONE: &str = "example.com";
/// From one NOTIFY of the primary to the next.
const PAUSE: Duration = Duration::from_millis(50);

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(30), |seconds| seconds.parse())?;
    let per_second: u32 = arguments.next().map_or(Ok(50_000), |rate| rate.parse())?;

    let dir = tempfile::tempdir()?;
    let primary = Primary::start(Config::new().zone(zone(1)?)).await?;
    let (listen, process) = relay(dir.path(), primary.address()).await?;
    primary.wait_for_axfr(1).await?;
    let apex = primary.zone(zone(1)?.apex()).ok_or("the primary has no zone")?.apex().clone();
    let before = memory::resident(process.id()?)?;

    let began = now();
    let pace = Pace { count: u64::from(per_second) * seconds, per_second };
    let flood = Flood::start(listen, b"\x07example\x03com\x00", pace)?;
    let (mut valid, mut answered, mut first, mut attempts, mut acted, mut most) = (0, 0, 0, 0, 0, before);
    let mut waits = Vec::new();
    while !flood.has_ended() {
        valid += 1;
        primary.set_zone(zone(valid + 1)?);
        let asked = now();
        let answer = primary.notify_zone(&apex, listen, Transport::Udp).await;
        if let Ok(answer) = &answer {
            answered += 1;
            attempts += answer.attempts;
            first += usize::from(answer.attempts == 1);
            waits.push(asked.elapsed());
            // By a look that follows, or by one that was under way and came upon it already.
            process.logged(&format!("transferred zone={ZONE}. serial={} ", valid + 1)).await?;
            acted += 1;
        }
        most = most.max(memory::resident(process.id()?)?);
        tokio::time::sleep(PAUSE).await;
    }
    let took = began.elapsed();
    let sent = flood.sent();
    drop(flood);
    let after = memory::resident(process.id()?)?;

    println!("flood:    {sent} datagrams in {:.1} s, {} a second", took.as_secs_f64(), sent / took.as_secs().max(1));
    println!(
        "primary:  {valid} NOTIFY, {first} answered at once, {answered} within RFC 1996's retries ({attempts} sent), {acted} acted on"
    );
    waits.sort_unstable();
    if let (Some(median), Some(longest)) = (waits.get(waits.len() / 2), waits.last()) {
        println!(
            "answers:  median {:.1} ms, longest {:.1} ms",
            median.as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3
        );
    }
    println!("resident: {before} KiB before, {most} KiB at most, {after} KiB after");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this program is a stopwatch")]
fn now() -> Instant {
    Instant::now()
}

fn zone(serial: u32) -> Result<ZoneFile, Failure> {
    let text = format!("$ORIGIN {ZONE}.\n$TTL 300\n@ SOA ns host {serial} 3600 60 86400 60\n@ NS ns\nns A 192.0.2.1\n");
    Ok(ZoneFile::parse(&text)?)
}

/// A relay whose queue is not there: what it would send waits, and is not the question.
async fn relay(dir: &std::path::Path, primary: SocketAddr) -> Result<(SocketAddr, Process), Failure> {
    let (listen, nobody) = (programs::free_address()?, programs::free_address()?);
    let config = dir.join("relay.toml");
    let text = format!(
        "version = 1\nlisten = [\"{listen}\"]\nhttp = \"\"\nresolvers = [\"{nobody}\"]\nstate_dir = \"{}\"\n\
         [queue.main]\nurl = \"http://127.0.0.1/000000000000/main.fifo\"\nregion = \"eu-west-1\"\n\
         [primary.main]\naddress = \"{primary}\"\n[[zone]]\nname = \"{ZONE}\"\nconfirm = false\n",
        dir.join("state").display()
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(programs::built("secondary53-relay")?);
    command.args(["run", "--log-format", "text", "--config"]).arg(&config);
    command.env("AWS_ENDPOINT_URL_SQS", format!("http://{nobody}")).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    let process = Process::start("relay", &command, dir)?;
    process.listens(listen).await?;
    Ok((listen, process))
}
