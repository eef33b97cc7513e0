//! Several machine IDs as one generator.

use std::{
    cell::Cell,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use crate::{BuildError, Generator, Id, Layout, MintError, roster::Roster, timer::Alarm};

/// Mints from several generators, each with a machine ID of its own: N of them sustain N times what a layout's sequence
/// allows one. Made by [`Generator::from_pool`]. Cheap to clone.
///
/// No two generators of a pool ever mint under one machine ID at the same time: from two namespaces they could get the same.
/// Generators that are not in one pool are spaces of IDs of their own, one for each namespace and for each way to assign
/// machine IDs: their IDs may be equal.
///
/// A generator that lost its machine ID drops out until it has one again. IDs are in order only to the unit of time, also those
/// of one thread.
#[derive(Debug, Clone)]
pub struct Pool {
    generators: Arc<[Generator]>,
    /// For the generators, which know it as long as the pool lives.
    _roster: Arc<Roster>,
}

impl Pool {
    pub(crate) fn new(generators: Arc<[Generator]>) -> Result<Self, BuildError> {
        let Some(first) = generators.first() else {
            return Err(BuildError::Pool);
        };
        let layout = first.layout();
        if generators.iter().any(|it| it.layout() != layout) {
            return Err(BuildError::Pool);
        }
        let roster = Arc::new(Roster::default());
        for (member, generator) in generators.iter().enumerate() {
            let inner = generator.inner();
            // A clone shares its counter, and so repeats nothing.
            let is_clone = |other: &Generator| Arc::ptr_eq(other.inner(), inner);
            if !generators[..member].iter().any(is_clone) {
                inner
                    .join(&roster, member)
                    .map_err(|machine_id| BuildError::PoolMachineId { machine_id })?;
            }
        }
        Ok(Self {
            generators,
            _roster: roster,
        })
    }

    /// Mints an ID without waiting, from the first generator that has one; each thread begins with another.
    ///
    /// # Errors
    ///
    /// [`MintError::Wait`] until the first of them has one again; if none will by waiting, what one of them says.
    #[inline]
    pub fn try_next(&self) -> Result<Id, MintError> {
        let first = thread_number() % self.generators.len();
        let (before, after) = self.generators.split_at(first);
        let mut failed = None;
        for generator in after.iter().chain(before) {
            match generator.try_next() {
                Ok(id) => return Ok(id),
                Err(error) => failed = Some(sooner(failed, error)),
            }
        }
        Err(failed.expect("a pool is never empty"))
    }

    /// Mints an ID, waiting while none is left. Runs on any runtime.
    ///
    /// # Errors
    ///
    /// As [`Pool::try_next`], but never [`MintError::Wait`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&self) -> Result<Id, MintError> {
        loop {
            match self.try_next() {
                Err(MintError::Wait { duration, .. }) => sleep(duration).await,
                result => return result,
            }
        }
    }

    /// Mints an ID, sleeping while none is left. Not for asynchronous code.
    ///
    /// # Errors
    ///
    /// As [`Pool::try_next`], but never [`MintError::Wait`].
    pub fn next_blocking(&self) -> Result<Id, MintError> {
        loop {
            match self.try_next() {
                Err(MintError::Wait { duration, .. }) => std::thread::sleep(duration),
                result => return result,
            }
        }
    }

    /// The generators.
    #[must_use]
    pub fn generators(&self) -> &[Generator] {
        &self.generators
    }

    /// The layout of the IDs.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.generators[0].layout()
    }
}

/// The failure that is over first.
fn sooner(before: Option<MintError>, error: MintError) -> MintError {
    match (before, error) {
        (
            Some(MintError::Wait {
                duration: a,
                until_ms,
            }),
            MintError::Wait {
                duration: b,
                until_ms: later,
            },
        ) => {
            let (duration, until_ms) = (a, until_ms).min((b, later));
            MintError::Wait { duration, until_ms }
        }
        (Some(wait @ MintError::Wait { .. }), _) => wait,
        (_, error) => error,
    }
}

/// Spreads threads over the generators.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.with(|number| {
        number.get().unwrap_or_else(|| {
            let mine = NEXT.fetch_add(1, Ordering::Relaxed);
            number.set(Some(mine));
            mine
        })
    })
}

async fn sleep(duration: Duration) {
    let mut alarm = None;
    poll_fn(|context| match alarm {
        None => {
            alarm = Some(Alarm::set(duration, context.waker().clone()));
            Poll::Pending
        }
        Some(_) => Poll::Ready(()),
    })
    .await;
}
