//! Renewals that count once replicas have acknowledged them: how they travel, and what becomes of the lease.

use std::{future::pending, sync::Mutex};

use super::*;

/// A server with some replicas, which notes what it is sent.
#[derive(Debug)]
struct Server {
    replicas: AtomicU32,
    /// From how many wanted replicas on a confirmation never ends.
    hangs_from: u32,
    /// Whether each key leads to a server of its own.
    is_cluster: bool,
    answer: Mutex<&'static str>,
    confirmations: Mutex<Vec<Batch>>,
    pipelines: Mutex<Vec<Vec<String>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Batch {
    writes: Vec<String>,
    replicas: u32,
    within: Duration,
}

impl Server {
    fn new(replicas: u32) -> Self {
        Self {
            replicas: AtomicU32::new(replicas),
            hangs_from: u32::MAX,
            is_cluster: false,
            answer: Mutex::new("ok"),
            confirmations: Mutex::default(),
            pipelines: Mutex::default(),
        }
    }

    fn confirmations(&self) -> Vec<Batch> {
        self.confirmations.lock().expect("not poisoned").clone()
    }

    fn pipelines(&self) -> Vec<Vec<String>> {
        self.pipelines.lock().expect("not poisoned").clone()
    }

    fn answers(&self, commands: &[Command]) -> Vec<Result<Reply, StoreError>> {
        let answer = *self.answer.lock().expect("not poisoned");
        let answer = Reply::Bytes(answer.into());
        commands.iter().map(|_| Ok(answer.clone())).collect()
    }
}

fn names(commands: &[Command]) -> Vec<String> {
    let names = commands.iter().map(|command| match command {
        Command::Eval { keys, .. } => keys.join(" "),
        Command::Publish { channel, .. } => channel.clone(),
    });
    names.collect()
}

impl Store for Server {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        _within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        let mut pipelines = self.pipelines.lock().expect("not poisoned");
        pipelines.push(names(commands));
        Box::pin(async move { self.answers(commands) })
    }

    fn confirm<'a>(
        &'a self,
        writes: &'a [Command],
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        let mut confirmations = self.confirmations.lock().expect("not poisoned");
        confirmations.push(Batch {
            writes: names(writes),
            replicas,
            within,
        });
        Box::pin(async move {
            if self.hangs_from <= replicas {
                pending::<()>().await;
            }
            let found = self.replicas.load(Ordering::Relaxed);
            Ok((self.answers(writes), found))
        })
    }

    fn subscribe<'a>(
        &'a self,
        _channel: &'a str,
        _within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        unreachable!("a heartbeat listens to nobody")
    }

    fn describe<'a>(
        &'a self,
        _key: &'a str,
        _within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        unreachable!("a heartbeat asks for nothing")
    }

    fn route(&self, key: &str) -> Option<String> {
        self.is_cluster.then(|| key.to_owned())
    }
}

static RENEW: Script = Script::new("renew", &["return 'ok'"]);

/// A lease called `name`, with a hint.
struct Named {
    name: &'static str,
    replicas: u32,
    shortfalls: Arc<Mutex<Vec<String>>>,
}

impl Named {
    fn judge(replies: &[Result<Reply, StoreError>]) -> Verdict {
        match replies {
            [Ok(reply), Ok(_)] if reply.as_str() == Some("lost") => Verdict::Lost,
            [Ok(_), Ok(_)] => Verdict::Acknowledged,
            _ => Verdict::Failed,
        }
    }
}

impl Renew for Named {
    fn commands(&mut self) -> Vec<Command> {
        let renewal = Command::Eval {
            script: &RENEW,
            keys: vec![self.name.to_owned()],
            args: Vec::new(),
        };
        let hint = Command::Publish {
            channel: format!("hint of {}", self.name),
            payload: String::new(),
        };
        vec![renewal, hint]
    }

    fn acknowledge(&self) -> u32 {
        self.replicas
    }

    fn handle_replies(&mut self, replies: &[Result<Reply, StoreError>]) -> Verdict {
        Self::judge(replies)
    }

    /// Says what it would of an answer that counts: the driver must not take its word for it.
    fn handle_unacknowledged(
        &mut self,
        replies: &[Result<Reply, StoreError>],
        shortfall: StoreError,
    ) -> Verdict {
        let mut shortfalls = self.shortfalls.lock().expect("not poisoned");
        shortfalls.push(shortfall.to_string());
        Self::judge(replies)
    }

    fn handle_at_risk(&mut self, _deadline: Instant) {}

    fn handle_expired(&mut self) {}
}

struct Bench {
    server: Arc<Server>,
    heartbeat: Heartbeat,
    shortfalls: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new(server: Server) -> Self {
        let server = Arc::new(server);
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(Duration::from_secs(1_800_000_000)));
        let here = Placement::Runtime(tokio::runtime::Handle::current());
        let spawner = here.spawner().expect("a runtime is there");
        let store = Arc::clone(&server) as Arc<dyn Store>;
        Self {
            server,
            heartbeat: Heartbeat::start(store, clock, spawner, 1),
            shortfalls: Arc::default(),
        }
    }

    /// A lease of 3 s, renewed every second.
    fn keep(&self, name: &'static str, replicas: u32) -> LeaseHandle {
        self.keep_for(Duration::from_secs(3), name, replicas)
    }

    fn keep_for(&self, ttl: Duration, name: &'static str, replicas: u32) -> LeaseHandle {
        let timing = Timing::new(ttl, ttl / 3).expect("valid");
        let protocol = Named {
            name,
            replicas,
            shortfalls: Arc::clone(&self.shortfalls),
        };
        let now = self.heartbeat.clock().now();
        self.heartbeat.adopt(now, timing, Box::new(protocol))
    }
}

async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn leases_that_want_as_many_replicas_wait_for_them_together() {
    let bench = Bench::new(Server::new(2));
    let leases = ["a", "b", "c"].map(|name| bench.keep(name, 2));
    sleep_ms(1_100).await;
    assert_eq!(
        bench.server.confirmations(),
        [Batch {
            writes: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
            replicas: 2,
            within: Heartbeat::RESPONSE_TIMEOUT,
        }]
    );
    assert_eq!(
        bench.server.pipelines(),
        [["hint of a", "hint of b", "hint of c"]]
    );
    sleep_ms(60_000).await;
    assert!(leases.iter().all(LeaseHandle::is_held));
    let confirmations = bench.server.confirmations();
    assert!(
        confirmations.iter().all(|batch| batch.writes.len() == 3),
        "one a heartbeat: {confirmations:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_too_few_replicas_have_prolongs_nothing() {
    let bench = Bench::new(Server::new(1));
    let mut lease = bench.keep("a", 2);
    let deadline = lease.deadline();
    sleep_ms(2_000).await;
    assert_eq!(lease.deadline(), deadline, "it was renewed in vain");
    lease.lost().await;
    let now = bench.heartbeat.clock().now();
    assert!(
        deadline <= now && now < deadline + Duration::from_millis(10),
        "{now:?} for {deadline:?}"
    );
    let shortfalls = bench.shortfalls.lock().expect("not poisoned").clone();
    assert!(
        1 < shortfalls.len(),
        "it was tried again and again: {shortfalls:?}"
    );
    assert_eq!(
        shortfalls[0],
        "renew: executed, but 1 of 2 replicas acknowledged it in time, so it does not count; start the missing \
         replicas or lower acknowledge(2)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_lives_on_when_the_replicas_are_back() {
    let bench = Bench::new(Server::new(1));
    let lease = bench.keep("a", 2);
    sleep_ms(2_000).await;
    bench.server.replicas.store(2, Ordering::Relaxed);
    sleep_ms(10_000).await;
    assert!(lease.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_loss_counts_however_few_replicas_have_it() {
    let bench = Bench::new(Server::new(0));
    *bench.server.answer.lock().expect("not poisoned") = "lost";
    let mut lease = bench.keep("a", 1);
    lease.lost().await;
    assert_eq!(
        bench.server.confirmations().len(),
        1,
        "the first answer ends it"
    );
    assert!(!lease.is_held());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_replicas_in_vain_holds_up_nobody_else() {
    let bench = Bench::new(Server {
        hangs_from: 2,
        ..Server::new(1)
    });
    let mut hanging = bench.keep("hanging", 2);
    let (plain, one) = (bench.keep("plain", 0), bench.keep("one", 1));
    hanging.lost().await;
    sleep_ms(10_000).await;
    assert!(plain.is_held() && one.is_held());
    let confirmations = bench.server.confirmations();
    let of = |replicas| {
        confirmations
            .iter()
            .filter(move |it| it.replicas == replicas)
    };
    assert_eq!(of(2).count(), 1, "one at a time");
    assert!(of(1).all(|batch| batch.writes == ["one"]));
}

#[tokio::test(start_paused = true)]
async fn each_number_of_replicas_is_waited_for_on_its_own() {
    let bench = Bench::new(Server::new(2));
    let leases = [("a", 1), ("b", 2), ("c", 0), ("d", 1), ("e", 2), ("f", 3)]
        .map(|(name, replicas)| bench.keep(name, replicas));
    sleep_ms(1_100).await;
    let seen: Vec<(u32, String)> = bench
        .server
        .confirmations()
        .iter()
        .take(3)
        .map(|batch| (batch.replicas, batch.writes.concat()))
        .collect();
    for expected in [(1, "ad"), (2, "be"), (3, "f")] {
        let expected = (expected.0, expected.1.to_owned());
        assert!(seen.contains(&expected), "{seen:?}");
    }
    sleep_ms(10_000).await;
    let held = leases.each_ref().map(LeaseHandle::is_held);
    assert_eq!(held, [true, true, true, true, true, false]);
}

/// The short one gets its second attempt, and the long one as much time as replicas may need.
#[tokio::test(start_paused = true)]
async fn a_short_lease_and_a_long_one_wait_for_as_long_as_they_can() {
    let bench = Bench::new(Server::new(1));
    let (short, long) = (Duration::from_millis(300), Duration::from_secs(3));
    let _leases = [
        bench.keep_for(short, "short", 1),
        bench.keep_for(long, "long", 1),
    ];
    sleep_ms(3_000).await;
    let confirmations = bench.server.confirmations();
    for (name, patience) in [("short", short / 3), ("long", Heartbeat::RESPONSE_TIMEOUT)] {
        let own = confirmations.iter().filter(|it| it.writes == [name]);
        let given: Vec<Duration> = own.map(|it| it.within).collect();
        assert!(
            !given.is_empty() && given.iter().all(|it| *it == patience),
            "{name}: {confirmations:?}"
        );
    }
}

/// What the replicas of one node have says nothing about what those of another have.
#[tokio::test(start_paused = true)]
async fn leases_on_several_servers_do_not_wait_for_each_others_replicas() {
    let bench = Bench::new(Server {
        is_cluster: true,
        ..Server::new(1)
    });
    let _leases = ["a", "b"].map(|name| bench.keep(name, 1));
    sleep_ms(5_000).await;
    let confirmations = bench.server.confirmations();
    // Where a lease lives is known once it was renewed.
    let known = &confirmations[1..];
    assert!(
        1 < known.len() && known.iter().all(|batch| batch.writes.len() == 1),
        "{confirmations:?}"
    );
}
