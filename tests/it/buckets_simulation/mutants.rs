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
    /// A grant takes effect before replicas have acknowledged it.
    EffectiveUnacknowledged,
    /// After a failover that replicas vouch for, leases that look over are taken for over.
    VouchedLeasesEnd,
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
                "local known = past.standing == 'known' or past.standing == 'vouched'\nlocal reaps",
                "past.standing, past.need = 'known', past.need or 0; local known = true\nlocal reaps",
            )],
            (Self::EffectiveUnacknowledged, "beat") => &[(
                "tostring(need), past.standing == 'few'",
                "need ~= '' and '0' or '', past.standing == 'few'",
            )],
            (Self::VouchedLeasesEnd, "beat") => &[(
                "local reaps = past.standing == 'known'",
                "local reaps = known",
            )],
            _ => &[],
        }
    }
}
