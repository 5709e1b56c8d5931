//! placeholder
pub mod primary;
