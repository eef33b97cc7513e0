//! Waiting for something, never forever.

use std::{thread, time::Duration};

use anyhow::Result;
use coord_core::clock::{Clock, SystemClock};

/// Asks `probe` every few milliseconds until it answers, at most for `within`.
///
/// `probe` is asked at least once. Blocks the thread: in an async test use [`until_async`].
#[must_use]
pub fn until<T>(within: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = SystemClock.now() + within;
    loop {
        let found = probe();
        if found.is_some() || deadline <= SystemClock.now() {
            return found;
        }
        thread::sleep(PAUSE);
    }
}

/// [`until`] for a probe that says what is still missing.
///
/// # Errors
///
/// The probe's last one, when it never succeeded.
pub fn until_ok<T>(within: Duration, mut probe: impl FnMut() -> Result<T>) -> Result<T> {
    let mut last = None;
    let found = until(within, || probe().map_err(|error| last = Some(error)).ok());
    match (found, last) {
        (Some(found), _) => Ok(found),
        (None, Some(error)) => Err(error.context(format!("after {within:?}"))),
        (None, None) => unreachable!("the probe is asked at least once"),
    }
}

/// [`until`] for async tests: sleeps on the runtime between two probes.
///
/// # Cancel safety
///
/// Cancel safe: nothing is kept between two probes.
pub async fn until_async<T>(
    within: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let deadline = SystemClock.now() + within;
    loop {
        let found = probe().await;
        if found.is_some() || deadline <= SystemClock.now() {
            return found;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

const PAUSE: Duration = Duration::from_millis(5);
