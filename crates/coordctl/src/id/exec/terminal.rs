//! Who a terminal's keys reach.

use std::io::{IsTerminal, stdin};

use nix::{
    sys::signal::{SigSet, Signal},
    unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp},
};

/// The terminal whose foreground this process's group and the program's pass to each other.
#[derive(Debug)]
pub(super) struct Terminal {
    own_group: Pid,
}

impl Terminal {
    /// `None` where the standard input is no terminal that has a foreground.
    pub(super) fn find() -> Option<Self> {
        let is_ours = stdin().is_terminal() && tcgetpgrp(stdin()).is_ok();
        is_ours.then(|| Self {
            own_group: getpgrp(),
        })
    }

    /// Whether this process's group is in the foreground, where a shell put it.
    pub(super) fn is_ours(&self) -> bool {
        tcgetpgrp(stdin()).ok() == Some(self.own_group)
    }

    /// Puts the program's group there, unless a shell wants this job in the background.
    pub(super) fn lend(&self, program: Pid) {
        if self.is_ours() {
            give_to(program);
        }
    }

    /// Puts this process's group there, unless the program's is there no more.
    pub(super) fn take_back(&self, program: Pid) {
        if tcgetpgrp(stdin()).ok() == Some(program) {
            give_to(self.own_group);
        }
    }
}

/// Gives this process's group the foreground.
pub(super) fn come_to_foreground() {
    give_to(getpgrp());
}

fn give_to(group: Pid) {
    // Whoever is in the background is stopped for asking, unless it does not let itself be.
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTTOU);
    if stop.thread_block().is_ok() {
        // A terminal that is gone has no foreground to give.
        let _ = tcsetpgrp(stdin(), group);
        let _ = stop.thread_unblock();
    }
}
