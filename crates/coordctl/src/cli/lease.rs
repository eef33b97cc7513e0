//! How a machine ID is leased.

use std::time::Duration;

use clap::Args;

use crate::values;

/// How a machine ID is leased.
#[derive(Debug, Clone, Args)]
pub(crate) struct LeaseOptions {
    /// How long a silent holder keeps its machine ID.
    #[arg(long, default_value = "60s", value_parser = values::duration, value_name = "TIME")]
    pub(crate) ttl: Duration,
    /// How often it is renewed.
    #[arg(long, default_value = "1s", value_parser = values::duration, value_name = "TIME")]
    pub(crate) heartbeat: Duration,
    #[command(flatten)]
    pub(crate) history: HistoryOptions,
    /// How long to wait for a free machine ID and for the server. Without it, or with 0s, a full range is refused at once.
    #[arg(long, value_parser = values::duration, value_name = "TIME")]
    pub(crate) wait: Option<Duration>,
    /// What operators see; a process with the same label gets the same machine ID again where it is free. Defaults to
    /// the host's name.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Use a server even if it may evict what is known of leases (maxmemory-policy allkeys-*).
    #[arg(long)]
    pub(crate) allow_eviction: bool,
}

/// What is relied on about the server's past.
#[derive(Debug, Clone, Args)]
pub(crate) struct HistoryOptions {
    #[command(flatten)]
    pub(crate) discovery: DiscoveryOptions,
    /// For how long a master that was replaced may go on answering. Nothing new is granted for so much longer than the longest
    /// ttl after a failover, a restart or a flush.
    #[arg(long, default_value = "15s", value_parser = values::duration, value_name = "TIME")]
    pub(crate) failover_bound: Duration,
    /// How many replicas must have a grant or a renewal before it counts.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100), value_name = "REPLICAS")]
    pub(crate) acknowledge: u32,
    /// Take a namespace without a record for one that the server has lost, never for a new one; see `id init`.
    #[arg(long)]
    pub(crate) expect_history: bool,
    #[command(flatten)]
    pub(crate) unverified: UnverifiedOptions,
}

/// How long to listen.
#[derive(Debug, Clone, Args)]
pub(crate) struct DiscoveryOptions {
    /// How long a namespace without a record is listened to before its first use; 0s not at all. Defaults to two heartbeats
    /// and half a second, and 3 s at least.
    #[arg(long, value_parser = values::duration, value_name = "TIME")]
    pub(crate) discovery: Option<Duration>,
}

/// Whether a server is used that does not say who it is.
#[derive(Debug, Clone, Args)]
pub(crate) struct UnverifiedOptions {
    /// Use a server that forbids INFO, although nobody sees then that it restarted or failed over.
    #[arg(long)]
    pub(crate) allow_unverified_history: bool,
}
