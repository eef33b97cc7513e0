//! What the crate promises its users.

mod batches;
mod clock;
mod closing;
mod forks;
mod guards;
mod horizon_file;
mod layouts;
#[cfg(feature = "raus")]
mod leases;
mod minting;
mod pools;
mod reservation;
mod text;
mod threads;
