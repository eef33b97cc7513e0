//! Exhaustive models of the two protocols: every order of messages, faults and ticks within bounds, state by state.
//!
//! [`catalogue`] lists the models; `docs/MODEL.md` says what they stand for and what was found.

mod buckets;
mod catalogue;
mod check;
mod lease;

pub use catalogue::{Bounds, Entry, Kind, catalogue};
pub use check::Findings;
