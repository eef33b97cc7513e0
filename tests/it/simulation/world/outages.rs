//! What happens to the server.

use std::time::Duration;

use coord_core::clock::Instant;

use super::{World, note, open};
use crate::simulation::{
    coverage::{Window, Windows},
    plan::{Number, Outage, Step},
    stage::{Leap, Repair, TTL},
};

impl World {
    pub(super) fn break_server(&mut self, step: &Step, who: Option<Number>, outage: &Outage) {
        if self.stage.is_calm() {
            return;
        }
        let windows = open(&*self.subject, &self.stage, None);
        let Some(lost) = self.strike(who, outage) else {
            return;
        };
        self.stage.log_server(|| format!("{outage}{}", note(step)));
        self.stage
            .inject(outage.kind(), None, outage.lasting(), windows.and(lost));
    }

    /// What is lost; `None` where nothing happens after all.
    fn strike(&mut self, who: Option<Number>, outage: &Outage) -> Option<Windows> {
        let now = self.stage.now();
        let until = now + outage.lasting().unwrap_or_default();
        let stage = &mut self.stage;
        match *outage {
            Outage::Down(_) => {
                stage.embedded.set_available(false);
                stage.repairs.push((until, Repair::Available));
            }
            Outage::Hang(_) => {
                stage.embedded.pause();
                stage.repairs.push((until, Repair::Continue));
            }
            Outage::Restart => {
                stage.replicas.take_replaced();
                stage.embedded.restart();
            }
            Outage::FailOver { pick } => return self.fail_over(pick),
            Outage::FailOverBehind { pick, newcomer } => {
                return self.fail_over_behind(who, pick, newcomer);
            }
            Outage::EmptyRestart | Outage::FlushAll => return self.forget_everything(outage),
            Outage::SetClock(error_ms) => {
                let by_ms = error_ms - stage.server_error_ms;
                stage.server_error_ms = error_ms;
                stage.clock.step_wall(by_ms * 1_000);
                if let Ok(by_ms) = u64::try_from(by_ms) {
                    // It cuts short the wait for whoever was lost before (seed 741624).
                    stage.replicas.take_replaced();
                    let by = Duration::from_millis(by_ms);
                    let is_noticed = self.subject.notices_leap(by);
                    let grace = if is_noticed { TTL / 3 } else { Duration::ZERO };
                    stage.leaps.push(Leap { at: now, by, grace });
                    self.subject.forgotten(stage);
                }
            }
            Outage::ReplicasBehind { failing_over, .. } => {
                if !stage.replicas.are_connected() {
                    return None;
                }
                stage.replicas.fall_behind(&stage.embedded);
                stage.repairs.push((until, Repair::Replicas));
                // Which is when a failover loses most.
                if let Some(later) = failing_over {
                    stage
                        .repairs
                        .push((now + later, Repair::FailOver { pick: 0 }));
                }
            }
            Outage::ReplicasCut(_) => {
                stage.replicas.cut(now, &stage.embedded);
                stage.repairs.push((until, Repair::Replicas));
            }
            Outage::ReplicaReplaced {
                pick,
                failing_over,
                newcomer,
            } => {
                if !stage.replicas.are_connected()
                    || !stage.replicas.replace(now, pick, &stage.embedded)
                {
                    return None;
                }
                if let Some(later) = failing_over {
                    let repair = Repair::FailOverToReplaced { newcomer };
                    stage.repairs.push((now + later, repair));
                }
            }
            Outage::Evict { slot } => {
                return self
                    .subject
                    .evict(stage, slot)
                    .then_some(Windows::of(Window::LostGrant));
            }
            Outage::Peer { slot, .. } => {
                if !self.subject.peer(stage, slot) {
                    return None;
                }
                stage.repairs.push((until, Repair::PeerLeaves));
            }
        }
        Some(Windows::NONE)
    }

    pub(super) fn fail_over(&mut self, pick: u32) -> Option<Windows> {
        if self.stage.is_calm() || !self.subject.may_fail_over(&self.stage) {
            return None;
        }
        let stage = &mut self.stage;
        let (taken, snapshot) = stage.replicas.promotable(stage.now(), pick)?;
        let lost = is_lost(*taken, stage.record.newest().map(|(at, _)| at));
        stage.embedded.rollback(snapshot);
        stage.log_server(|| "has a replica take over".to_owned());
        stage.replicas.take_replaced();
        self.subject.forgotten(stage);
        Some(lost)
    }

    /// The replica that was replaced takes over after all: less than a ttl later, or the old master would go on for longer
    /// than is promised.
    pub(super) fn fail_over_to_replaced(&mut self, newcomer: Number) {
        let stage = &mut self.stage;
        let newest = stage.record.newest().map(|(_, number)| number);
        let Some((_, snapshot)) = stage.replicas.take_replaced() else {
            return;
        };
        if stage.is_calm() || !self.subject.may_fail_over(stage) {
            return;
        }
        stage.embedded.rollback(&snapshot);
        stage.replicas.forget();
        stage.log_server(|| "has the replica take over that was replaced".to_owned());
        self.subject.forgotten(stage);
        if let Some(number) = newest {
            self.follow_up(number, newcomer);
        }
    }

    /// The worst moment for a failover: somebody was just granted something and cannot tell the new server, and somebody
    /// else comes.
    fn fail_over_behind(
        &mut self,
        who: Option<Number>,
        pick: u32,
        newcomer: Number,
    ) -> Option<Windows> {
        let newest = self.stage.record.newest().map(|(_, number)| number);
        let number = who.or(newest)?;
        let lost = self.fail_over(pick)?;
        self.follow_up(number, newcomer);
        Some(lost)
    }

    fn follow_up(&mut self, number: Number, newcomer: Number) {
        let stage = &mut self.stage;
        if let Some(shell) = stage.shells.get(&number) {
            shell.store.faults().cut();
            let until = stage.now() + TTL;
            stage.repairs.push((until, Repair::Heal(number)));
            stage.log(number, || "is cut off".to_owned());
        }
        self.subject.start(stage, newcomer, None);
        self.stage.log(newcomer, || "starts".to_owned());
    }

    /// An empty restart or a flush. What is promised then rests on one living holder that is heard, so one is spared.
    fn forget_everything(&mut self, outage: &Outage) -> Option<Windows> {
        let witness = self.subject.witness(&self.stage)?;
        let stage = &mut self.stage;
        if let Some(number) = witness {
            stage.shells[&number].store.faults().heal();
            stage.embedded.set_available(true);
            stage.embedded.resume();
            stage
                .repairs
                .retain(|(_, repair)| !matches!(repair, Repair::Available | Repair::Continue));
            stage.calm = Some((stage.now() + TTL, number));
            stage.log(number, || "is a witness".to_owned());
        }
        stage.replicas.forget();
        if matches!(outage, Outage::EmptyRestart) {
            stage.embedded.restart_empty();
        } else {
            stage.embedded.flush_all();
        }
        let ago = stage.record.newest().map(|(at, _)| at);
        let recent = ago.is_some_and(|at| stage.now() < at + TTL);
        self.subject.forgotten(stage);
        Some(Windows::NONE.with(Window::LostGrant, recent))
    }
}

/// Whether what was granted last is lost with everything since `taken`.
fn is_lost(taken: Instant, granted: Option<Instant>) -> Windows {
    Windows::NONE.with(
        Window::LostGrant,
        granted.is_some_and(|granted| taken < granted),
    )
}
