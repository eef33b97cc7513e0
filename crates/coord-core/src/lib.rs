//! Leases, heartbeats and the store that they live in.
//!
//! The shared half of `raus` (machine IDs) and `redbuckets` (buckets). It knows what a lease is, how long one may
//! act under it and how to keep it; it does not know what is leased. Most users want one of those crates instead.

pub mod clock;
pub mod store;
