//! Breaks servers and clients as the plan says, and heals them.

mod clients;
mod stage;

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use coord_core::clock::{Clock, Instant, SystemClock};

pub(crate) use self::stage::NAME;
pub use self::{
    clients::{Clients, Load},
    stage::Stage,
};
use crate::{
    history::{Recorder, What},
    plan::{Bounds, Kind, Lane, Plan, Step},
};

/// Does what `plan` says to `stage` and its clients, and records when each fault began and ended.
///
/// Every lane waits for what it broke before it goes on. One that falls behind by that, as while a cluster elects, goes
/// on in order with what its plan says, as far as that ends in time.
///
/// # Errors
///
/// When something cannot be broken or does not heal: the nemesis is at fault then, not what it tests.
pub fn run(
    plan: &Plan,
    stage: &Stage,
    holders: &mut Clients,
    workers: &mut Clients,
    recorder: &Recorder,
) -> Result<()> {
    let start = SystemClock.now();
    let schedule = Schedule {
        plan,
        start,
        recorder,
        calm: Calm::default(),
    };
    let schedule = &schedule;
    thread::scope(|scope| {
        let servers = scope.spawn(move || {
            schedule.drive(Lane::Servers, |step, begins| match begins {
                true => stage.begin(step),
                false => stage.end(step),
            })
        });
        let holders = scope.spawn(move || {
            schedule.drive(Lane::Holders, |step, begins| match begins {
                true => holders.begin(step),
                false => holders.end(step),
            })
        });
        let workers = scope.spawn(move || {
            schedule.drive(Lane::Workers, |step, begins| match begins {
                true => workers.begin(step),
                false => workers.end(step),
            })
        });
        let lanes = [servers, holders, workers];
        lanes
            .into_iter()
            .try_for_each(|lane| lane.join().expect("a lane does not panic"))
    })
}

struct Schedule<'a> {
    plan: &'a Plan,
    start: Instant,
    recorder: &'a Recorder,
    calm: Calm,
}

impl Schedule<'_> {
    fn drive(&self, lane: Lane, mut act: impl FnMut(&Step, bool) -> Result<()>) -> Result<()> {
        let mut ahead_until = self.start;
        let end = self.start + Duration::from_millis(self.plan.lasts_ms);
        for step in self.plan.lane(lane) {
            let lasts = Duration::from_millis(step.lasts_ms);
            sleep_until(self.start + Duration::from_millis(step.at_ms));
            let is_bounded = self.plan.bounds == Bounds::Promised;
            if is_bounded && step.kind.forgets() {
                sleep_until(ahead_until);
            }
            let needs_calm = is_bounded && step.kind == Kind::StepServerClock;
            let ttl = Duration::from_millis(self.plan.topology.ttl_ms());
            let turn = self.calm.enter(needs_calm.then_some(ttl));
            if end < SystemClock.now() + lasts {
                self.calm.leave(&turn);
                continue;
            }
            self.recorder.record(LANE, What::FaultBegan(step.number));
            let began = act(step, true).with_context(|| format!("beginning {step}"));
            if began.is_ok() {
                sleep_until(SystemClock.now() + lasts);
            }
            // Healed in any case, so that nothing that was stopped stays so.
            let ended = act(step, false).with_context(|| format!("ending {step}"));
            self.recorder.record(LANE, What::FaultEnded(step.number));
            if let Some(ahead_ms) = step.ahead_ms() {
                ahead_until = ahead_until.max(SystemClock.now() + Duration::from_millis(ahead_ms));
            }
            self.calm.leave(&turn);
            began.and(ended)?;
        }
        Ok(())
    }
}

fn sleep_until(instant: Instant) {
    thread::sleep(instant.saturating_since(SystemClock.now()));
}

/// Keeps the steps of a server's clock apart from everything else, also where lanes fall behind their plan.
#[derive(Debug, Default)]
struct Calm {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Faults going on.
    active: u32,
    last_end: Option<Instant>,
    /// Somebody needs calm; nobody begins anything.
    is_wanted: bool,
}

/// What [`Calm::leave`] has to undo.
struct Turn {
    calm_for: Option<Duration>,
}

impl Calm {
    /// Waits until a fault may begin; `calm_for` says for how long before and after it nobody may be broken.
    fn enter(&self, calm_for: Option<Duration>) -> Turn {
        let Some(ttl) = calm_for else {
            self.wait(|state| {
                let is_free = !state.is_wanted;
                state.active += u32::from(is_free);
                is_free
            });
            return Turn { calm_for };
        };
        self.wait(|state| !std::mem::replace(&mut state.is_wanted, true));
        self.wait(|state| {
            let is_over = |end: Instant| end + ttl <= SystemClock.now();
            state.active == 0 && state.last_end.is_none_or(is_over)
        });
        Turn { calm_for }
    }

    fn leave(&self, turn: &Turn) {
        if let Some(ttl) = turn.calm_for {
            thread::sleep(ttl);
        }
        self.wait(|state| {
            if turn.calm_for.is_some() {
                state.is_wanted = false;
            } else {
                state.active -= 1;
            }
            state.last_end = Some(SystemClock.now());
            true
        });
    }

    /// Every wait is for another lane's fault, whose length is bounded.
    fn wait(&self, mut is_done: impl FnMut(&mut State) -> bool) {
        while !is_done(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner)) {
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// The nemesis as a member of its own history.
const LANE: u32 = 0;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
