//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use secondary53_zone::name::Name;

/// Route 53 as a DNS secondary of your own primary.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what would change in Route 53. Exit status: 0 nothing, 2 changes, 1 error.
    Plan(Target),
    /// Transfer a zone and apply it to Route 53, with neither relay nor queue.
    Sync {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        permissions: Permissions,
    },
    /// Look into a snapshot: a file of the relay's `state_dir`, or a message's body.
    Snapshot {
        #[command(subcommand)]
        command: SnapshotCommand,
    },
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
