//! One run: the plan's steps happen, time passes, and everything is checked after every turn.

mod epilogue;
mod outages;

use std::{cell::Cell, collections::VecDeque, time::Duration};

use coord_core::{clock::Instant, store::embedded::Embedded};

use super::{
    buckets::Buckets,
    coverage::{Coverage, Window, Windows},
    ids::MachineIds,
    mutants::Mutant,
    plan::{self, Action, Harm, Number, Plan, Step},
    record::{Entry, Who},
    stage::{Repair, Stage},
    subject::Subject,
};

/// What became of a run.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) violation: Option<String>,
    pub(super) timeline: Vec<Entry>,
    pub(super) coverage: Coverage,
    pub(super) ids: u64,
    pub(super) grants: u64,
    pub(super) losses: u64,
    pub(super) moves: u64,
    pub(super) virtual_time: Duration,
}

pub(super) struct World {
    stage: Stage,
    subject: Box<dyn Subject>,
    faulty: Duration,
    /// What is still to come, in order.
    steps: VecDeque<Step>,
    /// What waits for its window, and until when.
    waiting: Vec<(Instant, Step)>,
    next_tick: Instant,
    zero: Instant,
}

/// Runs `plan`.
pub(super) fn run(plan: &Plan, mutant: Mutant, is_recorded: bool) -> Outcome {
    thread_local! {
        /// A Lua state with its compiled scripts costs as much as a short run.
        static LAST: Cell<Option<(Embedded, Embedded)>> = const { Cell::new(None) };
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let (outcome, engines) = runtime.block_on(async {
        // Timers fire on whole milliseconds; a world that begins on one replays to the microsecond.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let stage = Stage::new(plan, mutant, is_recorded, LAST.take());
        let mut world = World::new(plan, stage);
        let outcome = world.run().await;
        (outcome, world.stage.engines())
    });
    // With all tasks that use the engine.
    drop(runtime);
    LAST.set(Some(engines));
    outcome
}

impl World {
    fn new(plan: &Plan, stage: Stage) -> Self {
        let subject: Box<dyn Subject> = match &plan.scene.subject {
            plan::Subject::MachineIds { slots } => Box::new(MachineIds::new(&stage, *slots)),
            plan::Subject::Buckets(group) => Box::new(Buckets::new(group.clone())),
        };
        Self {
            faulty: plan.faulty,
            steps: plan.steps.clone().into(),
            waiting: Vec::new(),
            next_tick: stage.now(),
            zero: stage.now(),
            stage,
            subject,
        }
    }

    async fn run(&mut self) -> Outcome {
        let scene = &self.stage.scene;
        self.stage.record.say(Who::World, || format!("{scene:?}"));
        self.pass(self.faulty).await;
        if !self.is_failed() {
            self.end_faults();
            self.settle().await;
        }
        if self.subject.has_epilogue() && !self.is_failed() {
            self.epilogue().await;
        }
        self.outcome()
    }

    fn outcome(&mut self) -> Outcome {
        self.stage.end_spans();
        let (losses, moves) = self.subject.totals();
        let stage = &self.stage;
        let (violation, timeline) = stage.record.take();
        Outcome {
            violation,
            timeline,
            ids: stage.record.ids(),
            grants: stage.record.grants(),
            losses,
            moves,
            virtual_time: stage.now().saturating_since(self.zero),
            coverage: stage.coverage.clone(),
        }
    }

    fn is_failed(&self) -> bool {
        self.stage.record.is_failed()
    }

    /// Lets so much time pass, or less where something goes wrong.
    async fn pass(&mut self, time: Duration) {
        let end = self.stage.now() + time;
        while self.stage.now() < end && !self.is_failed() {
            self.turn(end).await;
        }
    }

    /// Waits until something is to be done, and does it.
    async fn turn(&mut self, end: Instant) {
        let next_step = self.steps.front().map(|step| self.zero + step.at);
        let next_repair = self.stage.repairs.iter().map(|&(at, _)| at).min();
        let wake = [Some(self.next_tick), next_step, next_repair, Some(end)];
        let wake = wake.into_iter().flatten().min().expect("there is an end");
        let left = wake.saturating_since(self.stage.now());
        tokio::select! {
            biased;
            () = self.stage.bell.rung() => {}
            () = tokio::time::sleep(left) => {}
        }
        self.subject.pardon(&mut self.stage);
        self.handle_held_up();
        self.repair();
        self.take_steps();
        let now = self.stage.now();
        if self.stage.bell.take_soon() {
            self.next_tick = self.next_tick.min(now + Duration::from_millis(1));
        }
        if self.next_tick <= now {
            self.tick();
        }
        self.subject.check(&mut self.stage);
        let subject = &*self.subject;
        self.stage
            .note_windows(|stage, number| open(subject, stage, number));
    }

    /// Everybody does something.
    fn tick(&mut self) {
        let tick = u64::try_from(self.stage.scene.tick.as_millis()).expect("short");
        let pause = Duration::from_millis(self.stage.rng.u64(1..=tick));
        self.next_tick = self.stage.now() + pause;
        let numbers: Vec<Number> = self.stage.shells.keys().copied().collect();
        for number in numbers {
            if self.stage.shells[&number].gate.is_running() {
                self.subject.act(&mut self.stage, number);
            }
        }
        // A copy without a record of the past would be the same as an empty store.
        if !self.stage.is_calm()
            && !self.stage.is_split()
            && self.stage.rng.u8(0..10) == 0
            && self.stage.recorded_ttl().is_some()
        {
            let now = self.stage.now();
            self.stage.replicas.remember(now, &self.stage.embedded);
        }
    }

    /// Answers that are held up: the worst moment for whatever waits for it.
    fn handle_held_up(&mut self) {
        for (number, windows) in self.stage.bell.take() {
            let waits =
                |(_, step): &(Instant, Step)| step.window.is_some_and(|window| windows.has(window));
            if let Some(index) = self.waiting.iter().position(waits) {
                let (_, step) = self.waiting.remove(index);
                self.apply(&step, Some(number));
            }
            if let Some(shell) = self.stage.shells.get(&number) {
                shell.wire.go_on();
            }
        }
        self.await_windows();
    }

    fn take_steps(&mut self) {
        let now = self.stage.now();
        let is_due = |step: &&Step| self.zero + step.at <= now;
        let due = self.steps.iter().take_while(is_due).count();
        for step in self.steps.drain(..due).collect::<Vec<_>>() {
            if step.window.is_some() {
                self.waiting.push((now + Self::PATIENCE, step));
            } else {
                self.apply(&step, None);
            }
        }
        if self.waiting.is_empty() {
            return;
        }
        for (until, step) in std::mem::take(&mut self.waiting) {
            let window = step.window.expect("it waits for one");
            let numbers: Vec<Number> = self.stage.shells.keys().copied().collect();
            let who = numbers
                .into_iter()
                .find(|&number| windows(&*self.subject, &self.stage, number).has(window));
            match who {
                Some(number) => self.apply(&step, Some(number)),
                None if now < until => self.waiting.push((until, step)),
                None => {}
            }
        }
        self.await_windows();
    }

    fn await_windows(&self) {
        let awaited = self.waiting.iter().filter_map(|(_, step)| step.window);
        let awaited = awaited.fold(Windows::NONE, |all, window| all.with(window, true));
        self.stage.bell.wait_for(awaited);
    }

    /// Something happens; to `who` where it waited for somebody.
    fn apply(&mut self, step: &Step, who: Option<Number>) {
        match &step.action {
            Action::Start { number, again } => {
                let windows = open(&*self.subject, &self.stage, None);
                self.subject.start(&mut self.stage, *number, *again);
                self.stage.log(*number, || format!("starts{}", note(step)));
                let kind = step.action.kind();
                self.stage.inject(kind, Some(*number), None, windows);
            }
            Action::Local { number, harm } => self.harm(step, who.unwrap_or(*number), harm),
            Action::Server(outage) => self.break_server(step, who, outage),
        }
    }

    fn harm(&mut self, step: &Step, number: Number, harm: &Harm) {
        let is_spared = self.stage.calm.is_some_and(|(_, spared)| spared == number);
        let open = windows(&*self.subject, &self.stage, number);
        let now = self.stage.now();
        let Some(shell) = self.stage.shells.get_mut(&number) else {
            return;
        };
        if is_spared {
            return;
        }
        let faults = shell.store.faults().clone();
        let repair = match harm {
            Harm::Pause(_) => {
                shell.gate.pause();
                Some(Repair::Resume(number))
            }
            Harm::Cut(direction, _) => {
                match direction {
                    plan::Direction::Requests => faults.cut_requests(),
                    plan::Direction::Replies => faults.cut_replies(),
                    plan::Direction::Both => faults.cut(),
                }
                Some(Repair::Heal(number))
            }
            Harm::LoseRequests(count) => {
                faults.drop_next_requests(*count);
                None
            }
            Harm::LoseReplies(count) => {
                faults.drop_next_replies(*count);
                None
            }
            Harm::Slow { request, reply, .. } => {
                faults.set_request_delay(*request);
                faults.set_reply_delay(*reply);
                Some(Repair::Heal(number))
            }
            Harm::SetClock(ms) => {
                shell.set_clock(*ms);
                None
            }
            Harm::Kill | Harm::Leave => None,
            // Said once it is known whether there is anything to be copied.
            Harm::Clone { newcomer } => {
                let newcomer = *newcomer;
                if !self.subject.copy(&mut self.stage, number, newcomer) {
                    return;
                }
                None
            }
        };
        self.stage.log(number, || format!("{harm}{}", note(step)));
        if let (Some(repair), Some(lasting)) = (repair, harm.lasting()) {
            self.stage.repairs.push((now + lasting, repair));
        }
        let kind = harm.kind();
        self.stage.inject(kind, Some(number), harm.lasting(), open);
        match harm {
            Harm::Kill => self.subject.kill(&mut self.stage, number),
            Harm::Leave => self.subject.leave(&mut self.stage, number),
            _ => {}
        }
    }

    fn repair(&mut self) {
        let now = self.stage.now();
        if self.stage.calm.is_some_and(|(until, _)| until <= now) {
            self.stage.calm = None;
        }
        if self.stage.repairs.iter().all(|&(at, _)| now < at) {
            return;
        }
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.stage.repairs)
            .into_iter()
            .partition(|&(at, _)| at <= now);
        self.stage.repairs = later;
        for (_, repair) in due {
            self.mend(repair);
        }
    }

    fn mend(&mut self, repair: Repair) {
        let stage = &mut self.stage;
        match repair {
            Repair::Resume(number) => {
                if let Some(shell) = stage.shells.get(&number) {
                    shell.gate.resume();
                    stage.log(number, || "goes on".to_owned());
                    // The worst moment: the process acts before its timers have told it how late it is.
                    self.subject.act(stage, number);
                }
            }
            Repair::Heal(number) => {
                if let Some(shell) = stage.shells.get(&number) {
                    shell.store.faults().heal();
                    stage.log(number, || "is reached again".to_owned());
                }
            }
            Repair::Available => {
                stage.embedded.set_available(true);
                stage.log_server(|| "is up again".to_owned());
            }
            Repair::Continue => {
                stage.embedded.resume();
                stage.log_server(|| "goes on".to_owned());
            }
            Repair::Replicas => {
                stage.replicas.mend(&stage.embedded);
                stage.log_server(|| "has its replicas in step".to_owned());
            }
            Repair::FailOver { pick } => {
                self.fail_over(pick);
            }
            Repair::Retire => {
                stage.retire();
                stage.log_server(|| "is the only master again".to_owned());
            }
            Repair::PeerLeaves => self.subject.peer_leaves(stage),
        }
    }

    /// How long a step waits for its window.
    const PATIENCE: Duration = Duration::from_secs(2);
}

/// The windows that are open for one process.
fn windows(subject: &dyn Subject, stage: &Stage, number: Number) -> Windows {
    let Some(shell) = stage.shells.get(&number) else {
        return Windows::NONE;
    };
    shell
        .wire
        .windows(stage.now())
        .and(subject.windows(stage, number))
}

/// The windows that are open for one process, or for any.
fn open(subject: &dyn Subject, stage: &Stage, number: Option<Number>) -> Windows {
    match number {
        Some(number) => windows(subject, stage, number),
        None => stage.shells.keys().fold(Windows::NONE, |all, &number| {
            all.and(windows(subject, stage, number))
        }),
    }
}

/// What of a step the timeline says beside what happens.
fn note(step: &Step) -> String {
    let index = step.index;
    step.window.map_or_else(
        || format!("  [{index}]"),
        |window: Window| format!("  [{index}, {window:?}]"),
    )
}
