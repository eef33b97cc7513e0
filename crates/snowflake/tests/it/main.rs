//! What the crate promises its users.

mod batches;
mod clock;
mod forks;
mod guards;
mod horizon_file;
mod layouts;
mod minting;
mod reservation;
mod text;
mod threads;
