//! How a server is described before it starts.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;

use super::{LOG, RedisServer, SOCKET, START_LIMIT, Version, find_redis_server};
use crate::{
    clock::FakeClock,
    proxy::Proxy,
    tls::{Ca, Identity},
};

/// What a [`RedisServer`] is to be like; see [`RedisServer::builder`].
#[derive(Debug, Clone, Default)]
pub struct ServerBuilder {
    binary: Option<PathBuf>,
    version: Option<Version>,
    persistent: bool,
    ipv6: bool,
    unix_socket: bool,
    pub(super) tls: Option<Identity>,
    tls_clients: Option<PathBuf>,
    pub(super) password: Option<String>,
    config: Vec<String>,
    pub(super) clock: Option<FakeClock>,
    pub(super) role: Role,
    pub(super) is_cluster_node: bool,
}

/// What the process starts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Role {
    #[default]
    Master,
    Replica,
    Sentinel,
}

impl ServerBuilder {
    /// The server's version, for a test that is about it.
    ///
    /// Defaults to Redis 7.0 with [`ServerBuilder::tls`], else to what [`find_redis_server`] finds.
    #[must_use]
    pub const fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// The server program, whatever its version.
    ///
    /// Defaults to that of [`ServerBuilder::version`].
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

    /// Speaks TLS as `identity` on a second port, [`RedisServer::tls_addr`]; the harness itself stays on the first.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn tls(mut self, identity: &Identity) -> Self {
        self.tls = Some(identity.clone());
        self
    }

    /// Lets in only TLS clients with a certificate of `ca`.
    ///
    /// Defaults to TLS clients without a certificate.
    #[must_use]
    pub fn tls_clients(mut self, ca: &Ca) -> Self {
        self.tls_clients = Some(ca.certificate());
        self
    }

    /// Listens on `::1` too.
    ///
    /// Defaults to 127.0.0.1 alone.
    #[must_use]
    pub const fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    /// Listens on [`RedisServer::socket_path`] too.
    ///
    /// Defaults to no socket.
    #[must_use]
    pub const fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
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
    pub fn replica_of(self, master: &RedisServer) -> Self {
        self.replica_at(master, master.port())
    }

    /// [`ServerBuilder::replica_of`] `master` as reached through `proxy`, which can hold what is replicated.
    #[must_use]
    pub fn replica_through(self, master: &RedisServer, proxy: &Proxy) -> Self {
        self.replica_at(master, proxy.port())
    }

    /// Makes it a cluster's node, on a port whose bus port is free too.
    pub(crate) fn cluster_node(mut self, timeout: Duration) -> Self {
        self.is_cluster_node = true;
        let timeout_ms = timeout.as_millis();
        // Its own address is told to it, so that it knows it before another node does.
        self.config_line("cluster-enabled yes")
            .config_line("cluster-announce-ip 127.0.0.1")
            .config_line(format!("cluster-node-timeout {timeout_ms}"))
    }

    /// Makes it a sentinel, which holds no data.
    pub(crate) const fn sentinel(mut self) -> Self {
        self.role = Role::Sentinel;
        self
    }

    fn replica_at(mut self, master: &RedisServer, port: u16) -> Self {
        self.role = Role::Replica;
        if let Some(password) = &master.password {
            self = self.config_line(format!("masterauth {}", quoted(password)));
        }
        self.config_line(format!("replicaof 127.0.0.1 {port}"))
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

    pub(super) fn program(&self) -> Result<PathBuf> {
        match (&self.binary, self.version, &self.tls) {
            (Some(path), _, _) => Ok(path.clone()),
            (None, Some(version), _) => version.find(),
            // The only build among them that speaks TLS.
            (None, None, Some(_)) => Version::Redis7_0.find(),
            (None, None, None) => find_redis_server(),
        }
    }

    pub(super) fn configuration(&self, port: u16, tls_port: Option<u16>, dir: &Path) -> String {
        let mut lines = format!(
            "port {port}\nbind 127.0.0.1{}\ndir {}\ndaemonize no\nlogfile {LOG}\n",
            if self.ipv6 { " ::1" } else { "" },
            quoted(dir),
        );
        if self.unix_socket {
            let _ = writeln!(lines, "unixsocket {}", quoted(dir.join(SOCKET)));
        }
        if let (Some(identity), Some(port)) = (&self.tls, tls_port) {
            lines += &self.tls_lines(identity, port);
        }
        if self.role != Role::Sentinel {
            let append = if self.persistent { "yes" } else { "no" };
            // A replica's first copy starts at once instead of waiting for others that may want one.
            let _ = writeln!(
                lines,
                "save \"\"\nappendonly {append}\nappendfsync always\nrepl-diskless-sync-delay 0"
            );
        }
        if let Some(password) = &self.password {
            let _ = writeln!(lines, "requirepass {}", quoted(password));
        }
        for line in &self.config {
            let _ = writeln!(lines, "{line}");
        }
        lines
    }

    fn tls_lines(&self, identity: &Identity, port: u16) -> String {
        let (certificate, key) = (quoted(&identity.certificate), quoted(&identity.key));
        let clients = match &self.tls_clients {
            Some(ca) => format!("tls-auth-clients yes\ntls-ca-cert-file {}", quoted(ca)),
            None => "tls-auth-clients no".to_owned(),
        };
        format!("tls-port {port}\ntls-cert-file {certificate}\ntls-key-file {key}\n{clients}\n")
    }
}

/// `text` as the configuration file wants it.
pub(crate) fn quoted(text: impl AsRef<Path>) -> String {
    let text = text.as_ref().display().to_string();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const PORT_ATTEMPTS: u32 = 5;
