//! A proxy in front of a server that breaks connections in the ways that networks do.

use std::{
    net::SocketAddr,
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc as std_mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::sys::socket::{self, Shutdown};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use crate::{port::Port, server::RedisServer};

/// The way that bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Replies.
    ToClient,
    /// Both.
    Both,
}

/// A TCP proxy on loopback, on a thread of its own; gone when dropped.
///
/// Faults last until [`Proxy::resume`]; those of different kinds and directions add up. Each has taken effect when its
/// method returns.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    url: String,
    commands: Option<mpsc::Sender<Request>>,
    accepted: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy in front of `server`.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub fn in_front_of(server: &RedisServer) -> Result<Self> {
        let mut proxy = Self::to(server.addr())?;
        proxy.url = server.url_at(proxy.port());
        Ok(proxy)
    }

    /// A proxy in front of whatever listens on `upstream`.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub fn to(upstream: SocketAddr) -> Result<Self> {
        let port = Port::claim()?;
        let accepted = Arc::new(AtomicU64::new(0));
        let (commands, inbox) = mpsc::channel(COMMANDS_WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("building a proxy's runtime")?;
        let relay = Relay {
            listen: port.addr(),
            upstream,
            accepted: Arc::clone(&accepted),
            faults: watch::Sender::default(),
            listener: None,
            connections: JoinSet::new(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("proxy-{}", port.number()))
            .spawn(move || runtime.block_on(relay.run(inbox)))
            .context("starting a proxy's thread")?;
        let proxy = Self {
            url: format!("redis://127.0.0.1:{}", port.number()),
            port,
            commands: Some(commands),
            accepted,
            thread: Some(thread),
        };
        proxy.send(Command::Resume)?;
        Ok(proxy)
    }

    /// The URL for clients, with the server's password where it has one.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The port that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Closes every connection and refuses new ones.
    ///
    /// # Errors
    ///
    /// When the proxy has failed.
    pub fn cut(&self) -> Result<()> {
        self.send(Command::Cut)
    }

    /// Closes every connection; new ones work.
    ///
    /// # Errors
    ///
    /// When the proxy has failed.
    pub fn disconnect(&self) -> Result<()> {
        self.send(Command::Disconnect)
    }

    /// Holds back every byte in `direction`, on present and new connections, which still open: a partition.
    ///
    /// What is held back arrives after [`Proxy::resume`], as packets that are sent again do.
    ///
    /// # Errors
    ///
    /// When the proxy has failed.
    pub fn hold(&self, direction: Direction) -> Result<()> {
        self.send(Command::Hold {
            direction,
            new_too: true,
        })
    }

    /// Holds back every byte in `direction` on the connections that exist now: half-open ones. New ones work.
    ///
    /// # Errors
    ///
    /// When the proxy has failed.
    pub fn half_open(&self, direction: Direction) -> Result<()> {
        self.send(Command::Hold {
            direction,
            new_too: false,
        })
    }

    /// Lets every byte arrive this much later, in order; bytes already under way keep their time.
    ///
    /// # Errors
    ///
    /// When the proxy has failed.
    pub fn delay(&self, to_server: Duration, to_client: Duration) -> Result<()> {
        self.send(Command::Delay {
            to_server,
            to_client,
        })
    }

    /// Ends every fault: accepts connections, delivers what was held back, delays nothing.
    ///
    /// # Errors
    ///
    /// When the proxy has failed, or its port was taken while it refused connections.
    pub fn resume(&self) -> Result<()> {
        self.send(Command::Resume)
    }

    fn send(&self, command: Command) -> Result<()> {
        let (done, when_done) = std_mpsc::channel();
        let commands = self.commands.as_ref().context("the proxy is dropped")?;
        // Never blocks, so that async tests may call it.
        commands
            .try_send((command, done))
            .ok()
            .context("the proxy's thread has ended or is stuck")?;
        when_done
            .recv_timeout(COMMAND_LIMIT)
            .context("the proxy does not answer")?
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take() {
            // It ends when its inbox is closed; a panic of its own was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// A command and the way to say that it was obeyed.
type Request = (Command, std_mpsc::Sender<Result<()>>);

enum Command {
    Cut,
    Disconnect,
    Hold {
        direction: Direction,
        new_too: bool,
    },
    Delay {
        to_server: Duration,
        to_client: Duration,
    },
    Resume,
}

/// What every connection obeys; index 0 is for requests, 1 for replies.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    /// Connections with a lower number are held.
    held_below: [u64; 2],
    delay: [Duration; 2],
}

/// The proxy's only owner of state.
struct Relay {
    listen: SocketAddr,
    upstream: SocketAddr,
    accepted: Arc<AtomicU64>,
    faults: watch::Sender<Faults>,
    listener: Option<TcpListener>,
    connections: JoinSet<()>,
}

impl Relay {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
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
                if let Some(listener) = self.listener.take() {
                    // Closing is not enough: a process that is being forked off elsewhere shares the socket until it
                    // executes its program, and the kernel would go on accepting.
                    socket::shutdown(listener.as_raw_fd(), Shutdown::Both)
                        .context("ending a proxy's listener")?;
                }
                self.connections.shutdown().await;
            }
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

/// One direction of one connection.
struct Pipe {
    faults: watch::Receiver<Faults>,
    number: u64,
    way: usize,
}

impl Pipe {
    fn new(faults: &watch::Receiver<Faults>, number: u64, way: usize) -> Self {
        Self {
            faults: faults.clone(),
            number,
            way,
        }
    }

    fn due(&self) -> Instant {
        Instant::now() + self.faults.borrow().delay[self.way]
    }

    async fn until_free(&mut self) {
        let (number, way) = (self.number, self.way);
        let free = |faults: &Faults| faults.held_below[way] <= number;
        // An error means that the proxy is being dropped, which ends this task anyway.
        let _ = self.faults.wait_for(free).await;
    }
}

/// Copies bytes, each chunk when it is due, until one side closes; passes the end on like a chunk.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut pipe: Pipe) {
    let (chunks, mut due_chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_IN_FLIGHT);
    let due_pipe = Pipe::new(&pipe.faults, pipe.number, pipe.way);
    let read = async move {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = from.read(&mut buffer).await.unwrap_or(0);
            let chunk = (due_pipe.due(), buffer[..length].to_vec());
            if chunks.send(chunk).await.is_err() || length == 0 {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = due_chunks.recv().await {
            tokio::time::sleep_until(due).await;
            pipe.until_free().await;
            if chunk.is_empty() || to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        // Dropping the half closes it; the peer has nothing to learn if that fails.
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
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

const CHUNK: usize = 16 * 1024;
const CHUNKS_IN_FLIGHT: usize = 256;
const COMMAND_LIMIT: Duration = Duration::from_secs(5);
const COMMANDS_WAITING: usize = 16;
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
