//! The command line.

mod dlq;
mod source;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub use dlq::{Chosen, DlqCommand, Queues};
pub use source::Source;

/// Route 53 as a DNS secondary of your own primary.
#[derive(Debug, Parser)]
#[command(name = "secondary53", version, propagate_version = true, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// As whom, and where.
    #[command(flatten)]
    pub aws: Aws,
    /// How it is told.
    #[command(flatten)]
    pub output: Output,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what would change in Route 53. Exit status: 0 nothing, 2 changes, 1 error.
    Plan(Source),
    /// Transfer zones and apply them to Route 53, with neither relay nor queue. They are compared in full, whatever their
    /// serials. Exit status: 0 done or nothing to do, 2 not confirmed, 1 error, 130 stopped by Ctrl-C.
    Sync {
        /// Which zones.
        #[command(flatten)]
        source: Source,
        /// What may be done.
        #[command(flatten)]
        permissions: Permissions,
    },
    /// Hold zones as they are at the primary against their hosted zones, RRset by RRset. Exit status: 0 no difference, 2
    /// differences, 1 error.
    Verify {
        /// Which zones.
        #[command(flatten)]
        source: Source,
        /// Also ask the hosted zone's name servers for every RRset, over DNS.
        #[command(flatten)]
        dns: Dns,
    },
    /// See what waits in the dead-letter queue, and say what becomes of it.
    Dlq {
        /// Which queues.
        #[command(flatten)]
        queues: Queues,
        /// What to do.
        #[command(subcommand)]
        command: DlqCommand,
    },
    /// Look into a snapshot: a file of the relay's `state_dir`, or a message's body.
    Snapshot {
        /// What to do.
        #[command(subcommand)]
        command: SnapshotCommand,
    },
    /// Print the completions of a shell, for it to read.
    Completions {
        /// Which.
        shell: Shell,
    },
}

/// As every AWS tool takes them.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "AWS")]
pub struct Aws {
    /// A profile of ~/.aws; `AWS_PROFILE` by default.
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// The region of queues and bucket; that of the queue's URL, of `AWS_REGION` or of the profile by default.
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// Ask this in the place of AWS, for all services; `AWS_ENDPOINT_URL_SQS`, `_ROUTE_53` and `_S3` say it for one.
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint_url: Option<String>,
}

/// How it is told.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "a command line has flags")]
pub struct Output {
    /// Print JSON: docs/cli.md says what is in it.
    #[arg(long, global = true)]
    pub json: bool,
    /// No colours, as with `NO_COLOR` in the environment.
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Say no more than what was asked for: no progress, no hints.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say on stderr what is asked of whom; `RUST_LOG`, where it is set, says how much.
    #[arg(long, global = true)]
    pub debug: bool,
}

/// What may be done without asking, and in spite of a guard.
#[derive(Clone, Copy, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "a command line has flags")]
pub struct Permissions {
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Take the hosted zone back where the primary's serial is not newer.
    #[arg(long)]
    pub accept_rollback: bool,
    /// Delete much of the hosted zone, or all of it, where the primary no longer has it.
    #[arg(long)]
    pub allow_mass_deletion: bool,
    /// Wait until all of Route 53's name servers have it (INSYNC), generally less than a minute.
    #[arg(long)]
    pub wait: bool,
}

/// Whom to ask over DNS.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "DNS")]
pub struct Dns {
    /// Ask the hosted zone's name servers, as DNS tells them, for the serial and for every RRset.
    #[arg(long)]
    pub dns: bool,
    /// Ask these instead, ADDRESS or ADDRESS:PORT; may be repeated.
    #[arg(long = "name-server", value_name = "ADDR", value_parser = address)]
    pub name_servers: Vec<SocketAddr>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    const PORT: u16 = 53;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.parse().or_else(|_| bare.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT))).map_err(|_| {
        "not an IP address, with or without a port: 192.0.2.1, 192.0.2.1:5353, [2001:db8::1]:53".to_owned()
    })
}

/// What to do with a snapshot.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Print it as a zone file.
    Show {
        /// The file; - for standard input.
        file: PathBuf,
    },
    /// Print what differs between two of a zone, record by record. Exit status: 0 nothing, 2 something, 1 error.
    Diff {
        /// The older one; - for standard input.
        old: PathBuf,
        /// The newer one; - for standard input.
        new: PathBuf,
    },
    /// Print its ZONEMD digest (RFC 8976, scheme SIMPLE, SHA-384), serial and zone.
    Digest {
        /// The file; - for standard input.
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
