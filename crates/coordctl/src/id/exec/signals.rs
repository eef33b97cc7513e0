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

const STOPS: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

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
