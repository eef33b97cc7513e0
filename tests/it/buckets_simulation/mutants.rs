//! Deliberate mistakes. A simulation that does not catch them proves nothing.

use crate::swapped_store::{Mistake, Replacements};

/// What is wrong with the protocol in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    /// Nothing.
    None,
    /// A bucket is taken from whoever owns it, under whatever epoch.
    ReleaseWithoutEpochCheck,
    /// An instance counts its ttl from the answer instead of the request.
    DeadlineFromReply,
    /// Everybody above its floor sheds, whatever extras there are.
    TieBreakWithoutRank,
    /// What a crashed member owned is granted again under the epoch it had.
    ReapWithoutEpochBump,
    /// Free buckets are granted at once, whatever the store has forgotten.
    HistoryIgnored,
}

impl Mistake for Mutant {
    const ACKNOWLEDGEMENTS: &'static [&'static str] = &["ok"];

    fn replacements(self, script: &str) -> Replacements {
        match (self, script) {
            (Self::ReleaseWithoutEpochCheck, "beat") => &[(
                "if own.owner ~= number or digits(own.epoch) ~= epoch then",
                "if own.owner == 0 or not record(own.owner) then",
            )],
            (Self::TieBreakWithoutRank, "beat") => &[
                (
                    "return class.floor + (rank < extras and 1 or 0)",
                    "return class.floor",
                ),
                (
                    "if taken <= extras then return class.floor + 1 end",
                    "if taken <= extras then return class.floor end",
                ),
                (
                    "if class.rest and above() <= extras then keeps = keeps + 1 end",
                    "",
                ),
            ],
            (Self::ReapWithoutEpochBump, "beat") => &[(
                "own.epoch = math.max(own.epoch + 1, now)",
                "own.epoch = own.epoch == 0 and now or own.epoch",
            )],
            (Self::HistoryIgnored, "beat") => &[(
                "local known = standing == 'known'",
                "local known = true; detail = standing == 'known' and detail or 0",
            )],
            _ => &[],
        }
    }
}
