//! Many leases, and leases of several kinds, on a server that takes its time.

use std::{collections::VecDeque, sync::Mutex};

use super::*;

/// A server that executes one command after the other and may stand still. What a client has stopped waiting for is
/// executed all the same.
#[derive(Debug)]
struct Busy {
    clock: Arc<dyn Clock>,
    /// What a command takes.
    each: Duration,
    /// To the server and back.
    way: Duration,
    work: Mutex<Work>,
    pipelines: AtomicU32,
    renewals: AtomicU32,
}

#[derive(Debug)]
struct Work {
    free_at: Instant,
    /// What it was sent and may not have done: until when, and how many.
    queue: VecDeque<(Instant, usize)>,
    /// The longest that the queue ever was.
    most: usize,
}

impl Busy {
    fn new(clock: &Arc<dyn Clock>, each: Duration, way: Duration) -> Self {
        Self {
            clock: Arc::clone(clock),
            each,
            way,
            work: Mutex::new(Work {
                free_at: clock.now(),
                queue: VecDeque::new(),
                most: 0,
            }),
            pipelines: AtomicU32::new(0),
            renewals: AtomicU32::new(0),
        }
    }

    /// Nothing is executed for so long.
    fn stop_for(&self, pause: Duration) {
        let mut work = self.work.lock().expect("not poisoned");
        work.free_at = self.clock.now().max(work.free_at) + pause;
    }

    /// When so many commands that are sent now are answered.
    fn answers_at(&self, count: usize) -> Instant {
        let now = self.clock.now();
        let mut work = self.work.lock().expect("not poisoned");
        let all = self.each * u32::try_from(count).expect("small");
        work.free_at = work.free_at.max(now + self.way / 2) + all;
        let done_at = work.free_at;
        work.queue.retain(|(done_at, _)| now < *done_at);
        work.queue.push_back((done_at, count));
        let queued = work.queue.iter().map(|(_, count)| count).sum();
        work.most = work.most.max(queued);
        done_at + self.way / 2
    }

    fn most(&self) -> usize {
        self.work.lock().expect("not poisoned").most
    }
}

impl Store for Busy {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(async move {
            self.pipelines.fetch_add(1, Ordering::Relaxed);
            let answers_at = self.answers_at(commands.len());
            let wait = answers_at.saturating_since(self.clock.now());
            tokio::time::sleep(wait.min(within)).await;
            if within < wait {
                let error = StoreError::Timeout {
                    operation: "renew",
                    address: "busy".to_owned(),
                    within,
                };
                return vec![Err(error); commands.len()];
            }
            let count = u32::try_from(commands.len()).expect("small");
            self.renewals.fetch_add(count, Ordering::Relaxed);
            commands.iter().map(|_| Ok(Reply::Int(1))).collect()
        })
    }

    fn confirm<'a>(
        &'a self,
        _writes: &'a [Command],
        _replicas: u32,
        _within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        unreachable!("no lease waits for replicas")
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
}

/// One command, acknowledged by any answer.
struct Simple;

impl Renew for Simple {
    fn commands(&mut self) -> Vec<Command> {
        vec![Command::Publish {
            channel: "renewal".to_owned(),
            payload: String::new(),
        }]
    }

    fn handle_replies(&mut self, replies: &[Result<Reply, StoreError>]) -> Verdict {
        match replies {
            [Ok(_)] => Verdict::Acknowledged,
            _ => Verdict::Failed,
        }
    }

    fn handle_at_risk(&mut self, _deadline: Instant) {}

    fn handle_expired(&mut self) {}
}

struct Crowd {
    server: Arc<Busy>,
    heartbeat: Heartbeat,
    leases: Vec<LeaseHandle>,
}

impl Crowd {
    fn new(each: Duration, way: Duration) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(Duration::from_secs(1_800_000_000)));
        let here = Placement::Runtime(tokio::runtime::Handle::current());
        let spawner = here.spawner().expect("a runtime is there");
        let server = Arc::new(Busy::new(&clock, each, way));
        let store = Arc::clone(&server) as Arc<dyn Store>;
        Self {
            server,
            heartbeat: Heartbeat::start(store, clock, spawner, 1),
            leases: Vec::new(),
        }
    }

    fn keep(&mut self, count: usize, ttl: Duration, every: Duration) {
        let timing = Timing::new(ttl, every).expect("valid");
        let now = self.heartbeat.clock().now();
        for _ in 0..count {
            let lease = self.heartbeat.adopt(now, timing, Box::new(Simple));
            self.leases.push(lease);
        }
    }

    fn held(&self) -> usize {
        self.leases.iter().filter(|lease| lease.is_held()).count()
    }

    /// How many pipelines go to the server in so long, and how many renewals are answered.
    async fn count(&self, during: Duration) -> (u32, u32) {
        let counts = || {
            let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
            (count(&self.server.pipelines), count(&self.server.renewals))
        };
        let before = counts();
        tokio::time::sleep(during).await;
        (counts().0 - before.0, counts().1 - before.1)
    }
}

const MANY: usize = 1_500;
const TTL: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_secs(1);

const fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

async fn sleep_s(s: u64) {
    tokio::time::sleep(Duration::from_secs(s)).await;
}

/// All of them take the server 0.6 s of each second, and an answer may take 0.5 s.
#[tokio::test(start_paused = true)]
async fn more_leases_than_a_server_renews_within_the_time_of_one_answer_are_kept() {
    let mut crowd = Crowd::new(us(400), us(1_000));
    crowd.keep(MANY, TTL, EVERY);
    sleep_s(60).await;
    assert_eq!(crowd.held(), MANY);
    let (_, renewals) = crowd.count(Duration::from_secs(20)).await;
    let each = f64::from(renewals) / 1_500.0 / 20.0;
    assert!(
        (0.9..1.2).contains(&each),
        "{each} renewals of a lease a heartbeat"
    );
    let most = crowd.server.most();
    assert!(most <= 1_024, "{most} before the server at once");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stood_still_for_5_s_costs_no_lease() {
    let mut crowd = Crowd::new(us(400), us(1_000));
    crowd.keep(MANY, TTL, EVERY);
    sleep_s(20).await;
    crowd.server.stop_for(Duration::from_secs(5));
    sleep_s(40).await;
    assert_eq!(crowd.held(), MANY);
    let most = crowd.server.most();
    assert!(most <= 1_000, "{most} before the server at once");
}

/// It would need two seconds for what is due every second.
#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_keep_up_is_sent_no_more_than_it_answers() {
    let mut crowd = Crowd::new(us(1_333), us(1_000));
    crowd.keep(MANY, TTL, EVERY);
    sleep_s(60).await;
    assert_eq!(crowd.held(), MANY, "they are renewed every two seconds");
    let (_, renewals) = crowd.count(Duration::from_secs(20)).await;
    assert!(13_000 < renewals, "{renewals} of the 15,000 that it can do");
}

#[tokio::test(start_paused = true)]
async fn leases_of_one_heartbeat_go_in_one_pipeline_a_heartbeat() {
    let mut crowd = Crowd::new(us(50), us(1_000));
    for _ in 0..20 {
        crowd.keep(10, TTL, EVERY);
        tokio::time::sleep(Duration::from_millis(77)).await;
    }
    sleep_s(10).await;
    let (pipelines, renewals) = crowd.count(Duration::from_secs(100)).await;
    assert!((100..=112).contains(&pipelines), "{pipelines}");
    assert_eq!(renewals, 200 * pipelines, "all of them each time");
}

/// It does nothing for longer than an answer is waited for, again and again, and is behind all the time.
#[tokio::test(start_paused = true)]
async fn a_lease_whose_renewals_failed_is_renewed_before_those_that_have_time() {
    let mut crowd = Crowd::new(us(1_333), us(1_000));
    crowd.keep(MANY, TTL, EVERY);
    sleep_s(10).await;
    for _ in 0..40 {
        crowd.server.stop_for(Duration::from_millis(600));
        tokio::time::sleep(Duration::from_millis(1_900)).await;
    }
    assert_eq!(crowd.held(), MANY);
}

/// What is asked beside heartbeats is sent as it is answered.
#[tokio::test(start_paused = true)]
async fn a_crowd_that_asks_at_once_neither_swamps_the_server_nor_delays_a_heartbeat() {
    let mut crowd = Crowd::new(us(2_000), us(1_000));
    crowd.keep(10, TTL, EVERY);
    let store = crowd.heartbeat.store();
    let asking = (0..5_000).map(|_| async {
        let request = Simple.commands();
        let mut attempts = 1;
        while store.pipeline(&request, Heartbeat::RESPONSE_TIMEOUT).await[0].is_err() {
            attempts += 1;
            sleep_s(1).await;
        }
        attempts
    });
    let attempts = futures_util::future::join_all(asking).await;
    // Ten seconds of work, of which half a second is waited for at a time.
    assert!(1 < *attempts.iter().max().expect("there are some"));
    assert_eq!(crowd.held(), 10);
    let most = crowd.server.most();
    assert!(most <= 64 + 10, "{most} before the server at once");
    let done = crowd.server.renewals.load(Ordering::Relaxed);
    assert!(
        (5_000..5_500).contains(&done),
        "{done}: none was sent twice"
    );
}

/// The short ones wait 50 ms for answers that take 60 ms, and are lost. The long one is none of their business.
#[tokio::test(start_paused = true)]
async fn the_patience_of_a_short_lease_is_not_that_of_a_long_one() {
    let mut crowd = Crowd::new(us(50), Duration::from_millis(60));
    crowd.keep(1, TTL, EVERY);
    for _ in 0..200 {
        crowd.keep(1, Duration::from_millis(150), Duration::from_millis(50));
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(crowd.leases[0].is_held());
    assert_eq!(crowd.held(), 1);
}
