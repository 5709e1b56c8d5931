//! A DNS secondary that hands its zones to a queue instead of serving them.
//!
//! Read in this order:
//! - [`refresh`]: when to look at the primary. [`notify`]: what makes us look sooner.
//! - [`primary`]: the SOA query and the transfer. [`transfer`]: messages put together to a zone.
//!   [`wire`]: DNS messages as octets.
//! - [`queue`]: the snapshot on its way to SQS. [`store`]: the last one that was accepted.
//! - [`config`]: what an operator says.
//! - [`daemon`]: the loop that ties these together, with the only clock. [`listen`]: its sockets. [`job`]: what runs beside it.
//!
//! Without I/O and without a clock: `refresh`, `notify`, `transfer`, `wire`.

pub mod config;
pub mod notify;
pub mod primary;
pub mod refresh;
pub mod transfer;
pub mod wire;
