//! The engine proper: one keyspace, one interpreter, executed under one lock.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    super::{Command, Confirmed, Reply, ServerInfo, StoreError, Subscription},
    commands::{COMMANDS, execute},
    db::{Db, Entry, Value},
    faults::Faults,
    interpreter::Interpreter,
    resp::{CommandError, Resp},
    server::Server,
};

/// Work that waits for a paused engine.
pub(super) type Job = Box<dyn FnOnce(&mut Engine, Duration) + Send>;

pub(super) struct Engine {
    address: String,
    db: Arc<Mutex<Db>>,
    interpreter: Interpreter,
    available: bool,
    paused: Option<VecDeque<Job>>,
    counts: BTreeMap<&'static str, u64>,
    replication: Replication,
}

/// What replicas have, as far as somebody asked them to confirm it.
#[derive(Default)]
struct Replication {
    /// Whether they receive nothing.
    held_back: bool,
    /// The keyspace at the last confirmation, and how many there were.
    confirmed: Option<HashMap<Vec<u8>, Entry>>,
    confirmations: u64,
}

impl Engine {
    pub(super) fn new(address: String, seed: u64) -> Self {
        let db = Arc::new(Mutex::new(Db::new(seed)));
        let interpreter =
            Interpreter::new(&db).expect("the sandbox is part of this crate and loads");
        Self::build(address, db, interpreter)
    }

    /// A new engine on the interpreter of this one, which has lost everything by that.
    pub(super) fn recycled(&self, seed: u64) -> Self {
        *self.db() = Db::new(seed);
        let interpreter = self.interpreter.renewed();
        Self::build(self.address.clone(), Arc::clone(&self.db), interpreter)
    }

    fn build(address: String, db: Arc<Mutex<Db>>, interpreter: Interpreter) -> Self {
        Self {
            address,
            db,
            interpreter,
            available: true,
            paused: None,
            counts: BTreeMap::new(),
            replication: Replication::default(),
        }
    }

    /// Runs the job, or keeps it until the engine goes on; drops it where the queue is full.
    pub(super) fn submit(&mut self, now: Duration, job: Job) {
        match &mut self.paused {
            None => job(self, now),
            Some(queue) if queue.len() < MAX_QUEUED => queue.push_back(job),
            Some(_) => {}
        }
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    pub(super) fn pause(&mut self) {
        self.paused.get_or_insert_default();
    }

    /// Goes on with everything that queued up, in order.
    pub(super) fn resume(&mut self, now: Duration) {
        for job in self.paused.take().unwrap_or_default() {
            job(self, now);
        }
    }

    pub(super) fn pipeline(
        &mut self,
        now: Duration,
        commands: &[Command],
    ) -> Vec<Result<Reply, StoreError>> {
        self.count("pipelines");
        commands
            .iter()
            .map(|command| self.execute(now, command))
            .collect()
    }

    fn execute(&mut self, now: Duration, command: &Command) -> Result<Reply, StoreError> {
        let operation = command.name();
        self.check_available(operation)?;
        self.count(operation);
        self.db().begin(now);
        match command {
            Command::Eval { script, keys, args } => self.interpreter.eval(script, keys, args),
            Command::Publish { channel, payload } => self
                .command(&[b"publish", channel.as_bytes(), payload.as_bytes()])
                .map(reply),
        }
        .map_err(|error| self.refusal(operation, &error))
    }

    /// Runs `writes` and says how many replicas have them: all that are connected, unless they are held back.
    pub(super) fn confirm(
        &mut self,
        now: Duration,
        writes: &[Command],
    ) -> Result<Confirmed, StoreError> {
        self.check_available(writes.first().map_or("confirm", Command::name))?;
        let replies: Vec<_> = writes
            .iter()
            .map(|write| self.execute(now, write))
            .collect();
        if replies.iter().all(Result::is_err) {
            return Ok((replies, 0));
        }
        self.count("confirm");
        let replicas = self.db().server.replicas();
        if replicas == 0 || self.replication.held_back {
            return Ok((replies, 0));
        }
        self.replication.confirmed = Some(self.entries());
        self.replication.confirmations += 1;
        Ok((replies, replicas))
    }

    pub(super) fn set_replicas(&mut self, replicas: u32, held_back: bool) {
        self.db().server.set_replicas(replicas);
        self.replication.held_back = held_back;
    }

    pub(super) fn replace_replica(&mut self) {
        self.db().server.replace_replica();
    }

    pub(super) fn renew_replication_id(&mut self) {
        let mut db = self.db();
        let mut rng = db.rng.fork();
        db.server.renew_replication_id(&mut rng);
    }

    pub(super) fn forbid_info(&mut self, forbidden: bool) {
        self.db().info_forbidden = forbidden;
    }

    pub(super) const fn confirmations(&self) -> u64 {
        self.replication.confirmations
    }

    /// What a replica has that had `entries` after `confirmations`: at least what it confirmed since.
    pub(super) fn promoted(
        &self,
        entries: &HashMap<Vec<u8>, Entry>,
        confirmations: u64,
    ) -> HashMap<Vec<u8>, Entry> {
        match &self.replication.confirmed {
            Some(confirmed) if confirmations < self.replication.confirmations => confirmed.clone(),
            _ => entries.clone(),
        }
    }

    /// One command outside a script.
    pub(super) fn raw(&mut self, now: Duration, args: &[&[u8]]) -> Result<Reply, StoreError> {
        self.db().begin(now);
        self.command(args)
            .map(reply)
            .map_err(|error| self.refusal("command", &error))
    }

    fn command(&mut self, args: &[&[u8]]) -> Result<Resp, CommandError> {
        execute(&mut self.db(), args)
    }

    pub(super) fn subscribe(
        &mut self,
        channel: &str,
        faults: Faults,
    ) -> Result<Subscription, StoreError> {
        self.check_available("subscribe")?;
        self.count("subscribe");
        Ok(self.db().channels.subscribe(channel, faults))
    }

    pub(super) fn describe(&mut self) -> Result<ServerInfo, StoreError> {
        self.check_available("describe")?;
        self.count("describe");
        Ok(ServerInfo {
            address: self.address().to_owned(),
            product: "embedded".to_owned(),
            version: Server::VERSION.to_owned(),
            run_id: self.run_id(),
            role: "master".to_owned(),
            connected_replicas: self.db().server.replicas(),
            maxmemory_policy: "noeviction".to_owned(),
            maxmemory: 0,
            min_replicas_to_write: Some(0),
            ..ServerInfo::default()
        })
    }

    pub(super) fn run_id(&self) -> String {
        self.db().server.run_id().to_owned()
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn set_available(&mut self, available: bool) {
        self.available = available;
        if !available {
            self.db().channels.end_all();
        }
    }

    pub(super) fn entries(&self) -> HashMap<Vec<u8>, Entry> {
        self.db().entries().clone()
    }

    pub(super) fn replace_entries(&mut self, entries: HashMap<Vec<u8>, Entry>) {
        self.db().replace_entries(entries);
    }

    /// A replica takes over: new identity, no connections, nothing queued.
    pub(super) fn fail_over(&mut self) {
        self.new_process(Server::succeeded);
    }

    /// The server starts again from its disk, and is as new as after [`fail_over`](Self::fail_over).
    pub(super) fn restart(&mut self, now: Duration) {
        self.new_process(|server, rng| server.restarted(rng, now));
    }

    fn new_process(&mut self, next: impl FnOnce(&Server, &mut fastrand::Rng) -> Server) {
        self.paused = None;
        let mut db = self.db();
        db.channels.end_all();
        let mut rng = db.rng.fork();
        db.server = next(&db.server, &mut rng);
    }

    pub(super) fn keys(&mut self, now: Duration) -> Vec<Vec<u8>> {
        let mut db = self.db();
        db.begin(now);
        db.keys()
    }

    /// The bytes of a string key.
    pub(super) fn get(&mut self, now: Duration, key: &[u8]) -> Option<Vec<u8>> {
        let mut db = self.db();
        db.begin(now);
        match &db.entry(key)?.value {
            Value::String(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }

    pub(super) fn evict(&mut self, now: Duration, key: &[u8]) -> bool {
        let mut db = self.db();
        db.begin(now);
        db.take(key).is_some()
    }

    pub(super) fn stats(&self) -> BTreeMap<String, u64> {
        let calls = self.db().calls.clone();
        let commands = COMMANDS.iter().zip(calls);
        commands
            .filter(|(_, calls)| 0 < *calls)
            .map(|(spec, calls)| (format!("command:{}", spec.name), calls))
            .chain(
                self.counts
                    .iter()
                    .map(|(name, count)| ((*name).to_owned(), *count)),
            )
            .collect()
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn check_available(&self, operation: &'static str) -> Result<(), StoreError> {
        if self.available {
            return Ok(());
        }
        Err(StoreError::Connect {
            operation,
            address: self.address.clone(),
            source: Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused)),
        })
    }

    fn refusal(&self, operation: &'static str, error: &CommandError) -> StoreError {
        let (code, detail) = error
            .text()
            .split_once(' ')
            .unwrap_or_else(|| ("ERR", error.text()));
        StoreError::Refused {
            operation,
            address: self.address.clone(),
            code: code.to_owned(),
            detail: detail.to_owned(),
        }
    }

    fn db(&self) -> MutexGuard<'_, Db> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reply(resp: Resp) -> Reply {
    match resp {
        Resp::Nil => Reply::Nil,
        Resp::Int(value) => Reply::Int(value),
        Resp::Bulk(bytes) => Reply::Bytes(bytes),
        Resp::Status(text) => Reply::Bytes(text.into()),
        Resp::Array(items) => Reply::Array(items.into_iter().map(reply).collect()),
    }
}

/// How many requests wait for a paused engine; more are lost, as where socket buffers are full.
const MAX_QUEUED: usize = 10_000;
