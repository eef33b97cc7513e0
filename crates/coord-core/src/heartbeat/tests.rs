//! What the driver does with leases, on stores that answer as they are told.

mod acknowledged;
mod life;
mod scale;
mod window;

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
    store::{
        BoxFuture, Command, Confirmed, Reply, Script, ServerInfo, Store, StoreError, Subscription,
    },
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
        writes: &'a [Command],
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        Box::pin(async move {
            tokio::time::sleep(within).await;
            Ok((writes.iter().map(|_| Ok(Reply::Int(0))).collect(), replicas))
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
}

struct Protocol {
    replicas: u32,
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

    fn acknowledge(&self) -> u32 {
        self.replicas
    }

    fn handle_replies(&mut self, replies: &[Result<Reply, StoreError>]) -> Verdict {
        assert_eq!(replies.len(), 2, "the renewal's and the hint's");
        self.counts.replies.fetch_add(1, Ordering::Relaxed);
        Verdict::Acknowledged
    }

    fn handle_at_risk(&mut self, _deadline: Instant) {}

    fn handle_expired(&mut self) {}
}

fn keep(heartbeat: &Heartbeat, replicas: u32) -> (LeaseHandle, Arc<Counts>) {
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
    let (plain, plain_counts) = keep(&heartbeat, 0);
    let (slow, slow_counts) = keep(&heartbeat, 2);
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
    slow.stop().await;
}
