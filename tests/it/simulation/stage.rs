//! What every simulated process and every fault acts on: the store, the clocks, the processes' shells.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use coord_core::{
    clock::{Clock, Instant, TokioClock},
    store::{
        Store,
        embedded::{Embedded, EmbeddedStore},
    },
};
use coord_tests::gate::Gate;

use super::{
    coverage::{Coverage, Kind, Windows},
    mutants::Mutant,
    plan::{Number, Plan, Scene},
    record::{Record, Who},
    replicas::Replicas,
    wire::{Bell, Wire},
};
use crate::tap::Tap;

/// The ttl of every lease.
pub(super) const TTL: Duration = Duration::from_secs(3);

pub(super) struct Stage {
    pub(super) seed: u64,
    pub(super) scene: Scene,
    pub(super) mutant: Mutant,
    pub(super) clock: TokioClock,
    pub(super) embedded: Embedded,
    pub(super) record: Record,
    pub(super) bell: Bell,
    pub(super) shells: BTreeMap<Number, Shell>,
    pub(super) replicas: Replicas,
    pub(super) rng: fastrand::Rng,
    /// What ends when: a pause, a partition, an outage.
    pub(super) repairs: Vec<(Instant, Repair)>,
    /// Until then one process is spared, and so is the server: it has forgotten everything and somebody must tell.
    pub(super) calm: Option<(Instant, Number)>,
    pub(super) leaps: Vec<Leap>,
    /// The server's clock's error, ms.
    pub(super) server_error_ms: i64,
    pub(super) coverage: Coverage,
    spans: Vec<Span>,
}

/// A fault that is there for a while.
struct Span {
    kind: Kind,
    number: Option<Number>,
    until: Instant,
    windows: Windows,
}

/// The server's clock was set forward.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leap {
    pub(super) at: Instant,
    pub(super) by: Duration,
    /// How long after that whoever was not heard may be taken for dead.
    pub(super) grace: Duration,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Repair {
    Resume(Number),
    Heal(Number),
    Available,
    Continue,
    Replicas,
    FailOver {
        pick: u32,
    },
    /// To the one that was replaced.
    FailOverToReplaced {
        newcomer: Number,
    },
    PeerLeaves,
}

/// What a process runs in.
pub(super) struct Shell {
    pub(super) gate: Gate,
    pub(super) clock: TokioClock,
    pub(super) store: EmbeddedStore,
    pub(super) wire: Wire,
    pub(super) rng: fastrand::Rng,
    /// Its wall clock's error, ms.
    pub(super) error_ms: i64,
}

impl Stage {
    /// `retired` is the engine of an earlier run, which nobody uses any more.
    pub(super) fn new(
        plan: &Plan,
        mutant: Mutant,
        is_recorded: bool,
        retired: Option<Embedded>,
    ) -> Self {
        let clock = TokioClock::new(Duration::from_secs(1_800_000_000));
        let server_clock = Arc::new(clock.clone());
        let embedded = match retired {
            Some(retired) => retired.recycle(server_clock, plan.seed),
            None => Embedded::with_seed(server_clock, plan.seed),
        };
        Self {
            seed: plan.seed,
            scene: plan.scene.clone(),
            mutant,
            replicas: Replicas::new(plan.scene.replicas, &embedded),
            embedded,
            record: Record::new(clock.clone(), is_recorded),
            clock,
            bell: Bell::default(),
            shells: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(plan.seed ^ 0x7469_636B),
            repairs: Vec::new(),
            calm: None,
            leaps: Vec::new(),
            server_error_ms: 0,
            coverage: Coverage::default(),
            spans: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A shell for process `number`, and the store that it sees. Depends on nothing but the seed and the number, so a
    /// plan without some other process gives this one the same life.
    pub(super) fn open_shell(&mut self, number: Number, most_error_ms: i64) -> Arc<dyn Store> {
        let mut rng = fastrand::Rng::with_seed(self.seed.rotate_left(32) ^ u64::from(number));
        let error_ms = rng.i64(-most_error_ms..=most_error_ms);
        let clock = self.clock.sibling(error_ms * 1_000);
        let store = self.embedded.client();
        let wire = Wire::new(
            number,
            self.mutant,
            clock.clone(),
            self.bell.clone(),
            self.record.clone(),
        );
        let tap = Tap {
            store: Arc::new(store.clone()),
            ear: wire.clone(),
        };
        let shell = Shell {
            gate: Gate::default(),
            clock,
            store,
            wire,
            rng,
            error_ms,
        };
        self.shells.insert(number, shell);
        Arc::new(tap)
    }

    pub(super) fn log(&self, number: Number, what: impl FnOnce() -> String) {
        self.record.say(Who::Instance(number), what);
    }

    pub(super) fn log_server(&self, what: impl FnOnce() -> String) {
        self.record.say(Who::Server, what);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.is_some()
    }

    /// Counts a fault of this kind: one that is there until some time, or one that is over.
    pub(super) fn inject(
        &mut self,
        kind: Kind,
        number: Option<Number>,
        lasting: Option<Duration>,
        windows: Windows,
    ) {
        match lasting {
            None => self.coverage.count(kind, windows),
            Some(lasting) => self.spans.push(Span {
                kind,
                number,
                until: self.now() + lasting,
                windows,
            }),
        }
    }

    /// Notes which windows are open while faults are there.
    pub(super) fn note_windows(&mut self, open: impl Fn(&Self, Option<Number>) -> Windows) {
        if self.spans.is_empty() {
            return;
        }
        let now = self.now();
        let mut spans = std::mem::take(&mut self.spans);
        for span in &mut spans {
            span.windows = span.windows.and(open(self, span.number));
        }
        spans.retain(|span| {
            let lasts = now < span.until;
            if !lasts {
                self.coverage.count(span.kind, span.windows);
            }
            lasts
        });
        self.spans = spans;
    }

    pub(super) fn end_spans(&mut self) {
        for span in std::mem::take(&mut self.spans) {
            self.coverage.count(span.kind, span.windows);
        }
    }

    /// Whether a process that was last heard at `heard` may find what it has in another's hands, because the server's
    /// clock was set forward since: its lease is over by that clock, and it had the time to be heard.
    pub(super) fn is_leapt_over(&self, heard: Option<Instant>) -> bool {
        let now = self.now();
        let since = |leap: &&Leap| heard.is_none_or(|heard| heard <= leap.at);
        let leaps = || self.leaps.iter().filter(since);
        let by: Duration = leaps().map(|leap| leap.by).sum();
        let is_over = heard.is_none_or(|heard| heard + TTL <= now + by);
        is_over && leaps().any(|leap| leap.at + leap.grace <= now)
    }
}

impl Shell {
    /// Sets the wall clock to be so much off the true time.
    pub(super) fn set_clock(&mut self, error_ms: i64) {
        self.clock.step_wall((error_ms - self.error_ms) * 1_000);
        self.error_ms = error_ms;
    }
}
