//! One test binary for everything that crosses crates.

mod advice;
mod book;
mod buckets;
mod conformance;
mod connections;
mod coordctl;
mod dependencies;
mod deployments;
mod differential;
mod failures;
mod harness;
mod hostile;
mod leaks;
mod manifests;
mod metrics;
mod minting;
mod misuse;
mod raus;
mod tidy;
mod workers;
