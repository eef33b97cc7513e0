//! Machine IDs.

pub(crate) mod exec;
pub(crate) mod init;
pub(crate) mod layout;
pub(crate) mod list;
pub(crate) mod moving;
pub(crate) mod repair;
pub(crate) mod revoke;
pub(crate) mod status;
pub(crate) mod watch;
