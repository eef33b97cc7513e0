//! Options of the commands that begin, mend and move a namespace.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{DiscoveryOptions, UnverifiedOptions};
use crate::values::{self, Fields};

#[derive(Debug, Args)]
pub(crate) struct InitOptions {
    #[command(flatten)]
    pub(crate) discovery: DiscoveryOptions,
    #[command(flatten)]
    pub(crate) unverified: UnverifiedOptions,
}

#[derive(Debug, Args)]
pub(crate) struct RepairOptions {
    /// Reset what is shown without it.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetLayoutOptions {
    /// The new layout: twitter, discord, instagram, sonyflake, javascript, or bits such as 41/10/12 or 39/s8/m16.
    #[arg(long, value_parser = values::fields, value_name = "LAYOUT")]
    pub(crate) set: Option<Fields>,
    /// When its timestamps begin: 2025-01-01T00:00:00Z, or milliseconds since 1970.
    #[arg(long, value_parser = values::epoch, value_name = "TIME", requires = "set")]
    pub(crate) epoch: Option<u64>,
    /// What its timestamps count.
    #[arg(long, value_parser = values::duration, value_name = "TIME", requires = "set")]
    pub(crate) unit: Option<Duration>,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportOptions {
    /// What `id export` wrote; - for the standard input.
    #[arg(default_value = "-", hide_default_value = true)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) unverified: UnverifiedOptions,
}
