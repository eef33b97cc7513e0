//! One test binary for everything that crosses crates.

mod harness;
mod raus;
mod tidy;
