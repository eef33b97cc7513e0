//! How a server is described before it starts.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{LOG, RedisServer, START_LIMIT};
use crate::clock::FakeClock;

/// What a [`RedisServer`] is to be like; see [`RedisServer::builder`].
#[derive(Debug, Clone, Default)]
pub struct ServerBuilder {
    pub(super) binary: Option<PathBuf>,
    persistent: bool,
    pub(super) password: Option<String>,
    config: Vec<String>,
    pub(super) clock: Option<FakeClock>,
    pub(super) is_replica: bool,
}

impl ServerBuilder {
    /// The server program, for a test that is about one version.
    ///
    /// Defaults to what [`find_redis_server`](super::find_redis_server) finds.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Keeps every acknowledged write over [`RedisServer::restart`] (append-only file, synced always).
    ///
    /// Defaults to a server that forgets everything when it is killed.
    #[must_use]
    pub const fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// The password of the `default` user. It becomes part of [`RedisServer::url`].
    ///
    /// Defaults to none.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Adds an ACL user with `rules` such as `on >secret ~ns:* +@all`. The harness itself stays `default`.
    ///
    /// Defaults to no further users.
    #[must_use]
    pub fn acl_user(self, name: &str, rules: &str) -> Self {
        self.config_line(format!("user {name} {rules}"))
    }

    /// Adds a line to the configuration file, such as `maxmemory 2mb`.
    ///
    /// Defaults to no further lines.
    #[must_use]
    pub fn config_line(mut self, line: impl Into<String>) -> Self {
        self.config.push(line.into());
        self
    }

    /// Makes it a replica of `master`; it is in sync when [`ServerBuilder::start`] returns.
    ///
    /// Defaults to a master.
    #[must_use]
    pub fn replica_of(mut self, master: &RedisServer) -> Self {
        self.is_replica = true;
        if let Some(password) = &master.password {
            self = self.config_line(format!("masterauth {}", quoted(password)));
        }
        self.config_line(format!("replicaof 127.0.0.1 {}", master.port()))
    }

    /// Runs the server under `clock`.
    ///
    /// Defaults to the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: &FakeClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    ///
    /// When there is no server program (says how to get one), or it does not start: with the end of its log.
    pub fn start(self) -> Result<RedisServer> {
        let mut attempt = 1;
        loop {
            let server = RedisServer::launch(&self)?;
            let started = server.wait_ready(START_LIMIT);
            let Err(error) = started else {
                return Ok(server);
            };
            // A stranger may have taken the port between the look and the bind.
            let port_was_taken = server.log().contains("Address already in use");
            if !port_was_taken || attempt == PORT_ATTEMPTS {
                return Err(error);
            }
            attempt += 1;
        }
    }

    pub(super) fn configuration(&self, port: u16, dir: &Path) -> String {
        let dir = quoted(&dir.display().to_string());
        let mut lines = format!(
            "port {port}\nbind 127.0.0.1\ndir {dir}\ndaemonize no\nsave \"\"\nlogfile {LOG}\n"
        );
        let append = if self.persistent { "yes" } else { "no" };
        let _ = writeln!(lines, "appendonly {append}\nappendfsync always");
        if let Some(password) = &self.password {
            let _ = writeln!(lines, "requirepass {}", quoted(password));
        }
        for line in &self.config {
            let _ = writeln!(lines, "{line}");
        }
        lines
    }
}

/// `text` as the configuration file wants it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const PORT_ATTEMPTS: u32 = 5;
