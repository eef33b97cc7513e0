//! Futures that are dropped at whatever point they have come to.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ::raus::{MachineId, Raus};
use coord_core::{
    endpoint::Endpoint,
    store::{self, Command, Script, Store},
};
use coord_tests::{proxy::Proxy, wait};
use redbuckets::{Instance, Redbuckets};
use snowflake::Generator;
use tokio::task::JoinSet;

use super::*;

const OPERATIONS: usize = 10_000;
const AT_ONCE: usize = 40;
const TTL: Duration = Duration::from_secs(3);
/// Longer than an operation takes, so that a part of them comes to its end.
const PATIENCE_US: u64 = 9_000;

static ECHO: Script = Script::new("echo", &["return ARGV[1]"]);

/// What is called and dropped.
struct Stage {
    raus: Raus,
    group: Redbuckets,
    store: Arc<dyn Store>,
    /// These stay; every reply that they get must be their own.
    machine_id: MachineId,
    generator: Generator,
    instance: Instance,
    cancelled: AtomicUsize,
    wrong: AtomicUsize,
}

impl Stage {
    /// `work`, for a while.
    async fn briefly<T>(&self, us: u64, work: impl Future<Output = T>) -> Option<T> {
        let outcome = tokio::time::timeout(Duration::from_micros(us), work)
            .await
            .ok();
        if outcome.is_none() {
            self.cancelled.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    async fn operate(&self, number: usize, us: u64) {
        match number % 10 {
            0 => drop(self.briefly(us, self.raus.acquire()).await),
            1 => drop(self.briefly(us, self.raus.acquire_within(TTL)).await),
            2 => {
                let held = self.briefly(u64::MAX, self.raus.acquire_within(TTL)).await;
                if let Some(Ok(machine_id)) = held {
                    drop(self.briefly(us, machine_id.release()).await);
                }
            }
            3 => drop(self.briefly(us, self.machine_id.lost()).await),
            4 => drop(self.briefly(us, self.generator.next()).await),
            5 => {
                let mut events = self.instance.events();
                drop(self.briefly(us, events.next()).await);
            }
            6 => drop(self.briefly(us, self.group.join()).await),
            7 if number % 100 == 7 => {
                // Fewer, because all of the group's members take part in each.
                if let Ok(instance) = self.group.join().await {
                    drop(self.briefly(us, instance.drain()).await);
                    drop(self.briefly(us, instance.leave()).await);
                }
            }
            _ => self.echo(number, us).await,
        }
    }

    /// The reply to another's question would not bear this number.
    async fn echo(&self, number: usize, us: u64) {
        let command = Command::Eval {
            script: &ECHO,
            keys: Vec::new(),
            args: vec![number.to_string()],
        };
        let commands = [command];
        let asking = self.store.pipeline(&commands, Duration::from_secs(5));
        let Some(replies) = self.briefly(us, asking).await else {
            return;
        };
        for reply in replies.into_iter().flatten() {
            if reply.as_str() != Some(&number.to_string()) {
                self.wrong.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn stage(url: &str) -> Stage {
    let raus = Raus::builder(url, 0..=1_023)
        .ttl(TTL)
        .heartbeat(Duration::from_millis(200))
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let group = Redbuckets::builder(url, "group")
        .buckets(64)
        .ttl(TTL)
        .period(Duration::from_millis(200))
        .settle(Duration::from_millis(200))
        .build()
        .expect("valid");
    let endpoint: Endpoint = Endpoint::parse(url).expect("a URL");
    Stage {
        store: store::redis::open(&endpoint, None).expect("valid"),
        machine_id: raus.acquire().await.expect("free"),
        generator: Generator::from_raus(raus.acquire().await.expect("free"))
            .await
            .expect("fits"),
        instance: group.join().await.expect("joins"),
        raus,
        group,
        cancelled: AtomicUsize::new(0),
        wrong: AtomicUsize::new(0),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_cancelled_futures_leave_nothing_behind_and_mix_up_no_reply() {
    let row = "10,000 futures";
    let server = RedisServer::start().expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("a proxy");
    // A reply takes long enough to be given up on its way.
    let delay = Duration::from_millis(2);
    proxy.delay(delay, delay).expect("delays");
    let stage = Arc::new(stage(&proxy.url()).await);
    let (machine_id, fence) = (stage.machine_id.id(), stage.machine_id.fence());

    let mut rng = fastrand::Rng::with_seed(7);
    let mut running = JoinSet::new();
    for number in 0..OPERATIONS {
        if AT_ONCE <= running.len() {
            running
                .join_next()
                .await
                .expect("some run")
                .expect("none panics");
        }
        let (stage, us) = (Arc::clone(&stage), rng.u64(0..PATIENCE_US));
        running.spawn(async move { stage.operate(number, us).await });
    }
    while let Some(outcome) = running.join_next().await {
        outcome.expect("none panics");
    }

    let cancelled = stage.cancelled.load(Ordering::Relaxed);
    println!(
        "{row}: {cancelled} were cancelled, {} locks at once",
        locks(&server).len()
    );
    assert!(
        OPERATIONS / 4 < cancelled,
        "only {cancelled} were cancelled"
    );
    assert_eq!(
        stage.wrong.load(Ordering::Relaxed),
        0,
        "every reply is its own question's"
    );
    assert!(stage.machine_id.is_held() && stage.machine_id.fence() == fence);
    tokio::time::sleep(TTL + Duration::from_secs(1)).await;
    let generator = stage.generator.machine_id().expect("leased").id();
    let kept: BTreeSet<String> = [machine_id, generator]
        .map(|id| format!("raus:id:{id}"))
        .into();
    assert_eq!(locks(&server), kept, "nothing is held beyond its ttl");
    // Members whose lease is over are removed one with each heartbeat.
    let cleaned = wait::until_async(PATIENCE, async || (members(&server) == 1).then_some(()));
    cleaned.await.expect("nobody who went away stays a member");
    assert!(stage.instance.is_member());
    let before = stage.instance.last_registration();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        before < stage.instance.last_registration(),
        "the heartbeat goes on"
    );
}

fn members(server: &RedisServer) -> u32 {
    let key = "red-buckets:{group}:lease";
    server.query(&["ZCARD", key]).expect("answers")
}

fn locks(server: &RedisServer) -> BTreeSet<String> {
    let keys: Vec<String> = server.query(&["KEYS", "raus:id:*"]).expect("answers");
    keys.into_iter().collect()
}
