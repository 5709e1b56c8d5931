//! Seconds of the real worker beside the least that Route 53's buckets allow for the same calls, and how often it is throttled.
//!
//! usage: `rates BOOTSTRAP`        target/worker/bootstrap; five minutes
//!
//! Lambda and its event source are played ([`secondary53_tests::stack::lambda`]), Route 53 is the strict hosted zone at Route 53's
//! rates, both over the loopback. `tests/tests/simulation/rates.rs` holds the same on a simulated clock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secondary53_tests::primary::ZoneFile;
use secondary53_tests::stack::lambda::Lambda;
use secondary53_tests::stack::wait::until;
use secondary53_tests::strict::{CHANGES, Config, REQUESTS, Server, ZoneSpec, least};
use secondary53_tests::zones::{one_changed, reference, zone_of};
use secondary53_zone::delta::Delta;
use secondary53_zone::message::{Message, Meta, Reason};
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::Zone;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Twice what the longest of these takes.
const PATIENCE: Duration = Duration::from_mins(10);
const ZONES: usize = 1_000;
const RECORDS: usize = 10;
const SERIAL: u32 = 7;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let bootstrap = std::env::args().nth(1).map(PathBuf::from).ok_or("usage: rates BOOTSTRAP")?;
    let first =
        Message::new(&Snapshot::new(reference(10_000).map_err(|error| error.to_string())?), Reason::Initial, meta())?;
    let server = route53(vec![ZoneSpec::public("example.com")]).await?;
    run("first sync of 10,000 records", &bootstrap, 1, &server, &[first]).await?;
    for workers in [1, 2] {
        let server = route53((0..ZONES).map(|number| ZoneSpec::public(&apex(number))).collect()).await?;
        let mut messages = Vec::with_capacity(ZONES);
        for hosted in server.zones() {
            let zone = zone(&hosted.name)?;
            seed(&server, &hosted.id, &hosted.name)?;
            let next = one_changed(&zone)?;
            let delta = Delta::between(&Snapshot::new(zone), &next, usize::MAX);
            messages.push(Message::new(&Snapshot::new(next).with_delta(delta), Reason::Notify, meta())?);
        }
        run("1,000 zones of 10 records, one changed in each", &bootstrap, workers, &server, &messages).await?;
    }
    Ok(())
}

async fn route53(zones: Vec<ZoneSpec>) -> Result<Server, Failure> {
    let (request_rate, change_rate) = (Some(REQUESTS), Some(CHANGES));
    Ok(Server::start(Config { zones, request_rate, change_rate, max_rrsets: 20_000, ..Config::default() }).await?)
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
async fn run(what: &str, bootstrap: &Path, workers: u32, server: &Server, messages: &[Message]) -> Result<(), Failure> {
    let lambda = Lambda::start().await?;
    for message in messages {
        lambda.send(message);
    }
    let started: Result<Vec<_>, _> =
        (0..workers).map(|_| lambda.worker(bootstrap, workers, &server.endpoint())).collect();
    let _alive = started?;
    until(PATIENCE, "an empty queue", async || Ok(lambda.is_done()?.then_some(()))).await?;
    let calls = server.calls();
    let times = || calls.iter().map(|call| call.at_ms);
    let seconds = (times().max().unwrap_or_default() - times().min().unwrap_or_default()) as f64 / 1_000.0;
    let least = least(&calls, REQUESTS, CHANGES).as_secs_f64();
    let throttled = calls.iter().filter(|call| call.code() == Some("Throttling")).count();
    println!(
        "{what}, {workers} at work: {seconds:.2} s, at least {least:.2} s, {:.3} times; {} calls, {throttled} throttled",
        seconds / least,
        calls.len()
    );
    Ok(())
}

fn apex(number: usize) -> String {
    format!("zone{number}.example")
}

const HEAD: &str = "ns-1.awsdns-01.com. awsdns-hostmaster.amazon.com.";
const TIMERS: &str = "7200 900 1209600 86400";

fn zone(name: &str) -> Result<Zone, Failure> {
    let mut text = format!("$TTL 300\n@ 900 SOA {HEAD} {SERIAL} {TIMERS}\n");
    text.extend((0..RECORDS).map(|number| format!("h{number} A 10.0.0.{number}\n")));
    Ok(zone_of(&ZoneFile::parse_in(name, &text)?)?)
}

/// The hosted zone is at that.
fn seed(server: &Server, id: &str, name: &str) -> Result<(), Failure> {
    let soa = format!("{HEAD} {SERIAL} {TIMERS}");
    let hosts: Vec<_> = (0..RECORDS).map(|number| (format!("h{number}.{name}"), format!("10.0.0.{number}"))).collect();
    let addresses: Vec<[&str; 1]> = hosts.iter().map(|(_, address)| [address.as_str()]).collect();
    let mut rrsets: Vec<(&str, &str, u32, &[&str])> =
        hosts.iter().zip(&addresses).map(|((owner, _), address)| (owner.as_str(), "A", 300, &address[..])).collect();
    let soa = [soa.as_str()];
    rrsets.push((name, "SOA", 900, &soa));
    Ok(server.seed(id, &rrsets)?)
}

fn meta() -> Meta {
    Meta { relay: "rates".into(), ..Meta::default() }
}
