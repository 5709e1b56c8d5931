//! What crosses the queue, and the arithmetic on it. No clock, no I/O, no AWS.
//!
//! Read in this order:
//! - [`name`], [`serial`], [`rrset`], [`rdata`], [`svcb`]: the words of DNS.
//! - [`zone`]: a set of RRsets in canonical form, the only form there is here. [`edit`]: one zone made of another, record by
//!   record. [`zonemd`]: the digest of a zone, and how that of a primary is verified.
//! - [`delta`]: what changed from one serial to another.
//! - [`snapshot`]: a zone as compact octets; the format is written down in `docs/snapshot-format.md`.
//! - [`message`]: a snapshot on its way from relay to worker.
//! - [`presentation`]: a zone as a zone file.

pub mod delta;
pub mod edit;
pub mod message;
pub mod name;
pub mod presentation;
pub mod rdata;
pub mod rrset;
pub mod serial;
pub mod snapshot;
pub mod svcb;
pub mod zone;
pub mod zonemd;

pub use delta::Delta;
pub use edit::Edit;
pub use name::{Name, NameError, NameRef};
pub use rrset::{Rrset, Rtype};
pub use serial::Serial;
pub use snapshot::Snapshot;
pub use zone::{Digest, Limits, Soa, Zone, ZoneBuilder, ZoneError};
