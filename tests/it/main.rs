//! One test binary for everything that crosses crates.

mod buckets;
mod buckets_simulation;
mod conformance;
mod differential;
mod harness;
mod minting;
mod raus;
mod simulation;
mod swapped_store;
mod tidy;
mod workers;
