//! A master with replicas, watched by sentinels.

mod builder;

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};

pub use self::builder::SentinelsBuilder;
use crate::{proxy::Proxy, server::RedisServer, wait};

/// A master, its replicas and their sentinels, all on loopback; killed when dropped.
///
/// To break one of them, take it by its role ([`Sentinels::master`], [`Sentinels::replicas`],
/// [`Sentinels::sentinels`]) and use the methods of [`RedisServer`].
#[derive(Debug)]
pub struct Sentinels {
    // Before `servers`: nobody is left to promote one that is dropped later.
    sentinels: Vec<RedisServer>,
    servers: Vec<RedisServer>,
    /// In front of each server, in the same order; empty without [`SentinelsBuilder::proxied`].
    proxies: Vec<Proxy>,
    password: Option<String>,
}

/// What one sentinel knows of a server, by field.
type Fields = HashMap<String, String>;

impl Sentinels {
    /// The name under which the master is known.
    pub const NAME: &str = "coord-main";

    /// Describes a group to start.
    pub fn builder() -> SentinelsBuilder {
        SentinelsBuilder::default()
    }

    /// The URL for clients, with every sentinel, and with the servers' password where there is one.
    #[must_use]
    pub fn url(&self) -> String {
        let user = self.password.as_ref();
        self.url_with(
            &user
                .map(|password| format!(":{password}@"))
                .unwrap_or_default(),
        )
    }

    /// The URL for the servers' ACL user `name`.
    #[must_use]
    pub fn url_for(&self, name: &str, password: &str) -> String {
        self.url_with(&format!("{name}:{password}@"))
    }

    fn url_with(&self, user: &str) -> String {
        let hosts: Vec<String> = self
            .sentinels
            .iter()
            .map(|s| s.addr().to_string())
            .collect();
        format!("redis+sentinel://{user}{}/{}", hosts.join(","), Self::NAME)
    }

    /// Every server that holds data, in the order of their start: the first master, then its replicas.
    #[must_use]
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// Every sentinel.
    #[must_use]
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// The proxy between `server` and everybody else.
    ///
    /// # Panics
    ///
    /// When the group was built without [`SentinelsBuilder::proxied`], or `server` is not of it.
    #[must_use]
    pub fn proxy(&self, server: &RedisServer) -> &Proxy {
        let mut servers = self.servers.iter();
        let place = servers.position(|other| other.port() == server.port());
        let proxy = place.and_then(|place| self.proxies.get(place));
        proxy.expect("the group was built with proxied(), and the server is one of it")
    }

    /// The master in the eyes of the sentinel with the latest news; it may be dead.
    ///
    /// # Errors
    ///
    /// When no sentinel answers.
    pub fn master(&self) -> Result<&RedisServer> {
        let alive = self.sentinels.iter().filter(|sentinel| sentinel.is_alive());
        let known = alive.filter_map(|sentinel| {
            let master = master_of(sentinel).ok()?;
            Some((master.get("config-epoch")?.parse::<u64>().ok()?, master))
        });
        let latest = known.max_by_key(|(epoch, _)| *epoch);
        let (_, master) = latest.context("no sentinel answers")?;
        self.server(&master)
    }

    /// Every server but [`Sentinels::master`].
    ///
    /// # Errors
    ///
    /// As [`Sentinels::master`].
    pub fn replicas(&self) -> Result<Vec<&RedisServer>> {
        let master = self.master()?.port();
        let others = self.servers.iter().filter(|server| server.port() != master);
        Ok(others.collect())
    }

    /// Makes the sentinels replace a healthy master (`SENTINEL FAILOVER`), and returns the new one.
    ///
    /// # Errors
    ///
    /// When they refuse, as soon after an earlier failover, or the new master does not answer within 30 s.
    pub fn failover(&self) -> Result<&RedisServer> {
        let former = self.master()?;
        let mut alive = self.sentinels.iter().filter(|sentinel| sentinel.is_alive());
        let sentinel = alive.next().context("no sentinel lives")?;
        sentinel.cli(&["SENTINEL", "FAILOVER", Self::NAME])?;
        self.wait_master_changed(former, FAILOVER_LIMIT)
    }

    /// Waits until every sentinel that answers names one other master than `former`, and that one acts as it.
    ///
    /// # Errors
    ///
    /// When it is not so within `within`.
    pub fn wait_master_changed(
        &self,
        former: &RedisServer,
        within: Duration,
    ) -> Result<&RedisServer> {
        let changed = wait::until(within, || {
            let master = self.agreed_master().ok()?;
            (master.port() != former.port()).then_some(master)
        });
        changed.with_context(|| {
            let port = former.port();
            let logs: Vec<String> = self.sentinels.iter().map(RedisServer::log_end).collect();
            let logs = logs.join("\n\n");
            format!(
                "the sentinels have no other master than port {port} after {within:?}; their logs end:\n{logs}"
            )
        })
    }

    /// Stops `replica` and closes its link: it misses every write until [`RedisServer::cont`], and yet may be promoted
    /// then.
    ///
    /// Other replicas are linked again within about a second.
    ///
    /// # Errors
    ///
    /// When the replica has ended, or its master does not answer.
    pub fn hold_back(&self, replica: &RedisServer) -> Result<()> {
        replica.stop()?;
        // What the master has sent lies ready in the stopped process's socket; from here on nothing is added.
        self.master()?.cli(&["CLIENT", "KILL", "TYPE", "replica"])?;
        Ok(())
    }

    /// A failover that loses writes: all that `write` does on the master is acknowledged, and missing on the new one.
    ///
    /// The old master is killed; [`RedisServer::restart`] brings it back, and the sentinels make it a replica.
    ///
    /// # Errors
    ///
    /// When `write` fails, as it does under `min-replicas-to-write`: the replicas then go on, and nothing is killed.
    /// When there is no new master after 60 s.
    pub fn failover_without(
        &self,
        write: impl FnOnce(&RedisServer) -> Result<()>,
    ) -> Result<&RedisServer> {
        let master = self.master()?;
        let replicas = self.replicas()?;
        for replica in &replicas {
            self.hold_back(replica)?;
        }
        let written = write(master).and_then(|()| master.kill());
        for replica in &replicas {
            replica.cont()?;
        }
        written?;
        self.wait_master_changed(master, LOSS_LIMIT)
    }

    /// A replica of a replica takes over: one replica follows the other, that one stands still, and after `meanwhile`, in
    /// which the last one learns nothing, the master is killed.
    ///
    /// # Errors
    ///
    /// When there are not two replicas, the last one does not come into step with the other, or there is no new master after
    /// 60 s.
    pub fn cascade(&self, meanwhile: Duration) -> Result<&RedisServer> {
        let master = self.master()?;
        let replicas = self.replicas()?;
        let [between, last, ..] = replicas.as_slice() else {
            bail!("{} replicas are too few", replicas.len());
        };
        let port = self.announced_port(between).to_string();
        last.cli(&["REPLICAOF", "127.0.0.1", &port])?;
        last.wait_caught_up(between, START_LIMIT)?;
        between.stop()?;
        std::thread::sleep(meanwhile);
        master.kill()?;
        self.wait_master_changed(master, LOSS_LIMIT)
    }

    /// Brings back whatever was stopped or killed.
    ///
    /// # Errors
    ///
    /// When a server does not start.
    pub fn revive(&self) -> Result<()> {
        for server in &self.servers {
            match server.is_alive() {
                true => server.cont()?,
                false => server.restart()?,
            }
        }
        Ok(())
    }

    /// Waits until everything that was not killed works together: every sentinel knows the same master, every replica
    /// and every other sentinel, and sees nothing down; each replica has what the master had when this began to look.
    ///
    /// # Errors
    ///
    /// When it is not so within `within`; says what is missing.
    pub fn wait_ok(&self, within: Duration) -> Result<()> {
        wait::until_ok(within, || self.check()).context("the group under Sentinel is not well")
    }

    fn check(&self) -> Result<()> {
        let master = self.agreed_master()?;
        let alive: Vec<_> = self.servers.iter().filter(|s| s.is_alive()).collect();
        let replicas = alive.into_iter().filter(|s| s.port() != master.port());
        for replica in replicas {
            replica.wait_caught_up(master, REPLICATION_LIMIT)?;
            for sentinel in self.sentinels.iter().filter(|s| s.is_alive()) {
                let known: Vec<Fields> = sentinel.query(&["SENTINEL", "REPLICAS", Self::NAME])?;
                let port = self.announced_port(replica).to_string();
                let is_well =
                    |server: &Fields| server.get("flags").is_some_and(|flags| flags == "slave");
                let sees = |server: &Fields| server.get("port") == Some(&port) && is_well(server);
                ensure!(
                    known.iter().any(sees),
                    "a sentinel does not see the replica on port {port}"
                );
            }
        }
        Ok(())
    }

    /// The master that all sentinels that live name, if it acts as one.
    fn agreed_master(&self) -> Result<&RedisServer> {
        let mut agreed: Option<&RedisServer> = None;
        for sentinel in self.sentinels.iter().filter(|s| s.is_alive()) {
            let known = master_of(sentinel)?;
            let field = |name: &str| known.get(name).map_or("", String::as_str);
            let master = self.server(&known)?;
            ensure!(
                field("flags") == "master",
                "a sentinel says {:?} of the master",
                field("flags")
            );
            let others = (self.sentinels.len() - 1).to_string();
            ensure!(
                field("num-other-sentinels") == others,
                "a sentinel does not know all others"
            );
            if agreed.is_some_and(|agreed| agreed.port() != master.port()) {
                bail!("the sentinels disagree on the master");
            }
            agreed = Some(master);
        }
        let master = agreed.context("no sentinel lives")?;
        let role = master.info("replication")?.remove("role");
        ensure!(
            role.as_deref() == Some("master"),
            "port {} acts as {role:?}",
            master.port()
        );
        Ok(master)
    }

    /// The port at which everybody but the tests finds `server`.
    fn announced_port(&self, server: &RedisServer) -> u16 {
        match self.proxies.is_empty() {
            true => server.port(),
            false => self.proxy(server).port(),
        }
    }

    fn server(&self, known: &Fields) -> Result<&RedisServer> {
        let port = known.get("port").context("a master without a port")?;
        let mut servers = self.servers.iter();
        servers
            .find(|server| self.announced_port(server).to_string() == *port)
            .with_context(|| format!("a sentinel names port {port}, which is none of ours"))
    }
}

fn master_of(sentinel: &RedisServer) -> Result<Fields> {
    sentinel.query(&["SENTINEL", "MASTER", Sentinels::NAME])
}

const START_LIMIT: Duration = Duration::from_secs(30);
const FAILOVER_LIMIT: Duration = Duration::from_secs(30);
const LOSS_LIMIT: Duration = Duration::from_secs(60);
const REPLICATION_LIMIT: Duration = Duration::from_secs(2);
