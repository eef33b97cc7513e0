//! Configuring a generator.

use std::{path::PathBuf, time::Duration};

use thiserror::Error;

use crate::{
    ClockMode, Generator, GrantError, HorizonFileError, Layout, LayoutError, SequenceStart,
    clock::{Source, millis},
    ending,
    grants::Span,
    horizon_file::HorizonFile,
    inner::{Guards, Inner},
    registry::Claim,
    sequence::Starts,
    state::{State, Ticket},
};

/// Configures a [`Generator`].
///
/// A generator with a machine ID of your own, unless it has a clock of your own, is guarded in its process: a second one with the same
/// machine ID and layout is refused while the first lives, and begins after it once the first is gone.
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until it is told the machine ID"]
pub struct Builder {
    layout: Layout,
    clock: ClockMode,
    start: SequenceStart,
    borrow: Duration,
    guarded: bool,
    horizon_file: Option<PathBuf>,
    window: Duration,
}

/// Why there is no generator.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The machine ID does not fit the layout, the layout's epoch has not come, or its timestamps have ended.
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
    /// This process has a generator with that machine ID and layout already.
    #[error("machine ID {machine_id} has a generator in this process already; share a clone of it")]
    Duplicate {
        /// The machine ID.
        machine_id: u32,
    },
    /// More would be borrowed from the future than is allowed.
    #[error("borrowing {borrow:?} is more than the {max:?} allowed")]
    Borrow {
        /// What was asked for.
        borrow: Duration,
        /// The most that is allowed.
        max: Duration,
    },
    /// Timestamps would run further ahead of the server's clock than the store allows for after it has lost its data.
    #[cfg(feature = "raus")]
    #[error(
        "borrowing {borrow:?} is more than the lease covers, with a max_clock_skew of {max_clock_skew:?} and a ttl of {ttl:?}; borrow no more than the shorter of the two, or raise them"
    )]
    BorrowBeyondLease {
        /// What was asked for.
        borrow: Duration,
        /// The lease's `max_clock_skew`.
        max_clock_skew: Duration,
        /// The lease's ttl.
        ttl: Duration,
    },
    /// No unit of the layout fits below the lease's horizon, so nothing could ever be minted, or only now and then.
    #[cfg(feature = "raus")]
    #[error(
        "a unit of {unit:?} needs a ttl of at least {min_ttl:?}, the unit and two heartbeats, but the ttl is {ttl:?}; lease with a longer ttl, or use a layout with a shorter unit"
    )]
    UnitTooLong {
        /// The layout's unit.
        unit: Duration,
        /// The lease's ttl.
        ttl: Duration,
        /// The shortest ttl for this unit and the lease's heartbeat.
        min_ttl: Duration,
    },
    /// What is borrowed would be minted again after a restart.
    #[error(
        "a generator that borrows needs a stored horizon, or it repeats IDs after a restart; lease the machine ID or give a horizon file"
    )]
    BorrowWithoutHorizon,
    /// The horizon file's window is too short or too long.
    #[error("a window of {window:?} is outside {min:?}..={max:?}")]
    Window {
        /// What was asked for.
        window: Duration,
        /// The shortest allowed.
        min: Duration,
        /// The longest allowed.
        max: Duration,
    },
    /// The horizon file cannot be used.
    #[error("the horizon file cannot be used")]
    HorizonFile(#[from] HorizonFileError),
    /// Two generators of a pool have one machine ID, such as from two namespaces: they would mint the same IDs.
    #[error(
        "two generators of the pool have machine ID {machine_id} and would mint the same IDs; lease the machine IDs of a pool from one namespace, or from ranges that do not overlap"
    )]
    PoolMachineId {
        /// The machine ID.
        machine_id: u32,
    },
    /// A pool's generators have different layouts, or there are none.
    #[error("a pool needs at least one generator, and one layout for all of them")]
    Pool,
}

impl Builder {
    pub(crate) const fn new() -> Self {
        Self {
            layout: Layout::TWITTER,
            clock: ClockMode::Coarse,
            start: SequenceStart::Zero,
            borrow: Duration::ZERO,
            guarded: true,
            horizon_file: None,
            window: Duration::from_secs(3),
        }
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

    /// How far timestamps may run ahead of the wall clock before callers have to wait; at most 1 min, and never past the
    /// horizon. Needs a lease or a horizon file; with a lease, at most its `max_clock_skew` and its ttl. Defaults to zero.
    pub const fn borrow(mut self, borrow: Duration) -> Self {
        self.borrow = borrow;
        self
    }

    /// Allows several generators with one machine ID and layout in this process, which then may repeat each other's
    /// IDs. For tests. Defaults to refusing the second.
    pub const fn unguarded(mut self) -> Self {
        self.guarded = false;
        self
    }

    /// Keeps the horizon in this file, so that neither a quick restart nor a clock that was set back repeats an ID. The
    /// file is locked while the generator lives. Minting waits for a disk's sync once every half window while it is in use.
    /// Only for [`Builder::machine_id`]. Defaults to none.
    pub fn horizon_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.horizon_file = Some(path.into());
        self
    }

    /// How far ahead the horizon in the file is set, from 100 ms to 1 h: after a crash, timestamps begin up to this far
    /// ahead of the clock. Defaults to 3 s.
    pub const fn horizon_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// A generator that mints under a machine ID you assign yourself. It begins with the next unit of time, so that a
    /// restarted process does not repeat IDs of the present one. If the unit is at most 10 ms, this call waits for the next
    /// one; if it is longer, the first calls that mint do ([`MintError::Wait`](crate::MintError::Wait)). A clock of your own
    /// is not waited for. A clock that was set back between two runs still repeats IDs, unless there is a horizon file.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what does not fit.
    pub fn machine_id(self, machine_id: u32) -> Result<Generator, BuildError> {
        self.layout.check_machine_id(machine_id)?;
        if !self.borrow.is_zero() && self.horizon_file.is_none() {
            return Err(BuildError::BorrowWithoutHorizon);
        }
        let real_clock = !matches!(self.clock, ClockMode::Custom(_));
        let (claim, first) = if self.guarded && real_clock {
            let claimed = Claim::new(self.layout, machine_id);
            let (claim, first) = claimed.ok_or(BuildError::Duplicate { machine_id })?;
            (Some(claim), first)
        } else {
            (None, Ticket(0))
        };
        let opened = self.horizon_file.as_ref().map(|path| {
            let now_ms = millis(Source::new(self.clock.clone()).wall());
            self.open_file(path, machine_id, now_ms)
                .map(|(file, stored_ms)| (file, stored_ms, now_ms))
        });
        let (file, stored_ms, now_ms) = match opened.transpose() {
            Ok(Some((file, stored_ms, now_ms))) => (Some(file), stored_ms, now_ms),
            Ok(None) => (None, None, 0),
            Err(error) => {
                if let Some(claim) = claim {
                    claim.release(first);
                }
                return Err(error);
            }
        };
        // Nothing is known of an earlier run if there is no stored horizon: it may have minted in the present unit.
        let floor_ms = match stored_ms {
            Some(stored_ms) => stored_ms,
            None if real_clock => self.next_unit(),
            None => now_ms,
        };
        let is_stored = file.is_some();
        let generator = self.build(Guards { claim, file })?;
        let inner = generator.inner();
        // A predecessor in this process may have been ahead of the clock.
        let fields = inner.state.fields();
        let begun_ms = fields.layout.unit_start_ms(fields.unit(first));
        let floor_ms = floor_ms.max(begun_ms);
        inner.skipped(inner.state.raise(first));
        let span = Span {
            // The next unit is waited for: were it used ahead of the clock, a run that begins in the present one would
            // use it again.
            begun_ms: if stored_ms.is_none() && real_clock {
                begun_ms
            } else {
                floor_ms
            },
            // With a file, the first call stores a horizon before it mints.
            ..Span::new(
                machine_id,
                floor_ms,
                if is_stored { floor_ms } else { u64::MAX },
            )
        };
        match inner.grant(span, None) {
            Ok(()) => Ok(generator),
            Err(GrantError::Layout(error)) => Err(BuildError::Layout(error)),
            Err(GrantError::Closed | GrantError::SharedMachineId { .. }) => {
                unreachable!("no other caller and no pool has the generator yet")
            }
        }
    }

    /// A generator without a machine ID: it mints nothing until its [`Generator::reservation`] is granted one.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what does not fit.
    pub fn reserved(self) -> Result<Generator, BuildError> {
        self.build(Guards::default())
    }

    fn build(self, guards: Guards) -> Result<Generator, BuildError> {
        #[cfg(feature = "metrics")]
        crate::describe_metrics();
        // Made first: dropping it ends the claim, whatever else is wrong.
        let source = Source::new(self.clock.clone());
        let now_ms = millis(source.wall());
        let inner = Inner::new(
            State::new(self.layout),
            source,
            Starts::new(self.start),
            self.borrow,
            guards,
        );
        self.check_start()?;
        if self.borrow > MAX_BORROW {
            return Err(BuildError::Borrow {
                borrow: self.borrow,
                max: MAX_BORROW,
            });
        }
        ending::check(&self.layout, now_ms)?;
        Ok(Generator::new(inner))
    }

    fn open_file(
        &self,
        path: &std::path::Path,
        machine_id: u32,
        now_ms: u64,
    ) -> Result<(HorizonFile, Option<u64>), BuildError> {
        if self.window < WINDOW.0 || WINDOW.1 < self.window {
            return Err(BuildError::Window {
                window: self.window,
                min: WINDOW.0,
                max: WINDOW.1,
            });
        }
        Ok(HorizonFile::open(
            path,
            &self.layout,
            machine_id,
            self.window,
            now_ms,
        )?)
    }

    /// When the unit that comes next begins. Waits for it if it is short, so that the first call need not.
    fn next_unit(&self) -> u64 {
        let source = Source::new(self.clock.clone());
        let now = source.wall();
        let unit = self.layout.timestamp_at_ms(millis(now));
        let floor_ms = self.layout.unit_start_ms(unit + 1);
        if self.layout.unit() <= MAX_START_WAIT {
            let left = Duration::from_millis(floor_ms).saturating_sub(now);
            std::thread::sleep(left.min(MAX_START_WAIT));
        }
        floor_ms
    }

    #[cfg(feature = "raus")]
    pub(crate) const fn borrowed(&self) -> Duration {
        self.borrow
    }

    #[cfg(feature = "raus")]
    pub(crate) const fn unit(&self) -> Duration {
        self.layout.unit()
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

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

const MAX_BORROW: Duration = Duration::from_secs(60);

const MAX_START_WAIT: Duration = Duration::from_millis(10);

const WINDOW: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3_600));
