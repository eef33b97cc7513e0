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
    /// A holder takes it that the server's clock and its own run alike.
    ClocksTrusted,
    /// raus: a renewal prolongs whatever key it finds, as the original's GETSET does.
    RenewWithoutOwnerCheck,
    /// raus: a new holder starts at its own clock instead of the last holder's horizon.
    HorizonIgnored,
    /// raus: a release deletes whatever key it finds, as the original's DEL does.
    ReleaseWithoutOwnerCheck,
    /// raus: a release lowers the horizon to the floor of the grant, whatever was minted.
    ReleaseLowersToFloor,
    /// raus: any renewal continues the chain on record.
    NoChain,
    /// A quarantine begins only when a newcomer asks.
    QuarantineWithNewcomer,
    /// redbuckets: a quarantine lasts as long as the longest ttl.
    NoFailoverBound,
    /// A server that failed over passes for the same one.
    FailoverIgnored,
    /// redbuckets: a bucket is taken from whoever owns it, under whatever epoch.
    ReleaseWithoutEpochCheck,
    /// redbuckets: everybody above its floor sheds, whatever extras there are.
    TieBreakWithoutRank,
    /// redbuckets: what a crashed member owned is granted again under the epoch it had.
    ReapWithoutEpochBump,
    /// redbuckets: free buckets are granted at once, whatever the store has forgotten.
    HistoryIgnored,
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
                    "if is_foreign or (record and fence < record.fence) then\n",
                    "if false then\n",
                ),
                (
                    "redis.call('PEXPIRE', lock, terms.ttl)",
                    "redis.call('SET', lock, holder, 'PX', terms.ttl)",
                ),
            ],
            (Self::HorizonIgnored, "acquire") => &[(
                "local floor = math.max(old.horizon, past.floor)",
                "local floor = past.floor",
            )],
            (Self::ReleaseLowersToFloor, "release") => &[(
                "record.horizon = math.max(record.floor, horizon)",
                "record.horizon = record.floor",
            )],
            (Self::NoChain, "renew" | "release") => &[(
                "local function chain_step(record, named)\n",
                "local function chain_step(record, named)\n  if true then return 'next' end\n",
            )],
            (Self::QuarantineWithNewcomer, "renew") => &[(
                "  local looks = past == nil or",
                "  if past and not is_same_server(past.run, run_id()) then return past, false end\n  local looks = past == nil or",
            )],
            (Self::NoFailoverBound, "join" | "claim" | "beat") => &[(
                "return past.longest.ttl + past.longest.bound",
                "return past.longest.ttl",
            )],
            (
                Self::FailoverIgnored,
                "acquire" | "renew" | "release" | "join" | "claim" | "beat",
            ) => &[(
                "local function is_same_server(before, run)\n",
                "local function is_same_server(before, run)\n  if true then return true end\n",
            )],
            (Self::ReleaseWithoutOwnerCheck, "release") => &[
                (
                    "if (found and found ~= holder) or (record and fence < record.fence) then\n",
                    "if false then\n",
                ),
                (
                    "if forgotten and (not usable or acknowledged_till <= now) then",
                    "if false then",
                ),
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
                "local epoch = math.max(run.epoch + 1, now)",
                "local epoch = run.epoch == 0 and now or run.epoch",
            )],
            Self::HistoryIgnored => &[(
                "local known = past.standing == 'known'\n-- For how many ms",
                "past.standing = 'known'; local known = true\n-- For how many ms",
            )],
            _ => &[],
        }
    }
}
