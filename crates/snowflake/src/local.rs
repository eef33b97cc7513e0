//! Minting from a block of IDs of one's own.

use std::{fmt, num::NonZeroU32};

use crate::{Generator, Id, IdRange, MintError, state::Authority};

/// A thread's own block of IDs: see [`Generator::local`].
///
/// A block is used only in the unit of time that it was reserved in and only while the machine ID is held; what is left of it
/// then is lost.
pub struct Local {
    generator: Generator,
    size: NonZeroU32,
    block: IdRange,
    authority: Authority,
    /// The wall clock at which the block is stale, in nanoseconds since the Unix epoch.
    stale_ns: u64,
}

impl Local {
    pub(crate) fn new(generator: Generator, size: NonZeroU32) -> Self {
        let block = IdRange::empty(generator.inner().state.fields());
        Self {
            generator,
            size,
            block,
            authority: Authority::NONE,
            stale_ns: 0,
        }
    }

    /// Mints an ID without waiting.
    ///
    /// # Errors
    ///
    /// As [`Generator::try_next`].
    #[inline]
    pub fn try_next(&mut self) -> Result<Id, MintError> {
        let inner = self.generator.inner();
        let fresh = !inner.is_forked() && inner.source.recent_ns() < self.stale_ns;
        if fresh
            && inner.state.holds(self.authority)
            && let Some(id) = self.block.next()
        {
            return Ok(id);
        }
        self.refill()
    }

    /// Mints an ID, sleeping while none is left. Not for asynchronous code.
    ///
    /// # Errors
    ///
    /// As [`Generator::try_next`], but never [`MintError::Wait`].
    #[inline]
    pub fn next_blocking(&mut self) -> Result<Id, MintError> {
        match self.try_next() {
            Err(MintError::Wait { .. }) => self.generator.next_blocking(),
            result => result,
        }
    }

    /// The generator that the blocks come from.
    #[must_use]
    pub const fn generator(&self) -> &Generator {
        &self.generator
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self) -> Result<Id, MintError> {
        let inner = self.generator.inner();
        let fields = inner.state.fields();
        let reserved = inner.reserve(1, u64::from(self.size.get()))?;
        let now_ms = inner.source.recent_ns() / 1_000_000;
        let last_unit = fields.layout.timestamp_at_ms(now_ms);
        let last_unit = last_unit.max(fields.unit(reserved.first));
        let stale_ms = fields.layout.unit_start_ms(last_unit + 1);
        self.stale_ns = stale_ms.saturating_mul(1_000_000);
        self.authority = reserved.authority;
        self.block = IdRange::new(fields, reserved);
        Ok(self.block.next().expect("at least one was reserved"))
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("generator", &self.generator)
            .field("left", &self.block.len())
            .finish_non_exhaustive()
    }
}
