//! What happens to the server.

use std::time::Duration;

use coord_core::clock::Clock;

use super::{Repair, World};
use crate::simulation::{
    mutants::Mutant,
    process::{Process, TTL},
};

impl World {
    pub(super) fn break_server(&mut self) {
        let rng = &mut self.rng;
        let kinds = if self.replicas.are_wanted() { 32 } else { 25 };
        let what = match rng.u32(0..kinds) {
            0..5 => {
                self.embedded.set_available(false);
                let until = self.clock.now() + Duration::from_millis(rng.u64(100..=5_000));
                self.repairs.push((until, Repair::Available));
                "is down"
            }
            5..10 => {
                self.embedded.pause();
                let until = self.clock.now() + Duration::from_millis(rng.u64(100..=6_000));
                self.repairs.push((until, Repair::Continue));
                "hangs"
            }
            10..14 => {
                self.embedded.restart();
                "restarts with its data"
            }
            14..19 => {
                self.fail_over();
                "fails over and loses its last writes"
            }
            19..22 => {
                let slot = rng.u32(0..self.slots);
                self.peer.take_if(|peer| peer.slot() == slot);
                self.embedded.expire_evict(&format!("sim:id:{slot}"));
                "evicts a lock"
            }
            22..25 => return self.forget_everything(),
            _ => self.replicas.change(self.clock.now(), &self.embedded, rng),
        };
        self.log(&format!("the server {what}"));
    }

    fn fail_over(&mut self) {
        let now = self.clock.now();
        if let Some(snapshot) = self.replicas.promotable(now, &mut self.rng) {
            self.embedded.rollback(snapshot);
            self.peer = None;
            self.ledger().excuse(4 * TTL);
        }
    }

    /// The worst moment for a failover: somebody was just granted a slot and cannot tell the new server, and somebody
    /// else comes.
    pub(super) fn fail_over_after_grant(&mut self) {
        let newest = self.ledger().newest.take();
        let found = |process: &&Process| Some(process.number) == newest;
        let Some(process) = self.processes.iter().find(found) else {
            return;
        };
        process.store.faults().cut();
        self.repairs
            .push((self.clock.now() + TTL, Repair::Heal(process.number)));
        self.log(&format!(
            "process {} is cut off and the server fails over",
            process.number
        ));
        self.faults += 1;
        self.fail_over();
        if self.processes.len() < Self::MOST_PROCESSES {
            self.start_process();
        }
    }

    /// An empty restart or a flush. What is promised then rests on one living holder that is heard, so one is spared.
    fn forget_everything(&mut self) {
        let witness = self
            .processes
            .iter()
            .find(|process| process.gate.is_running() && process.holder(Mutant::None).is_some());
        let Some(witness) = witness else { return };
        witness.store.faults().heal();
        let number = witness.number;
        self.embedded.set_available(true);
        self.embedded.resume();
        self.repairs
            .retain(|(_, repair)| !matches!(repair, Repair::Available | Repair::Continue));
        self.calm = Some((self.clock.now() + TTL, number));
        self.replicas.forget();
        self.peer = None;
        self.ledger().excuse(4 * TTL);
        if self.rng.bool() {
            self.embedded.restart_empty();
        } else {
            self.embedded.flush_all();
        }
        self.log(&format!(
            "the server forgets everything; process {number} is a witness"
        ));
    }
}
