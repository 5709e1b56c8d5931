//! The embedded primary, as seen by readers that are not ours: `dig`, `kdig`, and the parsers of `domain` and hickory.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in what it calls too")]

mod misbehaviour;
mod notify;
mod transfers;
mod watch;
mod wire;
mod zone_files;
