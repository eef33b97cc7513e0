//! Where background work runs.

use std::{fmt, sync::Arc};

use tokio::{runtime::Handle, sync::mpsc, task::JoinSet};

use crate::store::BoxFuture;

/// Starts background tasks. Implement it to place them yourself, as the simulation does to pause a whole process.
pub trait Spawn: Send + Sync + 'static {
    /// Starts `task`; it must be polled inside a Tokio runtime with time and IO enabled.
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

/// Where heartbeats run.
///
/// The default is a thread of its own with a current-thread runtime, so that a user's blocked runtime cannot lose a
/// lease. Defaults to [`Placement::OwnThread`].
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Placement {
    /// A thread of its own.
    #[default]
    OwnThread,
    /// A runtime of the caller's: heartbeats stop when it is blocked or shut down.
    Runtime(Handle),
    /// Wherever the caller's spawner puts it.
    Custom(Arc<dyn Spawn>),
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnThread => "OwnThread",
            Self::Runtime(_) => "Runtime",
            Self::Custom(_) => "Custom",
        })
    }
}

impl Placement {
    /// A spawner for this placement; for [`Placement::OwnThread`] this starts the thread.
    ///
    /// # Errors
    ///
    /// The system's error where no thread or runtime can be started.
    pub fn spawner(&self) -> std::io::Result<Arc<dyn Spawn>> {
        Ok(match self {
            Self::OwnThread => Arc::new(OwnThread::start()?),
            Self::Runtime(handle) => Arc::new(OnRuntime(handle.clone())),
            Self::Custom(spawner) => Arc::clone(spawner),
        })
    }
}

struct OnRuntime(Handle);

impl Spawn for OnRuntime {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }
}

/// The thread ends when the spawner is dropped *and* its last task is done, so that releases still finish.
struct OwnThread {
    // Unbounded, because `spawn` must neither block nor fail; its users bound it by the number of their leases.
    tasks: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
}

impl OwnThread {
    fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (tasks, mut inbox) = mpsc::unbounded_channel::<BoxFuture<'static, ()>>();
        std::thread::Builder::new()
            .name("coord-heartbeat".into())
            .spawn(move || {
                runtime.block_on(async move {
                    let mut running = JoinSet::new();
                    loop {
                        tokio::select! {
                            biased;
                            task = inbox.recv() => match task {
                                Some(task) => {
                                    running.spawn(task);
                                }
                                None => break,
                            },
                            Some(_) = running.join_next() => {}
                        }
                    }
                    while running.join_next().await.is_some() {}
                });
            })?;
        Ok(Self { tasks })
    }
}

impl Spawn for OwnThread {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        // The receiver lives until this sender is dropped, unless the thread panicked; then waiters learn of it
        // because their tasks are dropped.
        let _ = self.tasks.send(task);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tasks_outlive_their_spawner() {
        let (done, outcome) = std::sync::mpsc::channel();
        let spawner = Placement::OwnThread.spawner().expect("starts");
        spawner.spawn(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            done.send(std::thread::current().name().map(String::from))
                .expect("is awaited");
        }));
        drop(spawner);
        let name = outcome
            .recv_timeout(Duration::from_secs(10))
            .expect("finishes");
        assert_eq!(name.as_deref(), Some("coord-heartbeat"));
    }
}
