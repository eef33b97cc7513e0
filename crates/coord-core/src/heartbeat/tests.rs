//! Leases whose renewals replicas have to acknowledge, beside others.

mod life;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::{Heartbeat, LeaseHandle, Renew, Verdict};
use crate::{
    clock::{Clock, Instant, TokioClock},
    lease::Timing,
    spawn::Placement,
    store::{BoxFuture, Command, Reply, ServerInfo, Store, StoreError, Subscription},
};

/// Answers at once, but its replicas take as long as they are given.
#[derive(Debug)]
struct SlowReplicas;

impl Store for SlowReplicas {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        _within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(async move { commands.iter().map(|_| Ok(Reply::Int(0))).collect() })
    }

    fn confirm<'a>(
        &'a self,
        _write: &'a Command,
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<(Reply, u32), StoreError>> {
        Box::pin(async move {
            tokio::time::sleep(within).await;
            Ok((Reply::Int(0), replicas - 1))
        })
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        _within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        let unused = Err(StoreError::unexpected(
            "subscribe",
            &Reply::Bytes(channel.into()),
        ));
        Box::pin(async { unused })
    }

    fn describe<'a>(
        &'a self,
        _key: &'a str,
        _within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        Box::pin(async { Ok(ServerInfo::default()) })
    }
}

#[derive(Default)]
struct Counts {
    replies: AtomicU32,
    acknowledgements: AtomicU32,
}

struct Protocol {
    replicas: Option<u32>,
    counts: Arc<Counts>,
}

impl Renew for Protocol {
    fn commands(&mut self) -> Vec<Command> {
        let publish = |channel: &str| Command::Publish {
            channel: channel.to_owned(),
            payload: String::new(),
        };
        vec![publish("renewal"), publish("hint")]
    }

    fn acknowledgements(&self) -> Option<u32> {
        self.replicas
    }

    fn handle_acknowledgements(&mut self, count: u32) {
        self.counts
            .acknowledgements
            .fetch_add(count, Ordering::Relaxed);
    }

    fn handle_replies(&mut self, replies: &[Result<Reply, StoreError>]) -> Verdict {
        assert_eq!(replies.len(), 2, "the renewal's and the hint's");
        self.counts.replies.fetch_add(1, Ordering::Relaxed);
        Verdict::Acknowledged
    }

    fn handle_at_risk(&mut self, _deadline: Instant) {}

    fn handle_expired(&mut self) {}
}

fn keep(heartbeat: &Heartbeat, replicas: Option<u32>) -> (LeaseHandle, Arc<Counts>) {
    let counts = Arc::<Counts>::default();
    let protocol = Protocol {
        replicas,
        counts: Arc::clone(&counts),
    };
    let timing = Timing::new(Duration::from_secs(3), Duration::from_millis(200)).expect("valid");
    let lease = heartbeat.adopt(heartbeat.clock().now(), timing, Box::new(protocol));
    (lease, counts)
}

#[tokio::test(start_paused = true)]
async fn nobody_else_waits_for_a_slow_replica() {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(Duration::from_secs(1_800_000_000)));
    let here = Placement::Runtime(tokio::runtime::Handle::current());
    let spawner = here.spawner().expect("a runtime is there");
    let heartbeat = Heartbeat::start(Arc::new(SlowReplicas), clock, spawner, 1);
    let (plain, plain_counts) = keep(&heartbeat, None);
    let (slow, slow_counts) = keep(&heartbeat, Some(2));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(plain.is_held() && slow.is_held());
    let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
    // Ten seconds hold 50 heartbeats, jittered, or 20 waits of half a second.
    assert!(
        45 < count(&plain_counts.replies),
        "{}",
        count(&plain_counts.replies)
    );
    let answered = count(&slow_counts.replies);
    assert!((10..=20).contains(&answered), "{answered}");
    assert_eq!(
        count(&slow_counts.acknowledgements),
        answered,
        "one of two each time"
    );
    assert_eq!(count(&plain_counts.acknowledgements), 0);
    slow.stop().await;
}
