//! Why an operation on a store failed, and what that says about whether it was executed.

use std::{error::Error as StdError, sync::Arc, time::Duration};

/// An operation on a store failed.
///
/// Cloneable, because one broken connection fails every command of a pipeline. Messages never contain credentials.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The options contradict each other or this build.
    #[error("connection options: {problem}")]
    Misconfigured {
        /// What contradicts what, and how to mend it.
        problem: String,
    },
    /// No connection could be made.
    #[error("{operation}: no connection to {address}")]
    Connect {
        /// The operation that needed the connection.
        operation: &'static str,
        /// The address, without credentials.
        address: String,
        /// The cause.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The server rejected the user name or password, or wants one.
    #[error(
        "{operation}: {address} rejected the credentials ({code}); check user and password in the URL"
    )]
    Credentials {
        /// The operation that needed the connection.
        operation: &'static str,
        /// The address, without credentials.
        address: String,
        /// The server's error code, such as `WRONGPASS`.
        code: String,
    },
    /// No answer came in time. The operation may have been executed, or may yet be.
    #[error("{operation}: no answer from {address} within {within:?}")]
    Timeout {
        /// The operation.
        operation: &'static str,
        /// The address, without credentials.
        address: String,
        /// How long was waited.
        within: Duration,
    },
    /// The connection broke. The operation may have been executed.
    #[error("{operation}: connection to {address} broke")]
    Broken {
        /// The operation.
        operation: &'static str,
        /// The address, without credentials.
        address: String,
        /// The cause.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The server answered that it cannot do this now (loading, read-only, failing over); it was not executed.
    #[error("{operation}: {address} cannot serve now: {code} {detail}")]
    Unavailable {
        /// The operation.
        operation: &'static str,
        /// The address, without credentials.
        address: String,
        /// The server's error code, such as `LOADING` or `READONLY`.
        code: String,
        /// The rest of the server's message.
        detail: String,
    },
    /// The server refused the operation for a reason that does not pass by itself.
    #[error("{operation}: {address} refused: {code} {detail}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// The address, without credentials.
        address: String,
        /// The server's error code, such as `NOPERM`, `OOM` or `WRONGTYPE`.
        code: String,
        /// The rest of the server's message.
        detail: String,
    },
    /// The connection that the user brought cannot do this.
    #[error("{operation}: {address} cannot be used for this; {remedy}")]
    Unsupported {
        /// The operation.
        operation: &'static str,
        /// Where the connection leads.
        address: String,
        /// What to bring for it.
        remedy: String,
    },
    /// The server executed the write, but fewer replicas than wanted acknowledged it in time.
    #[error(
        "{operation}: executed, but {found} of {wanted} replicas acknowledged it in time, so it does not count; start \
         the missing replicas or lower acknowledge({wanted})"
    )]
    Unacknowledged {
        /// The operation.
        operation: &'static str,
        /// How many replicas acknowledged it.
        found: u32,
        /// How many replicas the option `acknowledge` asks for.
        wanted: u32,
    },
    /// The server answered something that no version of this protocol answers.
    #[error("{operation}: unexpected reply {reply}")]
    Unexpected {
        /// The operation.
        operation: &'static str,
        /// The reply, shortened.
        reply: String,
    },
}

/// How much of a reply an error shows, in bytes.
const SHOWN_MOST: usize = 200;

/// Writes `reply` in ASCII until there is more than is shown, however large it is.
fn show(reply: &super::Reply, text: &mut String) {
    use super::Reply;

    match reply {
        Reply::Nil => text.push_str("nil"),
        Reply::Int(number) => text.push_str(&number.to_string()),
        Reply::Bytes(bytes) => {
            let beginning = &bytes[..bytes.len().min(SHOWN_MOST + 1)];
            text.push_str(&format!("\"{}\"", beginning.escape_ascii()));
        }
        Reply::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if SHOWN_MOST < text.len() {
                    return;
                }
                text.push_str(if index == 0 { "" } else { ", " });
                show(item, text);
            }
            text.push(']');
        }
    }
}

impl StoreError {
    /// An [`Unexpected`](Self::Unexpected) reply, shortened to a length that fits a log line.
    #[must_use]
    pub fn unexpected(operation: &'static str, reply: &super::Reply) -> Self {
        let mut text = String::new();
        show(reply, &mut text);
        if SHOWN_MOST < text.len() {
            text.truncate(SHOWN_MOST);
            text.push('…');
        }
        Self::Unexpected {
            operation,
            reply: text,
        }
    }

    /// The message with those of all causes, for a place that keeps no source.
    #[cfg(any(feature = "cluster", feature = "sentinel"))]
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut source = StdError::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }

    /// Whether the operation may have been executed although no answer came.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Broken { .. })
    }

    /// Whether trying again, without changing anything, may succeed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Timeout { .. }
                | Self::Broken { .. }
                | Self::Unavailable { .. }
                | Self::Unacknowledged { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Reply;

    #[test]
    fn a_reply_is_shown_as_text_and_as_much_of_it_as_fits_a_line() {
        let text = |text: &str| Reply::Bytes(text.as_bytes().to_vec());
        let check = |reply: &Reply, expected: &str| {
            let error = StoreError::unexpected("renew", reply);
            assert_eq!(
                error.to_string(),
                format!("renew: unexpected reply {expected}")
            );
        };
        let reply = Reply::Array(vec![text("a\u{1b}[2J"), Reply::Int(-1), Reply::Nil]);
        check(&reply, r#"["a\x1b[2J", -1, nil]"#);
        let long = "x".repeat(1 << 20);
        check(&text(&long), &format!("\"{}…", &long[..199]));
        let many = Reply::Array(vec![Reply::Int(7); 1 << 20]);
        let error = StoreError::unexpected("renew", &many).to_string();
        assert!(error.len() < 300, "{} bytes", error.len());
    }
}
