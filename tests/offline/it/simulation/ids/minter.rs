//! The smallest minter that keeps the rules: one timestamp and one sequence number at a time.

use std::sync::{Mutex, MutexGuard};

use coord_core::clock::{Clock, TokioClock};
use raus::{Grant, Loss, LossCause, Minter};

use super::ledger::Ledger;
use crate::simulation::plan::Number;

#[derive(Debug)]
pub(super) struct SimMinter {
    number: Number,
    clock: TokioClock,
    ledger: Ledger,
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
    pub(super) fn new(number: Number, clock: TokioClock, ledger: Ledger) -> Self {
        Self {
            number,
            clock,
            ledger,
            state: Mutex::default(),
        }
    }

    /// Mints one ID, if the grant allows it.
    pub(super) fn mint(&self) -> bool {
        let mut state = self.state();
        let Some(grant) = state.grant.filter(|_| !state.closed) else {
            return false;
        };
        let wall_ms = self.clock.wall_ms();
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
        self.ledger
            .record_id(self.number, grant.machine_id, ms, state.sequence);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }
}

impl Minter for SimMinter {
    fn layout(&self) -> String {
        // That of the generators beside it: two in one namespace are refused.
        snowflake::Layout::default().to_string()
    }

    fn grant(&self, grant: &Grant) {
        self.state().grant = Some(*grant);
    }

    fn extend(&self, fence: u64, horizon_ms: u64) {
        if let Some(grant) = &mut self.state().grant
            && grant.fence == fence
        {
            grant.horizon_ms = horizon_ms;
        }
    }

    fn last_minted_ms(&self) -> Option<u64> {
        self.state().last_ms
    }

    fn revoke(&self, loss: &Loss) {
        // A lease that had ended before the minter was attached was nobody's.
        if !matches!(loss.cause, LossCause::Expired { .. }) {
            self.ledger
                .record_theft(self.clock.now(), self.number, loss);
        }
        self.state().grant = None;
    }

    fn close(&self) -> Option<u64> {
        let mut state = self.state();
        self.ledger
            .say(self.number, || format!("closes at {:?} ms", state.last_ms));
        state.closed = true;
        // Nothing minted: the script leaves the floor of the grant.
        Some(state.last_ms.map_or(0, |last| last + 1))
    }
}
