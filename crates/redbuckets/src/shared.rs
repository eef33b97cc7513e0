//! What the heartbeat, the supervisor and the handles of one instance share.

mod progress;
mod watchers;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant},
    event_log::EventLog,
    heartbeat::{Nudge, Validity},
    store::StoreError,
};
use tokio::sync::{Notify, watch};

use crate::{
    event::{Event, LossCause},
    membership::{Ending, Heard, Membership, Phase, View},
    metrics::Meter,
    owned::{Owned, Snapshot},
    protocol::{Grant, Told},
};

use self::{progress::Reports, watchers::Watchers};
pub(crate) use self::{
    progress::{Report, Watched},
    watchers::Feed,
};

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Member,
    /// Everything was lost; it is to become a member again.
    Lost,
    /// Another process has its id.
    Fenced,
    Left,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) id: String,
    pub(crate) events: EventLog<Event>,
    pub(crate) meter: Meter,
    changes: watch::Sender<u64>,
    /// Raised for the tasks of `run_each`.
    tasks: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    status: Status,
    membership: Membership,
    /// `None` only until the heartbeat has taken the membership over.
    validity: Option<Arc<Validity>>,
    nudge: Option<Nudge>,
    snapshot: Option<Arc<Snapshot>>,
    watchers: Watchers,
    reports: Reports,
    last_beat: Option<Instant>,
    /// The incarnation of this process that the store has on record instead of the current one.
    overtaken_by: Option<String>,
}

impl State {
    fn deadline(&self) -> Instant {
        self.validity
            .as_ref()
            .map_or(Instant::from_boot(Duration::ZERO), |validity| {
                validity.deadline()
            })
    }

    /// Whether the instance has anything, by the local clock.
    fn is_valid(&self, now: Instant) -> bool {
        self.status == Status::Member && now < self.deadline()
    }

    fn nudge(&self) {
        if let Some(nudge) = &self.nudge {
            nudge.nudge();
        }
    }
}

impl Shared {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        group: &str,
        id: String,
        buckets: u32,
        membership: Membership,
    ) -> Self {
        // A slow reader may fall behind by two rebalances of all buckets, or 65,536 events.
        let events = EventLog::new(buckets.saturating_mul(4).clamp(1_024, 65_536) as usize);
        let joined = Event::Joined {
            instance: id.clone(),
        };
        let shared = Self {
            meter: Meter::new(group, Arc::clone(&clock)),
            clock,
            id,
            events,
            changes: watch::Sender::new(0),
            tasks: Notify::new(),
            state: Mutex::new(State {
                status: Status::Member,
                membership,
                validity: None,
                nudge: None,
                snapshot: None,
                watchers: Watchers::default(),
                reports: Reports::default(),
                last_beat: None,
                overtaken_by: None,
            }),
        };
        shared.meter.joined();
        shared.tell(joined);
        shared
    }

    /// Counts what happened and tells every reader.
    pub(crate) fn tell(&self, event: Event) {
        self.meter.observe(&event);
        self.events.push(event);
    }

    /// The heartbeat has taken the membership over.
    pub(crate) fn adopt(&self, validity: Arc<Validity>, nudge: Nudge) {
        let mut state = self.state();
        state.validity = Some(validity);
        state.nudge = Some(nudge);
    }

    /// The instance is a member again.
    pub(crate) fn rejoin(&self, mut membership: Membership) {
        {
            let mut state = self.state();
            membership.inherit(&mut state.membership);
            state.membership = membership;
            state.status = Status::Member;
            (state.validity, state.snapshot) = (None, None);
            self.meter.joined();
            self.tell(Event::Joined {
                instance: self.id.clone(),
            });
        }
        self.notify();
    }

    /// Changes the membership; what follows from that is told to everybody, in order.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Membership) -> T) -> T {
        let outcome = {
            let mut state = self.state();
            let outcome = change(&mut state.membership);
            self.publish(&mut state);
            outcome
        };
        self.notify();
        outcome
    }

    /// As [`change`](Self::change), for the answers to requests.
    pub(crate) fn hear(
        &self,
        now: Instant,
        handle: impl FnOnce(&mut Membership) -> Heard,
    ) -> Heard {
        let heard = {
            let mut state = self.state();
            let heard = handle(&mut state.membership);
            let end = match &heard {
                Heard::Acknowledged(_) => {
                    state.last_beat = Some(now);
                    None
                }
                Heard::Unfinished | Heard::Failed => None,
                Heard::Fenced(_) => Some((Status::Fenced, LossCause::Fenced)),
                Heard::Overtaken(by) => {
                    state.overtaken_by = Some(by.clone());
                    Some((Status::Lost, LossCause::Overtaken))
                }
                Heard::Refused(_) => Some((Status::Lost, LossCause::Replaced)),
            };
            if let Some((status, cause)) = end {
                state.membership.lose_all(&cause);
                state.status = status;
            }
            self.publish(&mut state);
            if state.status == Status::Fenced {
                tracing::error!(instance = %self.id, "another process has taken this instance's id");
                self.tell(Event::Fenced {
                    instance: self.id.clone(),
                });
            }
            heard
        };
        self.notify();
        heard
    }

    /// A heartbeat failed.
    pub(crate) fn fail(&self, error: StoreError) {
        let deadline = {
            let mut state = self.state();
            state.membership.handle_failed();
            self.publish(&mut state);
            state.deadline()
        };
        self.notify();
        tracing::debug!(instance = %self.id, error = %error, "heartbeat failed");
        self.tell(Event::BeatFailed {
            error: Arc::new(error),
            deadline,
        });
    }

    /// Everything is lost, unless it was before.
    pub(crate) fn lose(&self, cause: LossCause) {
        {
            let mut state = self.state();
            if state.status != Status::Member {
                return;
            }
            tracing::error!(instance = %self.id, %cause, "every bucket was lost");
            state.membership.lose_all(&cause);
            state.status = Status::Lost;
            self.publish(&mut state);
        }
        self.notify();
    }

    /// Nothing follows any more. Only now do readers of events come to their end.
    pub(crate) fn finish(&self) {
        {
            let mut state = self.state();
            state.membership.lose_all(&LossCause::Left);
            self.publish(&mut state);
            if state.status != Status::Fenced {
                state.status = Status::Left;
                self.show(&state);
                self.tell(Event::Left {
                    instance: self.id.clone(),
                });
            }
        }
        self.events.close();
        self.notify();
    }

    /// The instance is on its way out; how, in the end.
    pub(crate) fn end(&self, ending: Ending) -> Ending {
        let now = self.clock.now();
        let ending = self.change(|membership| membership.end(now, ending));
        self.state().nudge();
        ending
    }

    pub(crate) fn enter(&self, bucket: u32) -> Option<u64> {
        self.enter_by(|membership| membership.enter(bucket))
    }

    /// As [`enter`](Self::enter), where nobody works in the bucket, under whatever grant.
    pub(crate) fn enter_alone(&self, bucket: u32) -> Option<u64> {
        self.enter_by(|membership| membership.enter_alone(bucket))
    }

    fn enter_by(&self, enter: impl FnOnce(&mut Membership) -> Option<u64>) -> Option<u64> {
        let now = self.clock.now();
        let mut state = self.state();
        let is_valid = state.is_valid(now);
        is_valid.then(|| enter(&mut state.membership)).flatten()
    }

    /// More work begins under a grant under which work goes on, in time or not; whether it does.
    pub(crate) fn enter_too(&self, grant: Grant) -> bool {
        self.state().membership.enter_too(grant)
    }

    pub(crate) fn exit(&self, grant: Grant, watched: Option<&Watched>) {
        let mut state = self.state();
        if let Some(watched) = watched {
            state.reports.forget(watched);
        }
        let exit = state.membership.exit(grant.bucket, grant.epoch);
        if exit.releasable {
            state.nudge();
        }
        let is_fed = exit.last && state.watchers.note_bucket(grant.bucket);
        drop(state);
        if exit.releasable || exit.stray {
            self.notify();
        } else if is_fed {
            self.tasks.notify_one();
        }
    }

    /// Where a bucket stands by the local clock, and under which fencing token; `None` where it is not ours.
    pub(crate) fn standing(&self, bucket: u32) -> Option<(u64, Phase)> {
        let now = self.clock.now();
        let state = self.state();
        let epoch = state.membership.epoch(bucket)?;
        let phase = state.membership.phase(bucket, epoch)?;
        state.is_valid(now).then_some((epoch, phase))
    }

    /// Where a grant stands by the local clock; `None` once it is over.
    pub(crate) fn phase(&self, grant: Grant) -> Option<Phase> {
        let (epoch, phase) = self.standing(grant.bucket)?;
        (epoch == grant.epoch).then_some(phase)
    }

    /// What is raised when an active grant ends.
    fn signal(&self, grant: Grant) -> Option<Arc<Notify>> {
        let now = self.clock.now();
        let mut state = self.state();
        let phase = state.membership.phase(grant.bucket, grant.epoch);
        let is_active = state.is_valid(now) && phase == Some(Phase::Active);
        is_active.then(|| state.watchers.signal(grant.bucket))
    }

    /// Waits until a grant is to end, or is over.
    pub(crate) async fn revoked(&self, grant: Grant) {
        while let Some(signal) = self.signal(grant) {
            // Hears of whatever comes from here on, so nothing can come between the look and the wait.
            let signalled = signal.notified();
            if self.phase(grant) != Some(Phase::Active) {
                return;
            }
            // The deadline moves with every heartbeat; Tokio's clock may differ from the boot-time clock: a second look.
            let left = self.deadline().saturating_since(self.clock.now());
            let _ = tokio::time::timeout(left.max(Duration::from_millis(1)), signalled).await;
        }
    }

    pub(crate) fn owned(&self) -> Owned {
        let mut guard = self.state();
        let state = &mut *guard;
        let snapshot = state
            .snapshot
            .get_or_insert_with(|| Arc::new(Snapshot::new(&state.membership)));
        let snapshot = Arc::clone(snapshot);
        Owned::new(snapshot, state.validity.clone(), Arc::clone(&self.clock))
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.state().deadline()
    }

    pub(crate) fn status(&self) -> Status {
        self.state().status
    }

    pub(crate) fn number(&self) -> u32 {
        self.state().membership.number()
    }

    pub(crate) fn view(&self) -> View {
        self.state().membership.view().clone()
    }

    pub(crate) fn take_overtaken_by(&self) -> Option<String> {
        self.state().overtaken_by.take()
    }

    pub(crate) fn last_beat(&self) -> Option<Instant> {
        self.state().last_beat
    }

    pub(crate) fn has_ended(&self) -> bool {
        let state = self.state();
        match state.status {
            Status::Member => state.membership.has_ended(),
            _ => !state.membership.is_at_work().1,
        }
    }

    /// Whether work goes on in what is held.
    pub(crate) fn is_at_work(&self) -> bool {
        self.state().membership.is_at_work().0
    }

    /// Waits until nothing is worked on any more and, while the instance is a member, the store has what it is to have.
    pub(crate) async fn ended(&self) {
        let mut changes = self.changes();
        while !self.has_ended() && changes.changed().await.is_ok() {}
    }

    /// Whether and how the instance is on its way out.
    pub(crate) fn ending(&self) -> Ending {
        self.state().membership.ending()
    }

    pub(crate) fn busy(&self) -> Vec<u32> {
        self.state().membership.busy()
    }

    /// What the store said last besides its answers.
    pub(crate) fn told(&self) -> Told {
        self.state().membership.told()
    }

    /// Changes whenever anything does.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn publish(&self, state: &mut State) {
        let events = state.membership.take_events();
        // Shares change without an event.
        state.snapshot = None;
        for event in events {
            state.watchers.note(&event);
            self.tell(event);
        }
        self.show(state);
    }

    fn show(&self, state: &State) {
        let is_member = state.status == Status::Member;
        self.meter.show(is_member, &state.membership);
    }

    /// Wakes whoever waits for a change. Not under the lock: what a waker does is not ours.
    fn notify(&self) {
        let raised = self.state().watchers.take_raised();
        for signal in raised {
            signal.notify_waiters();
        }
        self.tasks.notify_one();
        self.changes.send_modify(|version| *version += 1);
    }

    /// Every change under this lock is complete before anything can panic, so a poisoned one is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
