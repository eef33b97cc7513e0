//! How a group under Sentinel is described before it starts.

use std::time::Duration;

use anyhow::Result;

use super::{START_LIMIT, Sentinels};
use crate::{
    clock::FakeClock,
    proxy::Proxy,
    server::{RedisServer, ServerBuilder, Version, quoted},
};

/// What a group of [`Sentinels`] is to be like; see [`Sentinels::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct SentinelsBuilder {
    version: Option<Version>,
    replicas: usize,
    sentinels: usize,
    down_after: Duration,
    failover_timeout: Duration,
    persistent: bool,
    pub(super) password: Option<String>,
    sentinel_password: Option<String>,
    config: Vec<String>,
    sentinel_config: Vec<String>,
    clock: Option<FakeClock>,
    is_proxied: bool,
}

impl Default for SentinelsBuilder {
    fn default() -> Self {
        Self {
            version: None,
            replicas: 2,
            sentinels: 3,
            down_after: Duration::from_secs(1),
            failover_timeout: Duration::from_secs(6),
            persistent: false,
            password: None,
            sentinel_password: None,
            config: Vec::new(),
            sentinel_config: Vec::new(),
            clock: None,
            is_proxied: false,
        }
    }
}

impl SentinelsBuilder {
    /// The version of servers and sentinels. Defaults to what
    /// [`find_redis_server`](crate::server::find_redis_server) finds.
    pub const fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// How many replicas the master has. Defaults to 2.
    pub const fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// How many sentinels watch; more than half of them decide. Defaults to 3.
    pub const fn sentinels(mut self, sentinels: usize) -> Self {
        self.sentinels = sentinels;
        self
    }

    /// After how long a silent server counts as down, in whole milliseconds. Defaults to 1 s.
    pub const fn down_after(mut self, down_after: Duration) -> Self {
        self.down_after = down_after;
        self
    }

    /// How long a failover may take before it is given up; the next begins after twice that, in whole milliseconds.
    /// Defaults to 6 s.
    pub const fn failover_timeout(mut self, timeout: Duration) -> Self {
        self.failover_timeout = timeout;
        self
    }

    /// Keeps every acknowledged write over a restart. Defaults to servers that forget everything.
    pub const fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// The `default` user's password on master and replicas. Defaults to none.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The `default` user's password on the sentinels. Defaults to none.
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// Adds an ACL user to master and replicas; see [`ServerBuilder::acl_user`]. Defaults to no further users.
    pub fn acl_user(self, name: &str, rules: &str) -> Self {
        self.config_line(format!("user {name} {rules}"))
    }

    /// Adds an ACL user to the sentinels; see [`ServerBuilder::acl_user`]. Defaults to no further users.
    pub fn sentinel_acl_user(mut self, name: &str, rules: &str) -> Self {
        self.sentinel_config.push(format!("user {name} {rules}"));
        self
    }

    /// Adds a line to the configuration of master and replicas, such as `min-replicas-to-write 1`. Defaults to none.
    pub fn config_line(mut self, line: impl Into<String>) -> Self {
        self.config.push(line.into());
        self
    }

    /// Runs master and replicas under `clock`. Defaults to the machine's clock.
    pub fn clock(mut self, clock: &FakeClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Puts a [`Proxy`] in front of master and replicas, as the address that sentinels know and give out:
    /// [`Sentinels::proxy`].
    ///
    /// Clients, replicas and sentinels go through it. Defaults to none.
    pub const fn proxied(mut self) -> Self {
        self.is_proxied = true;
        self
    }

    /// Starts them and waits as [`Sentinels::wait_ok`].
    ///
    /// # Errors
    ///
    /// When there is no server program (says how to get one), or the group is not well after 30 s.
    pub fn start(self) -> Result<Sentinels> {
        let master = self.server().start()?;
        let follow = format!("replicaof 127.0.0.1 {}", master.port());
        let replica = || match self.is_proxied {
            // Told below: what it announces has to be known before it first speaks to its master.
            true => self.server().start(),
            false => self.server().config_line(&follow).start(),
        };
        let replicas = (0..self.replicas).map(|_| replica());
        let replicas = replicas.collect::<Result<Vec<_>>>()?;
        let servers: Vec<RedisServer> = std::iter::once(master).chain(replicas).collect();
        let proxies = match self.is_proxied {
            true => announced_proxies(&servers)?,
            false => Vec::new(),
        };
        let known = match proxies.first() {
            Some(proxy) => proxy.port(),
            None => servers[0].port(),
        };
        let sentinels = (0..self.sentinels).map(|_| self.sentinel(known).start());
        let sentinels = sentinels.collect::<Result<Vec<_>>>()?;
        let group = Sentinels {
            sentinels,
            servers,
            proxies,
            password: self.password,
        };
        group.wait_ok(START_LIMIT)?;
        Ok(group)
    }

    fn any(&self) -> ServerBuilder {
        let server = RedisServer::builder();
        match self.version {
            Some(version) => server.version(version),
            None => server,
        }
    }

    fn server(&self) -> ServerBuilder {
        let mut server = self.any();
        if let Some(password) = &self.password {
            server = server
                .password(password)
                .config_line(format!("masterauth {}", quoted(password)));
        }
        if self.persistent {
            server = server.persistent();
        }
        if let Some(clock) = &self.clock {
            server = server.clock(clock);
        }
        self.config.iter().fold(server, ServerBuilder::config_line)
    }

    fn sentinel(&self, port: u16) -> ServerBuilder {
        let name = Sentinels::NAME;
        let quorum = self.sentinels / 2 + 1;
        let down_after_ms = self.down_after.as_millis();
        let failover_timeout_ms = self.failover_timeout.as_millis();
        let mut sentinel = self
            .any()
            .sentinel()
            .config_line(format!("sentinel monitor {name} 127.0.0.1 {port} {quorum}"))
            .config_line(format!(
                "sentinel down-after-milliseconds {name} {down_after_ms}"
            ))
            .config_line(format!(
                "sentinel failover-timeout {name} {failover_timeout_ms}"
            ))
            .config_line(format!(
                "sentinel parallel-syncs {name} {}",
                self.replicas.max(1)
            ));
        if let Some(password) = &self.password {
            sentinel =
                sentinel.config_line(format!("sentinel auth-pass {name} {}", quoted(password)));
        }
        if let Some(password) = &self.sentinel_password {
            sentinel = sentinel
                .password(password)
                .config_line(format!("sentinel sentinel-pass {}", quoted(password)));
        }
        self.sentinel_config
            .iter()
            .fold(sentinel, ServerBuilder::config_line)
    }
}

/// A proxy in front of each server, which gives it out as its own address; all but the first follow the first.
fn announced_proxies(servers: &[RedisServer]) -> Result<Vec<Proxy>> {
    let proxies = servers.iter().map(Proxy::in_front_of);
    let proxies = proxies.collect::<Result<Vec<_>>>()?;
    for (place, (server, proxy)) in servers.iter().zip(&proxies).enumerate() {
        let port = proxy.port().to_string();
        server.cli(&["CONFIG", "SET", "replica-announce-port", &port])?;
        if place > 0 {
            let master = proxies[0].port().to_string();
            server.cli(&["REPLICAOF", "127.0.0.1", &master])?;
        }
        // Also after a restart.
        server.cli(&["CONFIG", "REWRITE"])?;
    }
    for replica in &servers[1..] {
        replica.wait_caught_up(&servers[0], START_LIMIT)?;
    }
    Ok(proxies)
}
