//! A real name server as the primary: changed by dynamic update (RFC 2136), read by transfer, both with BIND's own clients.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::process::Process;
use super::{StackError, programs};

/// A zone that a primary starts with.
#[derive(Clone, Debug)]
pub struct ZoneFile {
    /// `example.com`, without a dot at the end.
    pub zone: String,
    /// Its text.
    pub text: String,
}

/// A running primary of one zone.
#[derive(Debug)]
pub struct NameServer {
    /// The daemon.
    pub process: Process,
    /// Where it answers, UDP and TCP.
    pub address: SocketAddr,
    zone: String,
    clients: Clients,
}

/// What we ask it with.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    dig: PathBuf,
    nsupdate: PathBuf,
}

/// Time to live and values of an RRset as dig prints them, sorted.
pub type Transferred = BTreeMap<(String, String), (u32, Vec<String>)>;

impl NameServer {
    pub(super) fn new(process: Process, address: SocketAddr, zone: String, clients: Clients) -> Self {
        Self { process, address, zone, clients }
    }

    /// One transaction: all of `changes`, written as nsupdate reads them (`add www 300 A 192.0.2.1` with absolute
    /// names), or none.
    ///
    /// # Errors
    /// The primary refuses it.
    pub async fn update(&self, changes: &[&str]) -> Result<(), StackError> {
        let (host, port, zone) = (self.address.ip(), self.address.port(), &self.zone);
        let mut script = format!("server {host} {port}\nzone {zone}\n");
        for change in changes {
            script.push_str("update ");
            script.push_str(change);
            script.push('\n');
        }
        script.push_str("send\n");
        run(&self.clients.nsupdate, &[], &script).await.map(drop).map_err(|error| {
            StackError::step(format!("update {zone}"), &format!("{error}; {}", self.process.last_words()))
        })
    }

    /// The zone's serial.
    ///
    /// # Errors
    /// The primary gives no SOA.
    pub async fn serial(&self) -> Result<u32, StackError> {
        let answer = self.dig(&["+short", "+norecurse", &self.zone, "SOA"]).await?;
        let serial = answer.split_whitespace().nth(2).and_then(|serial| serial.parse().ok());
        serial.ok_or_else(|| StackError::step(format!("read the serial of {}", self.zone), &answer))
    }

    /// The whole zone, as an independent reader of AXFR sees it, the SOA once.
    ///
    /// # Errors
    /// The transfer is refused, or dig prints what is not a record.
    pub async fn transfer(&self) -> Result<Transferred, StackError> {
        let answer = self.dig(&["+noall", "+answer", "+onesoa", &self.zone, "AXFR"]).await?;
        let mut transferred = Transferred::new();
        for line in answer.lines().filter(|line| !line.is_empty() && !line.starts_with(';')) {
            let odd = || StackError::step(format!("read the transfer of {}", self.zone), &line);
            let mut rest = line;
            let mut field = || {
                let (first, after) = rest.trim_start().split_once(char::is_whitespace)?;
                rest = after;
                Some(first)
            };
            let (Some(owner), Some(ttl), Some(_class), Some(kind)) = (field(), field(), field(), field()) else {
                return Err(odd());
            };
            let key = (owner.trim_end_matches('.').to_ascii_lowercase(), kind.to_owned());
            let rrset = transferred.entry(key).or_default();
            rrset.0 = ttl.parse().map_err(|_| odd())?;
            rrset.1.push(rest.trim_start().to_owned());
            rrset.1.sort();
        }
        Ok(transferred)
    }

    async fn dig(&self, question: &[&str]) -> Result<String, StackError> {
        let (server, port) = (format!("@{}", self.address.ip()), self.address.port().to_string());
        // Nobody's ~/.digrc.
        let mut arguments = vec!["-r", &server, "-p", &port];
        arguments.extend(question);
        run(&self.clients.dig, &arguments, "").await
    }
}

impl Clients {
    pub(super) fn find() -> Result<Self, StackError> {
        Ok(Self { dig: programs::installed("dig")?, nsupdate: programs::installed("nsupdate")? })
    }
}

/// Runs a client to its end and returns what it printed.
async fn run(program: &Path, arguments: &[&str], input: &str) -> Result<String, StackError> {
    let name = program.display();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(StackError::io(format!("start {name}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await.map_err(StackError::io(format!("write to {name}")))?;
    }
    let output = tokio::time::timeout(super::wait::GENEROUS, child.wait_with_output())
        .await
        .map_err(|_| StackError::step(format!("run {name}"), &"it did not end"))?
        .map_err(StackError::io(format!("run {name}")))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(printed)
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(StackError::step(format!("run {name} with\n{input}"), &format!("{}: {complaint}{printed}", output.status)))
    }
}
