//! The server dies, or stands still.

use std::collections::BTreeSet;

use ::raus::{AcquireError, Raus};
use futures_util::future::join_all;
use redbuckets::Redbuckets;

use super::*;

const DOWN: Duration = Duration::from_secs(3);
const STOPPED: Duration = Duration::from_secs(5);

/// The server is killed and comes back after 3 s; newcomers arrive as soon as it is there.
fn killed(row: &str, server: &RedisServer) {
    let load = Load::on(server.url());
    let mut fleet = fleet(&load);
    server.kill().expect("is killed");
    let killed = now_us();
    pause(DOWN);
    server.restart().expect("comes back");
    let back = now_us();
    newcomers(&mut fleet, &load, "");
    wait_working(&fleet);
    pause(Duration::from_secs(1));
    let end = now_us();
    let record = finish(fleet);

    tell(row, &record, (killed, end));
    record.check();
    undisturbed(row, &record, killed, back);
}

/// A short outage costs nobody anything but failed renewals.
fn undisturbed(row: &str, record: &Record, fault: u64, back: u64) {
    let recovered = record.recovered_after(back, is_old);
    let span = (fault - SECOND_US, back + 5 * SECOND_US);
    let silence = record.longest_silence(span, is_old);
    println!(
        "{row}: all renewed {recovered:?} after the return, longest time without an ID {silence:?}"
    );
    assert_none(record, "stalled", span, "minting goes on up to the horizon");
    assert_none(record, "lost", span, "the outage is shorter than any ttl");
    assert!(silence < DOWN, "{silence:?} without an ID");
    assert!(recovered < SOON, "{recovered:?}");
}

#[test]
fn a_killed_server_that_remembers_everything_costs_no_lease_and_no_id() {
    let server = RedisServer::builder().persistent().start().expect("starts");
    killed("kill -9, persistent", &server);
}

#[test]
fn a_killed_server_that_forgot_everything_costs_no_lease_and_no_id() {
    let server = RedisServer::start().expect("starts");
    killed("kill -9, nothing persisted", &server);
}

/// Newcomers give up while the server stands still; it executes what they asked for when it goes on.
#[test]
fn a_stopped_server_costs_nothing_and_what_it_executes_late_holds_nothing() {
    let row = "SIGSTOP for 5 s";
    let server = RedisServer::start().expect("starts");
    let load = Load::on(server.url());
    let fleet = fleet(&load);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ghosts = runtime.block_on(Ghosts::connected(&server));
    server.stop().expect("stops");
    let stopped = now_us();
    runtime.block_on(ghosts.give_up());
    pause(STOPPED.saturating_sub(Duration::from_micros(now_us() - stopped)));
    server.cont().expect("goes on");
    let back = now_us();

    pause(Duration::from_millis(300));
    let at_first = (locks(&server), members(&server));
    pause(Duration::from_micros(SLOT_TTL_US + SECOND_US));
    let later = (locks(&server), members(&server));
    let end = now_us();
    let record = finish(fleet);

    tell(row, &record, (stopped, end));
    println!(
        "{row}: {} slots and {} members on record after the stop",
        at_first.0.len(),
        at_first.1
    );
    println!(
        "{row}: {} slots and {} members on record one ttl later",
        later.0.len(),
        later.1
    );
    record.check();
    undisturbed(row, &record, stopped, back);
    assert!(20 < at_first.0.len(), "what was asked for is executed late");
    let holding = record
        .holdings
        .iter()
        .filter(|holding| end <= holding.to_us + SECOND_US);
    let held: BTreeSet<String> = holding
        .map(|holding| format!("raus:id:{}", holding.slot))
        .collect();
    assert_eq!(later.0, held, "whoever gave up holds nothing one ttl later");
    assert_eq!(later.1, 8, "and is no member");
}

fn locks(server: &RedisServer) -> BTreeSet<String> {
    let keys: Vec<String> = server.query(&["KEYS", "raus:id:*"]).expect("answers");
    keys.into_iter().collect()
}

fn members(server: &RedisServer) -> u32 {
    server
        .query(&["ZCARD", "red-buckets:{fleet}:lease"])
        .expect("answers")
}

/// Ten who want slots and five who want buckets, each connected as a process of its own.
struct Ghosts {
    raus: Vec<Raus>,
    groups: Vec<Redbuckets>,
}

impl Ghosts {
    async fn connected(server: &RedisServer) -> Self {
        let here = tokio::runtime::Handle::current;
        let raus = (0..10).map(|_| {
            let raus = Raus::builder(&server.url(), 0..=1_023)
                .ttl(Duration::from_micros(SLOT_TTL_US))
                .placement(::raus::Placement::Runtime(here()));
            raus.build().expect("valid")
        });
        let groups = (0..5).map(|_| {
            let group = Redbuckets::builder(&server.url(), "fleet")
                .buckets(1_024)
                .ttl(Duration::from_micros(BUCKET_TTL_US))
                .placement(redbuckets::Placement::Runtime(here()));
            group.build().expect("valid")
        });
        let ghosts = Self {
            raus: raus.collect(),
            groups: groups.collect(),
        };
        // Connections that exist carry what is asked while the server stands still.
        for raus in &ghosts.raus {
            let (first, second) = (raus.acquire().await, raus.acquire().await);
            for machine_id in [first, second] {
                machine_id
                    .expect("free")
                    .release()
                    .await
                    .expect("given back");
            }
        }
        for group in &ghosts.groups {
            group
                .join()
                .await
                .expect("joins")
                .leave()
                .await
                .expect("leaves");
        }
        ghosts
    }

    async fn give_up(self) {
        let holders = self.raus.iter().map(async |raus| {
            let outcome = raus.acquire().await;
            assert!(
                matches!(outcome, Err(AcquireError::Store(_))),
                "{outcome:?}"
            );
        });
        let workers = self.groups.iter().map(async |group| {
            group.join().await.expect_err("the server stands still");
        });
        futures_util::future::join(join_all(holders), join_all(workers)).await;
    }
}
