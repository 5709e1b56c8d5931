//! What an operator types: the relay's transfer and the worker's plan in one process, and the dead-letter queue.
//!
//! It knows nothing of DNS or of Route 53 by itself. Read in this order:
//! - [`args`]: the command line. `aws`: credentials and endpoints. `terminal`: how things are told. `interrupt`: Ctrl-C.
//! - `dlq`: what waits in the dead-letter queue, and what becomes of it.
//! - `snapshot`: what the relay keeps and sends, as a zone file.
//! - `source`: zones from their primaries. `compare`: beside their hosted zones. `render`, `json`: the difference, for a person
//!   and for a program. `plan`, `sync`: the commands.

pub mod args;

mod aws;
mod compare;
mod dlq;
mod interrupt;
mod json;
mod plan;
mod render;
mod snapshot;
mod source;
mod sync;
mod terminal;
mod verify;

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use args::{Args, Command};
use terminal::Terminal;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Something did not come about. What, why and what to do, in a line.
#[derive(Debug)]
struct Failed(String);

/// There is something that was not done, or is to be done: as terraform has it.
const LEFT: u8 = 2;

/// Does what the arguments say, and gives the status to exit with.
pub fn run(args: Args) -> ExitCode {
    log(args.output.debug);
    let terminal = Terminal::new(&args.output);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(command(args, terminal));
            // A question that nobody answers any more is not waited for.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(format!("failed to start: {error}").into()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("secondary53: {error}");
        ExitCode::from(1)
    })
}

async fn command(args: Args, terminal: Terminal) -> Result<ExitCode, Box<dyn Error>> {
    let Args { command, aws, .. } = args;
    match command {
        Command::Plan(source) => Ok(plan::run(&source, &aws, terminal).await?),
        Command::Sync { source, permissions } => Ok(sync::run(&source, permissions, &aws, terminal).await?),
        Command::Dlq { queues, command } => Ok(dlq::run(queues, command, &aws, terminal).await?),
        Command::Verify { source, dns } => Ok(verify::run(&source, &dns, &aws, terminal).await?),
        Command::Snapshot { command } => Ok(snapshot::run(&command, terminal)?),
        Command::Completions { shell } => {
            let mut command = <Args as clap::CommandFactory>::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "secondary53", &mut script);
            // Not to stdout at once: it would panic where nobody reads on.
            terminal::print(&String::from_utf8_lossy(&script))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What libraries and the worker's modules log is for `--debug`: what matters, the commands say themselves.
fn log(debug: bool) {
    const DEBUG: &str = "debug,hyper_util=info,rustls=info";
    let given = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let text = given.or_else(|| debug.then(|| DEBUG.to_owned()));
    if let Some(filter) = text.and_then(|text| text.parse::<Targets>().ok()) {
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(debug);
        tracing_subscriber::registry().with(filter).with(layer).init();
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failed {}
