//! The command line.

use std::io::{self, IsTerminal as _, Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use secondary53_zone::Name;

use crate::config::Config;
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
        Command::Run { file } => load(&file).and_then(|config| wait_for(daemon::run(config)).map(|()| true)),
        Command::Once { file, zones } => {
            load(&file).and_then(|config| wait_for(once::once(config, &zones, Clock::start())))
        }
        Command::Status { file, url, json } => {
            let url = url.map_or_else(
                || load(&file).and_then(|config| status::url(config.http).map_err(|error| error.to_string())),
                Ok,
            );
            url.and_then(|url| wait_for(status::ask(&url))).and_then(|listing| {
                show(&listing, json).map_err(|error| format!("failed to print: {error}"))?;
                Ok(status::is_good(&listing))
            })
        }
        Command::Check { file } => load(&file).map(|config| {
            println!("{}: {} zones, nothing wrong", file.config.display(), config.zones.len());
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

fn show(listing: &Listing<'_>, json: bool) -> io::Result<()> {
    let mut out = stdout().lock();
    let shown = if json {
        serde_json::to_string(listing).map_err(io::Error::from).and_then(|json| writeln!(out, "{json}"))
    } else {
        out.write_all(status::table(listing, out.is_terminal()).as_bytes())
    };
    match shown {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        shown => shown,
    }
}

fn load(file: &File) -> Result<Config, String> {
    let mut config = Config::load(&file.config).map_err(|error| error.to_string())?;
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
