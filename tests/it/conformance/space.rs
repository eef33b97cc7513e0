//! What one case has of a target to itself: a namespace, a group of the same name, and a look at their keys.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use coord_core::{
    endpoint::Endpoint,
    history,
    store::{self, Reply, Store, embedded::Embedded},
};
use raus::{Placement, Raus};
use redbuckets::{Instance, Redbuckets};
use redis::{Value, aio::MultiplexedConnection};

pub(super) use coord_offline::slot_record::Record;

/// A connection past the clients under test.
#[derive(Clone)]
pub(super) enum Raw {
    Embedded(Embedded),
    /// In a cluster, to the master that serves the space.
    Server(MultiplexedConnection),
}

/// One case's own part of a target.
#[derive(Clone)]
pub(super) struct Space {
    name: String,
    /// What the keys of its groups begin with.
    prefix: String,
    /// Up to where further query keys may follow.
    url: String,
    raw: Raw,
    /// How many replicas acknowledge what is written here.
    pub(super) replicas: u32,
}

/// Where nobody may be lost to a busy machine, and yet a case waits for the end of a lease.
/// Whoever is silent has three seconds by its own clock: the deadline is at 11/13 of it.
pub(super) const TTL: Duration = Duration::from_millis(3_600);
pub(super) const HEARTBEAT: Duration = Duration::from_millis(200);

impl Space {
    pub(super) fn new(name: &str, url: String, raw: Raw, replicas: u32) -> Self {
        Self {
            name: name.to_owned(),
            prefix: Redbuckets::DEFAULT_PREFIX.to_owned(),
            url,
            raw,
            replicas,
        }
    }

    /// The same space with a group of other keys, on the same server.
    pub(super) fn beside(&self, prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            ..self.clone()
        }
    }

    /// A client as a process of its own would be: its own connections and heartbeats, on the case's runtime.
    pub(super) fn raus(&self, range: RangeInclusive<u32>) -> raus::Builder {
        Raus::builder(&format!("{}ns={}", self.url, self.name), range)
            .discovery(Duration::ZERO)
            .failover_bound(Duration::ZERO)
            .heartbeat(HEARTBEAT)
            .placement(here())
    }

    /// [`Space::raus`] on a store of the case's own.
    pub(super) fn raus_on(
        &self,
        store: Arc<dyn Store>,
        range: RangeInclusive<u32>,
    ) -> raus::Builder {
        Raus::with_store(store, &self.namespace(), range)
            .discovery(Duration::ZERO)
            .failover_bound(Duration::ZERO)
            .heartbeat(HEARTBEAT)
            .placement(here())
    }

    /// An instance as a process of its own would be.
    pub(super) fn group(&self, buckets: u32) -> redbuckets::Builder {
        self.in_a_hurry(Redbuckets::builder(&self.url, &self.name).buckets(buckets))
    }

    /// [`Space::group`] on a store of the case's own.
    pub(super) fn group_on(&self, store: Arc<dyn Store>, buckets: u32) -> redbuckets::Builder {
        self.in_a_hurry(Redbuckets::with_store(store, &self.name).buckets(buckets))
    }

    fn in_a_hurry(&self, builder: redbuckets::Builder) -> redbuckets::Builder {
        builder
            .key_prefix(&self.prefix)
            .failover_bound(Duration::ZERO)
            .discovery(history::shortest_discovery(HEARTBEAT))
            .ttl(TTL)
            .period(HEARTBEAT)
            .settle(HEARTBEAT)
            // Dozens connect to a cluster at once.
            .register_timeout(Duration::from_secs(30))
            .placement(here())
    }

    /// A member of a group with `buckets` buckets.
    pub(super) async fn join(&self, buckets: u32) -> Instance {
        let group = self.group(buckets).build().expect("valid");
        group.join().await.expect("joins")
    }

    /// A client of the deployment, for wrappers.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        match &self.raw {
            Raw::Embedded(embedded) => Arc::new(embedded.client()),
            Raw::Server(_) => {
                let endpoint = Endpoint::parse(&self.url).expect("valid");
                store::redis::open(&endpoint, None).expect("valid")
            }
        }
    }

    /// The namespace as it stands in keys: in a cluster its name is its hash tag.
    pub(super) fn namespace(&self) -> String {
        if self.url.starts_with("rediscluster:") {
            format!("{{{}}}", self.name)
        } else {
            self.name.clone()
        }
    }

    /// The lock of a slot.
    pub(super) fn lock(&self, slot: u32) -> String {
        format!("{}:id:{slot}", self.namespace())
    }

    /// The hash of slots and their history.
    pub(super) fn slots(&self) -> String {
        format!("{}:slots", self.namespace())
    }

    pub(super) fn broadcast(&self) -> String {
        format!("{}:broadcast", self.namespace())
    }

    /// A key of the group.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}:{{{}}}:{name}", self.prefix, self.name)
    }

    /// Sends one command past the clients.
    pub(super) async fn send(&self, command: &[&str]) -> Reply {
        match &self.raw {
            Raw::Embedded(embedded) => {
                let reply = embedded.command(command);
                reply.unwrap_or_else(|error| panic!("{command:?}: {error}"))
            }
            Raw::Server(connection) => {
                let mut connection = connection.clone();
                let sent = redis::cmd(command[0]).arg(&command[1..]).to_owned();
                let reply = sent.query_async::<Value>(&mut connection).await;
                converted(reply.unwrap_or_else(|error| panic!("{command:?}: {error}")))
            }
        }
    }

    /// [`Space::send`] where the answer is a text or nothing.
    pub(super) async fn text(&self, command: &[&str]) -> Option<String> {
        self.send(command).await.as_str().map(str::to_owned)
    }

    /// [`Space::send`] where the answer is a number.
    pub(super) async fn number(&self, command: &[&str]) -> u64 {
        let reply = self.send(command).await;
        let number = reply.as_u64();
        number.unwrap_or_else(|| panic!("{command:?}: {reply:?} is no number"))
    }

    /// The number of the member with this id.
    pub(super) async fn number_of(&self, id: &str) -> u64 {
        let text = self.text(&["HGET", &self.key("ids"), id]).await;
        let number = text.as_deref().map(str::parse);
        number.expect("it is a member").expect("a number")
    }

    /// All keys of the namespace and of the group, sorted.
    pub(super) async fn keys(&self) -> Vec<String> {
        let group = self.key("");
        let namespace = format!("{}:", self.namespace());
        let mut keys = match &self.raw {
            Raw::Embedded(embedded) => embedded.keys(),
            Raw::Server(_) => {
                let reply = self.send(&["KEYS", &format!("*{}*", self.name)]).await;
                let keys = reply.as_array().expect("a list").iter();
                keys.map(|key| key.as_str().expect("text").to_owned())
                    .collect()
            }
        };
        keys.retain(|key| key.starts_with(&group) || key.starts_with(&namespace));
        keys.sort();
        keys
    }

    /// Deletes every key in one step: what a flush or an empty restart does.
    pub(super) async fn forget_everything(&self) {
        let keys = self.keys().await;
        let mut command = vec!["DEL"];
        command.extend(keys.iter().map(String::as_str));
        self.send(&command).await;
    }

    /// What is on record of `slot`.
    pub(super) async fn record(&self, slot: u32) -> Option<Record> {
        let text = self
            .text(&["HGET", &self.slots(), &slot.to_string()])
            .await?;
        Some(Record::parsed(&text).expect("a record"))
    }

    pub(super) async fn set_record(&self, slot: u32, record: &Record) {
        let text = record.to_string();
        self.send(&["HSET", &self.slots(), &slot.to_string(), &text])
            .await;
    }

    /// The fields of the history under `key`, where there is one.
    pub(super) async fn history(&self, key: &str) -> Option<Vec<String>> {
        let text = self.text(&["HGET", key, "history"]).await?;
        Some(text.split(' ').map(str::to_owned).collect())
    }

    /// Makes it look as if another server had written last.
    pub(super) async fn change_server(&self, key: &str) {
        let mut history = self.history(key).await.expect("there is a history");
        history[1] = format!("another-server:{:040}", 0);
        self.send(&["HSET", key, "history", &history.join(" ")])
            .await;
    }

    /// The server's time, Unix ms.
    pub(super) async fn server_ms(&self) -> u64 {
        let reply = self.send(&["TIME"]).await;
        let [seconds, microseconds] = reply.as_array().expect("a list") else {
            panic!("{reply:?}");
        };
        let number = |reply: &Reply| reply.as_u64().expect("a number");
        number(seconds) * 1_000 + number(microseconds) / 1_000
    }
}

fn here() -> Placement {
    Placement::Runtime(tokio::runtime::Handle::current())
}

fn converted(value: Value) -> Reply {
    match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Int(number),
        Value::BulkString(bytes) => Reply::Bytes(bytes),
        Value::SimpleString(text) => Reply::Bytes(text.into_bytes()),
        Value::Okay => Reply::Bytes(b"OK".to_vec()),
        Value::Array(items) => Reply::Array(items.into_iter().map(converted).collect()),
        other => panic!("no command of this suite is answered by {other:?}"),
    }
}
