//! Configuring a generator.

use std::time::Duration;

use thiserror::Error;

use crate::{
    ClockMode, Generator, GrantError, Layout, LayoutError, SequenceStart,
    clock::{Source, millis},
    inner::Inner,
    sequence::Starts,
    state::State,
};

/// Configures a [`Generator`].
#[derive(Debug, Clone, Default)]
#[must_use = "a builder makes nothing until it is told the machine ID"]
pub struct Builder {
    layout: Layout,
    clock: ClockMode,
    start: SequenceStart,
}

/// Why there is no generator.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The machine ID does not fit the layout, or the layout's epoch has not come.
    #[error("the layout does not allow it")]
    Layout(#[from] LayoutError),
    /// The leased machine ID mints already.
    #[cfg(feature = "raus")]
    #[error("the machine ID cannot be used by a second generator")]
    Attached(#[from] raus::AttachError),
    /// The sequence would begin where hardly a number is left.
    #[error(
        "sequences that begin below {below} leave too little of {numbers} numbers; begin below {max} at most, and at least 1"
    )]
    SequenceStart {
        /// The end of the range asked for.
        below: u32,
        /// How many sequence numbers the layout has.
        numbers: u64,
        /// The largest end allowed.
        max: u64,
    },
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The layout of the IDs. Defaults to [`Layout::TWITTER`].
    pub const fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The clock to read. Defaults to [`ClockMode::Coarse`].
    pub fn clock(mut self, clock: ClockMode) -> Self {
        self.clock = clock;
        self
    }

    /// Where sequences begin. Defaults to [`SequenceStart::Zero`].
    pub const fn sequence_start(mut self, start: SequenceStart) -> Self {
        self.start = start;
        self
    }

    /// A generator that mints under a machine ID you assign yourself.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what does not fit.
    pub fn machine_id(self, machine_id: u32) -> Result<Generator, BuildError> {
        self.layout.check_machine_id(machine_id)?;
        let generator = self.reserved()?;
        let granted = generator.inner().grant(machine_id, 0, u64::MAX, None);
        match granted {
            Ok(()) => Ok(generator),
            Err(GrantError::Layout(error)) => Err(error.into()),
            Err(GrantError::Closed) => unreachable!("nobody else has the generator yet"),
        }
    }

    /// A generator without a machine ID: it mints nothing until its [`Generator::reservation`] is granted one.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what does not fit.
    pub fn reserved(self) -> Result<Generator, BuildError> {
        self.check_start()?;
        let source = Source::new(self.clock);
        let now_ms = millis(source.wall());
        if now_ms < self.layout.epoch_ms() {
            return Err(BuildError::Layout(LayoutError::EpochInFuture {
                epoch_ms: self.layout.epoch_ms(),
                now_ms,
            }));
        }
        let state = State::new(self.layout);
        let start = Starts::new(self.start);
        Ok(Generator::new(Inner::new(
            state,
            source,
            start,
            Duration::ZERO,
        )))
    }

    const fn check_start(&self) -> Result<(), BuildError> {
        let below = match self.start {
            SequenceStart::Zero => return Ok(()),
            SequenceStart::Random { below } | SequenceStart::Continue { below } => below,
        };
        let numbers = self.layout.max_sequence() + 1;
        let max = if numbers < 2 { 1 } else { numbers / 2 };
        if below == 0 || below as u64 > max {
            return Err(BuildError::SequenceStart {
                below,
                numbers,
                max,
            });
        }
        Ok(())
    }
}
