//! One model: how many of everything there is, which faults happen, and which rules are in force.

use std::fmt;

use super::history::Rules;

#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) slots: usize,
    /// How many grants are made at most, whether they take effect or not.
    pub(crate) grants: usize,
    /// The last tick.
    pub(crate) end: u8,
    pub(crate) faults: Faults,
    pub(crate) rules: Rules,
    /// At first one server follows the master; else two.
    pub(crate) apart: bool,
    /// What was granted may be given back.
    pub(crate) releases: bool,
    /// Some clients do not wait for replicas (`Acknowledge::Never`).
    pub(crate) mixed: bool,
    /// A master may notice late that a replica is gone.
    pub(crate) late: bool,
    /// How many acknowledged stays known, and is compared with what is wanted at each question (redbuckets); else those who
    /// are too few are asked anew (raus).
    pub(crate) beats: bool,
    /// How many replicas must acknowledge a grant at least (`Acknowledge::AtLeast`).
    pub(crate) least: u8,
    /// A replica may be promoted that was missed before, if nothing was granted without it.
    pub(crate) missed: bool,
}

/// How many may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    pub(crate) promotions: u8,
    pub(crate) cuts: u8,
    /// Of a server to another master, or back to its own.
    pub(crate) moves: u8,
    /// Of a process, from its own disk.
    pub(crate) restarts: u8,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            slots: 1,
            grants: 2,
            end: 6,
            faults: Faults {
                promotions: 1,
                cuts: 0,
                moves: 1,
                restarts: 0,
            },
            rules: Rules::default(),
            apart: false,
            releases: false,
            mixed: false,
            late: false,
            beats: false,
            least: 0,
            missed: false,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Faults {
            promotions,
            cuts,
            moves,
            restarts,
        } = self.faults;
        write!(
            f,
            "3 servers, {} slots, {} grants, {} ticks, {promotions} promotions, {cuts} cuts, {moves} moves",
            self.slots,
            self.grants,
            self.end - super::world::BEGIN,
        )?;
        if 0 < restarts {
            write!(f, ", {restarts} restarts")?;
        }
        if 0 < self.least {
            write!(f, ", {} acknowledgements at least", self.least)?;
        }
        Ok(())
    }
}
