//! One model: how many of everything there is, which faults happen, and which rules are in force.

use std::fmt;

use super::rules::Rules;

#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// Actors; each is one incarnation of an instance.
    pub(crate) actors: usize,
    /// The last actor has the id of the first.
    pub(crate) twins: bool,
    pub(crate) buckets: u8,
    /// The last tick.
    pub(crate) end: u8,
    /// The most requests of one member.
    pub(crate) requests: u8,
    /// How many buckets a claim names.
    pub(crate) chunk: usize,
    /// Members may leave.
    pub(crate) leaving: bool,
    pub(crate) faults: Faults,
    pub(crate) rules: Rules,
}

/// How many faults may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// Requests that are given up by their sender and executed later.
    pub(crate) ghosts: u8,
    /// Requests or answers that are lost.
    pub(crate) losses: u8,
    pub(crate) failovers: u8,
    pub(crate) flushes: u8,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            actors: 2,
            twins: false,
            buckets: 2,
            end: 5,
            requests: 5,
            chunk: 8,
            leaving: false,
            faults: Faults::NONE,
            rules: Rules::default(),
        }
    }
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        ghosts: 0,
        losses: 0,
        failovers: 0,
        flushes: 0,
    };
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} members, {} buckets, {} ticks, {} requests",
            self.actors,
            self.buckets,
            self.end - 1,
            self.requests
        )?;
        let faults = [
            (self.faults.ghosts, "late requests"),
            (self.faults.losses, "losses"),
            (self.faults.failovers, "failovers"),
            (self.faults.flushes, "flushes"),
        ];
        for (count, name) in faults.into_iter().filter(|(count, _)| 0 < *count) {
            write!(f, ", {count} {name}")?;
        }
        Ok(())
    }
}
