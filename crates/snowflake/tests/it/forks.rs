//! A forked child keeps the files of its whole process locked for as long as it lives, so tests that lock a file again
//! must not run beside one that forks.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static FORKS: RwLock<()> = RwLock::new(());

/// No child is alive while this is held.
pub(crate) fn none() -> RwLockReadGuard<'static, ()> {
    FORKS.read().unwrap_or_else(PoisonError::into_inner)
}

/// To be held from the fork until the child has ended.
#[cfg(unix)]
pub(crate) fn one() -> RwLockWriteGuard<'static, ()> {
    FORKS.write().unwrap_or_else(PoisonError::into_inner)
}
