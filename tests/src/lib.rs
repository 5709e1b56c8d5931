//! placeholder

pub mod strict;
