//! Deliberate mistakes. A simulation that does not catch them proves nothing.

use crate::swapped_store::{Mistake, Replacements};

/// What is wrong with the protocol in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    /// Nothing.
    None,
    /// A renewal prolongs whatever key it finds, as the original's GETSET does.
    RenewWithoutOwnerCheck,
    /// A new holder starts at its own clock instead of the last holder's horizon.
    HorizonIgnored,
    /// A holder counts its ttl from the answer instead of the request.
    DeadlineFromReply,
    /// A release deletes whatever key it finds, as the original's DEL does.
    ReleaseWithoutOwnerCheck,
    /// A grant takes effect before the replicas have it.
    GrantBeforeAcknowledgement,
    /// After a failover that replicas vouch for, what looks expired is granted at once.
    LostRenewalsIgnored,
}

impl Mistake for Mutant {
    const ACKNOWLEDGEMENTS: &'static [&'static str] = &["granted", "renewed", "reasserted"];

    fn replacements(self, script: &str) -> Replacements {
        match (self, script) {
            (Self::RenewWithoutOwnerCheck, "renew") => &[
                (
                    "if not missing and found ~= holder then return { 'lost', 'foreign' } end",
                    "",
                ),
                (
                    "if record and record.fence > fence then return",
                    "if false then return",
                ),
                (
                    "redis.call('PEXPIRE', lock, ttl)",
                    "redis.call('SET', lock, holder, 'PX', ttl)",
                ),
            ],
            (Self::HorizonIgnored, "acquire") => &[(
                "local floor = math.max(old.horizon, past.floor)",
                "local floor = past.floor",
            )],
            (Self::GrantBeforeAcknowledgement, "acquire") => {
                &[("digits(now), need,", "digits(now), 0,")]
            }
            (Self::LostRenewalsIgnored, "acquire") => {
                &[("elseif record.till == 0 or not only_spare then", "else")]
            }
            (Self::ReleaseWithoutOwnerCheck, "release") => &[
                (
                    "if found and found ~= holder then return { 'not_held' } end",
                    "",
                ),
                (
                    "if record and record.fence > fence then return { 'not_held' } end",
                    "",
                ),
                ("if record and record.fence == fence then", "if record then"),
                (
                    "if found == holder then redis.call('DEL', lock) end",
                    "redis.call('DEL', lock)",
                ),
            ],
            _ => &[],
        }
    }
}
