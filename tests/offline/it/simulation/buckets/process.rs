//! One simulated process: a member that works in its buckets.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant},
    store::Store,
};
use coord_offline::gate::Gate;
use futures_util::FutureExt;
use redbuckets::{
    Assignment, BucketGuard, Builder, Event, Events, Instance, Placement, Redbuckets,
};

use super::ledger::{Holding, Holdings};
use crate::simulation::{
    mutants::Mutant,
    plan::{Group, Number, Options, Scene},
    stage::Stage,
    wire::Wire,
};

const SETTLE: Duration = Duration::from_millis(300);
const START_ERROR_MS: i64 = 30_000;

/// What a process starts with, and starts with again after a restart.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) weight: u32,
    pub(super) grace: Duration,
    /// Its instance id, where that outlives it.
    pub(super) id: Option<String>,
}

struct Work {
    guard: BucketGuard,
    until: Instant,
}

pub(super) struct Process {
    pub(super) number: Number,
    pub(super) setup: Setup,
    gate: Gate,
    clock: Arc<dyn Clock>,
    heartbeat: Duration,
    ttl: Duration,
    instance: Arc<Mutex<Option<Instance>>>,
    work: Vec<Work>,
    last: Vec<Holding>,
    events: Option<Events>,
    /// How many buckets it is giving away.
    draining: u32,
    is_leaving: bool,
}

impl Process {
    pub(super) fn start(
        stage: &mut Stage,
        number: Number,
        setup: Option<Setup>,
        group: &Group,
    ) -> Self {
        let store: Arc<dyn Store> = stage.open_shell(number, START_ERROR_MS);
        let scene = stage.scene.clone();
        let shell = stage.shells.get_mut(&number).expect("just opened");
        let (seed, ours) = (shell.rng.u64(..), shell.options);
        let drawn = Setup::draw(&mut shell.rng, number, group);
        let setup = setup.unwrap_or(drawn);
        let clock: Arc<dyn Clock> = Arc::new(shell.clock.clone());
        let redbuckets = options(Redbuckets::with_store(store, "sim"), group, &setup);
        let redbuckets = terms(redbuckets, &ours, &scene, group)
            .clock(Arc::clone(&clock))
            .placement(Placement::Custom(Arc::new(shell.gate.clone())))
            .seed(seed)
            .build()
            .expect("valid");
        let instance: Arc<Mutex<Option<Instance>>> = Arc::default();
        let joined = Arc::clone(&instance);
        shell.gate.run(async move {
            loop {
                if let Ok(instance) = redbuckets.join().await {
                    *joined.lock().expect("not poisoned") = Some(instance);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        Self {
            number,
            setup,
            gate: shell.gate.clone(),
            clock,
            heartbeat: ours.heartbeat,
            ttl: ours.ttl,
            instance,
            work: Vec::new(),
            last: Vec::new(),
            events: None,
            draining: 0,
            is_leaving: false,
        }
    }

    /// Some work begins, some ends.
    pub(super) fn work(&mut self, rng: &mut fastrand::Rng) {
        let now = self.clock.now();
        self.work.retain(|work| now < work.until);
        let Some(instance) = self.instance().clone() else {
            return;
        };
        for bucket in instance.owned().ids() {
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
    pub(super) fn holdings(&mut self, stage: &Stage) -> Holdings {
        let shell = stage.shells.get(&self.number);
        let wire = shell.map(|shell| &shell.wire);
        let all = self.acting(stage.mutant, wire.and_then(Wire::acknowledged));
        Holdings {
            number: self.number,
            all,
            is_leapt_over: shell.is_some_and(|shell| stage.may_be_forgotten(shell, self.number)),
        }
    }

    fn acting(&mut self, mutant: Mutant, acknowledged: Option<Instant>) -> Vec<Holding> {
        let guard = self.instance();
        let Some(instance) = &*guard else {
            return Vec::new();
        };
        let owned = instance.owned();
        let is_over = !owned.valid();
        let mut holdings = Vec::with_capacity(owned.len() + self.work.len());
        if !is_over {
            let enterable = owned.ids();
            holdings.extend(enterable.filter_map(|bucket| {
                let epoch = owned.epoch(bucket)?;
                Some(Holding { bucket, epoch })
            }));
        }
        let working = self.work.iter().filter(|work| work.guard.is_valid());
        holdings.extend(working.map(|work| Holding {
            bucket: work.guard.bucket(),
            epoch: work.guard.epoch(),
        }));
        drop(guard);
        if mutant == Mutant::DeadlineFromReply {
            if is_over {
                let ttl = self.ttl - self.ttl / 100 - Duration::from_millis(2);
                let late = acknowledged.is_some_and(|at| self.clock.now() < at + ttl);
                return if late { self.last.clone() } else { Vec::new() };
            }
            self.last.clone_from(&holdings);
        }
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
        for event in &news {
            match event {
                Event::Revoking { overdue: false, .. } => self.draining += 1,
                Event::Released { .. } | Event::Kept { .. } => {
                    self.draining = self.draining.saturating_sub(1);
                }
                Event::Lost { .. } | Event::Joined { .. } => self.draining = 0,
                _ => {}
            }
        }
        news
    }

    pub(super) const fn gives_away(&self) -> bool {
        self.is_leaving || 0 < self.draining
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.instance().as_ref().map(Instance::deadline)
    }

    /// Whether it could tell that the store was emptied: its last heartbeat was answered and the next one is not under
    /// way yet.
    pub(super) fn is_heard(&self) -> bool {
        let guard = self.instance();
        let beat = guard.as_ref().and_then(Instance::last_registration);
        beat.is_some_and(|beat| self.clock.now().saturating_since(beat) < self.heartbeat / 2)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.instance()
            .as_ref()
            .is_some_and(|instance| !instance.is_member())
    }

    /// Leaves in an orderly way; the process ends when that is done.
    pub(super) fn leave(&mut self) {
        self.work.clear();
        self.is_leaving = true;
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

impl Setup {
    fn draw(rng: &mut fastrand::Rng, number: Number, group: &Group) -> Self {
        Self {
            weight: if group.weighted { rng.u32(1..=3) } else { 1 },
            grace: Duration::from_millis(if rng.u8(0..3) == 0 { 1_500 } else { 0 }),
            id: rng.bool().then(|| format!("instance-{number}")),
        }
    }
}

/// What is granted for how long, and what of the past.
fn terms(builder: Builder, options: &Options, scene: &Scene, group: &Group) -> Builder {
    builder
        .ttl(options.ttl)
        .period(options.heartbeat)
        .discovery(if group.long_discovery {
            options.discovery.max(scene.longest_ttl())
        } else {
            options.discovery
        })
        .failover_bound(options.failover_bound)
        .acknowledge(scene.acknowledge)
        .expect_history(scene.expects)
}

fn options(builder: Builder, group: &Group, setup: &Setup) -> Builder {
    let mut builder = builder
        .buckets(group.buckets)
        .assignment(if group.contiguous {
            Assignment::Contiguous
        } else {
            Assignment::Sticky
        })
        .chunk(group.chunk)
        .max_moves(group.max_moves)
        .weight(setup.weight)
        .settle(SETTLE)
        .drain_timeout(Duration::from_secs(1))
        .leave_timeout(Duration::from_secs(5));
    if let Some(id) = &setup.id {
        // Only an id that comes back can be waited for.
        builder = builder.instance_id(id.clone()).rejoin_grace(setup.grace);
    }
    builder
}
