//! One test binary for what runs the scripts on the embedded store.

mod laws;
mod simulation;
