//! The worker: takes snapshots from the queue and brings Route 53 hosted zones up to them.
//!
//! Pure, and to be read first:
//! - [`value`]: RDATA ⇄ Route 53's text.
//! - [`hosted`]: what a hosted zone holds.
//! - [`guard`]: whether a snapshot may be applied.
//! - [`plan`]: the difference to the primary's zone, as data.
//! - [`batch`]: a plan as requests within Route 53's limits.
//! - [`isolate`]: which RRsets of a refused request are the bad ones; [`refusals`]: what is known to be refused.
//! - [`pace`]: how fast to go.
//! - [`metrics`]: what CloudWatch counts, as lines of the log.
//!
//! Then what talks to AWS:
//! - [`turns`]: waiting for a turn; [`room`]: waiting for memory; [`route53`]: the API; [`sync`]: one zone, from snapshot to Route 53.
//! - [`overflow`]: snapshots that did not fit their message.
//! - [`quarantine`]: the dead-letter queue; [`queue`]: when a message comes again that is not done.
//! - [`handler`]: an event of many messages; it alone reads the clock.
//! - [`settings`], [`start`]: from the environment to a worker.

pub mod batch;
pub mod guard;
pub mod handler;
pub mod hosted;
pub mod isolate;
pub mod metrics;
pub mod overflow;
pub mod pace;
pub mod plan;
pub mod quarantine;
pub mod queue;
pub mod refusals;
pub mod room;
pub mod route53;
pub mod settings;
pub mod start;
pub mod sync;
pub mod turns;
pub mod value;

#[cfg(test)]
mod model;
