//! Who a terminal's keys reach.

use std::io::{IsTerminal, stdin};

use nix::{
    sys::signal::{SigSet, Signal},
    unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp},
};

/// The terminal whose foreground is ours to give.
#[derive(Debug)]
pub(super) struct Terminal {
    own_group: Pid,
}

impl Terminal {
    /// `None` where there is no terminal, or another group has it.
    pub(super) fn in_foreground() -> Option<Self> {
        let own_group = getpgrp();
        let has_it = stdin().is_terminal() && tcgetpgrp(stdin()).ok() == Some(own_group);
        has_it.then_some(Self { own_group })
    }

    pub(super) fn take_back(&self) {
        give_to(self.own_group);
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
