//! The verdict on a run, from its histories alone.
//!
//! What is promised, and so is checked here:
//!
//! - every ID was minted once, whoever minted it, and under a machine ID that had been granted to its minter;
//! - of one slot or bucket no two grants are valid at one time, where a grant is valid from its completion to its
//!   deadline, or to the moment at which its client gave it back or found it lost, whichever is first;
//! - fencing tokens rise: a grant that was asked for after another one was complete bears the higher token;
//! - nothing is granted before the grant before it was given back, or its deadline was over.

mod holdings;
mod ids;
mod leases;

use std::fmt;

pub use self::holdings::Holding;
use crate::history::{Grant, History, What};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// An ID was minted twice.
    DuplicateId {
        /// The lowest such ID of the two runs.
        id: u64,
        /// Who minted it.
        first: Who,
        /// Who minted it too.
        second: Who,
    },
    /// An ID bears a machine ID that its minter had not been granted.
    ForeignId {
        /// The ID.
        id: u64,
        /// Its minter.
        who: Who,
    },
    /// Two grants were valid at once.
    Overlap(Box<[Holding; 2]>),
    /// A later grant does not bear a higher token.
    FenceFell(Box<[Holding; 2]>),
    /// The second grant was made while nothing had ended the first.
    TakenTooEarly(Box<[Holding; 2]>),
    /// A record contradicts what the same member recorded before it, so the histories prove nothing.
    Malformed {
        /// Whose.
        who: Who,
        /// The record.
        record: String,
    },
}

/// A member of a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// The process.
    pub process: String,
    /// The member's number in it.
    pub member: u32,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.process, self.member)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateId { id, first, second } => {
                write!(f, "ID {id} was minted by {first} and by {second}")
            }
            Self::ForeignId { id, who } => write!(
                f,
                "ID {id} of {who} bears a machine ID that was not granted to it"
            ),
            Self::Overlap(two) => write!(f, "both valid at once: {}; {}", two[0], two[1]),
            Self::FenceFell(two) => write!(f, "the fence does not rise: {}; {}", two[0], two[1]),
            Self::TakenTooEarly(two) => write!(
                f,
                "granted before a release or expiry: {}; {}",
                two[0], two[1]
            ),
            Self::Malformed { who, record } => write!(f, "{who} contradicts itself: {record}"),
        }
    }
}

/// How much was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Processes of clients.
    pub processes: usize,
    /// IDs.
    pub ids: u64,
    /// Runs of consecutive IDs that they were recorded as.
    pub runs: usize,
    /// Grants of slots.
    pub slot_grants: usize,
    /// Grants of buckets.
    pub bucket_grants: usize,
    /// Grants that ended otherwise than by a release.
    pub losses: usize,
    /// Grants that were refused or not answered.
    pub refusals: usize,
}

/// What the checker found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is wrong; empty is good.
    pub violations: Vec<Violation>,
    /// How much was looked at.
    pub figures: Figures,
    /// Every grant with its span, for pictures.
    pub holdings: Vec<Holding>,
}

/// Judges the histories of all clients of a run.
#[must_use]
pub fn check(histories: &[History]) -> Verdict {
    let mut verdict = Verdict::default();
    for history in histories {
        holdings::collect(history, &mut verdict);
    }
    ids::check(histories, &mut verdict);
    leases::check(&verdict.holdings, &mut verdict.violations);
    let refused = |history: &History| {
        let records = history.records.iter();
        records
            .filter(|record| matches!(record.what, What::Refused(_)))
            .count()
    };
    verdict.figures.processes = histories.len();
    verdict.figures.refusals = histories.iter().map(refused).sum();
    verdict
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Grant { number, fence, .. } = self.grant;
        write!(
            f,
            "{:?} {number} of {} under {fence}, from {} to {} µs",
            self.grant.kind,
            self.who,
            self.from,
            self.valid_to()
        )
    }
}

#[cfg(test)]
mod tests;
