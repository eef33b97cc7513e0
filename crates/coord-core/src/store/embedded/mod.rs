//! The embedded store: the same Lua scripts, run in this process.
//!
//! [`Embedded`] is the engine, a small keyspace that implements just the commands scripts use with the behaviour of
//! Redis 7.0; [`EmbeddedStore`] is one client of it. The engine's clock is injected and everything in it depends
//! only on that clock, its seed and the order of the operations, so a simulation on it replays. It can do at will
//! what a real deployment does at the worst moment: fail over and lose writes, restart empty, stop, delay and drop.
//!
//! It differs from Redis where nobody may rely on Redis: hash fields come sorted, `TIME` stands still within a
//! script, `SPOP` and `SRANDMEMBER` draw from the engine's seed, and there is no memory limit. `ZRANK` and a
//! `ZRANGE` by rank cost time in proportion to the rank.

mod bit;
mod channels;
mod client;
mod commands;
mod db;
mod engine;
mod faults;
mod interpreter;
mod resp;
mod server;
mod sets;
mod structs;
#[cfg(test)]
mod tests;
mod zset;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use self::{db::Entry, engine::Engine};
use super::{Reply, StoreError};
use crate::clock::{Clock, SystemClock};

pub use self::{client::EmbeddedStore, faults::Faults};

/// An in-process engine; clones are handles to the same one.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    engine: Mutex<Engine>,
}

impl Shared {
    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wall(&self) -> Duration {
        self.clock.wall()
    }

    fn address(&self) -> String {
        self.engine().address().to_owned()
    }
}

impl Embedded {
    /// An empty engine whose server time is the wall clock of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_seed(clock, fastrand::u64(..))
    }

    /// Like [`new`](Self::new), with run ids and random picks that follow from `seed`.
    #[must_use]
    pub fn with_seed(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self::build(clock, seed, "memory://".to_owned())
    }

    /// The engine behind `memory://name`: made at first use, on the machine's clock, and kept as long as the
    /// process lives.
    #[must_use]
    pub fn named(name: &str) -> Self {
        static NAMED: OnceLock<Mutex<HashMap<String, Embedded>>> = OnceLock::new();
        let named = NAMED.get_or_init(Mutex::default);
        let mut named = named.lock().unwrap_or_else(PoisonError::into_inner);
        named
            .entry(name.to_owned())
            .or_insert_with(|| {
                let address = format!("memory://{name}");
                Self::build(Arc::new(SystemClock), fastrand::u64(..), address)
            })
            .clone()
    }

    /// Like [`with_seed`](Self::with_seed), on the interpreter of this engine and with the scripts that it has compiled:
    /// for simulations, which need a new engine a thousand times a second.
    ///
    /// Nothing may use this engine any more, be it through another handle or a client.
    #[must_use]
    pub fn recycle(self, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let engine = self.shared.engine().recycled(seed);
        Self::on(clock, engine)
    }

    fn build(clock: Arc<dyn Clock>, seed: u64, address: String) -> Self {
        Self::on(clock, Engine::new(address, seed))
    }

    fn on(clock: Arc<dyn Clock>, engine: Engine) -> Self {
        let engine = Mutex::new(engine);
        Self {
            shared: Arc::new(Shared { clock, engine }),
        }
    }

    /// A new client with its own [`Faults`].
    #[must_use]
    pub fn client(&self) -> EmbeddedStore {
        EmbeddedStore::new(self.shared.clone())
    }

    /// Copies the keyspace.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let engine = self.shared.engine();
        Snapshot {
            entries: engine.entries(),
            confirmations: engine.confirmations(),
        }
    }

    /// Fails over to a replica that had received nothing since `snapshot`, but for what replicas confirmed: the
    /// keyspace is as it was then, the run id is new, subscriptions end, what waited for a paused engine is lost.
    pub fn rollback(&self, snapshot: &Snapshot) {
        let mut engine = self.shared.engine();
        let promoted = engine.promoted(&snapshot.entries, snapshot.confirmations);
        engine.replace_entries(promoted);
        engine.fail_over();
    }

    /// An older copy takes the place of the data and nothing else changes, as after `SWAPDB`, `RESTORE`, or if the machine
    /// is reverted with its memory.
    pub fn rewind(&self, snapshot: &Snapshot) {
        let entries = snapshot.entries.clone();
        self.shared.engine().replace_entries(entries);
    }

    /// The same process takes another replication id, as when a backlog begins or expires.
    pub fn renew_replication_id(&self) {
        self.shared.engine().renew_replication_id();
    }

    /// Whether the server refuses `INFO`, as an ACL may make it, so that it does not tell its identity. Defaults to no.
    pub fn set_info_forbidden(&self, forbidden: bool) {
        self.shared.engine().forbid_info(forbidden);
    }

    /// One replica leaves, which had received nothing since `snapshot` but what it confirmed, and another one that has
    /// everything takes its place. What the former has, which confirms nothing any more.
    #[must_use]
    pub fn replace_replica(&self, snapshot: &Snapshot) -> Snapshot {
        let mut engine = self.shared.engine();
        engine.replace_replica();
        Snapshot {
            entries: engine.promoted(&snapshot.entries, snapshot.confirmations),
            confirmations: u64::MAX,
        }
    }

    /// How many replicas are connected, and whether they are held back: they receive and confirm nothing until they are
    /// not. Defaults to none.
    pub fn set_replicas(&self, replicas: u32, held_back: bool) {
        self.shared.engine().set_replicas(replicas, held_back);
    }

    /// Restarts with all data: the run id is new, subscriptions end, what waited for a paused engine is lost.
    pub fn restart(&self) {
        let now = self.shared.wall();
        self.shared.engine().restart(now);
    }

    /// Like [`restart`](Self::restart), but nothing had been saved.
    pub fn restart_empty(&self) {
        let now = self.shared.wall();
        let mut engine = self.shared.engine();
        engine.replace_entries(HashMap::new());
        engine.restart(now);
    }

    /// Forgets all data and nothing else, as `FLUSHALL` does; the run id stays.
    pub fn flush_all(&self) {
        self.shared.engine().replace_entries(HashMap::new());
    }

    /// Whether the engine accepts connections; while it does not, every operation fails with
    /// [`StoreError::Connect`]. Turning it off ends all subscriptions.
    pub fn set_available(&self, available: bool) {
        self.shared.engine().set_available(available);
    }

    /// Stops executing, as `SIGSTOP` does: up to 10,000 requests queue up, more are lost.
    pub fn pause(&self) {
        self.shared.engine().pause();
    }

    /// Executes what queued up since [`pause`](Self::pause), whether anybody still waits for it or not, and goes on.
    pub fn resume(&self) {
        let now = self.shared.wall();
        self.shared.engine().resume(now);
    }

    /// Deletes one key, as an eviction does; whether it was there.
    pub fn expire_evict(&self, key: &str) -> bool {
        let now = self.shared.wall();
        self.shared.engine().evict(now, key.as_bytes())
    }

    /// The value of a key that holds a string.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let now = self.shared.wall();
        self.shared.engine().get(now, key.as_bytes())
    }

    /// All keys that have not expired, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let now = self.shared.wall();
        let keys = self.shared.engine().keys(now);
        keys.iter()
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect()
    }

    /// Runs one command, such as `["HGETALL", key]`, past clients, faults and pauses: for checks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] where the command answers an error, or is none that scripts may use here.
    pub fn command<A: AsRef<[u8]>>(&self, args: &[A]) -> Result<Reply, StoreError> {
        let now = self.shared.wall();
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        self.shared.engine().raw(now, &args)
    }

    /// The identity of this run, as `INFO server` tells it.
    #[must_use]
    pub fn run_id(&self) -> String {
        self.shared.engine().run_id()
    }

    /// What was executed so far: `pipelines`, `subscribe`, `describe`, `publish` (outside scripts), every script by
    /// its name, and every command, in scripts or not, as `command:<name>`.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, u64> {
        self.shared.engine().stats()
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("address", &self.shared.address())
            .field("clock", &self.shared.clock)
            .finish_non_exhaustive()
    }
}

/// The keyspace at one moment, from [`Embedded::snapshot`].
#[derive(Clone)]
pub struct Snapshot {
    entries: HashMap<Vec<u8>, Entry>,
    confirmations: u64,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("keys", &self.entries.len())
            .finish()
    }
}
