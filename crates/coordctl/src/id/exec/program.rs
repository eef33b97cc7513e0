//! What the new process does before it is the program: nothing else can be arranged for it from outside.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use nix::unistd::getppid;

use super::terminal;
use crate::{cli::ChildOptions, output};

/// Becomes the program; returns only where that fails.
pub(crate) fn become_program(options: &ChildOptions) -> ExitCode {
    let Some((program, arguments)) = options.program.split_first() else {
        return ExitCode::from(126);
    };
    if let Err(error) = die_with_parent(options) {
        output::complain(&format!("the program cannot be bound to coordctl: {error}"));
        return ExitCode::from(126);
    }
    if options.in_foreground {
        terminal::come_to_foreground();
    }
    let error = Command::new(program).args(arguments).exec();
    let shown = program.to_string_lossy();
    output::complain(&format!("{}: {error}", output::plain(&shown)));
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    })
}

#[cfg(target_os = "linux")]
fn die_with_parent(options: &ChildOptions) -> io::Result<()> {
    let signal = nix::sys::signal::Signal::try_from(options.on_parent_death).ok();
    nix::sys::prctl::set_pdeathsig(signal)?;
    // It may have ended before it was asked for.
    if signal.is_some() && getppid().as_raw() != options.parent {
        return Err(io::Error::other("coordctl has ended"));
    }
    Ok(())
}

/// Other systems have no such arrangement.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(options: &ChildOptions) -> io::Result<()> {
    if getppid().as_raw() != options.parent {
        return Err(io::Error::other("coordctl has ended"));
    }
    Ok(())
}
