//! The operator's command, as a process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod credentials;
mod dlq;
mod meanwhile;
mod plan;
mod snapshot;
mod sync;
mod verify;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use secondary53_tests::primary::{Config, Primary, ZoneFile};
use secondary53_tests::stack::{ministack, programs, wait};
use secondary53_tests::strict::{self, Server, ZoneSpec};

const ID: &str = "Z1EXAMPLE";
const ZONE: &str = "$TTL 300\n@ 3600 SOA ns1 host 7 3600 600 1209600 300\n@ NS ns1\n";

/// Our own primary and the strict hosted zone.
struct World {
    server: Server,
    primary: Primary,
}

/// example.com at a serial.
fn file(serial: u32, records: &str) -> ZoneFile {
    ZoneFile::parse_in("example.com", &format!("{ZONE}{records}\n")).unwrap().with_serial(serial)
}

impl World {
    async fn start(zone: ZoneFile) -> Self {
        let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
        let server = Server::start(strict::Config { zones, ..strict::Config::default() }).await.unwrap();
        let primary = Primary::start(Config::new().zone(zone)).await.unwrap();
        Self { server, primary }
    }

    /// Runs it against this world, `--primary` added.
    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = secondary53(arguments);
        command.arg("--primary").arg(self.primary.address().to_string());
        command.env("AWS_ENDPOINT_URL_ROUTE_53", self.server.endpoint());
        told(&finished(command, Vec::new()).await)
    }
}

/// The command, free of the settings of whoever runs the tests.
fn secondary53(arguments: &[&str]) -> Command {
    let mut command = Command::new(programs::built("secondary53").unwrap());
    let ambient = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in
        ambient.filter(|name| ["AWS_", "SECONDARY53_", "RUST_LOG"].iter().any(|prefix| name.starts_with(prefix)))
    {
        command.env_remove(name);
    }
    command.args(arguments).envs(ministack::AMBIENT);
    command
}

/// Runs a command to its end.
async fn finished(command: Command, input: Vec<u8>) -> Output {
    finished_within(wait::GENEROUS, command, input).await
}

/// The same for one that takes long.
async fn finished_within(limit: Duration, mut command: Command, input: Vec<u8>) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // Whoever does not read has gone.
        _ = child.stdin.take().unwrap().write_all(&input);
        child.wait_with_output().unwrap()
    });
    tokio::time::timeout(limit, run).await.unwrap().unwrap()
}

/// Status, what it printed, what it said beside that.
fn told(output: &Output) -> (i32, String, String) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (status, script, _) = told(&finished(secondary53(&["completions", shell]), Vec::new()).await);
        assert!(status == 0 && script.contains("allow-mass-deletion"), "{shell}");
    }
}
