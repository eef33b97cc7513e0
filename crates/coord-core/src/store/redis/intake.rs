//! A server's bytes on their way to the client, which holds as many of them as come: here they end where they have become
//! too many.
//!
//! | what comes | most of it |
//! | --- | --- |
//! | one message | [`LIMIT`] |
//! | replies to one pipeline, not passed on before the last one | [`LIMIT`], and [`SHARE`] for each |
//! | confirmations of subscriptions, of which the client keeps a list | [`LIMIT`] a connection |
//! | messages on a channel that nobody has read yet | [`UNREAD`]; then no more is taken from the server |
//!
//! All in bytes as they are held, where each value costs something beside its own.

mod frames;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
#[cfg(test)]
mod tests;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::frames::{Frame, Frames};
use crate::store::StoreError;

/// The most of one message. The largest reply that our scripts make, 1,024 slots inspected at once, takes a fifth of it.
pub(super) const LIMIT: u64 = 16 << 20;
/// What each reply of a pipeline may take besides: more than the answer to a heartbeat that grants all that it may.
const SHARE: u64 = 32 << 10;
/// The most that waits for whoever listens to a channel.
const UNREAD: u64 = 256 << 10;
/// How much is read at a time where somebody listens: what is in it counts when it has been read.
const GULP: usize = 64 << 10;

/// Why nothing more is taken from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "the server sends more than {} MiB at once, which no reply to this program takes, so the connection was dropped; \
         see whether a Redis or Valkey server listens there",
        limit >> 20
    )]
    TooLarge { limit: u64 },
    #[error(
        "the server sends a line of more than {} KiB, so the connection was dropped; see whether a Redis or Valkey server \
         listens there",
        Frames::MAX_LINE >> 10
    )]
    TooLong,
    #[error(
        "the server sends arrays within arrays, more than {} deep, so the connection was dropped; see whether a Redis or \
         Valkey server listens there",
        Frames::MAX_DEPTH
    )]
    TooDeep,
    #[error(
        "the server sends what is neither RESP2 nor RESP3, so the connection was dropped; see whether a Redis or Valkey \
         server listens there, and whether it wants TLS"
    )]
    NotResp,
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(io::ErrorKind::InvalidData, refusal)
    }
}

/// What a connection holds, for those who use it.
#[derive(Clone, Default)]
pub(super) struct Gauge(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    refusal: Option<Refusal>,
    /// How many bytes have come.
    received: u64,
    /// How many operations are under way.
    users: usize,
    /// What replies took beyond their share since nothing was under way.
    excess: u64,
    confirmations: u64,
    /// What came since nothing was left to read; `None` where nobody listens.
    unread: Option<u64>,
    /// Who waits until it is read.
    reader: Option<Waker>,
}

/// An operation under way.
pub(super) struct Use {
    gauge: Gauge,
    /// What had come when it began.
    received: u64,
}

impl Use {
    /// Whether nothing has come since it began, for whomever.
    pub(super) fn heard_nothing(&self) -> bool {
        self.gauge.state().received == self.received
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.gauge.state().users -= 1;
    }
}

impl Gauge {
    /// For a connection with a subscription, whose messages wait to be read.
    pub(super) fn listening() -> Self {
        let gauge = Self::default();
        gauge.state().unread = Some(0);
        gauge
    }

    /// `error` of this connection, with why it was dropped: the client tells that to one of those who wait at most.
    pub(super) fn explain(&self, error: StoreError) -> StoreError {
        match (error, self.state().refusal) {
            (
                StoreError::Broken {
                    operation, address, ..
                },
                Some(refusal),
            ) => StoreError::Broken {
                operation,
                address,
                source: Arc::new(refusal),
            },
            (error, _) => error,
        }
    }

    /// Replies may be held until this is dropped.
    pub(super) fn begin(&self) -> Use {
        let mut state = self.state();
        if state.users == 0 {
            state.excess = 0;
        }
        state.users += 1;
        let received = state.received;
        drop(state);
        Use {
            gauge: self.clone(),
            received,
        }
    }

    /// Nothing is left to read.
    pub(super) fn read_all(&self) {
        let mut state = self.state();
        if let Some(unread) = &mut state.unread {
            *unread = 0;
        }
        let waiting = state.reader.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    fn poll_ready(&self, context: &Context<'_>) -> Poll<Result<bool, Refusal>> {
        let mut state = self.state();
        if let Some(refusal) = state.refusal {
            return Poll::Ready(Err(refusal));
        }
        if state.unread.is_some_and(|unread| UNREAD < unread) {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(state.unread.is_some()))
    }

    /// Follows `bytes` that were received.
    fn take(&self, frames: &mut Frames, mut bytes: &[u8]) -> Result<(), Refusal> {
        let mut state = self.state();
        state.received += bytes.len() as u64;
        let outcome = loop {
            match frames.next(&mut bytes) {
                Ok(None) => break Ok(()),
                Ok(Some(frame)) => {
                    if let Err(refusal) = state.count(frame) {
                        break Err(refusal);
                    }
                }
                Err(refusal) => break Err(refusal),
            }
        };
        state.refusal = outcome.err();
        outcome
    }

    /// What is guarded is valid after every statement, so a panic elsewhere leaves it so.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, frame: Frame) -> Result<(), Refusal> {
        match &mut self.unread {
            _ if frame.is_confirmation => self.confirmations += frame.cost,
            Some(unread) => *unread += frame.cost,
            // With nothing under way, the client passes over whatever comes.
            None if self.users == 0 => self.excess = 0,
            None => self.excess = (self.excess + frame.cost).saturating_sub(SHARE),
        }
        if LIMIT < self.excess.max(self.confirmations) {
            return Err(Refusal::TooLarge { limit: LIMIT });
        }
        Ok(())
    }
}

/// A stream to a server that ends where the server sends too much.
pub(super) struct Intake<S> {
    stream: S,
    frames: Frames,
    gauge: Gauge,
    /// What logs say.
    address: String,
}

impl<S> Intake<S> {
    pub(super) fn new(stream: S, gauge: Gauge, address: String) -> Self {
        Self {
            stream,
            frames: Frames::new(LIMIT),
            gauge,
            address,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Intake<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_listening = ready!(this.gauge.poll_ready(context))?;
        let before = buffer.filled().len();
        if is_listening {
            let most = buffer.remaining().min(GULP);
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut part))?;
            let received = part.filled().len();
            buffer.advance(received);
        } else {
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        }
        let received = &buffer.filled()[before..];
        if let Err(refusal) = this.gauge.take(&mut this.frames, received) {
            tracing::warn!(address = %this.address, error = %refusal, "connection dropped");
            buffer.set_filled(before);
            return Poll::Ready(Err(refusal.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Intake<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
