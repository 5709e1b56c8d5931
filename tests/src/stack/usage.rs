//! What a program takes: seconds, processor time, peak memory. For benchmarks; no test judges by it.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{Process, run_command};
use super::{StackError, programs};

/// What one run took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// From its start to its end.
    pub wall: Duration,
    /// Processor time, its own and the system's for it.
    pub cpu: Duration,
    /// The most memory that it held at once, in KiB; of several processes, the largest.
    pub peak_kib: u64,
}

/// Runs a command to its end, its output thrown away, under GNU time.
///
/// # Errors
/// [`StackError::Missing`] without GNU time; it does not end, or says that it failed.
pub async fn run_to_end(command: &Command, dir: &Path) -> Result<Usage, StackError> {
    let report = dir.join("usage");
    let mut timed = Command::new(programs::installed("time")?);
    timed.args(["--quiet", "--format=%U %S %M", "--output"]).arg(&report);
    timed.arg(command.get_program()).args(command.get_args());
    timed.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let began = now();
    run_command(&mut timed).await?;
    let wall = began.elapsed();
    let text = std::fs::read_to_string(&report).map_err(StackError::io(format!("read {}", report.display())))?;
    let fields: Vec<f64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    let [user, system, peak] = fields[..] else {
        return Err(StackError::step("read what time says", &text));
    };
    Ok(Usage { wall, cpu: Duration::from_secs_f64(user + system), peak_kib: kib(peak) })
}

/// What a running program and its children have taken so far; `began` is when it was started.
///
/// # Errors
/// Nothing of it runs any more.
pub fn so_far(process: &Process, began: Instant) -> Result<Usage, StackError> {
    let mut usage = Usage { wall: began.elapsed(), ..Usage::default() };
    let members = process.members()?;
    if members.is_empty() {
        return Err(StackError::step("see what a program takes", &process.last_words()));
    }
    for member in members {
        usage.peak_kib = usage.peak_kib.max(status_kib(member, "VmHWM:"));
        usage.cpu += cpu(member);
    }
    Ok(usage)
}

/// The memory that a running program and its children hold now, in KiB.
///
/// # Errors
/// The operating system does not tell.
pub fn resident_kib(process: &Process) -> Result<u64, StackError> {
    Ok(process.members()?.into_iter().map(|member| status_kib(member, "VmRSS:")).sum())
}

/// The sockets that a running program and its children hold now.
///
/// # Errors
/// The operating system does not tell.
pub fn sockets(process: &Process) -> Result<usize, StackError> {
    let of = |pid: i32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let leads_to = |file: std::fs::DirEntry| std::fs::read_link(file.path()).ok();
        open.filter_map(leads_to).filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    };
    Ok(process.members()?.into_iter().map(of).sum())
}

/// The clock of these measurements.
#[expect(clippy::disallowed_methods, reason = "this is a stopwatch")]
pub fn now() -> Instant {
    Instant::now()
}

/// The middle one of several runs, figure by figure.
pub fn median(runs: &[Usage]) -> Usage {
    Usage {
        wall: middle(runs, |run| run.wall),
        cpu: middle(runs, |run| run.cpu),
        peak_kib: middle(runs, |run| run.peak_kib),
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wall, cpu, peak_kib } = self;
        write!(f, "{:8.3} {:8.3} {:9.1}", wall.as_secs_f64(), cpu.as_secs_f64(), mib(*peak_kib))
    }
}

/// KiB as MiB, to show.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
pub fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "time prints a small whole number")]
fn kib(printed: f64) -> u64 {
    printed as u64
}

fn middle<T: Copy + Default + Ord>(runs: &[Usage], of: impl Fn(&Usage) -> T) -> T {
    let mut all: Vec<T> = runs.iter().map(of).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn status_kib(pid: i32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Processor time of a process: that of the threads that it has, in nanoseconds, or that of all that it ever had, in hundredths of
/// a second, whichever is more.
fn cpu(pid: i32) -> Duration {
    /// Of the kernel's clock for this, whatever the machine (`USER_HZ`).
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // pid (name) state ppid … utime stime: the 14th and 15th, and a name may hold anything.
    let behind_the_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u32 = behind_the_name.skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    threads(pid).max(TICK * ticks)
}

fn threads(pid: i32) -> Duration {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let nanoseconds = threads.flatten().map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|ran| ran.parse().ok()).unwrap_or(0_u64)
    });
    Duration::from_nanos(nanoseconds.sum())
}
