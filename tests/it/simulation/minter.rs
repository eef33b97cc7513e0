//! The smallest minter that keeps the rules: one timestamp and one sequence number at a time.

use std::sync::{Arc, Mutex, MutexGuard};

use raus::{Grant, Loss, Minter};

use super::ledger::Ledger;

#[derive(Debug)]
pub(super) struct SimMinter {
    process: usize,
    ledger: Arc<Mutex<Ledger>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    grant: Option<Grant>,
    last_ms: Option<u64>,
    sequence: u32,
    closed: bool,
}

impl SimMinter {
    pub(super) fn new(process: usize, ledger: Arc<Mutex<Ledger>>) -> Self {
        Self {
            process,
            ledger,
            state: Mutex::default(),
        }
    }

    /// Mints one ID when the wall clock shows `wall_ms`, if the grant allows it.
    pub(super) fn mint(&self, wall_ms: u64) -> bool {
        let mut state = self.state();
        let Some(grant) = state.grant.filter(|_| !state.closed) else {
            return false;
        };
        let ms = wall_ms.max(grant.floor_ms).max(state.last_ms.unwrap_or(0));
        if grant.horizon_ms <= ms {
            return false;
        }
        state.sequence = if state.last_ms == Some(ms) {
            state.sequence + 1
        } else {
            0
        };
        state.last_ms = Some(ms);
        self.ledger.lock().expect("not poisoned").record_id(
            self.process,
            grant.machine_id,
            ms,
            state.sequence,
        );
        true
    }

    fn log(&self, what: &str) {
        let number = self.process;
        self.ledger
            .lock()
            .expect("not poisoned")
            .log(&format!("process {number}: {what}"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }
}

impl Minter for SimMinter {
    fn grant(&self, grant: &Grant) {
        self.state().grant = Some(*grant);
        self.ledger
            .lock()
            .expect("not poisoned")
            .record_grant(self.process, grant);
    }

    fn extend(&self, horizon_ms: u64) {
        if let Some(grant) = &mut self.state().grant {
            grant.horizon_ms = horizon_ms;
        }
    }

    fn last_minted_ms(&self) -> Option<u64> {
        self.state().last_ms
    }

    fn revoke(&self, loss: &Loss) {
        self.ledger
            .lock()
            .expect("not poisoned")
            .record_theft(self.process, loss);
        self.state().grant = None;
    }

    fn close(&self) -> Option<u64> {
        let mut state = self.state();
        self.log(&format!("closes at {:?} ms", state.last_ms));
        state.closed = true;
        state.last_ms
    }
}
