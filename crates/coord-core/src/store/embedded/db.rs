//! The keyspace: typed values with an expiry.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use super::{
    channels::Channels, commands::COMMANDS, resp::CommandError, server::Server, sets::MemberSet,
    zset::SortedSet,
};

pub(super) type Hash = BTreeMap<Vec<u8>, Vec<u8>>;
pub(super) type List = VecDeque<Vec<u8>>;

/// One database and what belongs to its server: time, identity, channels, counters.
#[derive(Debug)]
pub(super) struct Db {
    entries: HashMap<Vec<u8>, Entry>,
    now: Duration,
    until_sweep: usize,
    pub(super) server: Server,
    /// Whether `INFO` is refused, as by an ACL.
    pub(super) info_forbidden: bool,
    pub(super) channels: Channels,
    pub(super) rng: fastrand::Rng,
    pub(super) calls: Vec<u64>,
}

impl Db {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            entries: HashMap::new(),
            now: Duration::ZERO,
            until_sweep: MIN_COMMANDS_BETWEEN_SWEEPS,
            server: Server::new(&mut rng, Duration::ZERO),
            info_forbidden: false,
            channels: Channels::default(),
            rng,
            calls: vec![0; COMMANDS.len()],
        }
    }

    /// Freezes the time that everything up to the next call sees, and forgets what expired if that is due.
    pub(super) fn begin(&mut self, now: Duration) {
        self.now = now;
        self.until_sweep -= 1;
        if self.until_sweep == 0 {
            // Keys are dropped when they are looked at; this finds those that nobody looks at. Its cost is spread
            // over as many commands as there are keys.
            let now_ms = self.now_ms();
            self.entries.retain(|_, entry| !entry.is_expired(now_ms));
            self.until_sweep = MIN_COMMANDS_BETWEEN_SWEEPS.max(self.entries.len());
        }
    }

    /// The server's time since the Unix epoch.
    pub(super) const fn now(&self) -> Duration {
        self.now
    }

    pub(super) fn now_ms(&self) -> i64 {
        i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX)
    }

    /// The entry of a key that has not expired.
    pub(super) fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let now_ms = self.now_ms();
        let expired = self.entries.get(key)?.is_expired(now_ms);
        if expired {
            self.entries.remove(key);
            return None;
        }
        self.entries.get_mut(key)
    }

    /// The value of a key, if there is one, as the kind that the command works on.
    pub(super) fn find<T: Kind>(&mut self, key: &[u8]) -> Result<Option<&mut T>, CommandError> {
        match self.entry(key) {
            None => Ok(None),
            Some(entry) => T::of(&mut entry.value)
                .map(Some)
                .ok_or(CommandError::WRONG_TYPE),
        }
    }

    /// The value of a key, created empty where there is none.
    pub(super) fn find_or_create<T: Kind>(&mut self, key: &[u8]) -> Result<&mut T, CommandError> {
        if self.entry(key).is_none() {
            self.put(key, T::default().into_value());
        }
        self.find(key)
            .map(|value| value.expect("the value was just put there"))
    }

    /// Stores a value without an expiry.
    pub(super) fn put(&mut self, key: &[u8], value: Value) {
        let entry = Entry {
            value,
            expires_at_ms: None,
        };
        self.entries.insert(key.to_vec(), entry);
    }

    pub(super) fn put_entry(&mut self, key: &[u8], entry: Entry) {
        self.entries.insert(key.to_vec(), entry);
    }

    /// Removes a key; `None` where it had expired already.
    pub(super) fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let now_ms = self.now_ms();
        self.entries
            .remove(key)
            .filter(|entry| !entry.is_expired(now_ms))
    }

    /// Removes a key whose collection has lost its last member.
    pub(super) fn drop_if_empty(&mut self, key: &[u8]) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.value.is_empty_collection())
        {
            self.entries.remove(key);
        }
    }

    /// All keys that have not expired, sorted.
    pub(super) fn keys(&self) -> Vec<Vec<u8>> {
        let now_ms = self.now_ms();
        let mut keys: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.is_expired(now_ms))
            .map(|(key, _)| key.clone())
            .collect();
        keys.sort_unstable();
        keys
    }

    pub(super) fn entries(&self) -> &HashMap<Vec<u8>, Entry> {
        &self.entries
    }

    pub(super) fn replace_entries(&mut self, entries: HashMap<Vec<u8>, Entry>) {
        self.entries = entries;
    }
}

/// A value and when it goes.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) expires_at_ms: Option<i64>,
}

impl Entry {
    fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_at_ms.is_some_and(|at| at <= now_ms)
    }
}

/// A value of one of the types that scripts use.
#[derive(Debug, Clone)]
pub(super) enum Value {
    String(Vec<u8>),
    Hash(Hash),
    List(List),
    Set(MemberSet),
    SortedSet(SortedSet),
}

impl Value {
    /// What `TYPE` calls it.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::SortedSet(_) => "zset",
        }
    }

    fn is_empty_collection(&self) -> bool {
        match self {
            Self::String(_) => false,
            Self::Hash(hash) => hash.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::SortedSet(set) => set.is_empty(),
        }
    }
}

/// A type that a [`Value`] can hold.
pub(super) trait Kind: Default {
    fn of(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

macro_rules! kind {
    ($type:ty, $variant:ident) => {
        impl Kind for $type {
            fn of(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$variant(inner) => Some(inner),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$variant(self)
            }
        }
    };
}

kind!(Vec<u8>, String);
kind!(Hash, Hash);
kind!(List, List);
kind!(MemberSet, Set);
kind!(SortedSet, SortedSet);

const MIN_COMMANDS_BETWEEN_SWEEPS: usize = 1_000;
