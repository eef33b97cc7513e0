//! What every simulated process and every fault acts on: the store, the clocks, the processes' shells.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use coord_core::{
    clock::{Clock, Instant, TokioClock},
    store::{
        Reply, Store,
        embedded::{Embedded, Snapshot},
    },
};
use coord_offline::gate::Gate;

use super::{
    amnesty::Amnesty,
    coverage::{Coverage, Kind, Windows},
    mutants::Mutant,
    plan::{Number, Options, Plan, Scene, Subject},
    record::{Record, Who},
    replicas::Replicas,
    route::Route,
    slewed::Slewed,
    wire::{Bell, Wire},
};
use coord_offline::tap::Tap;

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
    /// When the server last lost something, or may have, and how often that was.
    pub(super) lost_at: Option<Instant>,
    /// The same where that was by an older copy: who is heard knows of it only if the copy lacks something of its own.
    pub(super) rewound_at: Option<Instant>,
    pub(super) doubts: u32,
    pub(super) amnesty: Amnesty,
    /// The master that was replaced and still answers.
    replaced: Option<Embedded>,
    /// For the one that replaces it; a run has at most one.
    spare: Option<Embedded>,
    retired: Option<Embedded>,
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
    /// The master that was replaced answers nobody any more.
    Retire,
    PeerLeaves,
}

/// What a process runs in.
pub(super) struct Shell {
    pub(super) gate: Gate,
    pub(super) clock: TokioClock,
    pub(super) options: Options,
    pub(super) store: Route,
    pub(super) wire: Wire,
    pub(super) rng: fastrand::Rng,
    /// Its wall clock's error, ms.
    pub(super) error_ms: i64,
}

impl Stage {
    /// `retired` are the engines of an earlier run, which nobody uses any more.
    pub(super) fn new(
        plan: &Plan,
        mutant: Mutant,
        is_recorded: bool,
        retired: Option<(Embedded, Embedded)>,
    ) -> Self {
        let clock = TokioClock::new(Duration::from_secs(1_800_000_000));
        let server_clock: Arc<dyn Clock> = if plan.scene.slewed {
            Arc::new(Slewed::new(clock.clone()))
        } else {
            Arc::new(clock.clone())
        };
        let (embedded, spare) = match retired {
            Some((one, other)) => (
                one.recycle(server_clock.clone(), plan.seed),
                other.recycle(server_clock, !plan.seed),
            ),
            None => (
                Embedded::with_seed(server_clock.clone(), plan.seed),
                Embedded::with_seed(server_clock, !plan.seed),
            ),
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
            lost_at: None,
            rewound_at: None,
            doubts: 0,
            amnesty: Amnesty::default(),
            replaced: None,
            spare: Some(spare),
            retired: None,
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
        let options = Options::draw(&mut rng, &self.scene);
        let store = Route::new(&self.embedded);
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
            options,
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

    /// Another master takes over with this much, and the former one goes on answering some instances; `false` if there is
    /// no other one in this run.
    pub(super) fn split(&mut self, snapshot: &Snapshot, pick: u32) -> bool {
        let Some(next) = self.spare.take() else {
            return false;
        };
        next.rollback(snapshot);
        next.set_replicas(self.scene.replicas, false);
        self.replaced = Some(std::mem::replace(&mut self.embedded, next));
        for (number, shell) in &self.shells {
            if pick >> (number % 32) & 1 == 0 {
                shell.store.move_to(&self.embedded);
            }
        }
        true
    }

    pub(super) const fn is_split(&self) -> bool {
        self.replaced.is_some()
    }

    pub(super) const fn was_split(&self) -> bool {
        self.retired.is_some()
    }

    /// The master that was replaced answers nobody any more.
    pub(super) fn retire(&mut self) {
        let Some(replaced) = self.replaced.take() else {
            return;
        };
        replaced.set_available(false);
        for shell in self.shells.values() {
            shell.store.move_to(&self.embedded);
        }
        self.spare = None;
        self.retired = Some(replaced);
        // What those were told who heard it is lost with it.
        self.lost_at = Some(self.now());
    }

    /// Both engines, for the next run.
    pub(super) fn engines(&self) -> (Embedded, Embedded) {
        let other = [&self.spare, &self.replaced, &self.retired];
        let other = other
            .into_iter()
            .flatten()
            .next()
            .expect("one of them has it");
        (self.embedded.clone(), other.clone())
    }

    /// What stands in this field of the namespace or the group.
    fn on_record(&self, field: &str) -> Option<String> {
        let key = match self.scene.subject {
            Subject::MachineIds { .. } => "sim:slots",
            Subject::Buckets(_) => "red-buckets:{sim}:group",
        };
        let found = self.embedded.command(&["HGET", key, field]).ok()?;
        let Reply::Bytes(text) = found else {
            return None;
        };
        String::from_utf8(text).ok()
    }

    /// The weights of all members that have a share.
    pub(super) fn recorded_weight(&self) -> Option<u32> {
        let text = self.on_record("classes")?;
        let classes = text.trim_end_matches(';').split(',');
        let product = |class: &str| {
            let (weight, members) = class.split_once(':')?;
            Some(weight.parse::<u32>().ok()? * members.parse::<u32>().ok()?)
        };
        classes.map(product).sum()
    }

    /// The longest ttl that is on record.
    pub(super) fn recorded_ttl(&self) -> Option<Duration> {
        let text = self.on_record("history")?;
        let fields: Vec<u64> = text
            .split(' ')
            .filter_map(|field| field.parse().ok())
            .collect();
        // Version, until, floor, seen, since, and twice ttl, bound and skew.
        Some(Duration::from_millis(*fields.get(5)?.max(fields.get(8)?)))
    }

    /// The store has another identity, or has lost something.
    pub(super) fn doubt(&mut self) {
        self.lost_at = Some(self.now());
        self.doubts += 1;
    }

    /// The store has lost something. Whoever has a longer ttl than it may learn of from `known` is not safe until it is
    /// heard.
    pub(super) fn lose(&mut self, known: Duration) {
        let now = self.now();
        self.doubt();
        let shortest = self.shells.values().map(|shell| shell.options.ttl).min();
        let known = known.max(shortest.unwrap_or_default());
        for (&number, shell) in &self.shells {
            if known < shell.options.ttl {
                self.amnesty.put_beyond(number, now);
            }
        }
    }

    /// Whether what this process has may be another's without a fault of anybody's.
    pub(super) fn may_be_forgotten(&self, shell: &Shell, number: Number) -> bool {
        let heard = shell.wire.heard();
        self.is_leapt_over(shell.options.ttl, heard) || self.amnesty.is_beyond(number, heard)
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
    pub(super) fn is_leapt_over(&self, ttl: Duration, heard: Option<Instant>) -> bool {
        let now = self.now();
        let since = |leap: &&Leap| heard.is_none_or(|heard| heard <= leap.at);
        let leaps = || self.leaps.iter().filter(since);
        let mut by: Duration = leaps().map(|leap| leap.by).sum();
        if self.scene.slewed {
            by += Slewed::furthest();
        }
        let is_over = heard.is_none_or(|heard| heard + ttl <= now + by);
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
