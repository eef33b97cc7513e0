//! The server's clock is stepped.
//!
//! Leases count by the server's clock, holders by their own. A server that is suddenly ahead takes leases for over that
//! are not.

use ::raus::{Event, Raus};
use coord_tests::{clock::FakeClock, fleet::Job};
use snowflake::{Generator, MintError};

use super::*;

const HOUR_MS: i64 = 3_600_000;

/// What became of a fleet whose server's clock was stepped at `at`.
struct Stepped {
    record: Record,
    at: u64,
    end: u64,
}

/// A fleet on a server whose clock is stepped by `by_ms` and stays there; `arrive` adds newcomers at that moment.
fn stepped(
    row: &str,
    by_ms: i64,
    adjust: impl FnOnce(&mut Load),
    arrive: impl FnOnce(&mut Fleet, &Load, &FakeClock),
) -> Stepped {
    let clock = FakeClock::new().expect("libfaketime is there");
    let server = RedisServer::builder()
        .clock(&clock)
        .start()
        .expect("starts");
    let mut load = Load::on(server.url());
    load.holders.highest = 29;
    adjust(&mut load);
    let mut fleet = fleet(&load);
    let at = now_us();
    clock.set_offset_ms(by_ms).expect("is set");
    arrive(&mut fleet, &load, &clock);
    pause(Duration::from_secs(10));
    let end = now_us();
    let record = finish(fleet);
    tell(row, &record, (at, end));
    let (slots, buckets) = (
        record.longest_slot_overlap(),
        record.longest_bucket_overlap(),
    );
    println!("{row}: two believed to have a slot for {slots:?}, a bucket for {buckets:?}");
    Stepped { record, at, end }
}

impl Stepped {
    /// No ID twice, fences and epochs rise, and two believe to have one thing no longer than until the next heartbeat
    /// of the one who lost it, who is told.
    fn check(&self) {
        coord_tests::ids::assert_all_distinct(&self.record.ids);
        let fell = self.record.bucket_violations().into_iter();
        let fell: Vec<String> = fell.filter(|it| !it.starts_with("both at once")).collect();
        assert_eq!(fell, [""; 0]);
        let longest = self
            .record
            .longest_bucket_overlap()
            .max(self.record.longest_slot_overlap());
        assert!(
            longest < SOON,
            "two believed to have one thing for {longest:?}"
        );
    }

    fn span(&self) -> (u64, u64) {
        (self.at, self.end)
    }
}

#[test]
fn a_server_clock_60_s_ahead_is_reported_and_refuses_newcomers() {
    let row = "server clock +60 s";
    let stepped = stepped(
        row,
        60_000,
        |_| {},
        |fleet, load, _| newcomers(fleet, load, ""),
    );
    let record = &stepped.record;
    record.check();
    let lost = record.events_of("lost", stepped.span()).next();
    assert_eq!(lost, None, "whoever is heard in time is not taken for dead");
    for kind in ["clockskewed", "reasserted"] {
        let told = how_many(record, Role::Holders, kind, stepped.span());
        assert_eq!(told, 20, "{kind}: every holder is told");
    }
    let lost = how_many(record, Role::Holders, "lost", stepped.span());
    assert_eq!(lost, 0, "no slot goes to a newcomer whose clock is right");
    let granted = record.events_of("acquired", stepped.span()).next();
    assert_eq!(granted, None, "newcomers are refused");
    let refused = record.events_of("acquire_failed", stepped.span());
    let mut refused = refused
        .filter(|event| event.detail.contains("wall clock"))
        .peekable();
    assert!(refused.peek().is_some(), "and told why");
}

#[test]
fn a_server_clock_one_hour_behind_changes_nothing_for_who_is_there() {
    let row = "server clock -1 h";
    let stepped = stepped(
        row,
        -HOUR_MS,
        |_| {},
        |fleet, load, _| newcomers(fleet, load, ""),
    );
    stepped.record.check();
    let told = how_many(
        &stepped.record,
        Role::Holders,
        "clockskewed",
        stepped.span(),
    );
    assert_eq!(told, 20, "every holder is told");
    assert_none(
        &stepped.record,
        "lost",
        stepped.span(),
        "nothing ends early",
    );
    assert_none(
        &stepped.record,
        "stalled",
        stepped.span(),
        "minting goes on",
    );
}

/// The newcomers' host has the same wrong clock, so nothing tells them.
#[test]
fn a_step_of_everybodys_clock_gives_newcomers_what_nobody_has() {
    let row = "server and newcomers +60 s";
    let stepped = stepped(
        row,
        60_000,
        |_| {},
        |fleet, load, clock| {
            let job: Job = load.holders.clone().named("newh").at(&load.urls[0]);
            fleet.add(&job, Some(clock)).expect("starts");
        },
    );
    stepped.record.check();
    let lost = stepped.record.events_of("lost", stepped.span()).next();
    assert_eq!(lost, None, "whoever is heard in time is not taken for dead");
    let granted = stepped.record.events_of("acquired", stepped.span()).count();
    assert_eq!(granted, 5, "there are slots that nobody had");
}

/// A step that is tolerated as skew, longer than what is left of the leases, and no other slot is free: this is where
/// a slot can be believed held twice.
#[test]
fn a_tolerated_step_beyond_the_ttl_is_detected_at_the_next_heartbeat() {
    let row = "server clock +8 s, ttl 6 s, no other slot";
    let adjust = |load: &mut Load| {
        load.holders.highest = 19;
        load.holders.ttl_ms = 6_000;
        load.worker_processes = 0;
    };
    let stepped = stepped(row, 8_000, adjust, |fleet, load, _| {
        let job = load.holders.clone().named("newh").at(&load.urls[0]);
        fleet.add(&job, None).expect("starts");
    });
    stepped.check();
    let lost = how_many(&stepped.record, Role::Holders, "lost", stepped.span());
    // Some of those who lost theirs take another's in turn.
    let granted = |kind| stepped.record.events_of(kind, stepped.span()).count();
    let granted = granted("acquired") + granted("reacquired");
    assert_eq!(lost, granted, "whoever lost a slot to another is told");
}

/// Where the clocks contradict each other, the horizon follows what is minted, so who mints nothing comes to its end.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_holder_stops_at_its_horizon_while_the_servers_clock_is_behind() {
    const TTL: Duration = Duration::from_secs(2);
    let clock = FakeClock::new().expect("libfaketime is there");
    let server = RedisServer::builder()
        .clock(&clock)
        .start()
        .expect("starts");
    let raus = Raus::builder(&server.url(), 0..=9)
        .ttl(TTL)
        .heartbeat(TTL / 10)
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let mut events = machine_id.events();
    let generator = Generator::from_raus(machine_id).await.expect("fits");
    generator.next().await.expect("mints");
    clock.set_offset_ms(-HOUR_MS).expect("is set");
    tokio::time::sleep(TTL * 2).await;
    let outcome = generator.try_next();
    assert!(
        matches!(outcome, Err(MintError::HorizonReached { .. })),
        "{outcome:?}"
    );
    let said = events.next().await.expect("something is said");
    assert!(matches!(said, Event::ClockSkewed { .. }), "{said:?}");
    clock.set_offset_ms(0).expect("is set");
    let again = generator.next_within(PATIENCE).await;
    again.expect("mints again once the clocks agree");
}
