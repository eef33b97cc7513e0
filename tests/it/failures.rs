//! What happens to users when something fails, one module for each kind of fault: a fleet of real processes works on a
//! real server, the fault comes and goes, and everything that was recorded is judged. `docs/failures` tells it.

mod blocked;
mod cancelled;
mod clocks;
mod forgetting;
mod memory;
mod network;
mod server_down;
mod silent;
mod slews;
mod split_brain;

use std::time::Duration;

use coord_tests::{
    fleet::{Fleet, Load, Record, Role, now_us, pause},
    server::RedisServer,
};

/// For what has to happen and may take long on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon a fleet is at work again, at most, on such a machine; what it took is printed.
const SOON: Duration = Duration::from_secs(5);
const SECOND_US: u64 = 1_000_000;
/// The ttl of the fleet's workers, µs; its holders' is 10 s.
const BUCKET_TTL_US: u64 = 9 * SECOND_US;
const SLOT_TTL_US: u64 = 10 * SECOND_US;

/// A fleet at work.
fn fleet(load: &Load) -> Fleet {
    let fleet = Fleet::start(env!("CARGO_BIN_EXE_fleet"), load).expect("starts");
    wait_working(&fleet);
    pause(Duration::from_secs(1));
    fleet
}

#[track_caller]
fn wait_working(fleet: &Fleet) {
    fleet
        .wait_working(PATIENCE)
        .unwrap_or_else(|error| panic!("{error:#}"));
}

/// Five holders and two workers more, by the last way to the store.
fn newcomers(fleet: &mut Fleet, load: &Load, name: &str) {
    let url = load.urls.last().expect("a fleet has a store");
    let jobs = [("h", &load.holders), ("w", &load.workers)];
    for (role, job) in jobs {
        let job = job.clone().named(format!("new-{name}{role}")).at(url);
        fleet.add(&job, None).expect("starts");
    }
}

fn is_old(who: &str) -> bool {
    !who.starts_with("new")
}

#[track_caller]
fn finish(fleet: Fleet) -> Record {
    fleet
        .finish(PATIENCE)
        .unwrap_or_else(|error| panic!("{error:#}"))
}

/// Prints what a user would have seen from the fault to the end of the test.
fn tell(row: &str, record: &Record, span: (u64, u64)) {
    let ids: usize = record.ids.iter().map(|source| source.ids.len()).sum();
    let (slots, buckets) = (record.holdings.len(), record.visits.len());
    println!("{row}: {ids} IDs, {slots} grants of slots, {buckets} of buckets");
    print!("{}", record.story(span));
}

#[track_caller]
fn assert_none(record: &Record, kind: &str, span: (u64, u64), why: &str) {
    let found: Vec<_> = record
        .events_of(kind, span)
        .filter(|event| is_old(&event.who))
        .take(3)
        .collect();
    assert!(found.is_empty(), "{why}: {found:?}");
}

/// How many old members of this role had this event in this span.
fn how_many(record: &Record, role: Role, kind: &str, span: (u64, u64)) -> usize {
    let members = record.members(role).filter(|who| is_old(who));
    members
        .filter(|who| record.events_of(kind, span).any(|event| event.who == **who))
        .count()
}
