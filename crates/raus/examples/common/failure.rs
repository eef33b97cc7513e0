//! How the examples end when they cannot go on: one message with all causes, what to start where no server answers, and
//! exit code 2 for what cannot be asked for, 1 for the rest. `ConfigError` and `StoreError` are those of the example's crate.

use std::{error::Error, process::ExitCode};

use super::{ConfigError, StoreError};

/// Says why `program` ends.
pub(crate) fn tell(program: &str, error: &(dyn Error + 'static)) -> ExitCode {
    let mut message = error.to_string();
    let (mut is_misuse, mut is_unreachable) = (false, false);
    let mut next = Some(error);
    while let Some(error) = next {
        let cause = error.to_string();
        // Some name their cause themselves.
        if !message.ends_with(&cause) {
            message = format!("{message}: {cause}");
        }
        is_misuse |= error.is::<ConfigError>();
        is_unreachable |= matches!(
            error.downcast_ref(),
            Some(StoreError::Connect { .. } | StoreError::Timeout { .. })
        );
        next = error.source();
    }
    eprintln!("{program}: {message}");
    if is_unreachable {
        eprintln!(
            "{program}: is a server running there? Start one (redis-server), or correct --redis"
        );
    }
    ExitCode::from(if is_misuse { 2 } else { 1 })
}
