//! The relay: a DNS secondary that hands its zones to a queue.

use std::process::ExitCode;

use clap::Parser as _;
use secondary53_relay::command::{Arguments, run};

fn main() -> ExitCode {
    run(Arguments::parse())
}
