//! The faults there are, and what is promised under them decides how far they go.

use std::{ops::RangeInclusive, str::FromStr};

use super::Lane;

/// What the servers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Standalone,
    /// A master with two replicas under three sentinels.
    Sentinel,
    /// Three masters with a replica each.
    Cluster,
}

impl Topology {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Standalone, Self::Sentinel, Self::Cluster];

    /// What users call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        }
    }

    /// The ttl of its clients' leases, ms. A lease survives a failover only if its ttl is longer than that takes.
    #[must_use]
    pub const fn ttl_ms(self) -> u64 {
        match self {
            Self::Standalone => 5_000,
            Self::Sentinel | Self::Cluster => 8_000,
        }
    }
}

impl FromStr for Topology {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|it| it.name() == name);
        found
            .ok_or_else(|| format!("no topology {name:?}; there are standalone, sentinel, cluster"))
    }
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `kill -9` of a client process; another one takes its place.
    KillClient,
    /// `SIGSTOP` of a client process, up to beyond its ttl.
    PauseClient,
    /// A client process ends politely; another one takes its place.
    RestartClient,
    /// The wall clock of a client process is wrong.
    StepClientClock,
    /// `SIGSTOP` of the master.
    StopServer,
    /// `kill -9` of the master, which comes back with what it had persisted.
    KillServer,
    /// `kill -9` of the server, which comes back empty.
    WipeServer,
    /// `FLUSHALL` on the master.
    Flush,
    /// `maxmemory` below what is used; nothing may be evicted.
    FillMemory,
    /// The servers' clock is wrong.
    StepServerClock,
    /// Bytes on a way stand still, both ways or one way, and arrive afterwards.
    Partition,
    /// A way refuses and closes connections.
    Cut,
    /// Connections that exist are dead; new ones work.
    HalfOpen,
    /// Every byte on a way is late.
    SlowLink,
    /// A replica takes over from a healthy master.
    Failover,
    /// A replica of a replica takes over, without what the one between had not passed on.
    Cascade,
    /// The hash slots of the clients' keys move to other masters, key by key.
    MigrateSlots,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::KillClient,
        Self::PauseClient,
        Self::RestartClient,
        Self::StepClientClock,
        Self::StopServer,
        Self::KillServer,
        Self::WipeServer,
        Self::Flush,
        Self::FillMemory,
        Self::StepServerClock,
        Self::Partition,
        Self::Cut,
        Self::HalfOpen,
        Self::SlowLink,
        Self::Failover,
        Self::Cascade,
        Self::MigrateSlots,
    ];

    /// What users call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KillClient => "kill-client",
            Self::PauseClient => "pause-client",
            Self::RestartClient => "restart-client",
            Self::StepClientClock => "step-client-clock",
            Self::StopServer => "stop-server",
            Self::KillServer => "kill-server",
            Self::WipeServer => "wipe-server",
            Self::Flush => "flush",
            Self::FillMemory => "fill-memory",
            Self::StepServerClock => "step-server-clock",
            Self::Partition => "partition",
            Self::Cut => "cut",
            Self::HalfOpen => "half-open",
            Self::SlowLink => "slow-link",
            Self::Failover => "failover",
            Self::Cascade => "cascade",
            Self::MigrateSlots => "migrate-slots",
        }
    }

    /// Whether it befalls this lane on this topology.
    #[must_use]
    pub const fn suits(self, topology: Topology, lane: Lane) -> bool {
        let is_of_clients = matches!(
            self,
            Self::KillClient | Self::PauseClient | Self::RestartClient | Self::StepClientClock
        );
        let is_there = match self {
            // Elsewhere a server that comes back empty is resynchronised or is a whole deployment that was flushed.
            Self::WipeServer => matches!(topology, Topology::Standalone),
            Self::Failover => !matches!(topology, Topology::Standalone),
            // Nodes of a cluster follow masters only.
            Self::Cascade => matches!(topology, Topology::Sentinel),
            Self::MigrateSlots => matches!(topology, Topology::Cluster),
            // Nodes of a cluster take each other for dead by that clock, which is a failover and nothing else.
            Self::StepServerClock => !matches!(topology, Topology::Cluster),
            _ => true,
        };
        is_there && is_of_clients == !matches!(lane, Lane::Servers)
    }

    /// Whether its target is a way to a server.
    #[must_use]
    pub const fn is_of_a_way(self) -> bool {
        matches!(
            self,
            Self::Partition | Self::Cut | Self::HalfOpen | Self::SlowLink
        )
    }

    /// Whether the store forgets everything.
    #[must_use]
    pub const fn forgets(self) -> bool {
        matches!(self, Self::WipeServer | Self::Flush)
    }

    pub(super) const fn lasts_ms(self, topology: Topology) -> RangeInclusive<u64> {
        let ttl_ms = topology.ttl_ms();
        match self {
            Self::KillClient => 100..=3_000,
            Self::PauseClient => 200..=ttl_ms * 8 / 5,
            Self::RestartClient => 50..=2_000,
            Self::StepClientClock => 1_000..=6_000,
            Self::StopServer | Self::KillServer => 300..=ttl_ms * 6 / 5,
            Self::WipeServer => 200..=3_000,
            Self::Flush | Self::Failover | Self::Cascade | Self::MigrateSlots => 500..=500,
            Self::FillMemory => 1_000..=ttl_ms * 6 / 5,
            Self::StepServerClock => 2_000..=5_000,
            Self::Partition | Self::Cut => 500..=ttl_ms * 3 / 2,
            Self::HalfOpen | Self::SlowLink => 1_000..=5_000,
        }
    }

    pub(super) fn by_ms(self, topology: Topology, rng: &mut fastrand::Rng) -> i64 {
        let amounts: &[i64] = match (self, topology) {
            (Self::StepClientClock, Topology::Standalone) => {
                &[-3_600_000, -8_000, -500, 500, 8_000, 3_600_000]
            }
            // More than `max_clock_skew` ahead, and a failover that loses renewals, may repeat what was minted ahead.
            (Self::StepClientClock, _) => &[-3_600_000, -8_000, -500, 500, 8_000],
            (Self::StepServerClock, _) => &[-60_000, -4_000, 2_000, 4_000, 60_000],
            (Self::SlowLink, _) => return rng.i64(5..=150),
            _ => return 0,
        };
        amounts[rng.usize(0..amounts.len())]
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|it| it.name() == name);
        let names = || Self::ALL.iter().map(|it| it.name()).collect::<Vec<_>>();
        found
            .copied()
            .ok_or_else(|| format!("no fault {name:?}; there are {}", names().join(", ")))
    }
}
