//! What a simulation has to know of what it simulates.

use std::{collections::HashSet, time::Duration};

use super::{amnesty::Holding, coverage::Windows, plan::Number, stage::Stage};

/// Machine IDs, or buckets: the processes that use them, and what must hold.
pub(super) trait Subject {
    /// Starts process `number`; `again` is an earlier one, with whose id it starts.
    fn start(&mut self, stage: &mut Stage, number: Number, again: Option<Number>);

    /// Process `number` does some of its work.
    fn act(&mut self, stage: &mut Stage, number: Number);

    /// Process `number` is told to give everything back.
    fn leave(&mut self, stage: &mut Stage, number: Number);

    /// Process `number` is gone at once.
    fn kill(&mut self, stage: &mut Stage, number: Number);

    /// What is critical for process `number` now.
    fn windows(&self, stage: &Stage, number: Number) -> Windows;

    /// Whether the server may forget everything now: somebody is there who will tell, or nobody has to. `Some(None)` where
    /// nobody has to.
    #[expect(clippy::option_option, reason = "not now, now, now with a witness")]
    fn witness(&mut self, stage: &Stage) -> Option<Option<Number>>;

    /// The server has just lost something.
    fn forgotten(&mut self, stage: &mut Stage);

    /// The server's clock was set back.
    fn set_back(&mut self, _stage: &Stage) {}

    /// Whether it is promised that nobody is taken for dead for a while after the server's clock was set forward by this.
    fn notices_leap(&self, _by: Duration) -> bool {
        false
    }

    /// Everything that is held now.
    fn holdings(&mut self, stage: &Stage) -> HashSet<Holding>;

    /// Looks what does not count, before anything else is done.
    fn pardon(&mut self, stage: &mut Stage);

    /// Process `number` is copied with its memory; whether it has anything of which two can tell.
    fn copy(&mut self, _stage: &mut Stage, _number: Number, _newcomer: Number) -> bool {
        false
    }

    /// A holder of another kind comes; whether it got what it wants.
    fn peer(&mut self, _stage: &mut Stage, _slot: u32) -> bool {
        false
    }

    fn peer_leaves(&mut self, _stage: &mut Stage) {}

    /// Whether the lock of a slot was there, and is gone.
    fn evict(&mut self, _stage: &mut Stage, _slot: u32) -> bool {
        false
    }

    /// What must hold at any time. Its violations go into the record.
    fn check(&mut self, stage: &mut Stage);

    /// Nothing breaks any more: whatever of the processes is not as it should be is mended.
    fn end_faults(&mut self, stage: &mut Stage);

    /// Whether everybody has what it should have, once nothing breaks any more.
    fn is_settled(&mut self, stage: &mut Stage) -> bool;

    /// What everybody has, for a group that does not settle.
    fn shares(&self, stage: &Stage) -> String;

    /// Whether to look at how a settled group stays quiet and takes changes.
    fn has_epilogue(&self) -> bool {
        false
    }

    /// From now on nothing may stir, or it may again.
    fn set_quiet(&mut self, _quiet: bool) {}

    /// One change of membership in a settled group.
    fn change(&mut self, _stage: &mut Stage, _change: Change) -> bool {
        false
    }

    /// The group has settled after a change.
    fn judge_change(&mut self, _stage: &mut Stage, _change: Change) {}

    /// How many losses there were, and how many moves were judged.
    fn totals(&self) -> (u64, u64);
}

/// A change of membership.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Join,
    Leave,
    Crash,
}
