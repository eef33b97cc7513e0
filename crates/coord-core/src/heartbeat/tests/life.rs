//! One lease from its grant to its end, on a store that answers as it is told.

use std::sync::Mutex;

use super::*;

/// What the store says, and what was asked of it.
#[derive(Debug, Default)]
struct Script {
    says: Mutex<Vec<Verdict>>,
    noted: Mutex<Vec<&'static str>>,
}

impl Script {
    fn note(&self, what: &'static str) {
        self.noted.lock().expect("not poisoned").push(what);
    }

    fn count(&self, what: &str) -> usize {
        let noted = self.noted.lock().expect("not poisoned");
        noted.iter().filter(|it| **it == what).count()
    }

    fn says(&self, verdict: Verdict) {
        *self.says.lock().expect("not poisoned") = vec![verdict];
    }
}

/// A protocol that overrides nothing that it need not.
struct Plain(Arc<Script>);

/// Wants its heartbeats sooner than they are due.
struct Hasty(Plain, Duration);

impl Renew for Hasty {
    fn commands(&mut self) -> Vec<Command> {
        self.0.commands()
    }

    fn wants_next_within(&self) -> Option<Duration> {
        Some(self.1)
    }

    fn handle_replies(&mut self, replies: &[Result<Reply, StoreError>]) -> Verdict {
        self.0.handle_replies(replies)
    }

    fn handle_at_risk(&mut self, deadline: Instant) {
        self.0.handle_at_risk(deadline);
    }

    fn handle_expired(&mut self) {
        self.0.handle_expired();
    }
}

impl Renew for Plain {
    fn commands(&mut self) -> Vec<Command> {
        self.0.note("asked");
        vec![Command::Publish {
            channel: "renewal".to_owned(),
            payload: String::new(),
        }]
    }

    fn handle_unacknowledged(
        &mut self,
        _replies: &[Result<Reply, StoreError>],
        _shortfall: StoreError,
    ) -> Verdict {
        self.0.note("short of replicas");
        Verdict::Failed
    }

    fn handle_replies(&mut self, _replies: &[Result<Reply, StoreError>]) -> Verdict {
        let says = self.0.says.lock().expect("not poisoned");
        says.first().copied().unwrap_or(Verdict::Acknowledged)
    }

    fn handle_at_risk(&mut self, _deadline: Instant) {
        self.0.note("at risk");
    }

    fn handle_expired(&mut self) {
        self.0.note("expired");
    }
}

fn start() -> Heartbeat {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(Duration::from_secs(1_800_000_000)));
    let here = Placement::Runtime(tokio::runtime::Handle::current());
    let spawner = here.spawner().expect("a runtime is there");
    Heartbeat::start(Arc::new(SlowReplicas), clock, spawner, 1)
}

/// A lease of 3 s, renewed every second.
fn adopt(heartbeat: &Heartbeat) -> (LeaseHandle, Arc<Script>) {
    adopt_by(heartbeat, Duration::from_secs(3), Duration::from_secs(1))
}

fn adopt_by(heartbeat: &Heartbeat, ttl: Duration, every: Duration) -> (LeaseHandle, Arc<Script>) {
    let script = Arc::<Script>::default();
    let timing = Timing::new(ttl, every).expect("valid");
    let protocol = Box::new(Plain(Arc::clone(&script)));
    let now = heartbeat.clock().now();
    (heartbeat.adopt(now, timing, protocol), script)
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_goes_on_and_waits_for_no_replica() {
    let heartbeat = start();
    let (lease, script) = adopt(&heartbeat);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(lease.is_held());
    // A heartbeat is shortened by up to a tenth.
    let asked = script.count("asked");
    assert!((29..=34).contains(&asked), "{asked}");
    assert_eq!(script.count("at risk"), 0);
    assert_eq!(script.count("short of replicas"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_anothers_is_lost_at_once() {
    let heartbeat = start();
    let (mut lease, script) = adopt(&heartbeat);
    script.says(Verdict::Lost);
    let began = heartbeat.clock().now();
    lease.lost().await;
    let took = heartbeat.clock().now().saturating_since(began);
    assert!((900..=1_100).contains(&took.as_millis()), "{took:?}");
    assert!(!lease.is_held());
    assert_eq!(lease.deadline(), Instant::from_boot(Duration::ZERO));
    assert_eq!(script.count("expired"), 0, "nobody is told twice");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(script.count("asked"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_an_answer_is_at_risk_and_then_over() {
    let heartbeat = start();
    let (mut lease, script) = adopt(&heartbeat);
    script.says(Verdict::Failed);
    let deadline = lease.deadline();
    tokio::time::sleep(Duration::from_millis(1_999)).await;
    assert_eq!(script.count("at risk"), 0);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(script.count("at risk"), 1);
    assert!(lease.is_held());
    lease.lost().await;
    assert!(deadline <= heartbeat.clock().now());
    assert!(!lease.is_held());
    assert_eq!((script.count("at risk"), script.count("expired")), (1, 1));
    assert!(3 < script.count("asked"), "it was tried again and again");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_lease_is_asked_for_no_more() {
    let heartbeat = start();
    let (lease, script) = adopt(&heartbeat);
    let validity = lease.validity();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    lease.stop().await;
    let asked = script.count("asked");
    assert_eq!(validity.deadline(), Instant::from_boot(Duration::ZERO));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(script.count("asked"), asked);
    assert_eq!(script.count("expired"), 0, "it was given up");
}

#[tokio::test(start_paused = true)]
async fn a_nudge_brings_the_next_heartbeat_forward() {
    let heartbeat = start();
    let (lease, script) = adopt(&heartbeat);
    for nudged in 1..=3 {
        lease.nudge().nudge();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(script.count("asked"), nudged);
    }
    assert!(lease.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_is_not_kept_keeps_nothing() {
    let heartbeat = start();
    let weak = heartbeat.downgrade();
    let ended = heartbeat.ended();
    let (done, is_done) = tokio::sync::oneshot::channel();
    weak.upgrade().expect("it is kept").spawn(async move {
        let _ = done.send(());
    });
    is_done.await.expect("it runs where the driver does");
    drop(heartbeat);
    assert!(weak.upgrade().is_none());
    ended.await;
}

#[test]
fn every_verdict_has_a_word_of_its_own() {
    let words = [
        Verdict::Acknowledged,
        Verdict::Unfinished,
        Verdict::Lost,
        Verdict::Failed,
    ]
    .map(Verdict::as_str);
    assert_eq!(words, ["acknowledged", "unfinished", "lost", "failed"]);
}

/// The deadline is shared: it is over for those too who do not wait for a loss.
#[tokio::test(start_paused = true)]
async fn a_loss_ends_the_deadline_for_everybody() {
    let heartbeat = start();
    let (lease, script) = adopt(&heartbeat);
    let validity = lease.validity();
    script.says(Verdict::Lost);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!lease.is_held());
    assert_eq!(validity.deadline(), Instant::from_boot(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_next_heartbeat_comes_as_soon_as_a_protocol_wants_it() {
    let heartbeat = start();
    let script = Arc::<Script>::default();
    let timing = Timing::new(Duration::from_secs(30), Duration::from_secs(10)).expect("valid");
    let hasty = Hasty(Plain(Arc::clone(&script)), Duration::from_secs(2));
    let now = heartbeat.clock().now();
    let lease = heartbeat.adopt(now, timing, Box::new(hasty));
    tokio::time::sleep(Duration::from_millis(29_500)).await;
    assert!(lease.is_held());
    let asked = script.count("asked");
    assert!((10..=11).contains(&asked), "{asked}");
}

/// A lease that is renewed seldom does not keep step with one that is renewed often.
#[tokio::test(start_paused = true)]
async fn a_lease_is_not_renewed_long_before_it_is_due() {
    let heartbeat = start();
    let (often, _) = adopt(&heartbeat);
    let (ttl, every) = (Duration::from_secs(60), Duration::from_secs(20));
    let (seldom, script) = adopt_by(&heartbeat, ttl, every);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(often.is_held() && seldom.is_held());
    let asked = script.count("asked");
    assert!((5..=10).contains(&asked), "{asked}");
}

/// A short lease gets a second attempt before its deadline, also where replicas have to acknowledge it.
#[tokio::test(start_paused = true)]
async fn a_request_is_given_a_third_of_a_short_lease() {
    let heartbeat = start();
    let counts = Arc::<Counts>::default();
    let protocol = Protocol {
        replicas: 1,
        counts: Arc::clone(&counts),
    };
    let timing = Timing::new(Duration::from_millis(300), Duration::from_millis(50)).expect("valid");
    let now = heartbeat.clock().now();
    let lease = heartbeat.adopt(now, timing, Box::new(protocol));
    // The replicas take all the time that a request is given.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(lease.is_held());
    let answered = counts.replies.load(Ordering::Relaxed);
    assert!((18..=31).contains(&answered), "{answered}");
}

#[derive(Debug)]
struct CountedClock(TokioClock, AtomicU32);

impl Clock for CountedClock {
    fn now(&self) -> Instant {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.now()
    }

    fn wall(&self) -> Duration {
        self.0.wall()
    }
}

/// Whoever waits for an answer does not look again and again whether something is due.
#[tokio::test(start_paused = true)]
async fn a_request_under_way_is_waited_for_in_peace() {
    let clock = TokioClock::new(Duration::from_secs(1_800_000_000));
    let clock = Arc::new(CountedClock(clock, AtomicU32::new(0)));
    let here = Placement::Runtime(tokio::runtime::Handle::current());
    let spawner = here.spawner().expect("a runtime is there");
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let heartbeat = Heartbeat::start(Arc::new(SlowReplicas), shared, spawner, 1);
    let (slow, counts) = keep(&heartbeat, 2);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(slow.is_held());
    let answered = counts.replies.load(Ordering::Relaxed);
    let looked = clock.1.load(Ordering::Relaxed);
    assert!(looked < 20 * answered, "{looked} times for {answered}");
}
