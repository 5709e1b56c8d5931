//! The main job on one machine, without root and without an AWS account: a zone file on a primary, saved by whoever likes
//! to, and a hosted zone that follows it. Everything between them is real: NOTIFY, transfer, relay, SQS, Lambda.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use secondary53_tests::primary::{self, Primary, Watch, WatchEvent, newer};
use secondary53_tests::stack::chain::{Chain, Detours, Layout};
use secondary53_tests::stack::ministack::Quarantined;
use secondary53_tests::stack::wait::{GENEROUS, unix_ms, until};
use secondary53_tests::stack::{StackError, programs};
use secondary53_tests::strict::{self, CHANGES, REQUESTS, ZoneSpec, ZoneView};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A primary, the relay, a queue, the worker and a hosted zone, all on loopback.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Arguments {
    /// Check the first sync and one edit, and stop; also with ONCE=1 in the environment.
    #[arg(long)]
    once: bool,
}

const ZONE: &str = "example.com";

type Failure = Box<dyn Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let once = Arguments::parse().once || std::env::var("ONCE").is_ok_and(|value| value == "1");
    let paint = Paint { on: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() };
    let finished = tokio::select! {
        result = run(once, paint) => Some(result),
        () = told_to_stop() => None,
    };
    // By now every process is stopped: `run` owned them, and it has ended or was dropped.
    match finished {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            let _ = writeln!(std::io::stderr(), "\n{} {error}", paint.red("demo:"));
            ExitCode::FAILURE
        }
        None => {
            say("\nstopped; the zone file stays");
            if once { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}

async fn told_to_stop() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn run(once: bool, paint: Paint) -> Result<(), Failure> {
    let mut demo = Demo::start(paint).await?;
    demo.first_sync().await?;
    let expected = demo.edit_ourselves()?;
    demo.next_change().await?;
    demo.check(&expected)?;
    demo.invite(&expected);
    if once {
        say(&paint.green("the hosted zone holds what the zone file says"));
        return Ok(());
    }
    say("Your turn: edit the zone file and save it. Ctrl-C stops everything.");
    loop {
        // A change that did not arrive was told; the next one may.
        if let Err(error) = demo.next_change().await {
            say(&format!("  {} {error}", paint.red("not accepted:")));
        }
    }
}

/// Dropped from top to bottom: first who sends, last who is asked.
struct Demo {
    _watch: Watch,
    events: mpsc::Receiver<WatchEvent>,
    chain: Chain,
    _primary: Primary,
    zone_id: String,
    zone_file: PathBuf,
    /// What the hosted zone held when we last told of it.
    told: ZoneView,
    started_ms: u64,
    paint: Paint,
}

impl Demo {
    async fn start(paint: Paint) -> Result<Self, Failure> {
        let started_ms = unix_ms();
        let home = programs::workspace().join(".local/demo");
        let dir = home.join("run");
        // What an earlier run left belongs to a hosted zone that is gone.
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(StackError::io(format!("clear {}", dir.display())))?;
        }
        std::fs::create_dir_all(&dir).map_err(StackError::io(format!("make {}", dir.display())))?;
        let zone_file = home.join(format!("{ZONE}.zone"));
        if !zone_file.exists() {
            write(&zone_file, TEMPLATE)?;
        }

        let listen = programs::free_address_or(5300)?;
        let config = primary::Config::new().listen(programs::free_address_or(5310)?);
        let primary = Primary::start(config).await?;
        let (watch, events) = primary.watch(&zone_file, Some(ZONE), vec![listen])?;
        let route53 = strict::Server::start(strict::Config {
            dns: programs::free_address_or(5320)?,
            http: programs::free_address_or(5380)?,
            zones: vec![ZoneSpec::public(ZONE)],
            request_rate: Some(REQUESTS),
            change_rate: Some(CHANGES),
            ..strict::Config::default()
        })
        .await?;
        let told = route53.zones().into_iter().next().ok_or("the stand-in for Route 53 has no hosted zone")?;

        say(&format!("{}\n", paint.bold("secondary53: a zone file here, a hosted zone there")));
        let row = |name: &str, place: &dyn std::fmt::Display, what: &str| {
            say(&format!("  {name:<12}{:<24}{}", place.to_string(), paint.dim(what)));
        };
        row("primary", &primary.address(), &format!("serves {}", shown(&zone_file)));
        row(
            "hosted zone",
            &route53.dns(),
            &format!("DNS of the stand-in for Route 53; its API: {}", route53.endpoint()),
        );
        let layout = Layout {
            dir: dir.clone(),
            listen,
            ministack: programs::free_address_or(5390)?,
            primary: primary.address(),
            zones: vec![ZONE.to_owned()],
            detours: Detours::default(),
        };
        let chain = Chain::start(layout, route53).await?;
        row("queue", &chain.ministack.endpoint, "SQS FIFO and Lambda with our bootstrap, by ministack");
        row("relay", &listen, &format!("hears NOTIFY; logs: {}/*.log\n", shown(&dir)));

        let zone_id = told.id.clone();
        Ok(Self { _watch: watch, events, chain, _primary: primary, zone_id, zone_file, told, started_ms, paint })
    }

    /// The relay transfers when it starts; nobody has to tell it.
    async fn first_sync(&mut self) -> Result<(), Failure> {
        let before = self.told.serial;
        self.follow("the first sync", |standing| standing.serial != before).await?;
        let started_ms = self.started_ms;
        self.tell("first sync", started_ms, "from nothing running");
        Ok(())
    }

    /// Changes one line of the zone file, as its owner would; the new text.
    fn edit_ourselves(&self) -> Result<String, Failure> {
        let text = std::fs::read_to_string(&self.zone_file)
            .map_err(StackError::io(format!("read {}", shown(&self.zone_file))))?;
        let is_ours = |line: &&str| line.starts_with(EDITED_NAME);
        let edits: u32 = text
            .lines()
            .find(is_ours)
            .and_then(|line| line.trim_end().trim_end_matches('"').rsplit(' ').next()?.parse().ok())
            .unwrap_or_default();
        let value = format!("\"edited by the demo, time {}\"", edits.wrapping_add(1));
        let mut edited = String::with_capacity(text.len());
        for line in text.lines().filter(|line| !is_ours(line)) {
            edited.push_str(line);
            edited.push('\n');
        }
        let _ = writeln!(edited, "{EDITED_NAME} 60 TXT {value}");
        write(&self.zone_file, &edited)?;
        Ok(value)
    }

    /// Waits for the next save that changes the zone, and for Route 53 to accept it.
    async fn next_change(&mut self) -> Result<(), Failure> {
        loop {
            match self.events.recv().await {
                Some(WatchEvent::Served { serial, .. }) => {
                    let notified_ms = unix_ms();
                    // Of two quick saves, the relay may send only the second.
                    let event = format!("serial {serial} in the hosted zone");
                    self.follow(&event, |standing| !newer(serial, standing.serial)).await?;
                    self.tell("change", notified_ms, "from NOTIFY to accepted");
                    return Ok(());
                }
                Some(WatchEvent::Unchanged) => say(&self.paint.dim("saved, nothing changed")),
                Some(WatchEvent::Refused(error)) => {
                    say(&format!("{} {error}; the old zone is served on", self.paint.red("not served:")));
                }
                Some(WatchEvent::Renamed { zone, found }) => {
                    say(&format!("{} {found} is not {zone}; the old zone is served on", self.paint.red("not served:")));
                }
                Some(WatchEvent::Notified { answer: Err(error), .. }) => {
                    say(&format!("{} {error}", self.paint.red("the relay did not answer NOTIFY:")));
                }
                Some(WatchEvent::Notified { answer: Ok(_), .. }) => {}
                None => return Err("the primary stopped watching the zone file".into()),
            }
        }
    }

    /// Waits until the hosted zone has `arrived`, or a message is put aside instead.
    async fn follow(&self, event: &str, arrived: impl Fn(&ZoneView) -> bool) -> Result<(), Failure> {
        let there = until(GENEROUS, event, async || {
            if arrived(&self.standing()) {
                return Ok(Some(true));
            }
            let dead = self.chain.ministack.depth(&self.chain.queues.dead_letter).await?;
            Ok((dead > 0).then_some(false))
        })
        .await
        .map_err(|error| self.explained(&error))?;
        if there {
            return Ok(());
        }
        let message = self.chain.ministack.take(&self.chain.queues.dead_letter).await?;
        Err(Quarantined::of(&message)
            .map_or_else(|| "moved to the dead-letter queue".to_owned(), |note| note.to_string())
            .into())
    }

    /// One line with the numbers, then the RRsets that are others now.
    fn tell(&mut self, what: &str, since_ms: u64, span: &str) {
        let now = self.standing();
        let calls = self.chain.route53.calls();
        let accepted_ms = calls
            .iter()
            .rev()
            .find(|call| call.action == "ChangeResourceRecordSets" && call.error.is_none())
            .map_or(since_ms, |call| call.at_ms);
        self.chain.route53.reset_calls();

        let paint = self.paint;
        let took = format!("{} ms", accepted_ms.saturating_sub(since_ms));
        let serials = format!("serial {} → {}", self.told.serial, now.serial);
        let calls = format!("{span}, {} API calls", calls.len());
        say(&format!("{} {serials}  {} {}", paint.bold(what), paint.bold(&took), paint.dim(&calls)));
        let (before, after) = (lines(&self.told), lines(&now));
        let gone = before.iter().filter(|(key, line)| after.get(*key) != Some(*line)).map(|(_, line)| ('-', line));
        let come = after.iter().filter(|(key, line)| before.get(*key) != Some(*line)).map(|(_, line)| ('+', line));
        let mut changes: Vec<_> =
            gone.chain(come).flat_map(|(sign, set)| set.iter().map(move |line| (sign, line))).collect();
        // A record that stays in its RRset is no news.
        let unchanged: Vec<_> = changes
            .iter()
            .filter(|(sign, line)| *sign == '-' && changes.contains(&('+', line)))
            .map(|(_, line)| *line)
            .collect();
        changes.retain(|(_, line)| !unchanged.contains(line));
        for (sign, line) in changes.iter().take(MAX_LINES) {
            let line = format!("  {sign} {line}");
            say(&if *sign == '+' { paint.green(&line) } else { paint.red(&line) });
        }
        if changes.is_empty() {
            say(&paint.dim("  no RRset that Route 53 can hold is another"));
        }
        if changes.len() > MAX_LINES {
            say(&paint.dim(&format!("  and {} more", changes.len() - MAX_LINES)));
        }
        say("");
        self.told = now;
    }

    fn check(&self, expected: &str) -> Result<(), Failure> {
        let name = format!("{EDITED_NAME}.{ZONE}.");
        let held = self.told.rrset(&name, "TXT").map(|set| set.values.as_slice());
        if held == Some(&[expected.to_owned()]) {
            Ok(())
        } else {
            Err(format!("the hosted zone holds {held:?} at {name}, not {expected}").into())
        }
    }

    fn invite(&self, expected: &str) {
        let dns = self.chain.route53.dns();
        say("See for yourself:");
        say(&format!(
            "  {}",
            self.paint.bold(&format!("dig @{} -p {} {EDITED_NAME}.{ZONE} TXT +short", dns.ip(), dns.port()))
        ));
        say(&format!("  {}\n", self.paint.dim(expected)));
    }

    fn standing(&self) -> ZoneView {
        self.chain.route53.zone(&self.zone_id).unwrap_or_else(|| self.told.clone())
    }

    /// With what the parts said last.
    fn explained(&self, error: &StackError) -> StackError {
        let (relay, worker) = (self.chain.relay.last_words(), self.chain.ministack.process.last_words());
        StackError::step("bring the zone to Route 53", &format!("{error}\n{relay}\n{worker}"))
    }
}

/// RRsets as lines of a zone file, but for the apex NS and SOA, of which the serial is told anyway.
fn lines(zone: &ZoneView) -> BTreeMap<(&str, &str), Vec<String>> {
    zone.rrsets
        .iter()
        .filter(|set| !(set.name == zone.name && matches!(set.rtype, "NS" | "SOA")))
        .map(|set| {
            let (name, rtype, ttl) = (set.name.as_str(), set.rtype, set.ttl.unwrap_or_default());
            let lines = set.values.iter().map(|value| format!("{name:<28} {ttl:>6} {rtype:<5} {value}"));
            ((name, rtype), lines.collect())
        })
        .collect()
}

/// What changed beyond this many lines is only counted.
const MAX_LINES: usize = 30;

/// By rename, as a good editor saves.
fn write(path: &Path, text: &str) -> Result<(), StackError> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(StackError::io(format!("write {}", path.display())))
}

/// From the root of the source tree, if below it.
fn shown(path: &Path) -> String {
    path.strip_prefix(programs::workspace()).unwrap_or(path).display().to_string()
}

/// A reader that has gone away (`demo | head`) must not end the demo before it has stopped its processes.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[derive(Clone, Copy, Debug)]
struct Paint {
    on: bool,
}

impl Paint {
    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

const EDITED_NAME: &str = "greeting";

const TEMPLATE: &str = r#"; Edit this while the demo runs, and save it.
; The serial may stay as it is: the demo's primary raises it for you.
$ORIGIN example.com.
$TTL 300
@           SOA   ns1 hostmaster 2026010100 3600 600 86400 60
@           NS    ns1
@           A     192.0.2.80
@           AAAA  2001:db8::80
@           MX    10 mail
@           TXT   "v=spf1 mx -all"
@           CAA   0 issue "ca.example.net"
ns1         A     192.0.2.53
mail        A     192.0.2.25
www         A     192.0.2.80
www         A     192.0.2.81
ftp         CNAME www
*.apps      CNAME www
_sip._tcp   SRV   10 60 5060 www
"#;
