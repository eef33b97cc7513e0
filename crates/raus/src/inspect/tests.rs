//! What operators change, on a store in this process.

mod moving;

use std::sync::Arc;

use coord_core::{
    clock::{Clock, TokioClock},
    store::embedded::Embedded,
};

use super::*;
use crate::{AcquireError, Builder, Raus};

const TTL: Duration = Duration::from_secs(10);
const SKEW: Duration = Duration::from_secs(10);
const HOURS: u64 = 2 * 3_600_000;

struct Server {
    engine: Embedded,
    clock: Arc<dyn Clock>,
}

impl Server {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(Duration::from_secs(1_700_000_000)));
        let engine = Embedded::new(Arc::clone(&clock));
        Self { engine, clock }
    }

    fn builder(&self, namespace: &str) -> Builder {
        Raus::with_store(Arc::new(self.engine.client()), namespace, 0..=9)
            .ttl(TTL)
            .max_clock_skew(SKEW)
            .failover_bound(Duration::ZERO)
            .clock(Arc::clone(&self.clock))
            .placement(crate::Placement::Runtime(tokio::runtime::Handle::current()))
    }

    fn raus(&self) -> Raus {
        self.builder("ns").build().expect("valid")
    }

    fn inspector(&self) -> Inspector {
        self.raus().inspector().expect("a place to run")
    }

    /// A namespace with a history.
    async fn begun() -> (Self, Inspector) {
        let server = Self::new();
        let inspector = server.inspector();
        assert_eq!(inspector.init().await.expect("it answers"), FirstUse::Begun);
        (server, inspector)
    }

    fn command(&self, words: &[&str]) {
        self.engine.command(words).expect("it answers");
    }

    fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// A slot whose last holder is gone and left this horizon behind.
    fn leave(&self, slot: u32, horizon_ms: u64, till_ms: u64) {
        let record = format!("7 {horizon_ms} 5 {till_ms} - gone");
        self.command(&["HSET", "ns:slots", &slot.to_string(), &record]);
    }

    /// Moves the floor of the history.
    fn set_floor(&self, floor_ms: u64) {
        let history = self.engine.command(&["HGET", "ns:slots", "history"]);
        let history = history.expect("it answers");
        let mut words: Vec<String> = history
            .as_str()
            .expect("text")
            .split(' ')
            .map(str::to_owned)
            .collect();
        words[3] = floor_ms.to_string();
        self.command(&["HSET", "ns:slots", "history", &words.join(" ")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_declared_namespace_is_known_to_those_who_insist_on_a_history() {
    let (server, inspector) = Server::begun().await;
    let strict = server.builder("ns").expect_history(true).build();
    let held = strict
        .expect("valid")
        .acquire()
        .await
        .expect("known at once");
    assert_eq!(
        inspector.init().await.expect("it answers"),
        FirstUse::Known(History::Known)
    );
    assert!(held.is_held());
}

#[tokio::test(start_paused = true)]
async fn what_was_used_before_is_not_new() {
    let server = Server::new();
    server.leave(3, 9, 0);
    let told = server.inspector().init().await.expect("it answers");
    assert_eq!(
        told,
        FirstUse::Lost { wait: TTL },
        "a record without a history"
    );
    let history = server.inspector().read().await.expect("it answers").history;
    assert_eq!(
        history,
        History::Quarantine {
            left: TTL,
            has_begun: true
        }
    );
    assert_eq!(
        server.inspector().init().await.expect("it answers"),
        FirstUse::Known(history)
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_heard_is_a_use_before() {
    let server = Server::new();
    let client = server.engine.client();
    let speaker = tokio::spawn(async move {
        loop {
            let said = Command::Publish {
                channel: "ns:broadcast".to_owned(),
                payload: "x:1".to_owned(),
            };
            let _ = client.pipeline(&[said], Duration::from_secs(1)).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let told = server.inspector().init().await.expect("it answers");
    assert_eq!(told, FirstUse::Lost { wait: TTL });
    speaker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_that_nobody_has_begun_says_so() {
    let (server, inspector) = Server::begun().await;
    server.engine.restart();
    let read = inspector.read().await.expect("it answers");
    assert!(
        matches!(
            read.history,
            History::Quarantine {
                has_begun: false,
                ..
            }
        ),
        "{read:?}"
    );
    drop(server.raus().acquire_within(Duration::from_millis(1)).await);
    let read = inspector.read().await.expect("it answers");
    assert!(
        matches!(
            read.history,
            History::Quarantine {
                has_begun: true,
                ..
            }
        ),
        "{read:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_floor_far_ahead_is_reset_when_told_to_and_grants_go_on() {
    let (server, inspector) = Server::begun().await;
    let ahead = server.now_ms() + HOURS;
    server.set_floor(ahead);
    let refused = server.raus().acquire().await;
    assert!(
        matches!(refused, Err(AcquireError::HorizonAhead { .. })),
        "{refused:?}"
    );
    let plan = inspector.plan_repair().await.expect("it answers");
    assert_eq!((plan.floor, plan.floor_ms), (Outcome::Reset, ahead));
    assert_eq!(plan.risk_ms(), Some((plan.limit_ms, ahead)));
    let read = inspector.read().await.expect("it answers");
    assert_eq!(read.floor_ms, ahead, "a plan changes nothing");
    let done = inspector.repair(&plan).await.expect("it answers");
    assert_eq!(done.floor, Outcome::Reset);
    let read = inspector.read().await.expect("it answers");
    assert_eq!(read.floor_ms, done.limit_ms);
    let longest = done.limit_ms - done.server_ms;
    assert_eq!(longest, 20_000, "the longest ttl and skew");
    server.raus().acquire().await.expect("granted again");
    let again = inspector.plan_repair().await.expect("it answers");
    assert!(!again.has_work(), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn the_floor_of_a_quarantine_is_nothing_to_repair() {
    let server = Server::new();
    let bound = Duration::from_secs(1_000);
    let raus = server.builder("ns").failover_bound(bound).build();
    let inspector = raus.expect("valid").inspector().expect("a place to run");
    server.leave(3, 9, 0);
    let lost = inspector.init().await.expect("it answers");
    assert_eq!(lost, FirstUse::Lost { wait: TTL + bound });
    let plan = inspector.plan_repair().await.expect("it answers");
    assert!(!plan.has_work() && 0 < plan.floor_ms, "{plan:?}");
    let read = inspector.read().await.expect("it answers");
    assert_eq!(read.limit_ms(), Some(plan.limit_ms));
    assert!(read.floor_ms <= plan.limit_ms, "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn only_horizons_that_nobody_holds_are_reset() {
    let (server, inspector) = Server::begun().await;
    let now = server.now_ms();
    let ahead = now + HOURS;
    server.leave(0, ahead, 0);
    server.leave(1, ahead, now + 1_000);
    server.leave(2, ahead, now + HOURS);
    server.leave(3, now + 5_000, 0);
    server.leave(4, ahead, 0);
    server.leave(5, ahead, 0);
    server.command(&["SET", "ns:id:4", "somebody", "PX", "60000"]);
    server.command(&["HSET", "ns:slots", "full", "0-9 5"]);
    let plan = inspector.plan_repair().await.expect("it answers");
    assert_eq!(
        server
            .engine
            .command(&["HEXISTS", "ns:slots", "full"])
            .expect("it answers")
            .as_u64(),
        Some(1)
    );
    // Somebody comes and goes between reading and repairing.
    server.leave(5, ahead + 1, 0);
    let done = inspector.repair(&plan).await.expect("it answers");
    let became: Vec<(u32, Outcome)> = done
        .slots
        .iter()
        .map(|slot| (slot.id, slot.outcome))
        .collect();
    let expected = [
        (0, Outcome::Reset),
        (1, Outcome::Held),
        (2, Outcome::Cut),
        (4, Outcome::Held),
        (5, Outcome::Changed),
    ];
    assert_eq!(became, expected);
    assert_eq!(
        server
            .engine
            .command(&["HEXISTS", "ns:slots", "full"])
            .expect("it answers")
            .as_u64(),
        Some(0)
    );
    let read = inspector.read().await.expect("it answers");
    let horizons: Vec<u64> = read.slots.iter().map(|slot| slot.horizon_ms).collect();
    assert_eq!(
        horizons,
        [done.limit_ms, ahead, ahead, now + 5_000, ahead, ahead + 1]
    );
    assert_eq!(read.slots[0].fence, 7);
    assert!(read.slots[2].lease_left <= TTL, "{:?}", read.slots[2]);
    assert_eq!(read.limit_ms(), Some(done.limit_ms));
}

#[tokio::test(start_paused = true)]
async fn a_layout_is_changed_only_while_nobody_holds_a_slot() {
    let (server, inspector) = Server::begun().await;
    server.command(&["HSET", "ns:slots", "layout", "old"]);
    let held = server.raus().acquire().await.expect("free");
    let refused = inspector.set_layout("new").await.expect("it answers");
    assert_eq!(
        refused,
        LayoutChange::Held {
            slots: vec![held.id()]
        }
    );
    held.release().await.expect("it answers");
    server.command(&["SET", "ns:id:9", "a-go-process", "PX", "60000"]);
    let refused = inspector.set_layout("new").await.expect("it answers");
    assert_eq!(
        refused,
        LayoutChange::Held { slots: vec![9] },
        "without a record"
    );
    server.command(&["DEL", "ns:id:9"]);
    let read = inspector.read().await.expect("it answers");
    assert_eq!(read.layout, "old");
    let done = inspector.set_layout("new").await.expect("it answers");
    assert_eq!(
        done,
        LayoutChange::Recorded {
            before: "old".to_owned()
        }
    );
    assert_eq!(inspector.read().await.expect("it answers").layout, "new");
}

#[tokio::test(start_paused = true)]
async fn a_layout_is_not_changed_if_it_is_not_as_it_was_read() {
    let (server, inspector) = Server::begun().await;
    server.command(&["HSET", "ns:slots", "layout", "old"]);
    server.leave(3, 9, 0);
    for (before, recorded) in [("older", "1"), ("old", "2"), ("", "1")] {
        let args = [before, "new", recorded].map(str::to_owned).to_vec();
        let asked = inspector.ask(&scripts::RELAYOUT, vec!["ns:slots".to_owned()], args);
        let told = reply::parse_relayout(&asked.await.expect("it answers"));
        assert!(matches!(told, Ok(reply::Relaid::Changed)), "{told:?}");
    }
    assert_eq!(inspector.read().await.expect("it answers").layout, "old");
}
