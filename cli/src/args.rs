//! The command line.

mod dlq;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use secondary53_zone::name::Name;

pub use dlq::{Chosen, DlqCommand, Queues};

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
    Plan(Target),
    /// Transfer a zone and apply it to Route 53, with neither relay nor queue.
    Sync {
        /// Which zone.
        #[command(flatten)]
        target: Target,
        /// What may be done.
        #[command(flatten)]
        permissions: Permissions,
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
}

/// What to do with a snapshot.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Print it as a zone file.
    Show {
        /// The file; - for standard input.
        file: PathBuf,
    },
    /// Print its ZONEMD digest (RFC 8976, scheme SIMPLE, SHA-384), serial and zone.
    Digest {
        /// The file; - for standard input.
        file: PathBuf,
    },
}

/// A zone, where it comes from, and where it goes.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// The zone's name.
    #[arg(value_name = "ZONE")]
    pub zone: Name,
    /// The primary: ADDRESS or ADDRESS:PORT, port 53 by default.
    #[arg(long, value_name = "ADDR", value_parser = primary)]
    pub primary: SocketAddr,
    /// The hosted zone, where several share the name.
    #[arg(long, value_name = "ID")]
    pub hosted_zone_id: Option<String>,
}

fn primary(text: &str) -> Result<SocketAddr, String> {
    const DNS: u16 = 53;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.parse().or_else(|_| bare.parse().map(|address: IpAddr| SocketAddr::new(address, DNS))).map_err(|_| {
        "not an IP address, with or without a port: 192.0.2.1, 192.0.2.1:5353, [2001:db8::1]:53".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_primary_needs_no_port() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
        ] {
            assert_eq!(primary(text).unwrap().to_string(), address);
        }
        assert!(primary("ns1.example.com").is_err());
    }
}
