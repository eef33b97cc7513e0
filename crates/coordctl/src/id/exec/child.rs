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

use super::terminal::Terminal;
use crate::{cli::CHILD, values::OnLost};

#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    terminal: Option<Terminal>,
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
        let terminal = Terminal::in_foreground();
        let mut command = Command::new(own_path()?);
        command
            .arg(CHILD)
            .arg(format!("--parent={}", getpid()))
            .arg(format!("--on-parent-death={}", on_parent_death(on_lost)));
        if terminal.is_some() {
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
        })
    }

    pub(super) const fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Passes a signal on to the program.
    pub(super) fn signal(&self, number: i32) {
        if let Ok(signal) = Signal::try_from(number) {
            // It is not reaped yet, so this is no other process; one that has ended needs no signal.
            let _ = signal::kill(self.pid, signal);
        }
    }

    /// Sends a signal to the program and all that it has started in its group.
    pub(super) fn signal_group(&self, signal: Signal) {
        let _ = signal::killpg(self.pid, signal);
    }

    /// Reaps every child that has ended, orphans too that a first process is given; says how the program ended if it did.
    pub(super) fn reap(&self) -> Option<Ended> {
        let mut ended = None;
        loop {
            let status = waitpid(None, Some(WaitPidFlag::WNOHANG));
            match status {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.pid => {
                    ended = Some(Ended::Code(code))
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid => {
                    ended = Some(Ended::Signal(signal));
                }
                Ok(WaitStatus::StillAlive) => return ended,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return ended,
            }
        }
    }

    pub(super) fn take_terminal_back(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.take_back();
        }
    }
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
