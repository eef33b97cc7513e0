//! What follows when nothing breaks any more.

use std::time::Duration;

use super::World;
use crate::simulation::{record::Who, subject::Change};

impl World {
    /// What is broken is mended.
    pub(super) fn end_faults(&mut self) {
        let stage = &mut self.stage;
        stage.record.say(Who::World, || "all faults end".to_owned());
        self.steps.clear();
        self.waiting.clear();
        self.await_windows();
        let stage = &mut self.stage;
        stage.repairs.clear();
        stage.end_spans();
        self.subject.peer_leaves(stage);
        stage.embedded.set_available(true);
        stage.embedded.resume();
        stage.retire();
        stage.replicas.mend(&stage.embedded);
        for shell in stage.shells.values() {
            shell.store.faults().heal();
            shell.gate.resume();
            while shell.wire.go_on() {}
        }
        self.subject.end_faults(stage);
    }

    /// Within bounded time everybody has what it should have.
    pub(super) async fn settle(&mut self) -> bool {
        let end = self.stage.now() + Self::SETTLING;
        while self.stage.now() < end && !self.is_failed() {
            self.turn(end).await;
            if !self.is_failed() && self.subject.is_settled(&mut self.stage) {
                return true;
            }
        }
        let shares = self.subject.shares(&self.stage);
        self.stage
            .record
            .fail(format!("it does not settle: {shares}"));
        false
    }

    /// A settled group does nothing, and a change moves the least that it must.
    pub(super) async fn epilogue(&mut self) {
        // Whoever was killed or left last is gone by then: its lease, its grace, and drains that take their time.
        self.pass(Duration::from_secs(10)).await;
        if !self.settle().await {
            return;
        }
        self.subject.set_quiet(true);
        self.pass(Duration::from_secs(2)).await;
        self.subject.set_quiet(false);
        for change in [Change::Join, Change::Leave, Change::Crash] {
            if self.is_failed() || !self.settle().await {
                return;
            }
            // Nothing may be under way.
            self.pass(Duration::from_millis(600)).await;
            if self.is_failed() || !self.subject.change(&mut self.stage, change) {
                continue;
            }
            self.stage
                .record
                .say(Who::World, || format!("one more change: {change:?}"));
            if self.settle().await {
                self.subject.judge_change(&mut self.stage, change);
            }
        }
    }

    /// Ten ttls in which newcomers have no share where others died young; two of doubt and expiry, grace, leaves under way,
    /// clocks that were set, and work that outlasts drains.
    const SETTLING: Duration = Duration::from_secs(150);
}
