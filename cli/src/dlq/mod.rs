//! `dlq`: what waits in the dead-letter queue, and what becomes of it. By SQS alone, but for what `show` tells beside.

mod applied;
mod choose;
mod drop;
mod letter;
mod list;
mod queue;
mod replay;
mod show;

use std::process::ExitCode;

use aws_types::SdkConfig;
use secondary53_lambda::handler;
use secondary53_relay::config;

use crate::args::{Aws, DlqCommand, Queues};
use crate::terminal::Terminal;
use crate::{Failed, aws, interrupt};
use queue::DeadLetters;

/// What every one of these commands works with.
struct Desk {
    dead: DeadLetters,
    config: SdkConfig,
    terminal: Terminal,
    /// Milliseconds since 1970, when the command began.
    now_ms: u64,
}

/// Runs the command.
pub async fn run(queues: Queues, command: DlqCommand, aws: &Aws, terminal: Terminal) -> Result<ExitCode, Failed> {
    let queues = queues.or(|name| std::env::var(name).ok());
    let url = queues.dlq_url.as_deref().or(queues.queue_url.as_deref());
    let config = aws::config(aws, url.and_then(config::region_of_url)).await?;
    interrupt::listen().map_err(|error| Failed(format!("failed to listen for Ctrl-C: {error}")))?;
    let dead = DeadLetters::find(aws_sdk_sqs::Client::new(&config), &queues).await?;
    let now_ms = u64::try_from(handler::clock().as_millis()).unwrap_or(u64::MAX);
    let desk = Desk { dead, config, terminal, now_ms };
    match command {
        DlqCommand::List => list::run(&desk).await,
        DlqCommand::Show { id, full, zone_file } => show::run(&desk, &id, full, zone_file).await,
        DlqCommand::Replay { chosen, older } => replay::replay(&desk, &chosen, older).await,
        DlqCommand::Approve { ids, yes, older } => replay::approve(&desk, &ids, yes, older).await,
        DlqCommand::Drop { chosen, superseded, yes } => drop::run(&desk, &chosen, superseded, yes).await,
    }
}

/// Of what was to be done to all, what SQS did not give out.
fn not_given(unseen: usize) -> String {
    match unseen {
        0 => String::new(),
        _ => format!(
            " {unseen} more, of whatever zone, SQS did not give out, behind others of theirs or in somebody's hands for two \
             minutes at most: see dlq list, and repeat this."
        ),
    }
}

/// Of an interrupted command.
fn stopped() -> ExitCode {
    ExitCode::from(interrupt::STATUS)
}
