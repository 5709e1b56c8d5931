//! The strict hosted zone: a stand-in for Route 53 that refuses what Route 53 refuses, and serves its zones over DNS.
//!
//! Reading order: [`model`] is what the account holds; [`request`] reads a batch, [`change`] applies it or says all that
//! is wrong with it, [`name`] and [`syntax`] say what a name and a value may be, [`policy`] what IAM lets through; all
//! of these are pure. [`api`] puts
//! them behind HTTP and [`dns`] behind UDP and TCP; [`server`] runs both. [`rates`] and [`clock`] are what makes it
//! throttle; [`log`](mod@log) is what a test reads afterwards.
//!
//! Its rules are AWS's published ones. Where those leave something open the stand-in takes the narrower reading, and
//! a comment that says "narrow" marks the place.

mod api;
mod change;
mod clock;
mod dns;
mod log;
mod model;
mod name;
mod policy;
mod rates;
mod request;
mod server;
mod syntax;
mod xml;

pub use change::{MAX_CHARACTERS, MAX_RECORDS, MAX_SIGNED_TTL, MAX_VALUES};
pub use clock::{Clock, ManualClock};
pub use log::{Call, CallError, Effect, LoggedChange, in_vain, least};
pub use model::ZoneSpec;
pub use rates::{CHANGES, REQUESTS, Rate};
pub use request::MAX_VALUE;
pub use server::{Config, RecordSetView, Server, StartError, ZoneView};
