//! The program as a process: started in a group of its own, signalled, and reaped with everything that is left to us.

use std::{ffi::OsString, io, os::unix::process::CommandExt, process::Command};

use nix::{
    errno::Errno,
    sys::{
        signal::{self, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};

use super::{signals::STOPS, terminal::Terminal};
use crate::{cli::CHILD, values::OnLost};

#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    terminal: Option<Terminal>,
    state: State,
    /// Whether a process lives that the program has started, as far as the kernel gives it to us.
    has_descendants: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped(Signal),
    Ended,
}

/// What has become of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Stopped(Signal),
    Continued,
    Ended(Ended),
}

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Code(i32),
    Signal(Signal),
}

impl Ended {
    /// The exit code that says it, as shells have it.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(code).unwrap_or(u8::MAX),
            Self::Signal(signal) => u8::try_from(128 + signal as i32).unwrap_or(u8::MAX),
        }
    }
}

impl Child {
    /// Starts coordctl once more, which makes its arrangements in the new process and becomes the program.
    pub(super) fn spawn(
        program: &[OsString],
        environment: &[(String, String)],
        on_lost: OnLost,
    ) -> io::Result<Self> {
        adopt_orphans();
        let terminal = Terminal::find();
        let mut command = Command::new(own_path()?);
        command
            .arg(CHILD)
            .arg(format!("--parent={}", getpid()))
            .arg(format!("--on-parent-death={}", on_parent_death(on_lost)));
        if terminal.as_ref().is_some_and(Terminal::is_ours) {
            command.arg("--in-foreground");
        }
        let child = command
            .arg("--")
            .args(program)
            .envs(environment.iter().cloned())
            .process_group(0)
            .spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Self {
            pid: Pid::from_raw(pid),
            terminal,
            state: State::Running,
            has_descendants: false,
        })
    }

    pub(super) const fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Passes a signal on to the program.
    pub(super) fn pass_on(&self, number: i32) {
        let Ok(signal) = Signal::try_from(number) else {
            return;
        };
        match self.state {
            // What stopped it stopped its group; where a shell brings this job back, the terminal comes with it.
            _ if signal == Signal::SIGCONT => {
                if let Some(terminal) = &self.terminal {
                    terminal.lend(self.pid);
                }
                self.signal_group(signal);
            }
            // Its number may be another process's by now, that of its group cannot.
            State::Ended => self.signal_group(signal),
            _ => {
                // It is not reaped yet, so this is no other process; one that has ended needs no signal.
                let _ = signal::kill(self.pid, signal);
                if STOPS.contains(&number) {
                    self.wake();
                }
            }
        }
    }

    /// Sends a signal to the program and all that it has started in its group.
    pub(super) fn signal_group(&self, signal: Signal) {
        let _ = signal::killpg(self.pid, signal);
    }

    /// Asks the program and its group to end.
    pub(super) fn tell_group(&self, signal: Signal) {
        self.signal_group(signal);
        self.wake();
    }

    /// Whoever is stopped hears of no signal before it goes on.
    fn wake(&self) {
        if self.state != State::Running {
            self.signal_group(Signal::SIGCONT);
        }
    }

    /// Reaps every child that has ended, orphans too that are given to us; says what has become of the program.
    pub(super) fn reap(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED | WaitPidFlag::WCONTINUED;
        loop {
            let (pid, change) = match waitpid(None, Some(flags)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Change::Ended(Ended::Code(code))),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    (pid, Change::Ended(Ended::Signal(signal)))
                }
                Ok(WaitStatus::Stopped(pid, signal)) => (pid, Change::Stopped(signal)),
                Ok(WaitStatus::Continued(pid)) => (pid, Change::Continued),
                Err(Errno::EINTR) => continue,
                other => {
                    self.has_descendants = other.is_ok();
                    return changes;
                }
            };
            if pid == self.pid {
                self.state = match change {
                    Change::Stopped(signal) => State::Stopped(signal),
                    Change::Continued => State::Running,
                    Change::Ended(_) => State::Ended,
                };
                changes.push(change);
            }
        }
    }

    /// Whether nothing is left of its group, as far as that can be seen.
    pub(super) fn group_is_gone(&self) -> bool {
        self.state == State::Ended && signal::killpg(self.pid, None).is_err()
    }

    /// Whether something that it has started outlives it; only where the kernel gives us orphans.
    pub(super) fn is_outlived(&self) -> bool {
        self.state == State::Ended && self.has_descendants
    }

    /// The keys of the terminal are the program's, as long as it can hear them. Otherwise they are ours, or nobody could end it.
    pub(super) fn share_terminal(&self) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        match self.state {
            State::Running => terminal.lend(self.pid),
            // It wanted to use the terminal from the background. Now it may.
            State::Stopped(Signal::SIGTTIN | Signal::SIGTTOU) if terminal.is_ours() => {
                terminal.lend(self.pid);
                self.signal_group(Signal::SIGCONT);
            }
            State::Stopped(_) | State::Ended => terminal.take_back(self.pid),
        }
    }
}

/// Whoever loses its parent among the program's descendants becomes a child of ours, and is reaped.
fn adopt_orphans() {
    // Without it they are the first process's, as everywhere but on Linux.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// The signal that the program gets when coordctl is gone; 0 for none.
const fn on_parent_death(on_lost: OnLost) -> i32 {
    match on_lost {
        OnLost::Term | OnLost::Kill => Signal::SIGKILL as i32,
        OnLost::Signal(signal) => signal as i32,
        OnLost::Ignore => 0,
    }
}

/// On Linux the file that runs, even where it has been replaced since.
fn own_path() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_shells() {
        assert_eq!(Ended::Code(0).code(), 0);
        assert_eq!(Ended::Code(42).code(), 42);
        assert_eq!(Ended::Signal(Signal::SIGTERM).code(), 143);
        assert_eq!(Ended::Signal(Signal::SIGKILL).code(), 137);
    }
}
