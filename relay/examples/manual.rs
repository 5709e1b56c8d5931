//! The relay's man pages and completions, from its command line: `manual FOLDER`. For who makes packages; the relay itself
//! carries neither.

use std::error::Error;
use std::fs::create_dir_all;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};
use secondary53_relay::command::Arguments;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: manual FOLDER")?);
    create_dir_all(&folder)?;
    let mut command = Arguments::command();
    clap_mangen::generate_to(command.clone(), &folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "secondary53-relay", &folder)?;
    }
    Ok(())
}
