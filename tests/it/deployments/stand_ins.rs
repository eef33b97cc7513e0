//! Replicas that come while a grant is acknowledged: WAIT counts them in place of one that has not received the grant, and may
//! be promoted.

use std::{
    fmt, slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coord_core::{
    endpoint::Endpoint,
    store::{BoxFuture, Command, Store, StoreError, redis},
};
use coord_tests::{
    proxy::{Direction, Proxy},
    server::{RedisServer, Version},
    wait,
};
use raus::{AcquireError, MachineId, Placement, Raus};
use redbuckets::{Instance, Redbuckets};
use tokio::runtime::Handle;

use super::{PATIENCE, on_versions};
use crate::tap::{Ear, Replies, Tap};

const TTL: Duration = Duration::from_secs(6);

/// What happens once.
struct Meanwhile {
    act: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    when: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before the first acknowledgement is asked for.
    Confirming,
    /// When something was granted, of which the client does not hear.
    Answering,
}

impl Meanwhile {
    fn has_happened(&self) -> bool {
        self.act().is_none()
    }

    fn act(&self) -> MutexGuard<'_, Option<Box<dyn FnOnce() + Send>>> {
        self.act.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it happens now.
    fn happen(&self, when: When) -> bool {
        if when != self.when {
            return false;
        }
        let act = self.act().take();
        act.map(tokio::task::block_in_place).is_some()
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Ear for Meanwhile {
    fn confirming(&self) -> Option<BoxFuture<'_, ()>> {
        self.happen(When::Confirming);
        None
    }

    fn answered<'a>(
        &'a self,
        commands: &'a [Command],
        replies: &'a mut Replies,
    ) -> Option<BoxFuture<'a, ()>> {
        let is_acquisition = |command: &Command| command.name() == "acquire";
        if commands.iter().any(is_acquisition) && self.happen(When::Answering) {
            *replies = vec![Err(StoreError::Timeout {
                operation: "acquire",
                address: "a server that has just died".to_owned(),
                within: TTL,
            })];
        }
        None
    }
}

/// A master with one replica, over a link that can lose what is under way, and a server that follows nobody yet.
struct Scene {
    master: RedisServer,
    link: Proxy,
    replica: RedisServer,
    newcomer: RedisServer,
}

impl Scene {
    async fn start(version: Version) -> Arc<Self> {
        let server = || RedisServer::builder().version(version);
        let master = server()
            .config_line("appendonly yes")
            .config_line("appendfsync always");
        let master = master.start().expect("starts");
        let link = Proxy::in_front_of(&master).expect("listens");
        let replica = server().replica_through(&master, &link);
        let replica = replica.start().expect("starts");
        let newcomer = server().start().expect("starts");
        master.wait_replicas(1, PATIENCE).expect("it follows");
        // A replica vouches for what is younger than itself, as far as its uptime in whole seconds tells.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Arc::new(Self {
            master,
            link,
            replica,
            newcomer,
        })
    }

    fn raus(&self, server: &RedisServer) -> raus::Builder {
        in_a_hurry(Raus::builder(&server.url(), 0..=1))
    }

    /// The machine ID that the next one does not get.
    async fn first(&self) -> MachineId {
        let raus = self.raus(&self.master).build().expect("valid");
        let id = raus.acquire_within(PATIENCE).await.expect("is granted");
        // From now on the replica receives nothing, and its master does not know.
        self.link.hold(Direction::ToClient).expect("holds");
        id
    }

    /// A store on the master; `act` is done before it goes on.
    fn tapped(self: &Arc<Self>, when: When, act: fn(&Self)) -> Arc<Tap<Meanwhile>> {
        let endpoint = Endpoint::parse(&self.master.url()).expect("valid");
        let store = redis::open(&endpoint, None).expect("valid");
        let scene = Arc::clone(self);
        let (connections, here) = (Arc::clone(&store), Handle::current());
        let act = move || {
            act(&scene);
            here.block_on(renew_connections(&*connections));
        };
        Arc::new(Tap {
            store,
            ear: Meanwhile {
                act: Mutex::new(Some(Box::new(act))),
                when,
            },
        })
    }

    /// The newcomer follows, and is in step.
    fn follow(&self, master: &RedisServer, replicas: usize) {
        let port = master.port().to_string();
        let follow = ["REPLICAOF", "127.0.0.1", &port];
        let _: String = self.newcomer.query(&follow).expect("follows");
        master.wait_replicas(replicas, PATIENCE).expect("follows");
    }

    /// The replica takes over without what was under way to it, and the newcomer takes its place at the old master.
    fn succeed(&self) {
        self.link.cut().expect("cuts");
        self.replica.promote().expect("is promoted");
        let left = wait::until(PATIENCE, || {
            let info = self.master.info("replication").ok()?;
            (info.get("connected_slaves")? == "0").then_some(())
        });
        left.expect("its master notices");
        self.follow(&self.master, 1);
    }

    /// The master starts anew from its disk, while the replica takes over, and has another one that follows.
    fn restart(&self) {
        self.link.cut().expect("cuts");
        self.master.restart().expect("has everything");
        self.replica.promote().expect("is promoted");
        self.follow(&self.master, 1);
    }
}

/// All that the store has lead to a server that is there.
async fn renew_connections(store: &dyn Store) {
    let word = Command::Publish {
        channel: "anybody".to_owned(),
        payload: String::new(),
    };
    let mut in_a_row = 0;
    for _ in 0..100 {
        let answers = store.pipeline(slice::from_ref(&word), TTL).await;
        in_a_row = if answers.iter().all(Result::is_ok) {
            in_a_row + 1
        } else {
            0
        };
        if in_a_row == 8 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the server is not reached");
}

fn in_a_hurry(builder: raus::Builder) -> raus::Builder {
    builder
        .ttl(TTL)
        .heartbeat(TTL / 6)
        .discovery(Duration::ZERO)
        .placement(Placement::Runtime(Handle::current()))
}

/// What the old master granted before `act` does not take effect within `limit`, so the new one may grant it.
async fn only_the_new_master_grants(
    version: Version,
    when: When,
    act: fn(&Scene),
    limit: Duration,
) {
    let scene = Scene::start(version).await;
    let first = scene.first().await;
    let tapped = scene.tapped(when, act);
    let second = Raus::with_store(Arc::clone(&tapped) as _, Raus::DEFAULT_NAMESPACE, 0..=1);
    let second = in_a_hurry(second).build().expect("valid");
    let granted = second.acquire_within(limit).await;
    assert!(tapped.ear.has_happened());
    assert!(
        matches!(granted, Err(AcquireError::HistorySuspect { .. })),
        "granted by one that was succeeded: {granted:?}"
    );
    scene.follow(&scene.replica, 1);
    let third = scene.raus(&scene.replica).build().expect("valid");
    let third = third.acquire_within(TTL / 2).await.expect("spare");
    assert_ne!(third.id(), first.id());
}

async fn one_takes_the_place_of_the_promoted_one(version: Version) {
    only_the_new_master_grants(version, When::Confirming, Scene::succeed, TTL / 2).await;
}

/// It has the grant from its disk, and as many replicas as before.
async fn the_master_restarts_and_one_comes(version: Version) {
    only_the_new_master_grants(version, When::Answering, Scene::restart, TTL).await;
}

async fn one_comes_beside_the_other(version: Version) {
    let scene = Scene::start(version).await;
    let _first = scene.first().await;
    let tapped = scene.tapped(When::Confirming, |scene| scene.follow(&scene.master, 2));
    let second = in_a_hurry(Raus::with_store(tapped, Raus::DEFAULT_NAMESPACE, 0..=1));
    let second = second.build().expect("valid");
    let granted = second.acquire_within(TTL / 2).await;
    // Whether the last answer or the end of the time came first.
    let short = matches!(
        granted,
        Err(AcquireError::TooFewReplicas { .. } | AcquireError::TimedOut { .. })
    );
    assert!(short, "one of two has it: {granted:?}");
    scene.link.resume().expect("goes on");
    second.acquire_within(PATIENCE).await.expect("both have it");
}

async fn join(builder: redbuckets::Builder) -> Instance {
    let here = Placement::Runtime(Handle::current());
    let builder = builder.buckets(8).ttl(TTL).period(TTL / 6).placement(here);
    let group = builder.settle(TTL / 6).build().expect("valid");
    group.join().await.expect("joins")
}

async fn own(instance: &Instance, count: usize) {
    let owned = wait::until_async(PATIENCE, async || {
        (instance.owned().len() == count).then_some(())
    });
    owned.await.expect("they are granted");
}

async fn buckets_are_handed_over_meanwhile(version: Version) {
    let scene = Scene::start(version).await;
    let first = join(Redbuckets::builder(&scene.master.url(), "group")).await;
    own(&first, 8).await;
    scene.link.hold(Direction::ToClient).expect("holds");
    let tapped = scene.tapped(When::Confirming, Scene::succeed);
    let second = join(Redbuckets::with_store(Arc::clone(&tapped) as _, "group")).await;
    let has_happened =
        wait::until_async(PATIENCE, async || tapped.ear.has_happened().then_some(()));
    has_happened.await.expect("half of them are its own");
    // The promoted one has them all with the first member.
    let until = tokio::time::Instant::now() + TTL / 2;
    while tokio::time::Instant::now() < until {
        assert!(second.owned().is_empty(), "acknowledged by somebody else");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Nobody succeeded this master as far as clients go, and a ttl later that is sure.
    own(&second, 4).await;
    assert_eq!(first.owned().len(), 4);
}

on_versions! {
    who_comes_does_not_stand_in_for_a_replica_that_is_promoted: Redis7_0 one_takes_the_place_of_the_promoted_one;
    who_comes_on_redis_8_does_not_stand_in_for_one_that_is_promoted: Redis8_2 one_takes_the_place_of_the_promoted_one;
    who_comes_to_a_master_that_restarted_does_not_stand_in_for_one_that_is_promoted: Redis7_0 the_master_restarts_and_one_comes;
    who_comes_to_a_redis_8_that_restarted_does_not_stand_in_for_one_that_is_promoted: Redis8_2 the_master_restarts_and_one_comes;
    who_comes_does_not_stand_in_for_a_replica_that_lags: Redis6_2 one_comes_beside_the_other;
    who_comes_does_not_stand_in_for_one_where_buckets_are_handed_over: Redis8_2 buckets_are_handed_over_meanwhile;
}
