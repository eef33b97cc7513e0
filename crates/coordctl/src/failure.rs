//! Why a command ends early, and its exit code.

use std::{io, process::ExitCode};

use raus::AcquireError;
use raus::StoreError;

/// What a command could not do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was tried, or found out, and did not succeed.
    Failed(String),
    /// What was asked for cannot be; nothing was changed.
    Usage(String),
    /// The server cannot be reached.
    Unreachable(String),
    /// There is nothing of what was asked for.
    Unavailable(String),
    /// A lease is over.
    Lost(String),
    /// A program could not be run.
    Program { code: u8, message: String },
    /// Whoever reads the output has heard enough.
    Closed,
    /// A signal came before there was anything to end.
    Signal(i32),
}

impl Failure {
    /// The exit code, as `cli::EXIT_CODES` lists it.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Unavailable(_) => 4,
            Self::Lost(_) => LEASE_LOST,
            Self::Program { code, .. } => *code,
            Self::Closed => 0,
            Self::Signal(number) => u8::try_from(128 + number).unwrap_or(u8::MAX),
        })
    }

    /// What to tell the user.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Failed(message)
            | Self::Usage(message)
            | Self::Unreachable(message)
            | Self::Unavailable(message)
            | Self::Lost(message)
            | Self::Program { message, .. } => Some(message),
            Self::Closed | Self::Signal(_) => None,
        }
    }

    fn of_store(error: &StoreError, whole: &dyn std::error::Error) -> Self {
        let message = causes(whole);
        match error {
            StoreError::Connect { .. } | StoreError::Timeout { .. } => Self::Unreachable(format!(
                "{message}; is a server running there? Start one (redis-server --port PORT), or correct --url"
            )),
            StoreError::Credentials { .. } => Self::Unreachable(message),
            _ if error.is_transient() => Self::Unreachable(message),
            _ => Self::Failed(message),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(causes(&error)),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of_store(&error, &error)
    }
}

impl From<raus::ConfigError> for Failure {
    fn from(error: raus::ConfigError) -> Self {
        Self::Usage(causes(&error))
    }
}

impl From<redbuckets::ConfigError> for Failure {
    fn from(error: redbuckets::ConfigError) -> Self {
        Self::Usage(causes(&error))
    }
}

impl From<AcquireError> for Failure {
    fn from(error: AcquireError) -> Self {
        match &error {
            AcquireError::Store(cause) => Self::of_store(cause, &error),
            AcquireError::WrongType { .. }
            | AcquireError::Garbled { .. }
            | AcquireError::HorizonAhead { .. }
            | AcquireError::Unverified
            | AcquireError::NewerVersion { .. }
            | AcquireError::Evicting(_)
            | AcquireError::Heartbeat(_) => Self::Failed(causes(&error)),
            _ => Self::Unavailable(causes(&error)),
        }
    }
}

impl From<raus::DescribeError> for Failure {
    fn from(error: raus::DescribeError) -> Self {
        match &error {
            raus::DescribeError::Store(cause) => Self::of_store(cause, &error),
            _ => Self::Failed(causes(&error)),
        }
    }
}

impl From<raus::inspect::InspectError> for Failure {
    fn from(error: raus::inspect::InspectError) -> Self {
        match &error {
            raus::inspect::InspectError::Store(cause) => Self::of_store(cause, &error),
            _ => Self::Failed(causes(&error)),
        }
    }
}

impl From<raus::inspect::ImportError> for Failure {
    fn from(error: raus::inspect::ImportError) -> Self {
        match error {
            raus::inspect::ImportError::Inspect(cause) => cause.into(),
            raus::inspect::ImportError::Unusable(_) => Self::Usage(causes(&error)),
            _ => Self::Failed(causes(&error)),
        }
    }
}

impl From<redbuckets::inspect::InspectError> for Failure {
    fn from(error: redbuckets::inspect::InspectError) -> Self {
        match &error {
            redbuckets::inspect::InspectError::Store(cause) => Self::of_store(cause, &error),
            redbuckets::inspect::InspectError::Absent => Self::Unavailable(
                "there is no such group; check --group and --prefix, or start an instance of it"
                    .to_owned(),
            ),
            _ => Self::Failed(causes(&error)),
        }
    }
}

/// As `cli::EXIT_CODES` lists it.
pub(crate) const LEASE_LOST: u8 = 5;

/// An error with all its causes in one line; one that its effect already names is not said twice.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_kind_has_the_documented_code() {
        let timeout = || StoreError::Timeout {
            operation: "inspect",
            address: "redis://h:1/0".to_owned(),
            within: Duration::from_secs(2),
        };
        let code = |failure: Failure| format!("{:?}", failure.code());
        let expected = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(code(timeout().into()), expected(3));
        assert_eq!(code(AcquireError::Store(timeout()).into()), expected(3));
        let limit = Duration::ZERO;
        assert_eq!(code(AcquireError::TimedOut { limit }.into()), expected(4));
        assert_eq!(code(Failure::Signal(15)), expected(143));
        assert_eq!(
            code(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            expected(0)
        );
    }
}
