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
    server.stop().expect("stops");
    let stopped = now_us();
    let given_up = give_up(&server);
    let left = STOPPED.saturating_sub(Duration::from_micros(now_us() - stopped));
    pause(left);
    server.cont().expect("goes on");
    let back = now_us();

    pause(Duration::from_millis(300));
    let locks = || -> BTreeSet<String> {
        let keys: Vec<String> = server.query(&["KEYS", "raus:id:*"]).expect("answers");
        keys.into_iter().collect()
    };
    let with_ghosts = locks();
    pause(Duration::from_micros(SLOT_TTL_US + SECOND_US));
    let end = now_us();
    let without = locks();
    let record = finish(fleet);

    tell(row, &record, (stopped, end));
    println!(
        "{row}: {given_up} newcomers gave up; {} locks after the stop, {} after one ttl",
        with_ghosts.len(),
        without.len()
    );
    record.check();
    undisturbed(row, &record, stopped, back);
    let held: BTreeSet<String> = record
        .holdings
        .iter()
        .filter(|holding| end <= holding.to_us + SECOND_US)
        .map(|holding| format!("raus:id:{}", holding.slot))
        .collect();
    assert_eq!(without, held, "whoever gave up holds nothing one ttl later");
    let members: u32 = server
        .query(&["ZCARD", "red-buckets:fleet:lease"])
        .expect("answers");
    assert_eq!(members, 0, "the fleet has left, and no ghost is a member");
}

/// How many of ten holders and five workers found out that they could not get in.
fn give_up(server: &RedisServer) -> usize {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let holders = join_all((0..10).map(|_| async {
            // A connection of its own for each, as ten processes have.
            let raus = Raus::builder(&server.url(), 0..=1_023)
                .ttl(Duration::from_micros(SLOT_TTL_US))
                .placement(::raus::Placement::Runtime(tokio::runtime::Handle::current()))
                .build()
                .expect("valid");
            let outcome = raus.acquire().await;
            assert!(
                matches!(outcome, Err(AcquireError::Store(_))),
                "{outcome:?}"
            );
        }));
        let workers = join_all((0..5).map(|_| async {
            let group = Redbuckets::builder(&server.url(), "fleet")
                .buckets(1_024)
                .ttl(Duration::from_micros(BUCKET_TTL_US))
                .placement(redbuckets::Placement::Runtime(
                    tokio::runtime::Handle::current(),
                ))
                .build()
                .expect("valid");
            group.join().await.expect_err("the server stands still");
        }));
        let (holders, workers) = futures_util::future::join(holders, workers).await;
        holders.len() + workers.len()
    })
}
