//! The embedded store with other scripts in place of some, for deliberate mistakes.

use std::{
    collections::HashMap,
    fmt,
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

/// What is replaced by what in the script of this name.
pub(crate) type Replacements = &'static [(&'static str, &'static str)];

/// A deliberate mistake.
pub(crate) trait Mistake: Copy + fmt::Debug + Send + Sync + 'static {
    /// Replies that begin with one of these acknowledge a lease.
    const ACKNOWLEDGEMENTS: &'static [&'static str];

    /// What is replaced in the script of this name.
    fn replacements(self, script: &str) -> Replacements;

    /// The script that runs in place of `script`.
    fn script(self, script: &'static Script) -> &'static Script {
        static SWAPPED: OnceLock<Mutex<HashMap<String, &'static Script>>> = OnceLock::new();
        let replacements = self.replacements(script.name());
        if replacements.is_empty() {
            return script;
        }
        let key = format!(
            "{}::{self:?} {}",
            std::any::type_name::<Self>(),
            script.name()
        );
        let mut swapped = SWAPPED
            .get_or_init(Mutex::default)
            .lock()
            .expect("not poisoned");
        swapped.entry(key).or_insert_with(|| {
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

    fn command(self, command: &Command) -> Command {
        match command {
            Command::Eval { script, keys, args } => Command::Eval {
                script: self.script(script),
                keys: keys.clone(),
                args: args.clone(),
            },
            other => other.clone(),
        }
    }
}

/// The store, which also notes when a lease was last acknowledged.
pub(crate) struct SwappedStore<M> {
    inner: EmbeddedStore,
    mistake: M,
    clock: Arc<dyn Clock>,
    acknowledged_ns: Arc<AtomicU64>,
}

impl<M> fmt::Debug for SwappedStore<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SwappedStore").field(&self.inner).finish()
    }
}

impl<M: Mistake> SwappedStore<M> {
    pub(crate) fn new(inner: EmbeddedStore, mistake: M, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            mistake,
            clock,
            acknowledged_ns: Arc::default(),
        }
    }

    /// When the last lease was *answered*; a deadline from the reply counts from here.
    pub(crate) fn acknowledged(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.acknowledged_ns)
    }

    fn note<'a>(&self, mut replies: impl Iterator<Item = &'a Reply>) {
        let is_acknowledged = replies.any(|reply| {
            let kind = reply.as_array().and_then(|items| items.first()?.as_str());
            kind.is_some_and(|kind| M::ACKNOWLEDGEMENTS.contains(&kind))
        });
        if is_acknowledged {
            let now = self.clock.now().since_boot().as_nanos();
            let now = u64::try_from(now).expect("a short run");
            self.acknowledged_ns.store(now, Ordering::SeqCst);
        }
    }
}

/// The instant in what [`SwappedStore::acknowledged`] returns.
pub(crate) fn instant(acknowledged: &AtomicU64) -> Instant {
    Instant::from_boot(Duration::from_nanos(acknowledged.load(Ordering::SeqCst)))
}

impl<M: Mistake> Store for SwappedStore<M> {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(async move {
            let swapped = commands.iter().map(|command| self.mistake.command(command));
            let swapped: Vec<Command> = swapped.collect();
            let replies = self.inner.pipeline(&swapped, within).await;
            self.note(replies.iter().flatten());
            replies
        })
    }

    fn confirm<'a>(
        &'a self,
        write: &'a Command,
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<(Reply, u32), StoreError>> {
        Box::pin(async move {
            let swapped = self.mistake.command(write);
            let outcome = self.inner.confirm(&swapped, replicas, within).await;
            self.note(outcome.iter().map(|(reply, _)| reply));
            outcome
        })
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        self.inner.subscribe(channel, within)
    }

    fn describe<'a>(
        &'a self,
        key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        self.inner.describe(key, within)
    }
}
