//! The man pages, a page for each command, from the command line: `man-pages FOLDER`. For who makes packages; the program itself
//! brings its completions (`secondary53 completions SHELL`) and not these.

use std::error::Error;
use std::fs::create_dir_all;
use std::path::PathBuf;

use clap::CommandFactory as _;
use secondary53_cli::args::Args;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: man-pages FOLDER")?);
    create_dir_all(&folder)?;
    clap_mangen::generate_to(Args::command(), &folder)?;
    Ok(())
}
