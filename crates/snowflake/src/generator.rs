//! Minting.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use crate::{
    BuildError, Builder, HorizonFileError, Id, IdRange, Layout, Local, Metrics, MintError, Next,
    Pool, Reservation,
    inner::Inner,
    next::{Queue, Step},
};

/// Mints IDs. Cheap to clone: clones share one counter.
///
/// IDs that one thread mints rise, and so do those of several threads as far as one happens before the other.
///
/// A child process that a `fork()` made refuses to mint ([`MintError::Forked`]); what its parent had reserved before
/// ([`IdRange`]) is the parent's. A child made by a raw `clone` system call, which the C library does not see, refuses
/// once the clock it reads has moved on, at most 10 ms later.
///
/// ```
/// use snowflake::{Generator, Layout};
///
/// let generator = Generator::with_machine_id(7)?;
/// let id = generator.next_blocking()?;
/// assert_eq!(id.machine_id(&Layout::default()), 7);
/// assert!(generator.next_blocking()? > id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Generator {
    inner: Arc<Inner>,
    /// Beside `inner`, not in it: the lease's heartbeat holds `inner`, and dropping the last generator must drop the
    /// lease.
    #[cfg(feature = "raus")]
    lease: Option<raus::MachineId>,
}

impl Generator {
    /// A generator with the default layout that mints under a machine ID you assign yourself. No other process may use
    /// that machine ID at the same time.
    ///
    /// # Errors
    ///
    /// [`BuildError::Layout`] for a machine ID above 1023; [`BuildError`] says what else there is.
    pub fn with_machine_id(machine_id: u32) -> Result<Self, BuildError> {
        Self::builder().machine_id(machine_id)
    }

    /// Starts to configure a generator.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Joins generators with different machine IDs into one that mints as many times as much.
    ///
    /// # Errors
    ///
    /// [`BuildError::Pool`] unless there is at least one, and one layout for all; [`BuildError::PoolMachineId`] if two have
    /// one machine ID. A member that is granted the machine ID of another one later, or one that another one may have
    /// minted under ahead of the grant's first timestamp, mints nothing until its next grant
    /// ([`MintError::SharedMachineId`]).
    pub fn from_pool(generators: impl IntoIterator<Item = Self>) -> Result<Pool, BuildError> {
        Pool::new(generators.into_iter().collect())
    }

    /// Mints an ID without waiting.
    ///
    /// # Errors
    ///
    /// [`MintError::Wait`] if none is left for now; the others if minting has to stop.
    #[inline]
    pub fn try_next(&self) -> Result<Id, MintError> {
        self.inner.try_next()
    }

    /// Mints an ID, waiting while none is left: first come, first served. Runs on any runtime, and usually completes
    /// at the first poll.
    ///
    /// # Errors
    ///
    /// As [`Generator::try_next`], but never [`MintError::Wait`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses its place, and at most one sequence number with it.
    pub const fn next(&self) -> Next<'_> {
        Next::new(self, None)
    }

    /// As [`Generator::next`], but waits at most `timeout`, and waits that long for a lost or ended right to mint to come
    /// back as well.
    ///
    /// # Errors
    ///
    /// When `timeout` has passed, what [`Generator::try_next`] says then; at once, [`MintError::Closed`],
    /// [`MintError::Forked`], [`MintError::TimestampExhausted`], [`MintError::DelayTooLong`] and
    /// [`MintError::HorizonFileReplaced`].
    ///
    /// # Cancel safety
    ///
    /// As [`Generator::next`].
    pub fn next_within(&self, timeout: Duration) -> Next<'_> {
        let deadline = self.inner.source.boot().saturating_add(timeout);
        Next::new(self, Some(deadline))
    }

    /// Mints an ID, sleeping while none is left: first come, first served. Not for asynchronous code.
    ///
    /// # Errors
    ///
    /// As [`Generator::try_next`], but never [`MintError::Wait`].
    #[inline]
    pub fn next_blocking(&self) -> Result<Id, MintError> {
        match self.inner.try_next() {
            Err(MintError::Wait { .. }) => self.wait_blocking(),
            result => result,
        }
    }

    /// Mints `count` IDs at once, rising, without waiting and for the price of one. What is not used of the range is lost.
    ///
    /// # Errors
    ///
    /// [`MintError::BatchTooLarge`] if no unit of time has that many, [`MintError::Wait`] if the present one has not;
    /// the others as [`Generator::try_next`].
    #[inline]
    pub fn reserve(&self, count: u32) -> Result<IdRange, MintError> {
        let count = u64::from(count);
        let fields = self.inner.state.fields();
        if count > fields.per_unit() {
            return Err(MintError::BatchTooLarge {
                count,
                max: fields.per_unit(),
            });
        }
        if count == 0 {
            return Ok(IdRange::empty(fields));
        }
        let reserved = self.inner.reserve(count, count)?;
        Ok(IdRange::new(fields, reserved))
    }

    /// Mints as many IDs as there are now, up to `slots.len()`, into the first of `slots`; returns how many. They rise.
    /// `T` is [`Id`] or `u64`.
    ///
    /// # Errors
    ///
    /// As [`Generator::try_next`] if there is not even one.
    #[inline]
    pub fn try_fill<T: From<Id>>(&self, slots: &mut [T]) -> Result<usize, MintError> {
        if slots.is_empty() {
            return Ok(0);
        }
        let reserved = self.inner.reserve(1, slots.len() as u64)?;
        let range = IdRange::new(self.inner.state.fields(), reserved);
        let count = range.len();
        range.write(&mut slots[..count]);
        Ok(count)
    }

    /// Mints `slots.len()` IDs, rising, sleeping while none is left. Not for asynchronous code. `T` is [`Id`] or `u64`.
    ///
    /// # Errors
    ///
    /// As [`Generator::next_blocking`]; then some of the slots may have been filled, with IDs that were not used.
    #[inline]
    pub fn fill<T: From<Id>>(&self, slots: &mut [T]) -> Result<(), MintError> {
        let mut filled = 0;
        while filled < slots.len() {
            match self.try_fill(&mut slots[filled..]) {
                Ok(count) => filled += count,
                Err(MintError::Wait { .. }) => {
                    slots[filled] = self.next_blocking()?.into();
                    filled += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A handle for one thread that reserves `size` IDs at a time and mints from them without touching shared state. IDs
    /// of different threads are then in order only to the unit of time, and up to `size - 1` IDs a thread are lost each
    /// unit.
    #[must_use]
    pub fn local(&self, size: NonZeroU32) -> Local {
        Local::new(self.clone(), size)
    }

    /// How many IDs could be minted at this moment without waiting; 0 where [`Generator::try_next`] would fail.
    #[must_use]
    pub fn available_now(&self) -> u64 {
        self.inner.available()
    }

    /// What the generator did so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.inner.metrics()
    }

    /// Tells the recorder of the `metrics` facade what was counted since the last time. Done by itself once a second while
    /// IDs are minted, with every renewal of a leased machine ID and when the generator is closed; call it before a
    /// reading that has to be exact.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.inner.publish();
    }

    /// The layout of the IDs.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.inner.state.fields().layout
    }

    /// The door for whoever leases the machine ID.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        Reservation::new(Arc::clone(&self.inner))
    }

    /// Stops minting for good, on all clones. With a horizon file, writes there how far it came, so that the next run begins
    /// right after. Doing it again changes nothing. In a fork of the process it ends only the fork's own copy.
    ///
    /// # Errors
    ///
    /// [`HorizonFileError::Io`]: it is closed, but the next run begins at the file's horizon, a little ahead of the clock.
    pub fn close(&self) -> Result<(), HorizonFileError> {
        match (&self.inner.guards.file, self.inner.close()) {
            (Some(file), Some(end_ms)) => file.finish(end_ms),
            _ => Ok(()),
        }
    }

    #[cold]
    fn wait_blocking(&self) -> Result<Id, MintError> {
        let mut queue = Queue::default();
        loop {
            match queue.step(&self.inner) {
                Step::Done(result) => return result,
                Step::Wait(wait) => std::thread::sleep(wait),
            }
        }
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
            #[cfg(feature = "raus")]
            lease: None,
        }
    }

    #[cfg(feature = "raus")]
    pub(crate) fn with_lease(self, lease: raus::MachineId) -> Self {
        Self {
            lease: Some(lease),
            ..self
        }
    }

    #[cfg(feature = "raus")]
    pub(crate) const fn lease(&self) -> Option<&raus::MachineId> {
        self.lease.as_ref()
    }

    pub(crate) const fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}
