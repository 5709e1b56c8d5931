//! A DNS secondary that hands its zones to a queue instead of serving them.
//!
//! Read in this order:
//! - [`refresh`]: when to look at the primary. [`notify`]: what makes us look sooner.
//! - [`primary`]: the SOA query and the transfer. [`transfer`]: messages put together to a zone.
//!   [`wire`]: DNS messages as octets. [`tsig`]: their signatures. [`tls`]: what
//!   they may go through.
//! - [`reach`]: which primaries can be reached, so that one that cannot holds up nobody.
//! - [`queue`]: the snapshot on its way to SQS. [`store`]: the last one that was accepted.
//! - [`discover`]: the account's hosted zones, and which of them are wanted.
//! - [`catalog`]: zones that are listed in a zone.
//! - [`confirm`]: when to ask whether it is live; [`live`]: the question. [`resolve`]: whom.
//! - [`view`]: what is to be seen of all this. [`http`]: shown to whoever asks. [`service`]: told to systemd.
//! - [`config`]: what an operator says, and [`command`] how. [`control`]: what is asked of the relay that runs. [`status`]:
//!   what is seen, in a terminal. [`log`]: what is told, to whom.
//! - [`daemon`]: the loop that ties these together, with the only clock. [`listen`]: its sockets. [`job`]: what runs beside
//!   it. [`once`]: the same without the loop.
//!
//! Without I/O and without a clock: `catalog`, `confirm`, `refresh`, `notify`, `reach`, `transfer`, `tsig`, `view`, `wire`, and what
//! `queue` decides.

pub mod catalog;
pub mod command;
pub mod config;
pub mod confirm;
pub mod control;
pub mod daemon;
pub mod discover;
pub mod http;
pub mod job;
pub mod listen;
pub mod live;
pub mod log;
pub mod notify;
pub mod once;
pub mod primary;
mod prompt;
pub mod queue;
pub mod reach;
pub mod refresh;
pub mod resolve;
pub mod service;
pub mod status;
pub mod store;
pub mod tls;
pub mod transfer;
pub mod tsig;
pub mod view;
pub mod wire;
