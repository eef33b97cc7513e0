//! A simulated process: its tasks run through a gate that can be shut (SIGSTOP) or torn down (SIGKILL).

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use coord_core::{spawn::Spawn, store::BoxFuture};

/// Everything that one simulated process runs.
#[derive(Clone, Default)]
pub struct Gate {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    state: State,
    waiting: Vec<Waker>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Running,
    Paused,
    Killed,
}

impl Gate {
    /// Nothing of the process is polled until [`resume`](Self::resume); its timers fire late.
    pub fn pause(&self) {
        self.change(State::Paused);
    }

    /// The process goes on.
    pub fn resume(&self) {
        self.change(State::Running);
    }

    /// Every task is dropped at once, wherever it waits; what it has sent is on its way all the same.
    pub fn kill(&self) {
        self.change(State::Killed);
    }

    /// Whether the process runs now.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared().state == State::Running
    }

    /// Runs `task` as part of the process.
    pub fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(Gated {
            gate: self.clone(),
            task: Some(Box::pin(task)),
        });
    }

    fn change(&self, state: State) {
        let woken = {
            let mut shared = self.shared();
            if shared.state == State::Killed {
                return;
            }
            shared.state = state;
            std::mem::take(&mut shared.waiting)
        };
        woken.into_iter().for_each(Waker::wake);
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spawn for Gate {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.run(task);
    }
}

struct Gated {
    gate: Gate,
    task: Option<BoxFuture<'static, ()>>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let state = {
            let mut shared = self.gate.shared();
            // Kept in every state, so that a kill reaches a task that waits for something else.
            if !shared
                .waiting
                .iter()
                .any(|waker| waker.will_wake(context.waker()))
            {
                shared.waiting.push(context.waker().clone());
            }
            shared.state
        };
        match (state, &mut self.task) {
            (State::Paused, Some(_)) => Poll::Pending,
            (State::Running, Some(task)) => task.as_mut().poll(context),
            (State::Killed, _) | (_, None) => {
                self.task = None;
                Poll::Ready(())
            }
        }
    }
}
