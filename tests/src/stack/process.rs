//! A child process that cannot outlive us.
//!
//! Each runs on a leash: a shell that starts the program and holds the reading end of a pipe whose writing end is ours.
//! Let go of the pipe and the shell sends SIGTERM. That is how [`Process::stop`] stops it, and the kernel lets go for us
//! when we die of whatever: a panic, Ctrl-C on `cargo test`, SIGKILL. What ignores SIGTERM gets SIGKILL, group and all.

use std::ffi::OsStr;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::StackError;
use super::wait::{GENEROUS, until};

/// A running program with its output in a log file; stopped on drop.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    leash: Child,
    /// The leash's number and its group's; gone once reaped, when it may become somebody else's.
    group: Option<Pid>,
}

/// The program itself gets neither end of the pipe. Its end is the end of its group, so nobody signals a number that
/// has become somebody else's. SIGKILL is for what ignores SIGTERM after our own death; else [`Process::stop`] is first.
const LEASH: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null & program=$!
{ cat <&3; kill -TERM "$program"; sleep 20; kill -KILL 0; } >/dev/null 2>&1 &
exec 3<&-
wait "$program"; status=$?
trap '' TERM; kill -TERM 0; exit "$status"
"#;

/// From SIGTERM to SIGKILL.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

impl Process {
    /// Starts `command` with its output in `NAME.log` under `log_dir`, free of the AWS and proxy settings of whoever runs us.
    ///
    /// # Errors
    /// The log file cannot be made, or there is no shell. A program that does not start shows as one that ended.
    pub fn start(name: &str, command: &Command, log_dir: &Path) -> Result<Self, StackError> {
        let log = log_dir.join(format!("{name}.log"));
        let output = File::create(&log).map_err(StackError::io(format!("create {}", log.display())))?;
        let errors = output.try_clone().map_err(StackError::io(format!("share {}", log.display())))?;

        let mut leash = Command::new("sh");
        leash.args(["-c", LEASH, name]).arg(command.get_program()).args(command.get_args());
        for (ambient, _) in std::env::vars_os().filter(|(variable, _)| leads_elsewhere(variable)) {
            leash.env_remove(ambient);
        }
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => leash.env(variable, value),
                None => leash.env_remove(variable),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            leash.current_dir(dir);
        }
        let leash = leash
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(StackError::io(format!("start {name}")))?;
        let group = i32::try_from(leash.id()).ok().and_then(Pid::from_raw);
        Ok(Self { name: name.to_owned(), log, leash, group })
    }

    /// Waits for a line that contains `text`, and returns it.
    ///
    /// # Errors
    /// The process ends first, or nothing comes for long; with the end of its log.
    pub async fn logged(&self, text: &str) -> Result<String, StackError> {
        let event = format!("\"{text}\" in the log of {}", self.name);
        until(GENEROUS, &event, async || {
            // Asked before the log is read: the last words of a process that ended are in it by then.
            let ended = self.ended()?;
            let found = self.log_text().lines().find(|line| line.contains(text)).map(str::to_owned);
            match (found, ended) {
                (Some(line), _) => Ok(Some(line)),
                (None, Some(status)) => Err(self.ended_early(&status)),
                (None, None) => Ok(None),
            }
        })
        .await
        .map_err(|error| self.with_log(error))
    }

    /// Waits until somebody accepts TCP connections there.
    ///
    /// # Errors
    /// The process ends first, or nobody does for long; with the end of its log.
    pub async fn listens(&self, address: SocketAddr) -> Result<(), StackError> {
        until(GENEROUS, &format!("{} listen on {address}", self.name), async || {
            if let Some(status) = self.ended()? {
                return Err(self.ended_early(&status));
            }
            Ok(tokio::net::TcpStream::connect(address).await.ok().map(drop))
        })
        .await
        .map_err(|error| self.with_log(error))
    }

    /// The number of the program itself.
    ///
    /// # Errors
    /// It has ended.
    pub fn id(&self) -> Result<u32, StackError> {
        let leash = self.leash.id();
        let path = format!("/proc/{leash}/task/{leash}/children");
        let children = std::fs::read_to_string(&path).map_err(StackError::io(format!("read {path}")))?;
        // The leash starts it before anything else.
        let first = children.split_whitespace().next().and_then(|id| id.parse().ok());
        first.ok_or_else(|| self.ended_early("nothing left of it"))
    }

    /// Whether it has ended by itself, and how.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn ended(&self) -> Result<Option<String>, StackError> {
        let Some(group) = self.group else { return Ok(Some("a stop by us".to_owned())) };
        // Looked at, not reaped: until `kill` its number must stay its own.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(group), look)
            .map_err(|errno| StackError::io(format!("ask how {} is", self.name))(errno.into()))?;
        Ok(status.map(|status| match status.exit_status() {
            Some(code) => format!("exit status {code}"),
            None => format!("signal {}", status.terminating_signal().unwrap_or_default()),
        }))
    }

    /// The numbers of the program and of what it started, without the leash.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn members(&self) -> Result<Vec<i32>, StackError> {
        let Some(group) = self.group.map(|group| group.as_raw_nonzero().get()) else { return Ok(Vec::new()) };
        let entries = std::fs::read_dir("/proc").map_err(StackError::io("list processes"))?;
        let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(numbers.filter(|pid| is_member(*pid, group)).collect())
    }

    /// SIGTERM, then SIGKILL to what is left of its group after ten seconds. Says whether it went in peace.
    pub fn stop(&mut self) -> bool {
        drop(self.leash.stdin.take());
        let pauses = PATIENCE.as_millis() / PAUSE.as_millis();
        let in_peace = (0..pauses).any(|_| {
            let ended = matches!(self.ended(), Ok(Some(_)));
            if !ended {
                std::thread::sleep(PAUSE);
            }
            ended
        });
        self.kill();
        in_peace
    }

    /// SIGKILL to the program and whatever it started, as a crash would have it.
    pub fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.leash.wait();
        }
    }

    /// Everything it has said so far.
    pub fn log_text(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last lines of its log, for an error message.
    pub fn last_words(&self) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(20);
        format!("the end of {}:\n{}", self.log.display(), lines.get(from..).unwrap_or_default().join("\n"))
    }

    fn ended_early(&self, status: &str) -> StackError {
        StackError::step(format!("run {}", self.name), &format!("it ended with {status}; {}", self.last_words()))
    }

    fn with_log(&self, error: StackError) -> StackError {
        match error {
            StackError::Waited { event, limit, .. } => {
                StackError::Waited { event, limit, detail: format!("; {}", self.last_words()) }
            }
            other => other,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether a process is of a group, and neither its leash nor what holds the leash.
fn is_member(pid: i32, group: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // pid (name) state ppid pgrp …; a name may hold anything.
    let Some((head, tail)) = stat.rsplit_once(')') else { return false };
    let name = head.split_once('(').map_or("", |(_, name)| name);
    let of = tail.split_whitespace().nth(2).and_then(|pgrp| pgrp.parse().ok());
    of == Some(group) && !matches!(name, "sh" | "cat")
}

/// Runs a client to its end and returns what it printed.
///
/// # Errors
/// It does not start, does not end, or says that it failed.
pub async fn run(program: &Path, arguments: &[&str], input: &str) -> Result<String, StackError> {
    let name = program.display();
    let mut child = tokio::process::Command::new(program)
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
    let output = tokio::time::timeout(GENEROUS, child.wait_with_output())
        .await
        .map_err(|_| StackError::step(format!("run {name}"), &"it did not end"))?
        .map_err(StackError::io(format!("run {name}")))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(printed)
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let command = format!("run {name} {}\n{input}", arguments.join(" "));
        Err(StackError::step(command.trim_end(), &format!("{}: {complaint}{printed}", output.status)))
    }
}

/// Runs a command to its end, however long it takes up to an hour, and throws away what it prints.
///
/// # Errors
/// It does not start, does not end, or says that it failed.
pub async fn run_command(command: &mut Command) -> Result<(), StackError> {
    const HOUR: Duration = Duration::from_hours(1);
    let name = command.get_program().display().to_string();
    let mut child: tokio::process::Command = std::mem::replace(command, Command::new("")).into();
    let child = child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
    let child = child.map_err(StackError::io(format!("start {name}")))?;
    let output = tokio::time::timeout(HOUR, child.wait_with_output())
        .await
        .map_err(|_| StackError::step(format!("run {name}"), &"it did not end"))?
        .map_err(StackError::io(format!("run {name}")))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(StackError::step(format!("run {name}"), &format!("{}: {complaint}", output.status)))
}

/// An operator's own AWS profile or proxy must not lead a test away from loopback.
fn leads_elsewhere(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy().to_ascii_uppercase();
    name.starts_with("AWS_") || name.ends_with("_PROXY")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_process_is_asked_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start(
            "polite",
            &shell("trap 'echo bye; exit 3' TERM; echo hello; while :; do sleep 0.01; done"),
            dir.path(),
        )
        .unwrap();
        process.logged("hello").await.unwrap();
        assert!(process.stop());
        assert!(process.log_text().contains("bye"), "{}", process.last_words());
    }

    #[tokio::test]
    async fn a_process_that_ends_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let process = Process::start("brief", &shell("echo the reason; exit 7"), dir.path()).unwrap();
        let error = process.logged("never").await.unwrap_err().to_string();
        assert!(error.contains("the reason") && error.contains('7'), "{error}");
    }

    #[tokio::test]
    async fn nobody_of_the_group_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start(
            "family",
            // A grandchild that keeps nothing open and ignores SIGTERM, as a worker of a crashed server would.
            &shell("(trap '' TERM; echo grandchild $(sh -c 'echo $PPID'); exec sleep 60) & wait"),
            dir.path(),
        )
        .unwrap();
        let line = process.logged("grandchild").await.unwrap();
        let pid = line.rsplit(' ').next().unwrap().to_owned();
        process.stop();
        until(GENEROUS, "the grandchild gone", async || {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            Ok((state.is_empty() || state.contains(") Z ")).then_some(()))
        })
        .await
        .unwrap();
    }
}
