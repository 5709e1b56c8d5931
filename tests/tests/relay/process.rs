//! The relay as a process: its configuration, its log, its end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

/// A place for a relay to run in: a configuration and a directory of state.
pub struct Place {
    directory: TempDir,
    listen: SocketAddr,
    sqs: SocketAddr,
    route53: String,
    /// Where S3 is; nowhere at first.
    s3: SocketAddr,
}

/// A relay that runs. Dropping it kills it.
pub struct Relay {
    pub address: SocketAddr,
    child: Child,
    log: watch::Receiver<Vec<String>>,
}

impl Place {
    /// One with this text after `version`, `listen`, `http`, `resolvers` (one that is not there) and `state_dir`.
    pub fn new(sqs: SocketAddr, text: &str) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), sqs, text)
    }

    /// The same, where the relay listens on an address that is known before.
    pub fn at(listen: SocketAddr, sqs: SocketAddr, text: &str) -> Self {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let route53 = format!("http://{nobody}");
        let place = Self { directory: TempDir::new().unwrap(), listen, sqs, route53, s3: nobody };
        place.reconfigure(text);
        place
    }

    /// With S3 at this address.
    pub fn with_s3(self, s3: SocketAddr) -> Self {
        Self { s3, ..self }
    }

    /// Puts this text in the place of the other; the state stays.
    pub fn reconfigure(&self, text: &str) {
        let head = format!(
            "version = 1\nlisten = [\"{}\"]\nhttp = \"127.0.0.1:0\"\nresolvers = [\"127.0.0.1:1\"]\nstate_dir = \"{}\"\nrelay_id = \"test\"\n",
            self.listen,
            self.state().display()
        );
        std::fs::write(self.config(), head + text).unwrap();
    }

    /// One zone, one primary, one queue; looks and retries are soon.
    pub fn with_zone(sqs: SocketAddr, primary: SocketAddr, zone: &str) -> Self {
        Self::new(
            sqs,
            &format!(
                r#"
                [queue.main]
                url = "http://127.0.0.1/000000000000/main.fifo"
                region = "eu-west-1"
                [limits]
                transfer_idle = "1s"
                transfer_total = "2s"
                records_per_zone = 1000
                [timers]
                retry_min = "1s"
                [primary.main]
                address = "{primary}"
                [[zone]]
                name = "{zone}"
                "#
            ),
        )
    }

    /// One more line for the zone, which is the last table of the configuration.
    pub fn add_to_zone(&self, line: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), format!("{text}\n{line}\n")).unwrap();
    }

    /// Where the relays that are started from now on find Route 53; nobody is there if not told.
    pub fn set_route53(&mut self, endpoint: &str) {
        endpoint.clone_into(&mut self.route53);
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("relay.toml")
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// How many snapshots are stored.
    pub fn snapshots(&self) -> usize {
        let names = std::fs::read_dir(self.state()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().ends_with(".snapshot")).count()
    }

    pub async fn run(&self) -> Relay {
        self.run_in(&[]).await
    }

    /// With this in its environment.
    pub async fn run_in(&self, environment: &[(&str, &str)]) -> Relay {
        let mut command = self.command("run");
        command.envs(environment.iter().copied());
        Self::start(command).await
    }

    /// As the last arguments of another program, which becomes it.
    pub async fn run_by(&self, wrapper: &Path, arguments: &[&str]) -> Relay {
        let mut command = Command::new(wrapper);
        command.args(arguments).arg(built()).args(["--log-format", "text"]);
        Self::start(self.finish(command, "run")).await
    }

    async fn start(mut command: Command) -> Relay {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                sender.send_modify(|log: &mut Vec<String>| log.push(line));
            }
        });
        let mut relay = Relay { address: SocketAddr::from(([0, 0, 0, 0], 0)), child, log };
        let listening = relay.logged(&["listening address="]).await;
        relay.address = listening.rsplit_once('=').unwrap().1.parse().unwrap();
        relay
    }

    /// Runs another command to its end.
    pub async fn output(&self, command: &str, arguments: &[&str]) -> Output {
        let output = self.command(command).args(arguments).output();
        timeout(PATIENCE, output).await.unwrap().unwrap()
    }

    /// `once`: whether all went well, and the log.
    pub async fn once(&self) -> (bool, String) {
        let output = self.output("once", &[]).await;
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    }

    fn command(&self, command: &str) -> Command {
        let mut process = Command::new(built());
        // As a person would have it; what a relay without a terminal does by itself is for one test.
        process.args(["--log-format", "text"]);
        self.finish(process, command)
    }

    /// The command as an argument of another program: `wrapper` and what it is given, then ours, whose log goes where it does
    /// by itself.
    pub fn wrapped(&self, wrapper: &Path, arguments: &[&str], command: &str) -> Command {
        let mut process = Command::new(wrapper);
        process.args(arguments).arg(built());
        self.finish(process, command)
    }

    fn finish(&self, mut process: Command, command: &str) -> Command {
        process
            .args([command, "--config"])
            .arg(self.config())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_ENDPOINT_URL_SQS", format!("http://{}", self.sqs))
            .env("AWS_ENDPOINT_URL_ROUTE_53", &self.route53)
            .env("AWS_ENDPOINT_URL_S3", format!("http://{}", self.s3))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("RUST_LOG")
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .kill_on_drop(true);
        process
    }
}

impl Relay {
    /// Waits for a line of the log that holds all of `parts`.
    pub async fn logged(&self, parts: &[&str]) -> String {
        let mut log = self.log.clone();
        let wanted = |line: &&String| parts.iter().all(|part| line.contains(part));
        let found = timeout(PATIENCE, log.wait_for(|log| log.iter().any(|line| wanted(&line)))).await;
        let all = || self.log.borrow().join("\n");
        let log = found.unwrap_or_else(|_| panic!("{parts:?} is not in\n{}", all()));
        let log = log.unwrap_or_else(|_| panic!("ended without {parts:?}:\n{}", all()));
        log.iter().find(wanted).unwrap().clone()
    }

    /// Where the status page is.
    pub async fn page(&self) -> SocketAddr {
        let line = self.logged(&["status page url="]).await;
        line.rsplit_once("http://").unwrap().1.trim_end_matches('/').parse().unwrap()
    }

    pub fn log(&self) -> String {
        self.log.borrow().join("\n")
    }

    /// SIGTERM, and how it ended.
    pub async fn stop(self) -> ExitStatus {
        self.terminate().await;
        self.ended().await
    }

    /// SIGTERM.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// SIGHUP, and the end of what it leads to.
    pub async fn reload(&self, ends: &str) {
        let before = self.log().matches(ends).count();
        self.signal("HUP").await;
        let mut log = self.log.clone();
        let ended = |log: &Vec<String>| log.iter().filter(|line| line.contains(ends)).count() > before;
        let found = timeout(PATIENCE, log.wait_for(ended)).await;
        assert!(found.is_ok(), "no {ends:?} in\n{}", self.log());
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// A signal, by its name without SIG.
    pub async fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().await.unwrap().success());
    }

    /// SIGKILL, and it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// How it ended.
    pub async fn ended(mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap()
    }
}

/// `target/debug/secondary53-relay`: this test runs from `target/debug/deps`.
fn built() -> PathBuf {
    let running = std::env::current_exe().unwrap();
    let path = running.parent().and_then(Path::parent).unwrap().join("secondary53-relay");
    assert!(path.is_file(), "{} is missing: cargo build -p secondary53-relay", path.display());
    path
}
