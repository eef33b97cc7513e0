//! The proxy's own thread: who is connected, and what they suffer.

use std::{
    net::SocketAddr,
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc as std_mpsc,
    },
    time::Duration,
};

use anyhow::{Context, Result};
use nix::sys::socket::{self, Shutdown};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    Direction,
    pump::{Faults, Pipe, pump},
};

/// A command and the way to say that it was obeyed.
pub(super) type Request = (Command, std_mpsc::Sender<Result<()>>);

pub(super) enum Command {
    Cut,
    Refuse,
    Disconnect,
    Hold {
        direction: Direction,
        new_too: bool,
    },
    Delay {
        to_server: Duration,
        to_client: Duration,
    },
    Redirect(SocketAddr),
    Resume,
}

/// The proxy's only owner of state.
pub(super) struct Relay {
    listen: SocketAddr,
    upstream: SocketAddr,
    accepted: Arc<AtomicU64>,
    faults: watch::Sender<Faults>,
    listener: Option<TcpListener>,
    connections: JoinSet<()>,
}

impl Relay {
    /// A relay that does not listen yet: [`Command::Resume`] makes it.
    pub(super) fn new(listen: SocketAddr, upstream: SocketAddr, accepted: Arc<AtomicU64>) -> Self {
        Self {
            listen,
            upstream,
            accepted,
            faults: watch::Sender::default(),
            listener: None,
            connections: JoinSet::new(),
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        loop {
            tokio::select! {
                // What a test asked for comes before what clients do.
                biased;
                command = inbox.recv() => {
                    let Some((command, done)) = command else { return };
                    // A caller that gave up waiting needs no answer.
                    let _ = done.send(self.obey(command).await);
                }
                client = accept(self.listener.as_ref()) => self.connect(client),
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Cut => {
                self.stop_listening()?;
                self.connections.shutdown().await;
            }
            Command::Refuse => self.stop_listening()?,
            Command::Disconnect => self.connections.shutdown().await,
            Command::Hold { direction, new_too } => {
                let below = if new_too {
                    u64::MAX
                } else {
                    self.accepted.load(Ordering::SeqCst)
                };
                self.faults.send_modify(|faults| {
                    for way in ways(direction) {
                        faults.held_below[*way] = below;
                    }
                });
            }
            Command::Delay {
                to_server,
                to_client,
            } => self
                .faults
                .send_modify(|faults| faults.delay = [to_server, to_client]),
            Command::Redirect(upstream) => self.upstream = upstream,
            Command::Resume => {
                self.faults.send_replace(Faults::default());
                if self.listener.is_none() {
                    let listener = TcpListener::bind(self.listen).await;
                    self.listener =
                        Some(listener.with_context(|| format!("listening on {}", self.listen))?);
                }
            }
        }
        Ok(())
    }

    fn stop_listening(&mut self) -> Result<()> {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        // Closing is not enough: a process that is being forked off elsewhere shares the socket until it executes its
        // program, and the kernel would go on accepting.
        socket::shutdown(listener.as_raw_fd(), Shutdown::Both).context("ending a proxy's listener")
    }

    fn connect(&mut self, client: TcpStream) {
        let number = self.accepted.fetch_add(1, Ordering::SeqCst);
        let upstream = self.upstream;
        let faults = self.faults.subscribe();
        self.connections.spawn(async move {
            // A server that is down shows as a connection that closes at once.
            let Ok(server) = TcpStream::connect(upstream).await else {
                return;
            };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::join!(
                pump(from_client, to_server, Pipe::new(&faults, number, 0)),
                pump(from_server, to_client, Pipe::new(&faults, number, 1)),
            );
        });
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((client, _)) => return client,
            // Out of file descriptors, or a client that was gone at once: neither is helped by asking in a hot loop.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

const fn ways(direction: Direction) -> &'static [usize] {
    match direction {
        Direction::ToServer => &[0],
        Direction::ToClient => &[1],
        Direction::Both => &[0, 1],
    }
}

pub(super) const COMMANDS_WAITING: usize = 16;
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
