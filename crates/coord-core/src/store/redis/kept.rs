//! One connection that is kept, and how the next one comes about.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::Shared};

use crate::store::{BoxFuture, StoreError};

/// A connection being made, for all who wait for it.
pub(super) type Opening<T> = Shared<BoxFuture<'static, Result<T, StoreError>>>;

/// A connection, while there is one.
pub(super) struct Kept<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Option<T>,
    opening: Option<Opening<T>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        let state = State {
            current: None,
            opening: None,
        };
        Self {
            state: Mutex::new(state),
        }
    }
}

impl<T: Clone> Kept<T> {
    /// The connection; where there is none, that which is being made, or else the one that `open` begins to make. Waits
    /// `within` for it; making it goes on afterwards.
    pub(super) async fn get(
        &self,
        operation: &'static str,
        address: &str,
        within: Duration,
        open: impl FnOnce() -> Opening<T>,
    ) -> Result<T, StoreError> {
        let opening = {
            let mut state = self.state();
            if let Some(current) = &state.current {
                return Ok(current.clone());
            }
            // One that failed while nobody waited says nothing about now.
            let usable = |opening: &&Opening<T>| !matches!(opening.peek(), Some(Err(_)));
            match state.opening.as_ref().filter(usable) {
                Some(opening) => opening.clone(),
                None => state.opening.insert(open()).clone(),
            }
        };
        let outcome = tokio::time::timeout(within, opening.clone()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(timed_out(operation, address)));
        let mut state = self.state();
        // Whoever sees the outcome first puts it in place.
        let is_own = state.opening.as_ref().is_some_and(|it| it.ptr_eq(&opening));
        if opening.peek().is_some() && is_own {
            state.opening = None;
            state.current = outcome.as_ref().ok().cloned();
        }
        outcome
    }

    /// Takes the connection out of use, where it is one that `condemned` means.
    pub(super) fn take_if(&self, condemned: impl FnOnce(&T) -> bool) -> Option<T> {
        self.state().current.take_if(|current| condemned(current))
    }

    /// What is guarded is valid after every statement, so a panic elsewhere leaves it so.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a connection in a task of its own, which goes on when nobody waits.
pub(super) fn begin<T: Clone + Send + Sync + 'static>(
    operation: &'static str,
    address: &str,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Opening<T> {
    let address = address.to_owned();
    let work = tokio::spawn(work).map(move |joined| {
        // A task ends without an outcome where its runtime is shut down, or a user's function panicked.
        joined.unwrap_or_else(|error| {
            Err(StoreError::Connect {
                operation,
                address,
                source: Arc::new(error),
            })
        })
    });
    work.boxed().shared()
}

pub(super) fn timed_out(operation: &'static str, address: &str) -> StoreError {
    StoreError::Connect {
        operation,
        address: address.to_owned(),
        source: Arc::new(io::Error::from(io::ErrorKind::TimedOut)),
    }
}
