//! An authoritative primary for tests and the demo, on loopback, written at wire level so that it can also misbehave.
//!
//! Read in this order: [`ZoneFile`] is what is served; [`Config`] and [`Primary`] serve it over UDP and TCP; [`Behaviour`]
//! and [`SoaBehaviour`] are the ways to be wrong, one per query; [`Watch`] serves a file as somebody edits it.
//!
//! ```no_run
//! # async fn example(relay: std::net::SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
//! use secondary53_tests::primary::{Behaviour, Config, Primary, ZoneFile};
//!
//! let zone = ZoneFile::parse("$ORIGIN example.com.\n@ 300 SOA ns host 1 600 60 86400 60\n@ 300 NS ns\n")?;
//! let config = Config::new().zone(zone).transfers([Behaviour::CutAfterMessages(1)]);
//! let primary = Primary::start(config).await?;
//! primary.notify(relay).await?;
//! primary.wait_for_axfr(2).await?; // the one that is cut, and the relay's next attempt
//! # Ok(())
//! # }
//! ```
//!
//! Not here, because the processes that do it are tested for real: TSIG, XFR over TLS, wildcards, delegations, DNSSEC.

mod answer;
mod behaviour;
mod config;
mod message;
mod notify;
mod received;
mod record;
mod server;
mod transfer;
mod watch;
mod zone_file;

pub use behaviour::{Behaviour, Forgery, Packing, SoaBehaviour};
pub use config::Config;
pub use notify::{NotifyAnswer, NotifyError, Transport};
pub use received::{Received, WaitError};
pub use record::{Record, newer};
pub use server::{Primary, StartError};
pub use watch::{Watch, WatchEvent};
pub use zone_file::{ODD_ZONE, ZoneFile, ZoneFileError};

// The types of the public interface that are `domain`'s, so that a test needs only this module.
pub use domain::base::iana::{Class, Rcode, Rtype};
/// A domain name: compared without regard to case, kept with it.
pub type Name = domain::base::Name<bytes::Bytes>;
