//! The worker: takes snapshots from the queue and brings Route 53 hosted zones up to them.
//!
//! Pure, and to be read first:
//! - [`value`]: RDATA ⇄ Route 53's text.
//! - [`hosted`]: what a hosted zone holds.
//! - [`plan`]: the difference to the primary's zone, as data.
//! - [`batch`]: a plan as requests within Route 53's limits.

pub mod batch;
pub mod hosted;
pub mod plan;
pub mod value;

#[cfg(test)]
mod model;
