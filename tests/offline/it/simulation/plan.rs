//! What happens in a run, as data: drawn from a seed once, and then thinned where a failing one is made shorter.

mod draw;

use std::{fmt, time::Duration};

use super::coverage::{Kind, Window};

/// A run. Two runs of equal plans are equal to the letter.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) scene: Scene,
    /// For how long things break.
    pub(super) faulty: Duration,
    pub(super) steps: Vec<Step>,
}

/// What does not change during a run.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) subject: Subject,
    /// How many replicas the server has while nothing is wrong.
    pub(super) replicas: u32,
    /// How many of them must have a grant, and a renewal, before it counts.
    pub(super) acknowledge: u32,
    /// Whether ttls differ between instances.
    pub(super) mixed: bool,
    /// The longest time between two heartbeats.
    pub(super) heartbeat: Duration,
    /// For how long a master that was replaced goes on answering at most.
    pub(super) bound: Duration,
    /// Whether a missing record always means that it was lost.
    pub(super) expects: bool,
    /// The longest time between two turns of the world.
    pub(super) tick: Duration,
    /// Whether the server's clock is being slewed.
    pub(super) slewed: bool,
}

/// The options of one instance, as far as they may differ from another's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) ttl: Duration,
    pub(super) heartbeat: Duration,
    pub(super) discovery: Duration,
    pub(super) failover_bound: Duration,
    /// How far a generator may mint ahead of its clock.
    pub(super) borrow: Duration,
}

/// What is being simulated.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    /// Machine IDs (raus), with what mints under them.
    MachineIds { slots: u32 },
    /// Buckets (redbuckets).
    Buckets(Group),
}

/// A group of buckets.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) buckets: u32,
    pub(super) contiguous: bool,
    /// Whether newcomers to a group without a past wait for a whole ttl, so that nobody has to tell them of one.
    pub(super) long_discovery: bool,
    pub(super) chunk: u32,
    pub(super) max_moves: u32,
    pub(super) weighted: bool,
    /// Whether it is looked at how the settled group takes a join, a leave and a crash.
    pub(super) epilogue: bool,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Its place in the plan that was drawn; what is left of a thinned plan is named by it.
    pub(super) index: usize,
    /// Not before this time.
    pub(super) at: Duration,
    /// It waits, for a bounded time, until this window is open for somebody, and happens to whom it is open for.
    pub(super) window: Option<Window>,
    pub(super) action: Action,
}

/// Who an instance is; the numbers are given once and for all when the plan is drawn.
pub(super) type Number = u32;

#[derive(Debug, Clone)]
pub(super) enum Action {
    /// An instance starts; `again` is one that was here before, with whose id it starts.
    Start {
        number: Number,
        again: Option<Number>,
    },
    Local {
        number: Number,
        harm: Harm,
    },
    Server(Outage),
}

/// What happens to an instance.
#[derive(Debug, Clone)]
pub(super) enum Harm {
    Pause(Duration),
    Cut(Direction, Duration),
    LoseRequests(u64),
    LoseReplies(u64),
    Slow {
        request: Duration,
        reply: Duration,
        lasting: Duration,
    },
    /// Its wall clock is set to so many milliseconds off the true time.
    SetClock(i64),
    Kill,
    /// It gives everything back, and leaves or starts over.
    Leave,
    /// It is copied with its memory, and the copy renews the same lease.
    Clone {
        newcomer: Number,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    Requests,
    Replies,
    Both,
}

/// What happens to the server.
#[derive(Debug, Clone)]
pub(super) enum Outage {
    Down(Duration),
    Hang(Duration),
    Restart,
    /// A replica that has the state of some time ago takes over.
    FailOver {
        pick: u32,
    },
    /// The same, while who was granted something last cannot say so, and somebody new comes.
    FailOverBehind {
        pick: u32,
        newcomer: Number,
    },
    /// A replica takes over, to which somebody new comes, and for a while the master that was replaced goes on answering some
    /// instances.
    SplitBrain {
        pick: u32,
        lasting: Duration,
        newcomer: Number,
    },
    EmptyRestart,
    FlushAll,
    /// The same, while the holder with the longest ttl is cut off, and somebody new comes.
    FlushBehind {
        newcomer: Number,
    },
    /// An older copy takes the place of the data, and the server does not know; somebody new comes.
    Rewind {
        pick: u32,
        newcomer: Number,
    },
    /// The same process takes another replication id.
    Backlog,
    /// Its wall clock is set to so many milliseconds off the true time.
    SetClock(i64),
    ReplicasBehind {
        lasting: Duration,
        failing_over: Option<Duration>,
    },
    ReplicasCut(Duration),
    /// The lock of a slot goes.
    Evict {
        slot: u32,
    },
    /// A holder of the Go original comes and stays for a while.
    Peer {
        slot: u32,
        lasting: Duration,
    },
}

impl Scene {
    /// The longest ttl that an instance may have.
    pub(super) const fn longest_ttl(&self) -> Duration {
        if self.mixed {
            Duration::from_secs(6)
        } else {
            Duration::from_secs(3)
        }
    }

    /// The shortest ttl that an instance may have.
    pub(super) const fn shortest_ttl(&self) -> Duration {
        if self.mixed {
            Duration::from_secs(2)
        } else {
            Duration::from_secs(3)
        }
    }

    /// The longest time for which nothing is granted after a failover.
    pub(super) fn longest_quarantine(&self) -> Duration {
        self.longest_ttl() + self.bound + Self::BOUND_SPREAD
    }

    /// How much more than [`bound`](Self::bound) an instance assumes at most.
    pub(super) const BOUND_SPREAD: Duration = Duration::from_millis(500);
}

impl Plan {
    /// Only these steps, by their index.
    pub(super) fn keep(&self, indices: &[usize]) -> Self {
        let mut kept = self.clone();
        kept.steps.retain(|step| indices.contains(&step.index));
        kept
    }

    /// How many processes there are in it.
    pub(super) fn instances(&self) -> usize {
        let starts = |step: &&Step| matches!(step.action, Action::Start { .. });
        self.steps.iter().filter(starts).count()
    }

    pub(super) fn indices(&self) -> Vec<usize> {
        self.steps.iter().map(|step| step.index).collect()
    }
}

impl Action {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Start { .. } => Kind::Join,
            Self::Local { harm, .. } => harm.kind(),
            Self::Server(outage) => outage.kind(),
        }
    }
}

impl Harm {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Pause(_) => Kind::Pause,
            Self::Cut(Direction::Requests, _) => Kind::CutRequests,
            Self::Cut(Direction::Replies, _) => Kind::CutReplies,
            Self::Cut(Direction::Both, _) => Kind::CutBoth,
            Self::LoseRequests(_) => Kind::LostRequest,
            Self::LoseReplies(_) => Kind::LostReply,
            Self::Slow { .. } => Kind::Delay,
            Self::SetClock(_) => Kind::ClientClock,
            Self::Kill => Kind::Kill,
            Self::Leave => Kind::Leave,
            Self::Clone { .. } => Kind::Clone,
        }
    }

    /// For how long it is there; `None` for what happens at once.
    pub(super) const fn lasting(&self) -> Option<Duration> {
        match self {
            Self::Pause(lasting) | Self::Cut(_, lasting) | Self::Slow { lasting, .. } => {
                Some(*lasting)
            }
            // Lost at the next heartbeats, which come soon.
            Self::LoseRequests(_) | Self::LoseReplies(_) => Some(Duration::from_secs(1)),
            Self::SetClock(_) | Self::Kill | Self::Leave | Self::Clone { .. } => None,
        }
    }
}

impl Outage {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Down(_) => Kind::Down,
            Self::Hang(_) => Kind::SlowStore,
            Self::Restart => Kind::Restart,
            Self::FailOver { .. } | Self::FailOverBehind { .. } => Kind::FailOver,
            Self::SplitBrain { .. } => Kind::SplitBrain,
            Self::Rewind { .. } => Kind::Rewind,
            Self::Backlog => Kind::Backlog,
            Self::EmptyRestart => Kind::EmptyRestart,
            Self::FlushAll | Self::FlushBehind { .. } => Kind::FlushAll,
            Self::SetClock(_) => Kind::ServerClock,
            Self::ReplicasBehind { .. } => Kind::ReplicasBehind,
            Self::ReplicasCut(_) => Kind::ReplicasCut,
            Self::Evict { .. } => Kind::Eviction,
            Self::Peer { .. } => Kind::Peer,
        }
    }

    pub(super) const fn lasting(&self) -> Option<Duration> {
        match self {
            Self::Down(lasting)
            | Self::Hang(lasting)
            | Self::ReplicasCut(lasting)
            | Self::ReplicasBehind { lasting, .. }
            | Self::SplitBrain { lasting, .. }
            | Self::Peer { lasting, .. } => Some(*lasting),
            _ => None,
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause(lasting) => write!(f, "is paused for {lasting:?}"),
            Self::Cut(Direction::Requests, lasting) => {
                write!(f, "has its requests lost for {lasting:?}")
            }
            Self::Cut(Direction::Replies, lasting) => {
                write!(f, "has its replies lost for {lasting:?}")
            }
            Self::Cut(Direction::Both, lasting) => write!(f, "is cut off for {lasting:?}"),
            Self::LoseRequests(count) => write!(f, "loses its next {count} requests"),
            Self::LoseReplies(count) => write!(f, "loses its next {count} replies"),
            Self::Slow {
                request,
                reply,
                lasting,
            } => write!(
                f,
                "is slow for {lasting:?}: requests take {request:?}, replies {reply:?}"
            ),
            Self::SetClock(ms) => write!(f, "has its clock set {ms} ms off"),
            Self::Kill => f.write_str("is killed"),
            Self::Leave => f.write_str("gives everything back"),
            Self::Clone { newcomer } => write!(f, "is copied; the copy is #{newcomer}"),
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(lasting) => write!(f, "is down for {lasting:?}"),
            Self::Hang(lasting) => write!(f, "hangs for {lasting:?}"),
            Self::Restart => f.write_str("restarts with its data"),
            Self::FailOver { .. } | Self::FailOverBehind { .. } => {
                f.write_str("fails over and loses its last writes")
            }
            Self::SplitBrain { lasting, .. } => {
                write!(f, "fails over and goes on answering for {lasting:?}")
            }
            Self::Rewind { .. } => f.write_str("has an older copy of its data"),
            Self::Backlog => f.write_str("takes another replication id"),
            Self::EmptyRestart => f.write_str("restarts empty"),
            Self::FlushAll | Self::FlushBehind { .. } => f.write_str("is flushed"),
            Self::SetClock(ms) => write!(f, "has its clock set {ms} ms off"),
            Self::ReplicasBehind { lasting, .. } => {
                write!(f, "has replicas that fall behind for {lasting:?}")
            }
            Self::ReplicasCut(lasting) => write!(f, "has no replica for {lasting:?}"),
            Self::Evict { slot } => write!(f, "evicts the lock of slot {slot}"),
            Self::Peer { slot, lasting } => {
                write!(f, "has a peer that wants slot {slot} for {lasting:?}")
            }
        }
    }
}
