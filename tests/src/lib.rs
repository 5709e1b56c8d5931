//! The scripted world: what the tests and the demo put around the programs of this project.
//!
//! - [`primary`]: a primary of our own that can misbehave in every way that a transfer can go wrong.
//! - [`strict`]: a Route 53 that refuses what Route 53 refuses.
//! - [`stack`]: the whole chain as real processes, with SQS, Lambda, BIND, Knot, NSD and PowerDNS.
//! - [`flood`]: NOTIFY and noise from strangers.
//! - [`fifo`]: a queue as SQS promises it.
//! - [`calls`]: what syncing costs in calls of Route 53's API.
//! - [`hosted`]: hosted zones as the worker reads them.
//! - [`zones`]: zones from zone files; [`rdata`]: generated RDATA of every type.

pub mod calls;
pub mod fifo;
pub mod flood;
pub mod hosted;
pub mod primary;
pub mod rdata;
pub mod stack;
pub mod strict;
pub mod zones;
