//! What happens to the server.

use std::time::Duration;

use coord_core::clock::Instant;

use super::{World, note, open};
use crate::simulation::{
    coverage::{Window, Windows},
    plan::{Number, Outage, Step},
    stage::{Leap, Repair, Shell},
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
                stage.embedded.restart();
                stage.doubt();
            }
            Outage::Backlog => stage.embedded.renew_replication_id(),
            Outage::SplitBrain {
                pick,
                lasting,
                newcomer,
            } => return self.split(pick, lasting, newcomer),
            Outage::Rewind { pick, newcomer } => return self.rewind(pick, newcomer),
            Outage::FailOver { pick } => return self.fail_over(pick),
            Outage::FailOverBehind { pick, newcomer } => {
                return self.fail_over_behind(who, pick, newcomer);
            }
            Outage::EmptyRestart | Outage::FlushAll => return self.forget_everything(outage),
            Outage::FlushBehind { newcomer } => return self.flush_behind(outage, newcomer),
            Outage::SetClock(error_ms) => {
                let by_ms = error_ms - stage.server_error_ms;
                stage.server_error_ms = error_ms;
                stage.clock.step_wall(by_ms * 1_000);
                if let Ok(by_ms) = u64::try_from(by_ms) {
                    let by = Duration::from_millis(by_ms);
                    let is_noticed = self.subject.notices_leap(by);
                    let grace = if is_noticed {
                        stage.scene.shortest_ttl() / 3
                    } else {
                        Duration::ZERO
                    };
                    stage.leaps.push(Leap { at: now, by, grace });
                    self.subject.forgotten(stage);
                } else {
                    self.subject.set_back(stage);
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
                stage.replicas.cut(&stage.embedded);
                stage.repairs.push((until, Repair::Replicas));
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
        if self.stage.is_calm() || self.stage.is_split() {
            return None;
        }
        let stage = &mut self.stage;
        let (taken, snapshot) = stage.replicas.pick(pick)?;
        let lost = is_lost(*taken, stage.record.newest().map(|(at, _)| at));
        stage.embedded.rollback(snapshot);
        stage.log_server(|| "has a replica take over".to_owned());
        self.lose_some();
        Some(lost)
    }

    /// The master that is replaced goes on answering half of the instances, and those who come meanwhile hear the new one.
    fn split(&mut self, pick: u32, lasting: Duration, newcomer: Number) -> Option<Windows> {
        let stage = &mut self.stage;
        let is_broken = |(_, repair): &(Instant, Repair)| {
            matches!(repair, Repair::Available | Repair::Continue)
        };
        // What replicas have acknowledged would not be taken over, and who is down answers nobody.
        let is_possible = !stage.is_calm()
            && !stage.is_split()
            && !stage.amnesty.is_running()
            && stage.scene.acknowledge == 0
            && !stage.repairs.iter().any(is_broken);
        if !is_possible {
            return None;
        }
        let (taken, snapshot) = stage.replicas.pick(pick)?.clone();
        let lost = is_lost(taken, stage.record.newest().map(|(at, _)| at));
        let mut known = self.subject.holdings(stage);
        known.extend(stage.record.take_granted());
        if !stage.split(&snapshot, pick) {
            return None;
        }
        let until = stage.now() + lasting;
        stage.repairs.push((until, Repair::Retire));
        let pardoned = until + Duration::from_secs(1);
        stage
            .amnesty
            .begin(stage.now(), pardoned, known, Vec::new(), Vec::new());
        self.lose_some();
        self.subject.start(&mut self.stage, newcomer, None);
        self.stage.log(newcomer, || "starts".to_owned());
        Some(lost)
    }

    /// An older copy of the data. Nobody can know before one is heard of whom something is missing.
    fn rewind(&mut self, pick: u32, newcomer: Number) -> Option<Windows> {
        let stage = &mut self.stage;
        if stage.is_calm() || stage.is_split() || stage.amnesty.is_running() {
            return None;
        }
        let (taken, snapshot) = stage.replicas.pick(pick)?.clone();
        let lost = is_lost(taken, stage.record.newest().map(|(at, _)| at));
        let heard = |shell: &Shell| shell.wire.heard().is_some_and(|heard| taken <= heard);
        let losers = stage.shells.iter().filter(|(_, shell)| heard(shell));
        let losers: Vec<Number> = losers.map(|(&number, _)| number).collect();
        let mut known = self.subject.holdings(stage);
        known.extend(stage.record.take_granted());
        let now = stage.now();
        let until = now + stage.scene.longest_ttl() + Duration::from_secs(1);
        let everybody = stage.shells.keys().copied().collect();
        stage.amnesty.begin(now, until, known, losers, everybody);
        stage.embedded.rewind(&snapshot);
        self.lose_some();
        self.stage.rewound_at = self.stage.lost_at;
        self.subject.start(&mut self.stage, newcomer, None);
        self.stage.log(newcomer, || "starts".to_owned());
        Some(lost)
    }

    /// Something is lost, and what is left is known.
    fn lose_some(&mut self) {
        let known = self.stage.recorded_ttl().unwrap_or_default();
        self.stage.lose(known);
        self.subject.forgotten(&mut self.stage);
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

    /// The worst moment for a flush: whoever holds for longest cannot say so, and somebody else comes.
    fn flush_behind(&mut self, outage: &Outage, newcomer: Number) -> Option<Windows> {
        let lost = self.forget_everything(outage)?;
        let witness = self.stage.calm.map(|(_, witness)| witness);
        let others = self.stage.shells.iter();
        let others = others.filter(|(number, _)| Some(**number) != witness);
        let longest = others.max_by_key(|(_, shell)| shell.options.ttl);
        if let Some((&number, _)) = longest {
            self.follow_up(number, newcomer);
        }
        Some(lost)
    }

    fn follow_up(&mut self, number: Number, newcomer: Number) {
        let stage = &mut self.stage;
        if let Some(shell) = stage.shells.get(&number) {
            shell.store.faults().cut();
            let until = stage.now() + shell.options.ttl;
            stage.repairs.push((until, Repair::Heal(number)));
            stage.log(number, || "is cut off".to_owned());
        }
        self.subject.start(stage, newcomer, None);
        self.stage.log(newcomer, || "starts".to_owned());
    }

    /// An empty restart or a flush. What is promised then rests on one living holder that is heard, so one is spared.
    fn forget_everything(&mut self, outage: &Outage) -> Option<Windows> {
        if self.stage.is_split() {
            return None;
        }
        let witness = self.subject.witness(&self.stage)?;
        let stage = &mut self.stage;
        let mut known = Duration::ZERO;
        if let Some(number) = witness {
            let shell = &stage.shells[&number];
            shell.store.faults().heal();
            known = shell.wire.known_ttl().max(shell.options.ttl);
            stage.embedded.set_available(true);
            stage.embedded.resume();
            stage
                .repairs
                .retain(|(_, repair)| !matches!(repair, Repair::Available | Repair::Continue));
            stage.calm = Some((stage.now() + stage.scene.longest_ttl(), number));
            stage.log(number, || "is a witness".to_owned());
        }
        stage.replicas.forget();
        if matches!(outage, Outage::EmptyRestart) {
            stage.embedded.restart_empty();
        } else {
            stage.embedded.flush_all();
        }
        let ago = stage.record.newest().map(|(at, _)| at);
        let recent = ago.is_some_and(|at| stage.now() < at + stage.scene.longest_ttl());
        stage.lose(known);
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
