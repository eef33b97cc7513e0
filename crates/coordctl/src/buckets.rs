//! Buckets.

pub(crate) mod drain;
pub(crate) mod group;
pub(crate) mod list;
pub(crate) mod members;
pub(crate) mod watch;
