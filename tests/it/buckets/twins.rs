//! The same history on the embedded store and on real Redis: after every change what the law says of the shares, and the
//! least moves. Which instances have one bucket more than their exact share may differ, because heartbeats interleave:
//! after a crash whoever beats first takes them, and where weights differ that may be a member of any weight. What the
//! next change moves depends on that.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use coord_core::{
    clock::SystemClock,
    endpoint::Endpoint,
    store::{self, Store, embedded::Embedded},
};
use coord_offline::{
    gate::Gate,
    shares::{self, Share},
};
use coord_tests::server::RedisServer;
use proptest::{prelude::*, test_runner::TestRunner};
use redbuckets::{Instance, Placement, Redbuckets};

use super::{PERIOD, SETTLE, TTL, until};

#[derive(Debug, Clone)]
enum Operation {
    Join { weight: u32 },
    Leave(usize),
    Crash(usize),
}

fn histories() -> impl Strategy<Value = (u32, Vec<Operation>)> {
    let operation = prop_oneof![
        5 => (1_u32..4).prop_map(|weight| Operation::Join { weight }),
        3 => any::<usize>().prop_map(Operation::Leave),
        1 => any::<usize>().prop_map(Operation::Crash),
    ];
    (1_u32..300, prop::collection::vec(operation, 2..8))
}

struct Member {
    /// Tells it apart from those that left.
    number: usize,
    weight: u32,
    instance: Instance,
    gate: Gate,
}

/// One of the two stores with its members.
struct Twin {
    store: Arc<dyn Store>,
    buckets: u32,
    members: Vec<Member>,
    next: usize,
}

impl Twin {
    fn new(store: Arc<dyn Store>, buckets: u32) -> Self {
        Self {
            store,
            buckets,
            members: Vec::new(),
            next: 0,
        }
    }

    /// What has become of the group when it has come to rest: who owns how much, down to whole buckets, how many own one
    /// more, and how many buckets moved in vain.
    async fn apply(&mut self, operation: &Operation) -> String {
        let before = self.owners();
        match operation {
            Operation::Join { weight } => self.join(*weight).await,
            Operation::Leave(index) if 1 < self.members.len() => {
                let member = self.members.remove(index % self.members.len());
                member.instance.leave().await.expect("nothing is busy");
            }
            Operation::Crash(index) if 1 < self.members.len() => {
                self.members.remove(index % self.members.len()).gate.kill();
            }
            Operation::Leave(_) | Operation::Crash(_) => {}
        }
        until("the group is at rest", || self.is_balanced()).await;
        let after = self.owners();
        let moved = before
            .iter()
            .filter(|(bucket, owner)| after.get(*bucket) != Some(*owner));
        let unowned = self.buckets as usize - before.len();
        let moved = moved.count() + unowned;
        let in_vain = moved - shares::least_moves(self.buckets, &self.shares(&before));
        let mut extras = 0;
        let mut floors = Vec::new();
        for (weight, own) in self.shares(&after) {
            let (floor, _) = shares::floor(self.buckets, weight, self.weights());
            extras += own - floor;
            floors.push((weight, floor));
        }
        floors.sort_unstable();
        format!("{floors:?}, {extras} have one more, {in_vain} moved in vain")
    }

    /// What the members own that there are now.
    fn shares(&self, owners: &BTreeMap<u32, usize>) -> Vec<Share> {
        let own = |member: &Member| {
            let owned = owners.values().filter(|&&owner| owner == member.number);
            (member.weight, owned.count())
        };
        self.members.iter().map(own).collect()
    }

    fn weights(&self) -> u32 {
        self.members.iter().map(|member| member.weight).sum()
    }

    async fn join(&mut self, weight: u32) {
        let gate = Gate::default();
        let group = Redbuckets::with_store(Arc::clone(&self.store), "twin")
            .buckets(self.buckets)
            .weight(weight)
            .ttl(TTL)
            .period(PERIOD)
            .settle(SETTLE)
            .failover_bound(Duration::ZERO)
            .placement(Placement::Custom(Arc::new(gate.clone())))
            .clock(Arc::new(SystemClock))
            .build()
            .expect("valid");
        let instance = group.join().await.expect("joins");
        self.members.push(Member {
            number: self.next,
            weight,
            instance,
            gate,
        });
        self.next += 1;
    }

    fn owners(&self) -> BTreeMap<u32, usize> {
        let owned = |member: &Member| {
            let number = member.number;
            member
                .instance
                .owned()
                .ids()
                .map(|bucket| (bucket, number))
                .collect::<Vec<_>>()
        };
        self.members.iter().flat_map(owned).collect()
    }

    /// Every bucket is owned, and nobody is a whole bucket away from its exact share.
    fn is_balanced(&self) -> bool {
        let owners = self.owners();
        let is_fair = |(weight, own): Share| {
            let (floor, rest) = shares::floor(self.buckets, weight, self.weights());
            own == floor || (rest && own == floor + 1)
        };
        self.shares(&owners).into_iter().all(is_fair)
            && (self.members.is_empty() || owners.len() == self.buckets as usize)
    }
}

#[test]
fn the_embedded_store_and_redis_share_alike() {
    let server = Arc::new(RedisServer::start().expect("redis-server starts"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 8,
        ..ProptestConfig::with_cases(12)
    });
    let outcome = runner.run(&histories(), |(buckets, operations)| {
        server.flush_all().expect("flushes");
        let stories = runtime.block_on(async {
            let endpoint = Endpoint::parse(&server.url()).expect("valid");
            let redis = store::redis::open(&endpoint, None).expect("valid");
            let embedded = Embedded::new(Arc::new(SystemClock));
            let mut real = Twin::new(redis, buckets);
            let mut double = Twin::new(Arc::new(embedded.client()), buckets);
            let mut stories = Vec::new();
            for operation in &operations {
                let (real, double) = tokio::join!(real.apply(operation), double.apply(operation));
                stories.push((
                    format!("{operation:?}: {real}"),
                    format!("{operation:?}: {double}"),
                ));
            }
            for member in real.members.into_iter().chain(double.members) {
                member.gate.kill();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            stories
        });
        let (real, double): (Vec<_>, Vec<_>) = stories.into_iter().unzip();
        prop_assert!(
            real.iter().all(|story| story.ends_with(" 0 moved in vain")),
            "{real:?}"
        );
        prop_assert_eq!(real, double);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
