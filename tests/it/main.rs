//! One test binary for everything that crosses crates.

mod advice;
mod buckets;
mod conformance;
mod connections;
mod coordctl;
mod deployments;
mod differential;
mod failures;
mod harness;
mod minting;
mod raus;
mod simulation;
mod tap;
mod tidy;
mod workers;
