//! What the crate promises its users.

mod clock;
mod minting;
mod reservation;
