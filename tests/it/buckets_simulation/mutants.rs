//! Deliberate mistakes. A simulation that does not catch them proves nothing.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant},
    store::{
        BoxFuture, Command, Reply, Script, ServerInfo, Store, StoreError, Subscription,
        embedded::EmbeddedStore,
    },
};

/// What is wrong with the protocol in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

impl Mutant {
    /// The script that runs in place of `script`.
    fn script(self, script: &'static Script) -> &'static Script {
        let replacements: &[(&str, &str)] = match (self, script.name()) {
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
            _ => return script,
        };
        static MUTANTS: OnceLock<Mutex<HashMap<(Mutant, &'static str), &'static Script>>> =
            OnceLock::new();
        let mut mutants = MUTANTS
            .get_or_init(Mutex::default)
            .lock()
            .expect("not poisoned");
        mutants.entry((self, script.name())).or_insert_with(|| {
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
        })
    }
}

/// The embedded store with the mutant's scripts, which also notes when a lease was last acknowledged.
#[derive(Debug)]
pub(super) struct MutantStore {
    inner: EmbeddedStore,
    mutant: Mutant,
    clock: Arc<dyn Clock>,
    acknowledged_ns: Arc<AtomicU64>,
}

impl MutantStore {
    pub(super) fn new(inner: EmbeddedStore, mutant: Mutant, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            mutant,
            clock,
            acknowledged_ns: Arc::default(),
        }
    }

    /// When the last heartbeat was *answered*; [`Mutant::DeadlineFromReply`] counts from here.
    pub(super) fn acknowledged(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.acknowledged_ns)
    }
}

/// The instant in what [`MutantStore::acknowledged`] returns.
pub(super) fn instant(acknowledged: &AtomicU64) -> Instant {
    Instant::from_boot(Duration::from_nanos(acknowledged.load(Ordering::SeqCst)))
}

impl Store for MutantStore {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(async move {
            let commands: Vec<Command> = commands
                .iter()
                .map(|command| match command {
                    Command::Eval { script, keys, args } => Command::Eval {
                        script: self.mutant.script(script),
                        keys: keys.clone(),
                        args: args.clone(),
                    },
                    other => other.clone(),
                })
                .collect();
            let replies = self.inner.pipeline(&commands, within).await;
            let is_acknowledged = replies.iter().flatten().any(|reply| {
                let kind = reply.as_array().and_then(|items| items.first()?.as_str());
                matches!(kind, Some("ok"))
            });
            if is_acknowledged {
                let now =
                    u64::try_from(self.clock.now().since_boot().as_nanos()).expect("a short run");
                self.acknowledged_ns.store(now, Ordering::SeqCst);
            }
            replies
        })
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        self.inner.subscribe(channel, within)
    }

    fn describe(&self, within: Duration) -> BoxFuture<'_, Result<ServerInfo, StoreError>> {
        self.inner.describe(within)
    }
}
