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
mod laws;
mod leaks;
mod manifests;
mod metrics;
mod minting;
mod misuse;
mod raus;
mod simulation;
mod slot_record;
mod tap;
mod tidy;
mod workers;
