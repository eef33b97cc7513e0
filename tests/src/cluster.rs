//! A real cluster: masters and replicas on loopback.

mod builder;
mod forming;
mod moving;
mod view;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, bail, ensure};

pub use self::{builder::ClusterBuilder, moving::Pace};
use self::{builder::Setting, view::View};
use crate::{proxy::Proxy, server::RedisServer, wait};

/// How [`Cluster::failover`] takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failover {
    /// Graceful: the master stops its clients and hands over what the replica lacks.
    Agreed,
    /// Without the master, by a vote of the others (`FORCE`).
    Force,
    /// Without asking anybody (`TAKEOVER`).
    Takeover,
}

/// A cluster of real servers; killed when dropped.
///
/// To break a node, take it by its role ([`Cluster::master_of`]) or its place ([`Cluster::nodes`]) and use the
/// methods of [`RedisServer`].
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<RedisServer>,
    /// In front of each node, in the same order; empty without [`ClusterBuilder::proxied`].
    proxies: Vec<Proxy>,
    setting: Setting,
}

impl Cluster {
    /// Describes a cluster to start.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// The URL for clients, with every node, and with the password where there is one.
    #[must_use]
    pub fn url(&self) -> String {
        let ports = match self.proxies.is_empty() {
            true => self.nodes.iter().map(RedisServer::port).collect(),
            false => self.proxies.iter().map(Proxy::port).collect::<Vec<_>>(),
        };
        let hosts: Vec<String> = ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        let password = self.setting.password.as_ref();
        let user = password.map(|password| format!(":{password}@"));
        format!(
            "rediscluster://{}{}",
            user.unwrap_or_default(),
            hosts.join(",")
        )
    }

    /// Every node: first those that began as masters, then those that began as replicas.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The proxy between `node` and everything but the bus: clients, and its replicas or master.
    ///
    /// # Panics
    ///
    /// When the cluster was built without [`ClusterBuilder::proxied`], or `node` is not of it.
    #[must_use]
    pub fn proxy(&self, node: &RedisServer) -> &Proxy {
        let place = self
            .nodes
            .iter()
            .position(|other| other.port() == node.port());
        let place = place.expect("the node is one of this cluster");
        let proxy = self.proxies.get(place);
        proxy.expect("the cluster was built with proxied()")
    }

    /// The slot of `key`, or of its hash tag where it has one.
    #[must_use]
    pub fn slot_of(key: &str) -> u16 {
        let tag = key
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'))
            .map(|(tag, _)| tag)
            .filter(|tag| !tag.is_empty());
        crc16(tag.unwrap_or(key).as_bytes()) % SLOTS
    }

    /// The master that owns `slot`, of those that answer; the latest where two claim it.
    ///
    /// # Errors
    ///
    /// When none that answers owns it, as while its master is dead.
    pub fn master_of(&self, slot: u16) -> Result<&RedisServer> {
        let claims = self.views().into_iter().filter_map(|(node, view)| {
            let me = view.myself()?;
            (me.is_master() && me.owns(slot)).then_some((me.epoch, node))
        });
        let latest = claims.max_by_key(|(epoch, _)| *epoch);
        let (_, master) = latest.with_context(|| format!("no master answers for slot {slot}"))?;
        Ok(master)
    }

    /// A replica of the master of `slot`, which may be dead.
    ///
    /// # Errors
    ///
    /// When none answers.
    pub fn replica_of(&self, slot: u16) -> Result<&RedisServer> {
        let replica = self.views().into_iter().find(|(_, view)| {
            let master = view.myself().and_then(|me| view.node(me.master.as_ref()?));
            master.is_some_and(|master| master.owns(slot))
        });
        let (replica, _) =
            replica.with_context(|| format!("no replica answers for slot {slot}"))?;
        Ok(replica)
    }

    /// Makes `replica` a master, and waits until it is one.
    ///
    /// Soon after an earlier failover of the same master this takes some 10 s longer: the others vote about it only once
    /// in two node timeouts, and what they refused is asked again here.
    ///
    /// # Errors
    ///
    /// When it refuses, or is no master after 30 s.
    pub fn failover(&self, replica: &RedisServer, how: Failover) -> Result<()> {
        let command: &[&str] = match how {
            Failover::Agreed => &["CLUSTER", "FAILOVER"],
            Failover::Force => &["CLUSTER", "FAILOVER", "FORCE"],
            Failover::Takeover => &["CLUSTER", "FAILOVER", "TAKEOVER"],
        };
        let is_master = || {
            let view = View::of(replica).ok()?;
            view.myself()?.is_master().then_some(())
        };
        // One that has just lost the way to its master refuses.
        let is_linked = || {
            let info = replica.info("replication").ok()?;
            (info.get("master_link_status")? == "up").then_some(())
        };
        for _ in 0..FAILOVER_ATTEMPTS {
            if matches!(how, Failover::Agreed) {
                let _ = wait::until(FAILOVER_GIVEN_UP, is_linked);
            }
            replica.cli(command)?;
            if wait::until(FAILOVER_GIVEN_UP, is_master).is_some() {
                return Ok(());
            }
        }
        bail!(
            "port {} is no master after {:?}",
            replica.port(),
            FAILOVER_GIVEN_UP * FAILOVER_ATTEMPTS
        )
    }

    /// Waits until another node than `former` answers as the master of `slot`, and returns it.
    ///
    /// # Errors
    ///
    /// When there is none within `within`.
    pub fn wait_master_changed(
        &self,
        slot: u16,
        former: &RedisServer,
        within: Duration,
    ) -> Result<&RedisServer> {
        let changed = wait::until(within, || {
            let master = self.master_of(slot).ok()?;
            (master.port() != former.port()).then_some(master)
        });
        changed.with_context(|| {
            let port = former.port();
            format!("port {port} still is the master of slot {slot} after {within:?}")
        })
    }

    /// Waits until every node that was not killed serves: each says `cluster_state:ok`, all agree on who owns which
    /// slot and none is left out, and each replica has what its master had when this began to look.
    ///
    /// # Errors
    ///
    /// When it is not so within `within`; says what is missing.
    pub fn wait_ok(&self, within: Duration) -> Result<()> {
        wait::until_ok(within, || self.check()).context("the cluster is not well")
    }

    fn check(&self) -> Result<()> {
        let alive = || self.nodes.iter().filter(|node| node.is_alive());
        let mut ownership = BTreeSet::new();
        for node in alive() {
            let info: String = node.query(&["CLUSTER", "INFO"])?;
            let port = node.port();
            ensure!(
                info.contains("cluster_state:ok"),
                "port {port} does not say cluster_state:ok"
            );
            let view = View::of(node)?;
            ensure!(
                view.owned_slots() == usize::from(SLOTS),
                "port {port} does not know the owner of every slot"
            );
            ownership.insert(view.ownership());
        }
        ensure!(
            ownership.len() == 1,
            "the nodes disagree on who owns which slot"
        );
        for node in alive() {
            self.check_replication(node)?;
        }
        Ok(())
    }

    fn check_replication(&self, node: &RedisServer) -> Result<()> {
        let view = View::of(node)?;
        let Some(id) = view.myself().and_then(|me| me.master.as_ref()) else {
            return Ok(());
        };
        let is_master = |view: &View| view.myself().is_some_and(|me| me.id == *id);
        let master = self.views().into_iter().find(|(_, view)| is_master(view));
        let port = node.port();
        let (master, _) = master.with_context(|| format!("the master of port {port} is away"))?;
        node.wait_caught_up(master, REPLICATION_LIMIT)
    }

    /// What each node that answers knows.
    fn views(&self) -> Vec<(&RedisServer, View)> {
        let alive = self.nodes.iter().filter(|node| node.is_alive());
        alive
            .filter_map(|node| Some((node, View::of(node).ok()?)))
            .collect()
    }
}

/// The checksum that decides a key's slot: CRC-16 with polynomial 0x1021 (XMODEM).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    })
}

const SLOTS: u16 = 16_384;
const START_LIMIT: Duration = Duration::from_secs(30);
/// A server gives up a manual failover after 5 s.
const FAILOVER_GIVEN_UP: Duration = Duration::from_secs(6);
const FAILOVER_ATTEMPTS: u32 = 5;
const REPLICATION_LIMIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tag_decides_the_slot_and_an_empty_one_does_not() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(Cluster::slot_of("{ns}:id:1"), Cluster::slot_of("ns"));
        assert_eq!(Cluster::slot_of("a{ns}{other}"), Cluster::slot_of("ns"));
        assert_ne!(Cluster::slot_of("{}a"), Cluster::slot_of("{}b"));
    }
}
