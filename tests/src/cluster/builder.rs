//! How a cluster is described before it starts.

use std::{thread, time::Duration};

use anyhow::{Context, Result};

use super::{Cluster, START_LIMIT};
use crate::{
    proxy::Proxy,
    server::{RedisServer, ServerBuilder, Version, quoted},
};

/// What a [`Cluster`] is to be like; see [`Cluster::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ClusterBuilder {
    setting: Setting,
}

#[derive(Debug, Clone)]
pub(super) struct Setting {
    version: Option<Version>,
    pub(super) masters: usize,
    pub(super) replicas_per_master: usize,
    node_timeout: Duration,
    pub(super) password: Option<String>,
    config: Vec<String>,
    persistent: bool,
    is_proxied: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            version: None,
            masters: 3,
            replicas_per_master: 1,
            node_timeout: Duration::from_secs(2),
            password: None,
            config: Vec::new(),
            persistent: false,
            is_proxied: false,
        }
    }
}

impl ClusterBuilder {
    /// The servers' version. Defaults to what [`find_redis_server`](crate::server::find_redis_server) finds.
    pub const fn version(mut self, version: Version) -> Self {
        self.setting.version = Some(version);
        self
    }

    /// How many masters share the slots. Defaults to 3, the fewest that can vote when one is gone.
    pub const fn masters(mut self, masters: usize) -> Self {
        self.setting.masters = masters;
        self
    }

    /// How many replicas each master has. Defaults to 1.
    pub const fn replicas_per_master(mut self, replicas: usize) -> Self {
        self.setting.replicas_per_master = replicas;
        self
    }

    /// After how long a silent node is suspected, in whole milliseconds. Defaults to 2 s.
    pub const fn node_timeout(mut self, timeout: Duration) -> Self {
        self.setting.node_timeout = timeout;
        self
    }

    /// The `default` user's password, on every node. Defaults to none.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.setting.password = Some(password.into());
        self
    }

    /// Adds an ACL user to every node; see [`ServerBuilder::acl_user`]. Defaults to no further users.
    pub fn acl_user(self, name: &str, rules: &str) -> Self {
        self.config_line(format!("user {name} {rules}"))
    }

    /// Adds a line to every node's configuration. Defaults to no further lines.
    pub fn config_line(mut self, line: impl Into<String>) -> Self {
        self.setting.config.push(line.into());
        self
    }

    /// Keeps every acknowledged write over a restart. Defaults to nodes that forget everything but the cluster.
    pub const fn persistent(mut self) -> Self {
        self.setting.persistent = true;
        self
    }

    /// Puts a [`Proxy`] in front of each node, as the address that the cluster announces: [`Cluster::proxy`].
    ///
    /// Clients and replication go through it; the nodes' bus does not. Defaults to none.
    pub const fn proxied(mut self) -> Self {
        self.setting.is_proxied = true;
        self
    }

    /// Starts the cluster and waits as [`Cluster::wait_ok`].
    ///
    /// # Errors
    ///
    /// When there is no server program (says how to get one), or the cluster is not well after 30 s.
    pub fn start(self) -> Result<Cluster> {
        let setting = self.setting;
        let count = setting.masters * (1 + setting.replicas_per_master);
        let started: Vec<Result<RedisServer>> = thread::scope(|scope| {
            let starting: Vec<_> = (0..count)
                .map(|_| scope.spawn(|| setting.server().start()))
                .collect();
            let joined = starting.into_iter().map(|thread| thread.join());
            joined
                .map(|started| started.expect("a server's start does not panic"))
                .collect()
        });
        let nodes = started.into_iter().collect::<Result<Vec<_>>>()?;
        let proxies = if setting.is_proxied {
            nodes.iter().map(announced_proxy).collect::<Result<_>>()?
        } else {
            Vec::new()
        };
        let cluster = Cluster {
            nodes,
            proxies,
            setting,
        };
        cluster.form().context("forming a cluster")?;
        cluster.wait_ok(START_LIMIT)?;
        Ok(cluster)
    }
}

impl Setting {
    fn server(&self) -> ServerBuilder {
        let mut server = RedisServer::builder().cluster_node(self.node_timeout);
        if let Some(version) = self.version {
            server = server.version(version);
        }
        if let Some(password) = &self.password {
            server = server
                .password(password)
                .config_line(format!("masterauth {}", quoted(password)));
        }
        if self.persistent {
            server = server.persistent();
        }
        self.config.iter().fold(server, ServerBuilder::config_line)
    }
}

/// A proxy that `node` gives out as its own address, also after a restart.
fn announced_proxy(node: &RedisServer) -> Result<Proxy> {
    let proxy = Proxy::in_front_of(node)?;
    let port = proxy.port().to_string();
    node.cli(&["CONFIG", "SET", "cluster-announce-port", &port])?;
    node.cli(&["CONFIG", "REWRITE"])?;
    Ok(proxy)
}
