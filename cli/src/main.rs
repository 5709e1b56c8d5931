//! What an operator types.

use std::process::ExitCode;

use clap::Parser as _;
use secondary53_cli::{args::Args, run};

fn main() -> ExitCode {
    run(Args::parse())
}
