//! The same history on the embedded store and on real Redis: every operation must end the same way on both.

use std::{sync::Arc, time::Duration};

use ::raus::{AcquireError, MachineId, Placement, Raus, Store, SystemClock};
use coord_core::{
    endpoint::Endpoint,
    store::{self, embedded::Embedded},
};
use coord_tests::server::RedisServer;
use proptest::{prelude::*, test_runner::TestRunner};

const SLOTS: u32 = 6;

#[derive(Debug, Clone)]
enum Operation {
    /// Acquire, with candidates and holder drawn from the seed.
    Acquire { seed: u64, label: String },
    /// Release the n-th of those held.
    Release(usize),
    /// A stranger takes or overwrites a lock.
    Overwrite(u32),
    /// Somebody deletes a lock.
    Delete(u32),
    /// Something of another type stands in a lock's place.
    WrongType(u32),
    /// The hash is gone.
    Forget,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        5 => (any::<u64>(), prop_oneof![Just(""), Just("a"), Just("b")])
            .prop_map(|(seed, label)| Operation::Acquire { seed, label: label.to_owned() }),
        3 => (0_usize..8).prop_map(Operation::Release),
        1 => (0..SLOTS).prop_map(Operation::Overwrite),
        1 => (0..SLOTS).prop_map(Operation::Delete),
        1 => (0..SLOTS).prop_map(Operation::WrongType),
        1 => Just(Operation::Forget),
    ];
    prop::collection::vec(operation, 1..25)
}

/// Sends a plain command past the store's client.
type Send = Box<dyn Fn(&[&str])>;

/// One of the two stores with what is held on it.
struct Twin {
    store: Arc<dyn Store>,
    send: Send,
    held: Vec<MachineId>,
}

impl Twin {
    async fn apply(&mut self, operation: &Operation) -> String {
        match operation {
            Operation::Acquire { seed, label } => {
                let raus = Raus::with_store(Arc::clone(&self.store), "twin", 0..=SLOTS - 1)
                    .discovery(Duration::ZERO)
                    .ttl(Duration::from_secs(20))
                    .heartbeat(Duration::from_millis(40))
                    .placement(Placement::Runtime(tokio::runtime::Handle::current()))
                    .clock(Arc::new(SystemClock))
                    .label(label.as_str())
                    .seed(*seed)
                    .build()
                    .expect("valid");
                match raus.acquire_within(Duration::from_millis(400)).await {
                    Ok(machine_id) => {
                        self.held.push(machine_id);
                        format!("granted {}", self.held[self.held.len() - 1].id())
                    }
                    // How long is left differs by what has passed since.
                    Err(AcquireError::Quarantined { .. }) => "quarantine".to_owned(),
                    // So does when the first lease ends.
                    Err(AcquireError::RangeExhausted { held, .. }) => format!("{held} are held"),
                    Err(error) => error.to_string(),
                }
            }
            Operation::Release(index) if *index < self.held.len() => {
                let machine_id = self.held.remove(*index);
                format!("{:?}", machine_id.release().await)
            }
            Operation::Release(_) => String::new(),
            Operation::Overwrite(slot) => {
                (self.send)(&["SET", &lock(*slot), "stranger", "PX", "60000"]);
                self.heartbeats().await
            }
            Operation::Delete(slot) => {
                (self.send)(&["DEL", &lock(*slot)]);
                self.heartbeats().await
            }
            Operation::WrongType(slot) => {
                // Renamed into place in one step, so that no renewal can come between.
                (self.send)(&["RPUSH", "twin:other", "stranger"]);
                (self.send)(&["RENAME", "twin:other", &lock(*slot)]);
                self.heartbeats().await
            }
            Operation::Forget => {
                (self.send)(&["DEL", "twin:slots"]);
                self.heartbeats().await
            }
        }
    }

    /// Waits until every holder has noticed what was changed: a renewal that was under way may have missed it, the one
    /// after it has not. Which of them still hold their slots is part of the story.
    async fn heartbeats(&self) -> String {
        for machine_id in &self.held {
            for _ in 0..2 {
                let before = machine_id.deadline();
                super::until("a heartbeat", || {
                    !machine_id.is_held() || machine_id.deadline() != before
                })
                .await;
            }
        }
        let held: Vec<(u32, bool)> = self.held.iter().map(|id| (id.id(), id.is_held())).collect();
        format!("{held:?}")
    }
}

fn lock(slot: u32) -> String {
    format!("twin:id:{slot}")
}

#[test]
fn the_embedded_store_and_redis_tell_the_same_story() {
    let server = Arc::new(RedisServer::start().expect("redis-server starts"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let cases = if cfg!(debug_assertions) { 24 } else { 100 };
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    });
    let outcome = runner.run(&operations(), |operations| {
        server.flush_all().expect("flushes");
        let stories = runtime.block_on(async {
            let endpoint = Endpoint::parse(&server.url()).expect("valid");
            let embedded = Embedded::new(Arc::new(SystemClock));
            let (on_server, on_embedded) = (Arc::clone(&server), embedded.clone());
            let mut real = Twin {
                store: store::redis::open(&endpoint, None).expect("valid"),
                send: Box::new(move |command| drop(on_server.cli(command).expect("is executed"))),
                held: Vec::new(),
            };
            let mut double = Twin {
                store: Arc::new(embedded.client()),
                send: Box::new(move |command| {
                    drop(on_embedded.command(command).expect("is executed"))
                }),
                held: Vec::new(),
            };
            let mut stories = Vec::new();
            for operation in &operations {
                let (real, double) = tokio::join!(real.apply(operation), double.apply(operation));
                stories.push((
                    format!("{operation:?}: {real}"),
                    format!("{operation:?}: {double}"),
                ));
            }
            for machine_id in real.held.into_iter().chain(double.held) {
                let _ = machine_id.release().await;
            }
            stories
        });
        let (real, double): (Vec<_>, Vec<_>) = stories.into_iter().unzip();
        prop_assert_eq!(real, double);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
