//! One child process: signals, a bounded wait, and an end that is never forgotten.

use std::{
    ffi::OsStr,
    io,
    process::{Child, Command, ExitStatus},
    sync::{LazyLock, Mutex, MutexGuard, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use crate::wait;

/// A child process that is killed and reaped when this is dropped.
///
/// Signals go by the process's own handle: once it has been reaped, nothing is sent to its former number.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    child: Mutex<Child>,
}

impl Process {
    /// Takes charge of `child`; `name` is what errors call it.
    #[must_use]
    pub fn new(name: impl Into<String>, child: Child) -> Self {
        Self {
            name: name.into(),
            pid: child.id(),
            child: Mutex::new(child),
        }
    }

    /// A call of `program` for [`Process::spawn`] that ends with this process, even where that is killed.
    ///
    /// Where `setpriv` (of util-linux) is not there, only dropping the [`Process`] ends it.
    #[must_use]
    pub fn command(program: impl AsRef<OsStr>) -> Command {
        static HAS_SETPRIV: LazyLock<bool> = LazyLock::new(|| {
            let tried = Command::new("setpriv").args(ON_DEATH).arg("true").output();
            tried.is_ok_and(|output| output.status.success())
        });
        if !*HAS_SETPRIV {
            return Command::new(program);
        }
        // It replaces itself by the program, so that the process number is the program's.
        let mut command = Command::new("setpriv");
        command.args(ON_DEATH).arg(program);
        command
    }

    /// Starts a [`Process::command`].
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn spawn(command: Command) -> io::Result<Child> {
        // "This process" means the thread that starts a child, so one that never ends starts them all.
        static SPAWNER: LazyLock<mpsc::Sender<SpawnRequest>> = LazyLock::new(|| {
            let (requests, inbox) = mpsc::channel::<SpawnRequest>();
            thread::spawn(move || {
                for (mut command, reply) in inbox {
                    // Whoever asked waits for the answer.
                    let _ = reply.send(command.spawn());
                }
            });
            requests
        });
        let (reply, answer) = mpsc::channel();
        let sent = SPAWNER.send((command, reply));
        sent.map_err(io::Error::other)?;
        answer.recv().map_err(io::Error::other)?
    }

    /// What errors call this process.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process number.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// How the process ended; `None` while it runs or is stopped.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    /// Sends `SIGSTOP`: the process stands still until [`Process::cont`].
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Sends `SIGCONT`.
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn cont(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Sends `SIGTERM`, the polite request to end.
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Sends `SIGINT`, what Ctrl-C sends.
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(Signal::SIGINT)
    }

    /// Sends `SIGKILL` and reaps the process; of no effect when it has ended already.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn kill(&self) -> Result<()> {
        let mut child = self.child();
        child
            .kill()
            .and_then(|()| child.wait())
            .with_context(|| format!("killing {}", self.name))?;
        Ok(())
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    ///
    /// When it still runs after `within`.
    pub fn wait(&self, within: Duration) -> Result<ExitStatus> {
        wait::until(within, || self.ended())
            .with_context(|| format!("{} still runs after {within:?}", self.name))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        // Held across the signal, so that nobody reaps the process in between.
        let mut child = self.child();
        if let Some(status) = child.try_wait()? {
            bail!(
                "cannot send {signal} to {}: it has ended, {status}",
                self.name
            );
        }
        let pid = Pid::from_raw(i32::try_from(self.pid).context("a process number out of range")?);
        signal::kill(pid, signal).with_context(|| format!("sending {signal} to {}", self.name))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().expect("no holder of this lock panics")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be reported from here, and an ended process is what was wanted.
        let _ = self.kill();
    }
}

type SpawnRequest = (Command, mpsc::Sender<io::Result<Child>>);

const ON_DEATH: [&str; 2] = ["--pdeathsig", "KILL"];
