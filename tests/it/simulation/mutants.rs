//! Deliberate mistakes. A simulation that does not catch them proves nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
};

use coord_core::store::{Command, Script};

/// What is wrong with the protocol in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Mutant {
    /// Nothing.
    None,
    /// A holder counts its ttl from the answer instead of the request.
    DeadlineFromReply,
    /// raus: a renewal prolongs whatever key it finds, as the original's GETSET does.
    RenewWithoutOwnerCheck,
    /// raus: a new holder starts at its own clock instead of the last holder's horizon.
    HorizonIgnored,
    /// raus: a release deletes whatever key it finds, as the original's DEL does.
    ReleaseWithoutOwnerCheck,
    /// raus: a grant takes effect before the replicas have it.
    GrantBeforeAcknowledgement,
    /// raus: a grant takes effect by the number of those that acknowledged it, whoever they are.
    StandInsCount,
    /// raus: only how many replicas there are counts, not who came since.
    ArrivalsIgnored,
    /// raus: after a failover that replicas vouch for, what looks expired is granted at once.
    LostRenewalsIgnored,
    /// redbuckets: a bucket is taken from whoever owns it, under whatever epoch.
    ReleaseWithoutEpochCheck,
    /// redbuckets: everybody above its floor sheds, whatever extras there are.
    TieBreakWithoutRank,
    /// redbuckets: what a crashed member owned is granted again under the epoch it had.
    ReapWithoutEpochBump,
    /// redbuckets: free buckets are granted at once, whatever the store has forgotten.
    HistoryIgnored,
    /// redbuckets: a grant takes effect before replicas have acknowledged it.
    EffectiveUnacknowledged,
    /// redbuckets: after a failover that replicas vouch for, leases that look over are taken for over.
    VouchedLeasesEnd,
}

/// What is replaced by what in a script.
type Replacements = &'static [(&'static str, &'static str)];

impl Mutant {
    /// What is sent in place of `command`.
    pub(super) fn replace(self, command: &Command) -> Option<Command> {
        let Command::Eval { script, keys, args } = command else {
            return None;
        };
        Some(Command::Eval {
            script: self.script(script)?,
            keys: keys.clone(),
            args: args.clone(),
        })
    }

    /// The script that runs in place of `script`.
    fn script(self, script: &'static Script) -> Option<&'static Script> {
        static SWAPPED: OnceLock<Mutex<HashMap<(Mutant, &str), &'static Script>>> = OnceLock::new();
        let replacements = self.replacements(script.name());
        if replacements.is_empty() {
            return None;
        }
        let mut swapped = SWAPPED
            .get_or_init(Mutex::default)
            .lock()
            .expect("not poisoned");
        let swapped = swapped.entry((self, script.name())).or_insert_with(|| {
            let mut source = script.source().to_owned();
            for (from, to) in replacements {
                assert!(
                    source.contains(from),
                    "{self:?}: the script has changed, {from:?} is gone"
                );
                source = source.replace(from, to);
            }
            let parts: &'static [&'static str] = Box::leak(Box::new([&*source.leak()]));
            Box::leak(Box::new(Script::new(script.name(), parts)))
        });
        Some(swapped)
    }

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
            (Self::StandInsCount, "acquire") => &[
                (
                    "local refusal = not_now(past)\n      if refusal then return refusal end",
                    "",
                ),
                (
                    "return granted(slot, record, past.need)",
                    "return granted(slot, record, 0)",
                ),
            ],
            (Self::ArrivalsIgnored, _) => &[("there < past.most + came", "there < past.most")],
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
            (_, "beat") => self.in_beat(),
            _ => &[],
        }
    }

    fn in_beat(self) -> Replacements {
        match self {
            Self::ReleaseWithoutEpochCheck => &[(
                "if own.owner ~= number or digits(own.epoch) ~= epoch then",
                "if own.owner == 0 or not record(own.owner) then",
            )],
            Self::TieBreakWithoutRank => &[
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
            Self::ReapWithoutEpochBump => &[(
                "own.epoch = math.max(own.epoch + 1, now)",
                "own.epoch = own.epoch == 0 and now or own.epoch",
            )],
            Self::HistoryIgnored => &[(
                "local known = past.standing == 'known' or past.standing == 'vouched'\nlocal reaps",
                "past.standing, past.need = 'known', past.need or 0; local known = true\nlocal reaps",
            )],
            Self::EffectiveUnacknowledged => &[(
                "tostring(need), past.standing == 'few'",
                "need ~= '' and '0' or '', past.standing == 'few'",
            )],
            Self::VouchedLeasesEnd => &[(
                "local reaps = past.standing == 'known'",
                "local reaps = known",
            )],
            _ => &[],
        }
    }
}
