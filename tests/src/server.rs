//! A real Redis server of a test's own.

mod asking;
mod binary;
mod builder;
mod version;

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use tempfile::TempDir;

use self::builder::Role;

pub(crate) use self::builder::quoted;
pub(crate) use self::version::folder;
pub use self::{binary::find_redis_server, builder::ServerBuilder, version::Version};
use crate::{clock::FakeClock, port::Port, process::Process, wait};

/// A `redis-server` process on a loopback port of its own, in a directory of its own; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    // Before `dir`: the process must be gone when its directory is deleted.
    process: Mutex<Process>,
    dir: TempDir,
    binary: PathBuf,
    port: Port,
    tls_port: Option<Port>,
    password: Option<String>,
    clock: Option<FakeClock>,
    role: Role,
}

impl RedisServer {
    /// Starts a server with every default: no persistence, no password.
    ///
    /// # Errors
    ///
    /// As [`ServerBuilder::start`].
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// Describes a server to start.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// The URL for clients, with the `default` user's password where there is one.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.port())
    }

    /// The URL of this server as reached through another port: that of a proxy.
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{port}"),
            None => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// The URL over TLS, with `localhost` as the server's name.
    ///
    /// # Panics
    ///
    /// When the server was built without [`ServerBuilder::tls`].
    #[must_use]
    pub fn tls_url(&self) -> String {
        let plain = self.url_at(self.tls_addr().port());
        plain
            .replacen("redis://", "rediss://", 1)
            .replacen("127.0.0.1", "localhost", 1)
    }

    /// The address that speaks TLS.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::tls_url`].
    #[must_use]
    pub fn tls_addr(&self) -> SocketAddr {
        let port = self.tls_port.as_ref();
        port.expect("the server was built with tls()").addr()
    }

    /// The URL over IPv6; it answers where the server was built with [`ServerBuilder::ipv6`].
    #[must_use]
    pub fn ipv6_url(&self) -> String {
        self.url().replacen("127.0.0.1", "[::1]", 1)
    }

    /// The path of its socket; there is one where the server was built with [`ServerBuilder::unix_socket`].
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.dir.path().join(SOCKET)
    }

    /// The URL for the ACL user `name`.
    #[must_use]
    pub fn url_for(&self, name: &str, password: &str) -> String {
        format!("redis://{name}:{password}@127.0.0.1:{}", self.port())
    }

    /// The port it listens on, the same after every restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// The process number; another one after a restart.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// Waits until the server answers, has loaded its data and, if a replica, is in sync.
    ///
    /// # Errors
    ///
    /// When it has ended, or does not answer within `within`; with the end of its log.
    pub fn wait_ready(&self, within: Duration) -> Result<()> {
        let ready = wait::until(within, || {
            let ended = self.process().ended();
            match ended {
                Some(status) => Some(Err(anyhow!("redis-server ended, {status}"))),
                None => self.is_ready().then_some(Ok(())),
            }
        });
        ready
            .unwrap_or_else(|| Err(anyhow!("redis-server is not ready after {within:?}")))
            .with_context(|| format!("port {}, end of its log:\n{}", self.port(), self.log_end()))
    }

    /// Kills the server (`SIGKILL`): it saves nothing and says goodbye to nobody.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn kill(&self) -> Result<()> {
        self.process().kill()
    }

    /// Stops the server (`SIGSTOP`): connections stay open and nothing answers.
    ///
    /// # Errors
    ///
    /// When the server has ended.
    pub fn stop(&self) -> Result<()> {
        self.process().stop()
    }

    /// Whether the process runs or is stopped: it was not killed and did not end by itself.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.process().ended().is_none()
    }

    /// Lets a stopped server go on (`SIGCONT`).
    ///
    /// # Errors
    ///
    /// When the server has ended.
    pub fn cont(&self) -> Result<()> {
        self.process().cont()
    }

    /// Kills the server if it runs and starts it again on the same port, with what it had persisted.
    ///
    /// # Errors
    ///
    /// As [`ServerBuilder::start`].
    pub fn restart(&self) -> Result<()> {
        self.kill()?;
        *self.process() = self.spawn()?;
        self.wait_ready(START_LIMIT)
    }

    /// Makes a replica a master (`REPLICAOF NO ONE`): what it has not received yet is lost.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::cli`].
    pub fn promote(&self) -> Result<()> {
        self.query(&["REPLICAOF", "NO", "ONE"])
    }

    /// [`RedisServer::restart`] after its data has been deleted: an empty server on the same port.
    ///
    /// # Errors
    ///
    /// As [`ServerBuilder::start`], or when the data cannot be deleted.
    pub fn wipe_and_restart(&self) -> Result<()> {
        self.kill()?;
        for entry in fs::read_dir(self.dir.path())? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path)?;
            } else if path.file_name().is_some_and(|name| name != CONFIG) {
                fs::remove_file(&path)?;
            }
        }
        self.restart()
    }

    /// Everything the server has logged since it was last wiped.
    #[must_use]
    pub fn log(&self) -> String {
        [STDIO, LOG]
            .into_iter()
            .filter_map(|file| fs::read(self.dir.path().join(file)).ok())
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .collect()
    }

    fn launch(builder: &ServerBuilder) -> Result<Self> {
        let binary = builder.program()?;
        let dir = tempfile::tempdir().context("creating a server's directory")?;
        let port = if builder.is_cluster_node {
            Port::claim_with_bus()?
        } else {
            Port::claim()?
        };
        let tls_port = builder.tls.as_ref().map(|_| Port::claim()).transpose()?;
        let tls = tls_port.as_ref().map(Port::number);
        let configuration = builder.configuration(port.number(), tls, dir.path());
        fs::write(dir.path().join(CONFIG), configuration)
            .context("writing a server's configuration")?;
        let process = spawn(&binary, dir.path(), builder.role, builder.clock.as_ref())?;
        Ok(Self {
            process: Mutex::new(process),
            dir,
            binary,
            port,
            tls_port,
            password: builder.password.clone(),
            clock: builder.clock.clone(),
            role: builder.role,
        })
    }

    fn spawn(&self) -> Result<Process> {
        spawn(
            &self.binary,
            self.dir.path(),
            self.role,
            self.clock.as_ref(),
        )
    }

    fn is_ready(&self) -> bool {
        let field_is = |section, field, expected: &str| {
            let info = self.info(section);
            info.is_ok_and(|info| info.get(field).is_some_and(|value| value == expected))
        };
        // The process number tells our server from a stranger's on the same port.
        if !field_is("server", "process_id", &self.pid().to_string()) {
            return false;
        }
        match self.role {
            Role::Sentinel => true,
            Role::Master => field_is("persistence", "loading", "0"),
            Role::Replica => {
                field_is("persistence", "loading", "0")
                    && (field_is("replication", "master_link_status", "up")
                        || field_is("replication", "role", "master"))
            }
        }
    }

    /// The end of [`RedisServer::log`], for errors.
    pub(crate) fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_END_LINES)..].join("\n")
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().expect("no holder of this lock panics")
    }
}

fn spawn(binary: &Path, dir: &Path, role: Role, clock: Option<&FakeClock>) -> Result<Process> {
    // What goes wrong before the log file is open is said here.
    let stdio = File::create(dir.join(STDIO)).context("creating a server's output file")?;
    let mut command = Process::command(binary);
    command
        .arg(dir.join(CONFIG))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(stdio.try_clone()?)
        .stderr(stdio);
    if role == Role::Sentinel {
        command.arg("--sentinel");
    }
    if let Some(clock) = clock {
        clock.apply(&mut command);
    }
    let child =
        Process::spawn(command).with_context(|| format!("starting {}", binary.display()))?;
    Ok(Process::new("redis-server", child))
}

const CONFIG: &str = "redis.conf";
const LOG: &str = "redis.log";
const SOCKET: &str = "redis.sock";
const STDIO: &str = "stdio.log";
const LOG_END_LINES: usize = 15;
const START_LIMIT: Duration = Duration::from_secs(20);
