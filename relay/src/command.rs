//! The command line.

use std::io::{self, IsTerminal as _, Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use secondary53_zone::Name;
use serde::Serialize;

use crate::config::{Config, ConfigError};
use crate::control::{self, Answer, Refused, Resend};
use crate::daemon::{self, Clock};
use crate::http::Listing;
use crate::log::{self, Format};
use crate::{once, status};

/// A DNS secondary that hands its zones to a queue.
#[derive(Debug, Parser)]
#[command(name = "secondary53-relay", version, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Say more; `RUST_LOG`, where it is set, says what.
    #[arg(long, global = true)]
    debug: bool,
    /// How to write the log.
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    log_format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hear NOTIFY, keep the SOA timers, transfer zones and send them, until told to stop.
    Run {
        #[command(flatten)]
        file: File,
    },
    /// Look at zones once, send those that have changed, and exit: 0 where all went well, 1 otherwise.
    Once {
        #[command(flatten)]
        file: File,
        /// The zones; all of the configuration by default.
        zones: Vec<Name>,
    },
    /// Show every zone of the relay that runs, trouble first, and exit: 0 where all is well, 1 where there is trouble or no
    /// answer.
    Status {
        #[command(flatten)]
        file: File,
        /// Where its status page is; found in the configuration by default.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Print JSON, as /zones gives it.
        #[arg(long)]
        json: bool,
    },
    /// Ask the relay that runs to transfer zones and send them, whatever their serials, and exit: 0 where all were asked for, 1
    /// otherwise. What comes of it is in its log and in status.
    Resend {
        #[command(flatten)]
        file: File,
        /// The zones.
        #[arg(required_unless_present = "all")]
        zones: Vec<Name>,
        /// All zones.
        #[arg(long, conflicts_with = "zones")]
        all: bool,
        /// Take an older serial than was sent before, and let the worker take the hosted zone back to it; this once.
        #[arg(long, conflicts_with = "all")]
        accept_rollback: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a configuration and exit: 0 where nothing is wrong, 1 otherwise.
    Check {
        #[command(flatten)]
        file: File,
    },
}

#[derive(Debug, Args)]
struct File {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "/etc/secondary53/relay.toml")]
    config: PathBuf,
}

/// Does what the arguments say, and gives the status to exit with.
pub fn run(arguments: Arguments) -> ExitCode {
    let runs = matches!(arguments.command, Command::Run { .. });
    log::start(arguments.log_format, runs, arguments.debug);
    let ended = match arguments.command {
        Command::Run { file } => load(&file).and_then(|config| {
            let read = move || read(&file);
            wait_for(daemon::run(config, Arc::new(read))).map(|()| true)
        }),
        Command::Once { file, zones } => {
            load(&file).and_then(|config| wait_for(once::once(config, &zones, Clock::start())))
        }
        Command::Status { file, url, json } => {
            let url = url.map_or_else(
                || load(&file).and_then(|config| status::url(config.http).map_err(|error| error.to_string())),
                Ok,
            );
            url.and_then(|url| wait_for(status::ask(&url))).and_then(|listing| {
                show(&listing, json)?;
                Ok(status::is_good(&listing))
            })
        }
        Command::Resend { file, zones, all, accept_rollback, json } => load(&file).and_then(|config| {
            let zones = zones.iter().map(ToString::to_string).collect();
            let resend = Resend { zones, all, accept_rollback };
            let answer = wait_for(control::ask(&config.state_dir, &resend))?;
            print(&told(&answer, all, json)?)?;
            Ok(answer.refused.is_empty())
        }),
        Command::Check { file } => load(&file).map(|config| {
            let catalogs = match config.catalogs.len() {
                0 => String::new(),
                catalogs => format!(", {catalogs} catalogs"),
            };
            println!("{}: {} zones{catalogs}, nothing wrong", file.config.display(), config.zones.len());
            true
        }),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("secondary53-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(listing: &Listing<'_>, json: bool) -> Result<(), String> {
    let text = if json { line(listing)? } else { status::table(listing, stdout().is_terminal()) };
    print(&text)
}

/// What was asked for and what was refused, a line for each zone.
fn told(answer: &Answer, all: bool, json: bool) -> Result<String, String> {
    if json {
        return line(answer);
    }
    let refused = answer.refused.iter().map(|Refused { zone, why }| format!("{zone}: refused: {why}\n"));
    if all {
        return Ok(format!("{} zones: asked for\n", answer.asked.len()) + &refused.collect::<String>());
    }
    Ok(answer.asked.iter().map(|zone| format!("{zone}: asked for\n")).chain(refused).collect())
}

fn line(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value).map(|json| json + "\n").map_err(|error| format!("failed to print: {error}"))
}

fn print(text: &str) -> Result<(), String> {
    match stdout().lock().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| format!("failed to print: {error}")),
    }
}

fn load(file: &File) -> Result<Config, String> {
    read(file).map_err(|error| error.to_string())
}

fn read(file: &File) -> Result<Config, ConfigError> {
    let mut config = Config::load(&file.config)?;
    config.relay_id = config.relay_id.or_else(host_name);
    Ok(config)
}

fn host_name() -> Option<String> {
    // Not from /proc, which a service may see little of.
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// One thread does it: the work is waiting, and what is not goes to threads of its own.
fn wait_for<T, E: ToString>(work: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("failed to start: {error}"))?;
    let ended = runtime.block_on(work).map_err(|error| error.to_string());
    // A zone that is still being sorted is not waited for.
    runtime.shutdown_background();
    ended
}
