//! One simulated process: a member that works in its buckets, and can be paused, cut off and killed.

use std::{
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicU64},
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant, TokioClock},
    store::embedded::{Embedded, EmbeddedStore},
};
use coord_tests::gate::Gate;
use futures_util::FutureExt;
use redbuckets::{
    Acknowledge, Assignment, BucketGuard, Builder, Event, Events, Instance, Placement, Redbuckets,
};

use super::mutants::Mutant;
use crate::swapped_store::{self, SwappedStore};

pub(super) const TTL: Duration = Duration::from_secs(3);
pub(super) const PERIOD: Duration = Duration::from_millis(300);
pub(super) const SETTLE: Duration = Duration::from_millis(300);

/// What all members of a run have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) buckets: u32,
    pub(super) assignment: Assignment,
    pub(super) discovery: Option<Duration>,
    pub(super) chunk: u32,
    pub(super) max_moves: u32,
    pub(super) acknowledge: Acknowledge,
}

/// What a process starts with, and starts with again after a restart.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) number: usize,
    pub(super) weight: u32,
    pub(super) grace: Duration,
    pub(super) stable_id: bool,
}

/// A bucket in which a process may do something right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) bucket: u32,
    pub(super) epoch: u64,
}

struct Work {
    guard: BucketGuard,
    until: Instant,
}

pub(super) struct Process {
    pub(super) setup: Setup,
    pub(super) gate: Gate,
    pub(super) clock: TokioClock,
    pub(super) store: EmbeddedStore,
    instance: Arc<Mutex<Option<Instance>>>,
    work: Vec<Work>,
    last: Vec<Holding>,
    events: Option<Events>,
    acknowledged: Arc<AtomicU64>,
}

impl Process {
    pub(super) fn start(
        setup: Setup,
        group: &Group,
        embedded: &Embedded,
        clock: TokioClock,
        seed: u64,
        mutant: Mutant,
    ) -> Self {
        let store = embedded.client();
        let gate = Gate::default();
        let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let mutant_store = SwappedStore::new(store.clone(), mutant, Arc::clone(&shared_clock));
        let acknowledged = mutant_store.acknowledged();
        let redbuckets = options(
            Redbuckets::with_store(Arc::new(mutant_store), "sim"),
            group,
            &setup,
        )
        .clock(shared_clock)
        .placement(Placement::Custom(Arc::new(gate.clone())))
        .seed(seed)
        .build()
        .expect("valid");
        let instance: Arc<Mutex<Option<Instance>>> = Arc::default();
        let joined = Arc::clone(&instance);
        gate.run(async move {
            loop {
                if let Ok(instance) = redbuckets.join().await {
                    *joined.lock().expect("not poisoned") = Some(instance);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        Self {
            setup,
            gate,
            clock,
            store,
            instance,
            work: Vec::new(),
            last: Vec::new(),
            events: None,
            acknowledged,
        }
    }

    /// Some work begins, some ends.
    pub(super) fn work(&mut self, rng: &mut fastrand::Rng) {
        let now = self.clock.now();
        self.work.retain(|work| now < work.until);
        let Some(instance) = self.instance().clone() else {
            return;
        };
        for bucket in instance.owned().ids().collect::<Vec<_>>() {
            if rng.u8(0..4) == 0
                && let Some(guard) = instance.enter(bucket)
            {
                // Now and then work outlasts the drain timeout.
                let longest = if rng.u8(0..20) == 0 { 2_500 } else { 200 };
                let until = now + Duration::from_millis(rng.u64(0..longest));
                self.work.push(Work { guard, until });
            }
        }
    }

    /// Where this process believes it may act right now: what it may enter, and what it works in before its deadline.
    pub(super) fn holdings(&mut self, mutant: Mutant) -> Vec<Holding> {
        let guard = self.instance();
        let Some(instance) = &*guard else {
            return Vec::new();
        };
        let owned = instance.owned();
        let enterable = owned.ids().filter_map(|bucket| {
            let epoch = owned.epoch(bucket)?;
            owned.valid().then_some(Holding { bucket, epoch })
        });
        let working = self.work.iter().filter_map(|work| {
            let holding = Holding {
                bucket: work.guard.bucket(),
                epoch: work.guard.epoch(),
            };
            work.guard.is_valid().then_some(holding)
        });
        let holdings: Vec<Holding> = enterable.chain(working).collect();
        let over = !owned.valid();
        drop(guard);
        if mutant == Mutant::DeadlineFromReply && over {
            let ttl = TTL - TTL / 100 - Duration::from_millis(2);
            let late = self.clock.now() < swapped_store::instant(&self.acknowledged) + ttl;
            return if late { self.last.clone() } else { Vec::new() };
        }
        self.last.clone_from(&holdings);
        holdings
    }

    /// Its buckets and its share, where it is a member.
    pub(super) fn share(&self) -> Option<(Vec<u32>, u32)> {
        let guard = self.instance();
        let instance = guard.as_ref()?;
        let owned = instance.owned();
        (instance.is_member() && owned.valid()).then(|| (owned.ids().collect(), owned.quota()))
    }

    /// What its instance said since the last call.
    pub(super) fn news(&mut self) -> Vec<Event> {
        if self.events.is_none() {
            let events = self.instance().as_ref().map(Instance::events);
            self.events = events;
        }
        let mut news = Vec::new();
        if let Some(events) = &mut self.events {
            while let Some(Some(event)) = events.next().now_or_never() {
                news.push(event);
            }
        }
        news
    }

    /// Whether its last heartbeat was answered and the next one is not under way yet.
    pub(super) fn is_heard(&self) -> bool {
        let guard = self.instance();
        let beat = guard.as_ref().and_then(Instance::last_registration);
        beat.is_some_and(|beat| self.clock.now().saturating_since(beat) < PERIOD / 2)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.instance()
            .as_ref()
            .is_some_and(|instance| !instance.is_member())
    }

    /// Leaves in an orderly way; the process ends when that is done.
    pub(super) fn leave(&mut self) {
        self.work.clear();
        let instance = self.instance().take();
        let Some(instance) = instance else {
            // It has not even joined.
            return self.gate.kill();
        };
        self.gate.run(async move {
            // A leave that cannot be confirmed is a possible outcome: the ttl ends the membership.
            let _ = instance.leave().await;
        });
    }

    /// Everything is gone at once; nothing is released.
    pub(super) fn kill(&mut self) {
        self.gate.kill();
        self.work.clear();
        self.instance().take();
    }

    fn instance(&self) -> MutexGuard<'_, Option<Instance>> {
        self.instance.lock().expect("not poisoned")
    }
}

fn options(builder: Builder, group: &Group, setup: &Setup) -> Builder {
    let mut builder = builder
        .buckets(group.buckets)
        .assignment(group.assignment)
        .chunk(group.chunk)
        .max_moves(group.max_moves)
        .acknowledge(group.acknowledge)
        .weight(setup.weight)
        .rejoin_grace(setup.grace)
        .ttl(TTL)
        .period(PERIOD)
        .settle(SETTLE)
        .drain_timeout(Duration::from_secs(1))
        .leave_timeout(Duration::from_secs(5));
    if let Some(discovery) = group.discovery {
        builder = builder.discovery(discovery);
    }
    if setup.stable_id {
        builder = builder.instance_id(format!("instance-{}", setup.number));
    }
    builder
}
