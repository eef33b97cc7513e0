//! A server whose clock is set back: what it wrote before looks as if it were to last for hours.

use std::sync::Arc;

use coord_offline::gate::Gate;
use coord_tests::{clock::FakeClock, server::RedisServer};
use redbuckets::{Instance, Placement};

use super::{instance_of, is_balanced, owners, until};

const TWO_HOURS_BACK: i64 = -7_200_000;

struct Stage {
    clock: FakeClock,
    server: RedisServer,
    /// What the second one is killed with.
    gate: Gate,
    instances: [Instance; 2],
}

impl Stage {
    async fn new() -> Self {
        let clock = FakeClock::new().expect("libfaketime is there");
        let server = RedisServer::builder().clock(&clock).start();
        let server = server.expect("starts");
        let gate = Gate::default();
        let placement = Placement::Custom(Arc::new(gate.clone()));
        let killed = instance_of(&server, 64).instance_id("killed");
        let killed = killed.placement(placement).build().expect("valid");
        let lives = instance_of(&server, 64).build().expect("valid");
        let instances = [
            lives.join().await.expect("joins"),
            killed.join().await.expect("joins"),
        ];
        until("all buckets are shared", || is_balanced(&instances, 64)).await;
        Self {
            clock,
            server,
            gate,
            instances,
        }
    }

    fn kill_and_set_back(&self) {
        self.gate.kill();
        self.clock.set_offset_ms(TWO_HOURS_BACK).expect("is set");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_keeps_no_bucket_of_the_dead() {
    let stage = Stage::new().await;
    stage.kill_and_set_back();
    let [lives, _] = &stage.instances;
    until("everything is owned", || lives.owned().len() == 64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_keeps_no_id_from_its_next_process() {
    let stage = Stage::new().await;
    stage.kill_and_set_back();
    let next = instance_of(&stage.server, 64).instance_id("killed");
    let next = next.build().expect("valid").join().await.expect("joins");
    until("it has its share", || next.owned().len() == 32).await;
    let [lives, _] = stage.instances;
    owners(&[lives, next]);
}

/// Membership has just changed, and was to be quiet for a while before anything moves.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_keeps_nobody_waiting_for_its_share() {
    let stage = Stage::new().await;
    let newcomer = instance_of(&stage.server, 64).build().expect("valid");
    let newcomer = newcomer.join().await.expect("joins");
    stage.clock.set_offset_ms(TWO_HOURS_BACK).expect("is set");
    let [first, second] = stage.instances.clone();
    let instances = [first, second, newcomer];
    until("all buckets are shared", || is_balanced(&instances, 64)).await;
}
