//! What the fuzz targets call. No part of the API.

use std::time::Duration;

pub use crate::store::redis::fuzzing::{deployment, describe, frames, replies};

/// Bytes, taken for whatever is wanted; zeros once they are used up.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    /// Reads from the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether everything was used.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Everything that is left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        first
    }

    /// A number below `end`, which is at most 256.
    pub fn below(&mut self, end: u16) -> u32 {
        u32::from(u16::from(self.byte()) % end.max(1))
    }

    /// A number that is often one of those at which something changes.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX,
            254 => u64::from(u32::MAX),
            253 => 1 << 53,
            252 => i64::MAX.unsigned_abs(),
            251 => {
                let mut bytes = [0; 8];
                bytes.fill_with(|| self.byte());
                u64::from_le_bytes(bytes)
            }
            small => u64::from(small),
        }
    }

    /// So many milliseconds.
    pub fn ms(&mut self) -> Duration {
        Duration::from_millis(self.number())
    }

    /// The next bytes, as many as the next one says.
    pub fn chunk(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.bytes.len());
        let (chunk, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        chunk
    }
}
