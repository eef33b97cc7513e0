//! One test binary for everything that crosses crates.

mod differential;
mod harness;
mod minting;
mod raus;
mod simulation;
mod tidy;
