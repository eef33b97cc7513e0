//! The servers of a run, and what breaks them.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use coord_tests::{
    clock::FakeClock,
    cluster::{Cluster, Failover, Pace},
    proxy::{Direction, Proxy},
    sentinels::Sentinels,
    server::RedisServer,
    wait,
};

use crate::plan::{Kind, Step, Topology};

/// Real servers with a password, and proxies on the ways to them; gone when dropped.
#[derive(Debug)]
pub struct Stage {
    servers: Servers,
    clock: Option<FakeClock>,
    /// The server that the present fault has broken.
    broken: Mutex<Option<u16>>,
}

#[derive(Debug)]
enum Servers {
    Standalone {
        server: Box<RedisServer>,
        ways: Vec<Proxy>,
    },
    Sentinel(Sentinels),
    Cluster(Cluster),
}

impl Stage {
    /// Starts the servers of `topology`. With `min_replicas` masters without a good replica refuse writes.
    ///
    /// # Errors
    ///
    /// When they do not start; says what is missing.
    pub fn start(topology: Topology, password: &str, min_replicas: bool) -> Result<Self> {
        let mut clock = None;
        let lines: &[&str] = match min_replicas {
            true => &["min-replicas-to-write 1", "min-replicas-max-lag 2"],
            false => &[],
        };
        let servers = match topology {
            Topology::Standalone => {
                let clock = clock.insert(FakeClock::new()?);
                let server = RedisServer::builder().persistent().config_line(UNSYNCED);
                let server = server.password(password);
                let server = server.clock(clock).start()?;
                let ways = vec![Proxy::in_front_of(&server)?, Proxy::in_front_of(&server)?];
                Servers::Standalone {
                    server: Box::new(server),
                    ways,
                }
            }
            Topology::Sentinel => {
                let clock = clock.insert(FakeClock::new()?);
                let group = Sentinels::builder().persistent().config_line(UNSYNCED);
                let group = group.password(password);
                let group = lines
                    .iter()
                    .fold(group, |group, line| group.config_line(*line));
                Servers::Sentinel(group.clock(clock).proxied().start()?)
            }
            Topology::Cluster => {
                let cluster = Cluster::builder().persistent().config_line(UNSYNCED);
                let cluster = cluster.password(password);
                let cluster = cluster.config_line("cluster-require-full-coverage no");
                let cluster = lines.iter().fold(cluster, |it, line| it.config_line(*line));
                Servers::Cluster(cluster.proxied().start()?)
            }
        };
        Ok(Self {
            servers,
            clock,
            broken: Mutex::new(None),
        })
    }

    /// The ways to them: clients take them in turn.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        match &self.servers {
            Servers::Standalone { ways, .. } => ways.iter().map(Proxy::url).collect(),
            Servers::Sentinel(group) => vec![group.url()],
            Servers::Cluster(cluster) => vec![cluster.url()],
        }
    }

    /// What every server has logged, by its name.
    #[must_use]
    pub fn logs(&self) -> Vec<(String, String)> {
        let (servers, sentinels): (_, &[RedisServer]) = match &self.servers {
            Servers::Standalone { server, .. } => (std::slice::from_ref(&**server), &[]),
            Servers::Sentinel(group) => (group.servers(), group.sentinels()),
            Servers::Cluster(cluster) => (cluster.nodes(), &[]),
        };
        let all = servers.iter().chain(sentinels).enumerate();
        all.map(|(place, server)| (format!("server-{place}"), server.log()))
            .collect()
    }

    /// Begins a fault of servers or ways.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub fn begin(&self, step: &Step) -> Result<()> {
        match step.kind {
            Kind::StopServer => self.break_master()?.stop(),
            Kind::KillServer | Kind::WipeServer => self.break_master()?.kill(),
            Kind::Flush => self.master()?.flush_all(),
            Kind::FillMemory => fill(self.break_master()?),
            Kind::StepServerClock => self.clock()?.set_offset_ms(step.by_ms),
            Kind::Partition => self.way(step.target)?.hold(self.direction(step.target)),
            Kind::HalfOpen => self
                .way(step.target)?
                .half_open(self.direction(step.target)),
            Kind::Cut => self.way(step.target)?.cut(),
            Kind::SlowLink => {
                let by = Duration::from_millis(step.by_ms.unsigned_abs());
                self.way(step.target)?.delay(by, by)
            }
            Kind::Failover => self.fail_over(step.target),
            Kind::Cascade => self.sentinels()?.cascade(UNHEARD).map(|_| ()),
            Kind::MigrateSlots => self.migrate(),
            other => bail!("{} is no fault of servers", other.name()),
        }
    }

    /// Ends it, and waits until all servers are well.
    ///
    /// # Errors
    ///
    /// When they are not in time.
    pub fn end(&self, step: &Step) -> Result<()> {
        match step.kind {
            Kind::StopServer => self.broken()?.cont()?,
            Kind::KillServer => self.broken()?.restart()?,
            Kind::WipeServer => self.broken()?.wipe_and_restart()?,
            Kind::FillMemory => limit_memory(self.broken()?, 0)?,
            Kind::StepServerClock => self.clock()?.set_offset_ms(0)?,
            Kind::Cascade => self.sentinels()?.revive()?,
            kind if kind.is_of_a_way() => self.way(step.target)?.resume()?,
            _ => {}
        }
        self.wait_ok()
    }

    fn wait_ok(&self) -> Result<()> {
        match &self.servers {
            Servers::Standalone { server, .. } => server.wait_ready(HEALED_WITHIN),
            Servers::Sentinel(group) => group.wait_ok(HEALED_WITHIN),
            Servers::Cluster(cluster) => cluster.wait_ok(HEALED_WITHIN),
        }
    }

    fn master(&self) -> Result<&RedisServer> {
        match &self.servers {
            Servers::Standalone { server, .. } => Ok(server),
            Servers::Sentinel(group) => group.master(),
            Servers::Cluster(cluster) => cluster.master_of(slot()),
        }
    }

    /// The master, to be found again when it is none any more.
    fn break_master(&self) -> Result<&RedisServer> {
        let master = self.master()?;
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(master.port());
        Ok(master)
    }

    fn broken(&self) -> Result<&RedisServer> {
        let port = *self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = match &self.servers {
            Servers::Standalone { server, .. } => std::slice::from_ref(&**server),
            Servers::Sentinel(group) => group.servers(),
            Servers::Cluster(cluster) => cluster.nodes(),
        };
        let broken = servers.iter().find(|server| Some(server.port()) == port);
        broken.context("no server was broken")
    }

    fn clock(&self) -> Result<&FakeClock> {
        let clock = self.clock.as_ref();
        clock.context("these servers have no clock of their own")
    }

    fn way(&self, target: u32) -> Result<&Proxy> {
        let place = usize::try_from(target)?;
        match &self.servers {
            Servers::Standalone { ways, .. } => Ok(&ways[place % ways.len()]),
            Servers::Cluster(cluster) => {
                let nodes = cluster.nodes();
                Ok(cluster.proxy(&nodes[place % nodes.len()]))
            }
            Servers::Sentinel(group) => {
                let servers = group.servers();
                Ok(group.proxy(&servers[place % servers.len()]))
            }
        }
    }

    fn direction(&self, target: u32) -> Direction {
        let ways = match &self.servers {
            Servers::Standalone { ways, .. } => ways.len(),
            Servers::Sentinel(group) => group.servers().len(),
            Servers::Cluster(cluster) => cluster.nodes().len(),
        };
        let directions = [Direction::Both, Direction::ToServer, Direction::ToClient];
        directions[usize::try_from(target).unwrap_or(0) / ways % directions.len()]
    }

    fn fail_over(&self, target: u32) -> Result<()> {
        match &self.servers {
            Servers::Standalone { .. } => bail!("there is no replica"),
            Servers::Sentinel(group) => {
                // Soon after an earlier one they refuse.
                wait::until_ok(HEALED_WITHIN, || {
                    thread::sleep(ASK_AGAIN);
                    group.failover().map(|_| ())
                })
            }
            Servers::Cluster(cluster) => {
                let kinds = [Failover::Agreed, Failover::Force, Failover::Takeover];
                let how = kinds[usize::try_from(target)? % kinds.len()];
                cluster.failover(cluster.replica_of(slot())?, how)
            }
        }
    }

    fn sentinels(&self) -> Result<&Sentinels> {
        match &self.servers {
            Servers::Sentinel(group) => Ok(group),
            _ => bail!("there are no sentinels"),
        }
    }

    fn migrate(&self) -> Result<()> {
        let Servers::Cluster(cluster) = &self.servers else {
            bail!("there is no other master");
        };
        let home = cluster.master_of(slot())?.port();
        // One of the first slot and one of the last are on different masters.
        let others = [0, u16::MAX / 8, u16::MAX / 4 - 1].map(|slot| cluster.master_of(slot));
        let away = others.into_iter().flatten().find(|it| it.port() != home);
        let away = away.context("there is no other master")?;
        let pace = Pace {
            keys: 1,
            rest: Duration::from_millis(20),
        };
        // A master that is succeeded in the middle of it refuses the rest; its successor goes on where it was.
        wait::until_ok(HEALED_WITHIN, || {
            if cluster.master_of(slot())?.port() == away.port() {
                return Ok(());
            }
            thread::sleep(ASK_AGAIN);
            cluster.migrate_slot(slot(), away, pace).map(|_| ())
        })
    }
}

/// The hash slot of every key that clients use: namespace and group have one name.
fn slot() -> u16 {
    Cluster::slot_of(NAME)
}

fn fill(server: &RedisServer) -> Result<()> {
    let used = server.info("memory")?;
    let used: u64 = used.get("used_memory").context("used_memory")?.parse()?;
    limit_memory(server, used / 2)
}

fn limit_memory(server: &RedisServer, bytes: u64) -> Result<()> {
    server.cli(&["CONFIG", "SET", "maxmemory", &bytes.to_string()])?;
    Ok(())
}

/// Of the namespace and the group.
pub(crate) const NAME: &str = "chaos";
/// What was written outlives the process without being on the disk, and a run does not depend on how busy that is.
const UNSYNCED: &str = "appendfsync no";
const HEALED_WITHIN: Duration = Duration::from_secs(60);
/// Long enough for grants, and for renewals of everything: the replica that is to take over hears of none of it.
const UNHEARD: Duration = Duration::from_millis(1_200);
const ASK_AGAIN: Duration = Duration::from_millis(300);
