//! A proxy in front of a server that breaks connections in the ways that networks do.

mod pump;
mod relay;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc as std_mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::sync::mpsc;

use self::relay::{COMMANDS_WAITING, Command, Relay, Request};
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
        let relay = Relay::new(port.addr(), upstream, Arc::clone(&accepted));
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

    /// The address that clients connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
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

    /// Refuses new connections; those that exist go on.
    ///
    /// # Errors
    ///
    /// When the proxy has failed.
    pub fn refuse(&self) -> Result<()> {
        self.send(Command::Refuse)
    }

    /// Closes every connection; new ones work. What was held back or under way is lost.
    ///
    /// # Errors
    ///
    /// When the proxy has failed.
    pub fn disconnect(&self) -> Result<()> {
        self.send(Command::Disconnect)
    }

    /// Holds back every byte in `direction`, on present and new connections, which still open: a partition.
    ///
    /// What is held back arrives after [`Proxy::resume`], as packets that are sent again do; with
    /// [`Proxy::disconnect`] or [`Proxy::cut`] in between it never arrives.
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

    /// Leads new connections to `server`, as an address that moves in a failover does; the others stay where they are.
    ///
    /// [`Proxy::resume`] does not lead them back.
    ///
    /// # Errors
    ///
    /// When the proxy has failed.
    pub fn redirect(&self, server: &RedisServer) -> Result<()> {
        self.send(Command::Redirect(server.addr()))
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

const COMMAND_LIMIT: Duration = Duration::from_secs(5);
