//! The server's clock is stepped.

use coord_tests::{clock::FakeClock, fleet::Job};

use super::*;

const HOUR_MS: i64 = 3_600_000;

/// A fleet on a server whose clock is stepped by `by_ms` and stays there; newcomers arrive at the same moment.
fn stepped(
    row: &str,
    by_ms: i64,
    with_newcomers: impl FnOnce(&mut Fleet, &Load, &FakeClock),
) -> (Record, u64, u64) {
    let clock = FakeClock::new().expect("libfaketime is there");
    let server = RedisServer::builder()
        .clock(&clock)
        .start()
        .expect("starts");
    let mut load = Load::on(server.url());
    load.holders.highest = 29;
    let mut fleet = fleet(&load);
    let before = now_us();
    clock.set_offset_ms(by_ms).expect("is set");
    with_newcomers(&mut fleet, &load, &clock);
    pause(Duration::from_secs(12));
    let end = now_us();
    let record = finish(fleet);
    tell(row, &record, (before, end));
    let found = record.bucket_violations();
    println!(
        "{row}: {} violations among buckets, longest overlap {:?}",
        found.len(),
        record.longest_bucket_overlap()
    );
    (record, before, end)
}

#[test]
fn a_server_clock_60_s_ahead_makes_no_duplicate() {
    let row = "server clock +60 s";
    let (record, before, end) = stepped(row, 60_000, |fleet, load, _| newcomers(fleet, load, ""));
    record.check_ids_and_slots();
    let refused = record.events_of("acquire_failed", (before, end)).count();
    println!("{row}: {refused} acquisitions refused");
}

#[test]
fn a_server_clock_one_hour_behind_makes_no_duplicate() {
    let row = "server clock -1 h";
    let (record, before, end) = stepped(row, -HOUR_MS, |fleet, load, _| newcomers(fleet, load, ""));
    record.check();
    let _ = (before, end);
}

#[test]
fn a_step_of_everybodys_clock_makes_no_duplicate() {
    let row = "server's and newcomers' clocks +60 s";
    let (record, _, _) = stepped(row, 60_000, |fleet, load, clock| {
        let job: Job = load.holders.clone().named("newh").at(&load.urls[0]);
        fleet.add(&job, Some(clock)).expect("starts");
    });
    record.check_ids_and_slots();
}
