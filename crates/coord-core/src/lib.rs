//! Leases, heartbeats and the store that they live in.
//!
//! The shared half of `raus` (machine IDs) and `redbuckets` (buckets). It knows what a lease is, how long one may
//! act under it and how to keep it; it does not know what is leased. Most users want one of those crates instead.
//!
//! Read [`lease`] for the rules, [`heartbeat`] for what keeps them, [`store`] for where leases live and [`history`]
//! for what happens when that place forgets.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod advice;
pub mod candidate;
pub mod clock;
pub mod connect;
pub mod endpoint;
pub mod event_log;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod heartbeat;
pub mod history;
pub mod lease;
pub mod metrics;
pub mod namespace;
pub mod spawn;
pub mod store;
pub mod tls;
