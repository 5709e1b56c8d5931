//! What an operator types.

mod args;
mod render;
mod snapshot;
mod zone;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command {
        Command::Plan(target) => zone::plan(&target).await,
        Command::Sync { target, permissions } => zone::sync(&target, permissions).await,
        Command::Snapshot { command } => snapshot::run(&command),
    };
    result.unwrap_or_else(|error| {
        eprintln!("secondary53: {error}");
        ExitCode::from(1)
    })
}
