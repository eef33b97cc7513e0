//! Waiting for the next ID.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::{Generator, Id, MintError, inner::Inner, timer::Alarm};

/// The future of [`Generator::next`].
#[must_use = "futures do nothing unless polled"]
pub struct Next<'a> {
    generator: &'a Generator,
    queue: Queue,
    /// Until when refusals that may pass are waited out, by the boot-time clock.
    deadline: Option<Duration>,
    alarm: Option<Alarm>,
    sleep: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    waiter: Option<u64>,
}

/// A place in the queue for IDs: a ticket whose time has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    held: Option<(Id, Duration)>,
}

/// What a place in the queue is good for by now.
#[derive(Debug)]
pub(crate) enum Step {
    Done(Result<Id, MintError>),
    Wait(Duration),
}

impl<'a> Next<'a> {
    pub(crate) const fn new(generator: &'a Generator, deadline: Option<Duration>) -> Self {
        Self {
            generator,
            queue: Queue { held: None },
            deadline,
            alarm: None,
            sleep: None,
            waiter: None,
        }
    }

    /// What to do now, where a deadline allows more waiting than an ID's own.
    fn step(&mut self) -> Step {
        let inner = self.generator.inner();
        let step = self.queue.step(inner);
        let Some(deadline) = self.deadline else {
            return step;
        };
        let left = deadline.saturating_sub(inner.source.boot());
        match step {
            Step::Wait(wait) if left.is_zero() => Step::Done(Err(MintError::Wait {
                duration: wait,
                until_ms: crate::clock::millis(inner.source.wall() + wait),
            })),
            Step::Wait(wait) => Step::Wait(wait.min(left)),
            Step::Done(Err(error)) if error.may_pass() && !left.is_zero() => Step::Wait(left),
            Step::Done(result) => Step::Done(result),
        }
    }

    /// Arranges to be polled again. `false` if that is due at once.
    fn arm(&mut self, wait: Duration, context: &mut Context<'_>) -> bool {
        let inner = self.generator.inner();
        let sleep = inner.source.custom().and_then(|clock| clock.sleep(wait));
        match sleep {
            Some(mut sleep) => {
                if sleep.as_mut().poll(context).is_ready() {
                    return false;
                }
                self.sleep = Some(sleep);
            }
            None => self.alarm = Some(Alarm::set(wait, context.waker().clone())),
        }
        true
    }

    fn disarm(&mut self) {
        self.alarm = None;
        self.sleep = None;
        if let Some(key) = self.waiter.take() {
            self.generator.inner().waiters.remove(key);
        }
    }
}

impl Future for Next<'_> {
    type Output = Result<Id, MintError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Ok(id) = this.queue.try_next(this.generator.inner()) {
            this.disarm();
            return Poll::Ready(Ok(id));
        }
        for _ in 0..POLLS {
            this.disarm();
            // Before the look, or a change in between would wake nobody.
            let waiter = this.generator.inner().waiters.add(context.waker().clone());
            this.waiter = Some(waiter);
            match this.step() {
                Step::Done(result) => {
                    this.disarm();
                    return Poll::Ready(result);
                }
                Step::Wait(wait) => {
                    if this.arm(wait, context) {
                        return Poll::Pending;
                    }
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Next<'_> {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// An ID without waiting, if there is one and this is not queued already.
    #[inline]
    fn try_next(&self, inner: &Inner) -> Result<Id, MintError> {
        if self.held.is_some() {
            return Err(MintError::NotGranted);
        }
        inner.try_next()
    }

    pub(crate) fn step(&mut self, inner: &Inner) -> Step {
        let Some((id, due)) = self.held else {
            return self.join(inner);
        };
        // The ID stays unique whatever happened, but a generator that must stop hands out nothing.
        if let Err(error) = inner.authority() {
            self.held = None;
            return Step::Done(Err(error));
        }
        let wait = inner.timeline().wait_for(inner.read_clocks(), due);
        if wait.is_zero() {
            self.held = None;
            // The ID is of the present unit, in which another process may have begun with another file.
            if let Err(error) = inner.check_file() {
                return Step::Done(Err(error));
            }
            return Step::Done(Ok(id));
        }
        Step::Wait(wait)
    }

    fn join(&mut self, inner: &Inner) -> Step {
        let wait = match inner.try_next() {
            Err(MintError::Wait { duration, .. }) => duration,
            other => return Step::Done(other),
        };
        let unit = inner.state.fields().layout.unit();
        if wait > unit * MAX_QUEUE {
            return Step::Wait(wait);
        }
        let Ok(authority) = inner.authority() else {
            return Step::Wait(wait);
        };
        match inner.state.take(authority) {
            (ticket, Some(id)) => {
                let due = inner.unit_time(inner.state.fields().unit(ticket));
                self.held = Some((id, due));
                Step::Wait(inner.timeline().wait_for(inner.read_clocks(), due))
            }
            // At the horizon: the next look says so.
            (_, None) => {
                inner.note(crate::state::Missed::Wasted);
                Step::Wait(Duration::ZERO)
            }
        }
    }
}

/// A queue of more units than this is not joined but waited out, so that cancelled waits cannot run the counter far ahead.
const MAX_QUEUE: u32 = 16;

/// How often one poll looks again when its wait was over at once.
const POLLS: u32 = 8;
