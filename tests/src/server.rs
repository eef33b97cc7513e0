//! A real Redis server of a test's own.

mod binary;
mod builder;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use redis::{FromRedisValue, Value};
use tempfile::TempDir;

pub use self::{binary::find_redis_server, builder::ServerBuilder};
use crate::{clock::FakeClock, port::Port, process::Process, wait};

/// A `redis-server` process on a loopback port of its own, in a directory of its own; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    // Before `dir`: the process must be gone when its directory is deleted.
    process: Mutex<Process>,
    dir: TempDir,
    binary: PathBuf,
    port: Port,
    password: Option<String>,
    clock: Option<FakeClock>,
    is_replica: bool,
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
        *self.process() = spawn(&self.binary, self.dir.path(), self.clock.as_ref())?;
        self.wait_ready(START_LIMIT)
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

    /// A connection as the `default` user that gives up after 1 s of connecting or 5 s of waiting for a reply.
    ///
    /// # Errors
    ///
    /// When the server does not answer in that time.
    pub fn connection(&self) -> Result<redis::Connection> {
        let client = redis::Client::open(self.url())?;
        let connection = client.get_connection_with_timeout(CONNECT_LIMIT)?;
        connection.set_read_timeout(Some(REPLY_LIMIT))?;
        connection.set_write_timeout(Some(REPLY_LIMIT))?;
        Ok(connection)
    }

    /// Sends one command over a connection of its own and returns the reply.
    ///
    /// # Errors
    ///
    /// When the server refuses the command or does not answer.
    pub fn cli(&self, command: &[&str]) -> Result<Value> {
        self.query(command)
    }

    /// [`RedisServer::cli`] with the reply converted.
    ///
    /// # Errors
    ///
    /// When the server refuses the command or does not answer, or the reply does not convert.
    pub fn query<T: FromRedisValue>(&self, command: &[&str]) -> Result<T> {
        let (name, arguments) = command.split_first().context("an empty command")?;
        redis::cmd(name)
            .arg(arguments)
            .query(&mut self.connection()?)
            .with_context(|| format!("`{}` on port {}", command.join(" "), self.port()))
    }

    /// One section of `INFO` as a map.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::cli`].
    pub fn info(&self, section: &str) -> Result<BTreeMap<String, String>> {
        let text: String = self.query(&["INFO", section])?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Ok(fields
            .map(|(field, value)| (field.to_owned(), value.to_owned()))
            .collect())
    }

    /// How often each command was called since the server started or [`RedisServer::reset_stats`], in lower case.
    ///
    /// Calls that scripts make count too. Every call of this harness adds what a connection takes: `info`,
    /// `client|setinfo` and, with a password, `auth`.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::cli`], or when the reply is not as expected.
    pub fn commandstats(&self) -> Result<BTreeMap<String, u64>> {
        let calls = |(field, value): (String, String)| {
            let calls = value
                .split(',')
                .find_map(|part| part.strip_prefix("calls="));
            let calls = calls.with_context(|| format!("no calls in {field}:{value}"))?;
            let command = field.strip_prefix("cmdstat_").unwrap_or(&field);
            Ok((command.to_lowercase(), calls.parse()?))
        };
        self.info("commandstats")?.into_iter().map(calls).collect()
    }

    /// Sets [`RedisServer::commandstats`] back to nothing.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::cli`].
    pub fn reset_stats(&self) -> Result<()> {
        self.query(&["CONFIG", "RESETSTAT"])
    }

    /// Deletes every key.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::cli`].
    pub fn flush_all(&self) -> Result<()> {
        self.query(&["FLUSHALL"])
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
        let binary = match &builder.binary {
            Some(path) => path.clone(),
            None => find_redis_server()?,
        };
        let dir = tempfile::tempdir().context("creating a server's directory")?;
        let port = Port::claim()?;
        fs::write(
            dir.path().join(CONFIG),
            builder.configuration(port.number(), dir.path()),
        )
        .context("writing a server's configuration")?;
        Ok(Self {
            process: Mutex::new(spawn(&binary, dir.path(), builder.clock.as_ref())?),
            dir,
            binary,
            port,
            password: builder.password.clone(),
            clock: builder.clock.clone(),
            is_replica: builder.is_replica,
        })
    }

    fn is_ready(&self) -> bool {
        let field_is = |section, field, expected: &str| {
            let info = self.info(section);
            info.is_ok_and(|info| info.get(field).is_some_and(|value| value == expected))
        };
        // The process number tells our server from a stranger's on the same port.
        field_is("server", "process_id", &self.pid().to_string())
            && field_is("persistence", "loading", "0")
            && (!self.is_replica || field_is("replication", "master_link_status", "up"))
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_END_LINES)..].join("\n")
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().expect("no holder of this lock panics")
    }
}

fn spawn(binary: &Path, dir: &Path, clock: Option<&FakeClock>) -> Result<Process> {
    // What goes wrong before the log file is open is said here.
    let stdio = File::create(dir.join(STDIO)).context("creating a server's output file")?;
    let mut command = Command::new(binary);
    command
        .arg(dir.join(CONFIG))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(stdio.try_clone()?)
        .stderr(stdio);
    if let Some(clock) = clock {
        clock.apply(&mut command);
    }
    let child = command
        .spawn()
        .with_context(|| format!("starting {}", binary.display()))?;
    Ok(Process::new("redis-server", child))
}

const CONFIG: &str = "redis.conf";
const LOG: &str = "redis.log";
const STDIO: &str = "stdio.log";
const LOG_END_LINES: usize = 15;
const START_LIMIT: Duration = Duration::from_secs(20);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const REPLY_LIMIT: Duration = Duration::from_secs(5);
