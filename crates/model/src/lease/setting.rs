//! One model: how many of everything there is, which faults happen, and which rules are in force.

use std::fmt;

use super::{
    rules::Rules,
    world::{ACTORS, Faults, START},
};

#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) actors: usize,
    pub(crate) slots: usize,
    /// The ttl of each holder.
    pub(crate) ttls: [u8; ACTORS],
    /// How many ticks pass.
    pub(crate) ticks: u8,
    pub(crate) faults: Faults,
    pub(crate) rules: Rules,
    /// The properties that are looked at.
    pub(crate) claims: &'static [&'static str],
    pub(crate) clocks: Clocks,
    pub(crate) record: Record,
    /// For how many ticks a replaced master goes on answering; `None`: it does not.
    pub(crate) old: Option<u8>,
    /// Requests are executed and answered at once, or their answer is lost.
    pub(crate) prompt: bool,
    /// Fewer ways: no answer is lost, all mint what they may, everybody prefers the same slot.
    pub(crate) lean: bool,
    /// Generators are closed before their slots are released.
    pub(crate) closes: bool,
    /// The numbers of renewals are told apart; otherwise the chains say nothing.
    pub(crate) chains: bool,
    /// The most renewals of one holder, which bounds what chains count.
    pub(crate) renewals: u8,
    /// `expect_history(true)`.
    pub(crate) expects: bool,
    /// A holder may be cut off for longer than a newcomer listens.
    pub(crate) cut_off: bool,
    /// A replaced master grants as well; otherwise it only renews.
    pub(crate) old_grants: bool,
    pub(crate) newcomers: Newcomers,
}

/// When newcomers ask after a rewind, or after everything was forgotten where an absent record means loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newcomers {
    /// After a holder that lost something has shown that.
    AfterNotice,
    /// At once, if nobody was seen for long as far as the older copy knows.
    IfQuiet,
    AtOnce,
}

/// What is on record when the model begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// Nothing: the first use.
    Absent,
    /// A past that is known, with the longest ttl of all.
    Known,
    /// The same, but only the shortest ttl has been used so far.
    Short,
    /// The same, but the longest ttl has not been used in the current window, which is about to end.
    Ending,
}

/// How far wall clocks go wrong. The wall clock of a holder is another with every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clocks {
    /// As far as is tolerated.
    Tolerated,
    /// As far as is tolerated, and the generator borrows as much again.
    Borrowing,
    /// Further, so that a holder mints everything it may at once.
    Stepped,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            actors: 2,
            slots: 1,
            ttls: [SHORT; ACTORS],
            ticks: 4,
            faults: Faults::NONE,
            rules: Rules::default(),
            claims: &[
                super::TWICE,
                super::EXCLUSIVE,
                super::FENCES,
                super::GRANTED,
            ],
            clocks: Clocks::Tolerated,
            record: Record::Known,
            old: None,
            prompt: false,
            lean: false,
            closes: false,
            chains: false,
            renewals: u8::MAX,
            expects: false,
            cut_off: false,
            old_grants: false,
            newcomers: Newcomers::AfterNotice,
        }
    }
}

/// The ttl of all holders, or of those with the shorter one.
pub(crate) const SHORT: u8 = 2;

impl Setting {
    pub(crate) const fn end(&self) -> u8 {
        START + self.ticks
    }

    pub(crate) fn longest(&self) -> u8 {
        self.ttls[..self.actors].iter().copied().max().unwrap_or(0)
    }

    pub(crate) fn has_windows(&self) -> bool {
        self.ttls[..self.actors].iter().any(|&ttl| ttl != SHORT)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            actors,
            slots,
            ticks,
            ..
        } = self;
        write!(f, "{actors} holders, {slots} slots, {ticks} ticks")?;
        if self.has_windows() {
            write!(f, ", ttls {:?}", &self.ttls[..self.actors])?;
        }
        if self.renewals != u8::MAX {
            write!(f, ", {} renewals", self.renewals)?;
        }
        let faults = [
            (self.faults.ghosts, "late requests"),
            (self.faults.failovers, "failovers"),
            (self.faults.restarts, "restarts"),
            (self.faults.rewinds, "rewinds"),
            (self.faults.renames, "new replication ids"),
            (self.faults.flushes, "flushes"),
            (self.faults.evictions, "evictions"),
            (self.faults.clones, "clones"),
        ];
        for (count, name) in faults.into_iter().filter(|(count, _)| 0 < *count) {
            write!(f, ", {count} {name}")?;
        }
        if let Some(old) = self.old {
            write!(f, ", replaced masters answer for {old}")?;
        }
        Ok(())
    }
}
