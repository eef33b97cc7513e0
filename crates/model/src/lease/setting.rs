//! One model: how many of everything there is, which faults happen, and which rules are in force.

use std::fmt;

use super::{rules::Rules, world::Faults};

#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) actors: usize,
    pub(crate) slots: usize,
    /// The last tick; what holds by then holds, with these faults.
    pub(crate) end: u8,
    pub(crate) faults: Faults,
    pub(crate) rules: Rules,
    /// The properties that are looked at.
    pub(crate) claims: &'static [&'static str],
    pub(crate) clocks: Clocks,
    pub(crate) identity: Identity,
    pub(crate) replicas: usize,
    /// Holders that do not wait for replicas, where the rules know of acknowledgements.
    pub(crate) plain: [bool; super::world::ACTORS],
    /// The namespace is used for the first time; otherwise its past is known.
    pub(crate) fresh: bool,
    /// A holder may be cut off for longer than a newcomer listens.
    pub(crate) cut_off: bool,
    /// A master that was replaced goes on answering.
    pub(crate) split: bool,
}

/// How far wall clocks go wrong. The wall clock of a holder is another with every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clocks {
    /// As far as is tolerated.
    Tolerated,
    /// So far that a holder mints everything it may at once.
    Stepped,
}

/// What a server is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Its process (`run_id`): the same when it becomes the master a second time.
    Process,
    /// Its term as a master (`master_replid`): another with every promotion.
    Term,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            actors: 2,
            slots: 1,
            end: 5,
            faults: Faults::NONE,
            rules: Rules::default(),
            claims: &[
                super::TWICE,
                super::EXCLUSIVE,
                super::FENCES,
                super::GRANTED,
            ],
            clocks: Clocks::Tolerated,
            identity: Identity::Process,
            replicas: 1,
            plain: [false; super::world::ACTORS],
            fresh: false,
            cut_off: false,
            split: false,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} holders, {} slots, {} ticks",
            self.actors,
            self.slots,
            self.end - 1
        )?;
        let faults = [
            (self.faults.ghosts, "late requests"),
            (self.faults.failovers, "failovers"),
            (self.faults.restarts, "restarts"),
            (self.faults.flushes, "flushes"),
            (self.faults.evictions, "evictions"),
        ];
        for (count, name) in faults.into_iter().filter(|(count, _)| 0 < *count) {
            write!(f, ", {count} {name}")?;
        }
        Ok(())
    }
}
