//! The signals that are passed on to the program.

use std::io;

use nix::libc;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// Signals in the order in which they came.
#[derive(Debug)]
pub(super) struct Signals {
    numbers: mpsc::Receiver<i32>,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        let (sender, numbers) = mpsc::channel(CAPACITY);
        for number in PASSED_ON {
            // `nohup` is meant for the program, too, and the program inherits it from whoever leaves the signal alone.
            if number == libc::SIGHUP && is_ignored(number) {
                continue;
            }
            let mut signals = signal(SignalKind::from_raw(number))?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() && sender.send(number).await.is_ok() {}
            });
        }
        Ok(Self { numbers })
    }

    /// The next one.
    ///
    /// # Cancel safety
    ///
    /// Safe: a signal is either returned or kept.
    pub(super) async fn next(&mut self) -> i32 {
        match self.numbers.recv().await {
            Some(number) => number,
            // The senders end with the runtime.
            None => std::future::pending().await,
        }
    }

    /// The next one that asks to end.
    pub(super) async fn stop(&mut self) -> i32 {
        loop {
            let number = self.next().await;
            if STOPS.contains(&number) {
                return number;
            }
        }
    }
}

/// Whether this process was started so that it does not hear of the signal; where that cannot be told it does.
fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status");
    status.is_ok_and(|status| lists(&status, number))
}

/// Whether the mask of ignored signals in the kernel's description of a process has this one.
fn lists(status: &str, number: i32) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

pub(super) const STOPS: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

const PASSED_ON: [i32; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
    libc::SIGALRM,
    libc::SIGCONT,
];

const CAPACITY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_found_in_the_mask() {
        let status = "Name:\tcoordctl\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\n";
        assert!(lists(status, libc::SIGHUP));
        assert!(!lists(status, libc::SIGINT));
        assert!(!lists("Name:\tcoordctl\n", libc::SIGHUP));
    }
}
