//! What goes wrong in a run.

use std::time::Duration;

use coord_core::clock::Clock;

use super::{Repair, World};
use crate::buckets_simulation::{mutants::Mutant, process::TTL};

impl World {
    pub(super) fn break_something(&mut self) {
        if self.processes.is_empty() {
            return self.start_new();
        }
        let index = self.rng.usize(0..self.processes.len());
        let number = self.processes[index].setup.number;
        let is_spared = self.calm.is_some_and(|(_, spared)| spared == number);
        let concerns_server = self.rng.f64() < self.server_share;
        if self.calm.is_some() && (concerns_server || is_spared) {
            return;
        }
        self.faults += 1;
        if concerns_server {
            self.break_server();
        } else {
            self.break_process(index);
        }
    }

    fn break_process(&mut self, index: usize) {
        let process = &self.processes[index];
        let (number, faults) = (process.setup.number, process.store.faults().clone());
        let now = self.clock.now();
        let milliseconds =
            |rng: &mut fastrand::Rng, up_to: u64| Duration::from_millis(rng.u64(1..=up_to));
        let what = match self.rng.u32(0..80) {
            0..18 => {
                process.gate.pause();
                let until = now + milliseconds(&mut self.rng, 8_000);
                self.repairs.push((until, Repair::Resume(number)));
                "is paused".to_owned()
            }
            18..34 => {
                match self.rng.u32(0..3) {
                    0 => faults.cut_requests(),
                    1 => faults.cut_replies(),
                    _ => faults.cut(),
                }
                let until = now + milliseconds(&mut self.rng, 6_000);
                self.repairs.push((until, Repair::Heal(number)));
                "is cut off".to_owned()
            }
            34..40 => {
                faults.drop_next_requests(self.rng.u64(1..4));
                "loses requests".to_owned()
            }
            40..48 => {
                faults.drop_next_replies(self.rng.u64(1..4));
                "loses replies".to_owned()
            }
            48..57 => {
                // Now and then so slow that requests arrive when nobody waits for them any more.
                let slowest = if self.rng.bool() { 400 } else { 4_000 };
                faults.set_request_delay(milliseconds(&mut self.rng, slowest));
                faults.set_reply_delay(milliseconds(&mut self.rng, 480));
                let until = now + milliseconds(&mut self.rng, 5_000);
                self.repairs.push((until, Repair::Heal(number)));
                "is slow".to_owned()
            }
            57..60 => {
                let by_ms = self.rng.i64(-40_000..=40_000);
                process.clock.step_wall(by_ms * 1_000);
                format!("has its clock stepped by {by_ms} ms")
            }
            60..66 => {
                let mut killed = self.processes.remove(index);
                killed.kill();
                if self.rng.bool() {
                    self.start_again(&killed.setup);
                    "is killed and started again".to_owned()
                } else {
                    self.start_new();
                    "is killed and replaced".to_owned()
                }
            }
            66..74 => {
                let setup = process.setup.clone();
                self.leave(index);
                if self.rng.bool() {
                    self.start_again(&setup);
                    "leaves and is started again".to_owned()
                } else {
                    self.start_new();
                    "leaves and is replaced".to_owned()
                }
            }
            _ if self.processes.len() < 8 => {
                self.start_new();
                "gets company".to_owned()
            }
            _ => {
                self.leave(index);
                "leaves".to_owned()
            }
        };
        self.ledger.log(&format!("process {number} {what}"));
    }

    pub(super) fn leave(&mut self, index: usize) {
        let mut leaver = self.processes.remove(index);
        // What it may be doing until then is looked at to the end.
        leaver.leave();
        let until = self.clock.now() + Duration::from_secs(20);
        self.leaving.push((until, leaver));
    }

    fn break_server(&mut self) {
        let now = self.clock.now();
        if self.replicas != 0 && self.rng.u32(0..4) == 0 {
            return self.break_replication();
        }
        let rng = &mut self.rng;
        let what = match rng.u32(0..22) {
            0..5 => {
                self.embedded.set_available(false);
                let until = now + Duration::from_millis(rng.u64(100..=5_000));
                self.repairs.push((until, Repair::Available));
                "is down"
            }
            5..10 => {
                self.embedded.pause();
                let until = now + Duration::from_millis(rng.u64(100..=6_000));
                self.repairs.push((until, Repair::Continue));
                "hangs"
            }
            10..13 => {
                self.embedded.restart();
                "restarts with its data"
            }
            13..18 => return self.fail_over(),
            _ => return self.forget_everything(),
        };
        self.ledger.log(&format!("the server {what}"));
    }

    /// Where there is a successor that is, or was, in step.
    pub(super) fn fail_over(&mut self) {
        if let Some(snapshot) = self.rng.choice(&self.snapshots)
            && self.connected
        {
            self.embedded.rollback(snapshot);
            self.ledger
                .log("the server fails over and loses its last writes");
        }
    }

    /// Replicas fall behind, or are cut off. One that was cut off is no successor before it has copied everything.
    fn break_replication(&mut self) {
        let up_to_ms = *self.rng.choice([1_000, 8_000].iter()).expect("not empty");
        let until = self.clock.now() + Duration::from_millis(self.rng.u64(100..=up_to_ms));
        self.repairs.push((until, Repair::Replicas));
        if self.connected && self.rng.bool() {
            self.embedded.set_replicas(self.replicas, true);
            self.ledger.log("the replicas fall behind");
            // Which is when a failover loses most.
            if self.rng.bool() {
                let at = self.clock.now() + Duration::from_millis(self.rng.u64(100..=up_to_ms));
                self.repairs.push((at, Repair::FailOver));
            }
        } else {
            self.connected = false;
            self.embedded.set_replicas(0, false);
            self.ledger.log("the replicas are cut off");
        }
    }

    pub(super) fn mend_replicas(&mut self) {
        if !self.connected {
            self.snapshots.clear();
        }
        self.connected = true;
        self.embedded.set_replicas(self.replicas, false);
    }

    /// An empty restart or a flush. Where discovery is shorter than the ttl, what is promised rests on one living owner
    /// that is heard within it, so one is spared.
    fn forget_everything(&mut self) {
        if self.group.discovery.is_none() {
            let witness = self.processes.iter_mut().find_map(|process| {
                // One whose heartbeat has just been lost would be late.
                let is_heard = process.gate.is_running() && process.is_heard();
                (is_heard && !process.holdings(Mutant::None).is_empty()).then_some(process)
            });
            let Some(witness) = witness else { return };
            witness.store.faults().heal();
            let number = witness.setup.number;
            self.embedded.set_available(true);
            self.embedded.resume();
            self.repairs
                .retain(|(_, repair)| !matches!(repair, Repair::Available | Repair::Continue));
            self.calm = Some((self.clock.now() + TTL, number));
            self.ledger.log(&format!("process {number} is a witness"));
        }
        self.snapshots.clear();
        if self.rng.bool() {
            self.embedded.restart_empty();
        } else {
            self.embedded.flush_all();
        }
        self.ledger.log("the server forgets everything");
    }
}
