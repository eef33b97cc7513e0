use std::collections::VecDeque;

use super::*;
use crate::{
    clock::TokioClock,
    lease::Timing,
    spawn::Placement,
    store::{BoxFuture, Command, Confirmed, Reply, Subscription},
};

type Answer = Result<ServerInfo, StoreError>;

/// A server of which the tests decide what it says and which route leads to it.
#[derive(Debug, Default)]
struct Scripted {
    route: Mutex<Option<String>>,
    answers: Mutex<VecDeque<Answer>>,
}

impl Store for Scripted {
    fn pipeline<'a>(
        &'a self,
        _commands: &'a [Command],
        _within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        unreachable!("an advisor runs no scripts")
    }

    fn confirm<'a>(
        &'a self,
        _writes: &'a [Command],
        _replicas: u32,
        _within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        unreachable!("an advisor writes nothing")
    }

    fn subscribe<'a>(
        &'a self,
        _channel: &'a str,
        _within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        unreachable!("an advisor listens to nobody")
    }

    fn describe<'a>(&'a self, _key: &'a str, _within: Duration) -> BoxFuture<'a, Answer> {
        let answer = self.answers.lock().expect("not poisoned").pop_front();
        Box::pin(async move { answer.expect("no more looks than answers") })
    }

    fn route(&self, _key: &str) -> Option<String> {
        self.route.lock().expect("not poisoned").clone()
    }
}

struct Bench {
    store: Arc<Scripted>,
    heartbeat: Heartbeat,
    advisor: Arc<Advisor>,
}

impl Bench {
    fn new(route: Option<&str>, answers: impl IntoIterator<Item = Answer>) -> Self {
        let store = Arc::new(Scripted {
            route: Mutex::new(route.map(str::to_owned)),
            answers: Mutex::new(answers.into_iter().collect()),
        });
        let clock = Arc::new(TokioClock::new(Duration::from_secs(1_000)));
        let spawner = Placement::Runtime(tokio::runtime::Handle::current())
            .spawner()
            .expect("a runtime");
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let heartbeat = Heartbeat::start(shared, clock, spawner, 1);
        let advisor = Arc::new(Advisor::new(&heartbeat, "key".to_owned()));
        Self {
            store,
            heartbeat,
            advisor,
        }
    }

    fn lead_to(&self, route: &str) {
        *self.store.route.lock().expect("not poisoned") = Some(route.to_owned());
    }

    fn answers_left(&self) -> usize {
        self.store.answers.lock().expect("not poisoned").len()
    }
}

fn terms() -> Terms {
    let timing = Timing::new(Duration::from_secs(60), Duration::from_secs(1));
    Terms::new(timing.expect("valid"))
}

fn server(policy: &str) -> Answer {
    Ok(ServerInfo {
        maxmemory_policy: policy.to_owned(),
        maxmemory: 1_000,
        ..ServerInfo::default()
    })
}

fn timeout() -> Answer {
    Err(StoreError::Timeout {
        operation: "describe",
        address: "scripted".to_owned(),
        within: Duration::ZERO,
    })
}

fn broken() -> Answer {
    Err(StoreError::Broken {
        operation: "describe",
        address: "scripted".to_owned(),
        source: Arc::new(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
    })
}

#[tokio::test(start_paused = true)]
async fn a_server_is_looked_at_once_for_each_route() {
    let bench = Bench::new(Some("a"), [server("noeviction"), server("allkeys-lru")]);
    for _ in 0..3 {
        bench.advisor.admit(&terms()).await.expect("admitted");
    }
    assert_eq!(bench.answers_left(), 1);
    bench.lead_to("b");
    for _ in 0..3 {
        let error = bench.advisor.admit(&terms()).await.expect_err("refused");
        assert!(matches!(error, GateError::Evicting(_)), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_come_at_once_share_one_look() {
    let bench = Bench::new(Some(""), [server("noeviction")]);
    let terms = terms();
    let admissions = (0..10).map(|_| bench.advisor.admit(&terms));
    for outcome in futures_util::future::join_all(admissions).await {
        outcome.expect("admitted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_without_a_server_is_not_looked_at() {
    let bench = Bench::new(None, []);
    bench.advisor.admit(&terms()).await.expect("admitted");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_admits_nobody_but_those_who_take_any() {
    let bench = Bench::new(Some("a"), [timeout(), timeout(), timeout(), server("")]);
    for _ in 0..2 {
        let error = bench.advisor.admit(&terms()).await.expect_err("unknown");
        assert!(matches!(error, GateError::Store(_)), "{error}");
    }
    let any = Terms {
        allow_eviction: true,
        ..terms()
    };
    bench.advisor.admit(&any).await.expect("admitted");
    bench.advisor.admit(&terms()).await.expect("it answered");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_used_unseen_is_looked_at_later() {
    let bench = Bench::new(Some("a"), [timeout(), timeout(), server("allkeys-lru")]);
    let watch = Arc::clone(&bench.advisor).watch(bench.heartbeat.ended());
    tokio::spawn(watch);
    bench.advisor.admit(&terms()).await.expect_err("unknown");
    tokio::time::sleep(Advisor::WATCH_INTERVAL * 3).await;
    assert_eq!(bench.answers_left(), 2, "nobody uses it");
    let any = Terms {
        allow_eviction: true,
        ..terms()
    };
    bench.advisor.admit(&any).await.expect("admitted");
    tokio::time::sleep(Advisor::WATCH_INTERVAL * 3).await;
    assert_eq!(bench.answers_left(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_up_each_time_is_used_unchecked() {
    let bench = Bench::new(Some("a"), [broken(), broken()]);
    bench.advisor.admit(&terms()).await.expect_err("once");
    for _ in 0..3 {
        bench.advisor.admit(&terms()).await.expect("admitted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_server_is_looked_at_while_leases_go_on() {
    let answers = [server("noeviction"), timeout(), server("allkeys-lru")];
    let bench = Bench::new(Some("a"), answers);
    let watch = tokio::spawn(Arc::clone(&bench.advisor).watch(bench.heartbeat.ended()));
    bench.advisor.admit(&terms()).await.expect("admitted");
    tokio::time::sleep(Advisor::WATCH_INTERVAL * 3).await;
    assert_eq!(bench.answers_left(), 2, "nobody asks while nothing changes");
    bench.lead_to("b");
    tokio::time::sleep(Advisor::WATCH_INTERVAL * 3).await;
    assert_eq!(bench.answers_left(), 0);
    bench.advisor.admit(&terms()).await.expect_err("refused");
    drop(bench);
    watch.await.expect("ends with the heartbeat");
}
