//! The words that a heartbeat's driver shares with other threads without a lock: how long a lease holds, and whether a
//! heartbeat was asked for. `model` is their proof by loom.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// An atomic `u64`, so that a model can replace it.
pub(super) trait Word: fmt::Debug {
    fn new(value: u64) -> Self;
    fn load(&self, order: Ordering) -> u64;
    fn swap(&self, value: u64, order: Ordering) -> u64;
    fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64>;
}

macro_rules! word {
    ($atomic:ty) => {
        impl Word for $atomic {
            fn new(value: u64) -> Self {
                <$atomic>::new(value)
            }

            fn load(&self, order: Ordering) -> u64 {
                self.load(order)
            }

            fn swap(&self, value: u64, order: Ordering) -> u64 {
                self.swap(value, order)
            }

            fn compare_exchange(
                &self,
                current: u64,
                new: u64,
                success: Ordering,
                failure: Ordering,
            ) -> Result<u64, u64> {
                self.compare_exchange(current, new, success, failure)
            }
        }
    };
}

word!(AtomicU64);

/// When a lease ends, in nanoseconds of boot time; 0 once it was revoked, and then for ever.
#[derive(Debug)]
pub(super) struct Deadline<W = AtomicU64>(W);

impl<W: Word> Deadline<W> {
    pub(super) fn until(ns: u64) -> Self {
        Self(W::new(ns))
    }

    pub(super) fn ns(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Moves the end, unless it was revoked.
    pub(super) fn extend(&self, ns: u64) {
        let mut before = self.0.load(Ordering::Relaxed);
        // One driver extends a lease, so this is tried again only where it was revoked in between, and then ends.
        while before != 0 {
            let moved = self
                .0
                .compare_exchange(before, ns, Ordering::Release, Ordering::Relaxed);
            match moved {
                Ok(_) => return,
                Err(now) => before = now,
            }
        }
    }

    pub(super) fn revoke(&self) {
        self.0.swap(0, Ordering::AcqRel);
    }
}

/// Whether an early heartbeat was asked for.
#[derive(Debug)]
pub(super) struct Request<W = AtomicU64>(W);

impl<W: Word> Request<W> {
    pub(super) fn new() -> Self {
        Self(W::new(0))
    }

    /// Asks; whether nobody had before.
    pub(super) fn raise(&self) -> bool {
        self.0.swap(1, Ordering::AcqRel) == 0
    }

    pub(super) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// Takes what was asked for so far. Whoever takes it sees what the askers did before: a swap and not a store, which
    /// could fall on a request without having seen anything of it.
    pub(super) fn take(&self) {
        self.0.swap(0, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod model;
