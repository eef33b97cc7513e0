//! Where the messages of a server end.

use coord_core::fuzzing::{Input, frames};

/// What a server sends is taken apart where the client takes it apart, and nothing costs more than it may.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    // Often one that matters, as some of what is sent is larger.
    let limit = match input.byte() {
        small @ 0x80.. => u64::from(small) << 4,
        _ => 16 << 20,
    };
    frames(input.rest(), limit);
}
