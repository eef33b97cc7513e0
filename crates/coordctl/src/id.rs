//! Machine IDs.

pub(crate) mod exec;
pub(crate) mod list;
pub(crate) mod revoke;
pub(crate) mod status;
pub(crate) mod watch;
