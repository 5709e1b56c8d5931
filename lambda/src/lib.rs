//! The worker: takes snapshots from the queue and brings Route 53 hosted zones up to them.
//!
//! Pure, and to be read first:
//! - [`value`]: RDATA ⇄ Route 53's text.
//! - [`hosted`]: what a hosted zone holds.
//! - [`guard`]: whether a snapshot may be applied.
//! - [`plan`]: the difference to the primary's zone, as data.
//! - [`batch`]: a plan as requests within Route 53's limits.
//! - [`isolate`]: which RRsets of a refused request are the bad ones.
//! - [`metrics`]: what CloudWatch counts, as lines of the log.
//!
//! - [`refusals`]: what is known to be refused.
//!
//! Then what talks to AWS:
//! - [`route53`]: the API; [`sync`]: one zone, from snapshot to Route 53.
//! - [`quarantine`]: the dead-letter queue.
//! - [`handler`]: an event of many messages; it alone reads the clock.
//! - [`settings`], [`start`]: from the environment to a worker.

pub mod batch;
pub mod guard;
pub mod handler;
pub mod hosted;
pub mod isolate;
pub mod metrics;
pub mod plan;
pub mod quarantine;
pub mod refusals;
pub mod route53;
pub mod settings;
pub mod start;
pub mod sync;
pub mod value;

#[cfg(test)]
mod model;
