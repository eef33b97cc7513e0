//! The network between some of the fleet and the server fails, in the ways that networks do.

use coord_tests::proxy::{Direction, Proxy};

use super::*;

const CUT: Duration = Duration::from_secs(12);
/// Holders, newcomers included, are more than the slots that nobody holds.
const HIGHEST: u32 = 24;

/// Whether this member's process goes through the proxy: every other one does, the first too.
fn is_cut(who: &str) -> bool {
    is_old(who) && (who[1..].starts_with('0') || who[1..].starts_with('2'))
}

/// Half of the fleet is cut off for longer than any ttl, while the other half and newcomers want what it has.
fn cut_for_twelve_seconds(direction: Direction) {
    let row = format!("cut for 12 s: {direction:?}");
    let server = RedisServer::start().expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("a proxy");
    let mut load = Load::on(proxy.url()).and_on(server.url());
    load.holders.highest = HIGHEST;
    let mut fleet = fleet(&load);
    proxy.hold(direction).expect("holds");
    let cut = now_us();
    newcomers(&mut fleet, &load, "a");
    newcomers(&mut fleet, &load, "b");
    pause(CUT);
    let resumed = now_us();
    proxy.resume().expect("resumes");
    pause(Duration::from_secs(6));
    fleet
        .wait_shared(PATIENCE)
        .expect("every bucket has its owner");
    let end = now_us();
    let record = finish(fleet);

    tell(&row, &record, (cut, end));
    record.check();
    assert_none_after_deadline(&record, cut, resumed);
    let others = record.longest_silence((cut, end), |who| is_old(who) && !is_cut(who));
    assert!(others < SOON, "the others mint on: {others:?}");
    assert_eq!(how_many(&record, Role::Workers, "lost", (cut, resumed)), 4);
    let recovered = record.recovered_after(resumed, |who| is_cut(who) && who.starts_with('w'));
    println!("{row}: the workers that were cut off are members again {recovered:?} after the end");
    assert!(recovered < SOON, "{recovered:?}");
    let taken_over = record.events_of("acquired", (cut, end)).count();
    println!("{row}: {taken_over} of 10 newcomers got a slot; 5 were free");
}

/// Whoever is cut off works up to its deadline and not beyond, and mints up to its horizon and not beyond.
fn assert_none_after_deadline(record: &Record, cut: u64, resumed: u64) {
    let mut last = 0;
    for who in record.members(Role::Workers).filter(|who| is_cut(who)) {
        let worked = record
            .last_worked(who, (cut, resumed))
            .expect("works up to then");
        assert!(
            worked <= cut + BUCKET_TTL_US,
            "{who} worked past its deadline"
        );
        last = last.max(worked - cut);
    }
    println!(
        "last work in a bucket {:?} after the cut",
        Duration::from_micros(last)
    );
    for holding in record
        .holdings
        .iter()
        .filter(|holding| is_cut(&holding.who))
    {
        let is_earlier = holding.from_us < cut;
        assert!(
            !is_earlier || holding.to_us <= cut + SLOT_TTL_US || resumed <= holding.to_us,
            "{holding}"
        );
    }
    last = 0;
    for who in record.members(Role::Holders).filter(|who| is_cut(who)) {
        let minted = record
            .last_minted(who, (cut, resumed))
            .expect("mints up to then");
        assert!(
            minted <= cut + SLOT_TTL_US + SECOND_US,
            "{who} minted past its horizon"
        );
        last = last.max(minted - cut);
    }
    println!("last ID {:?} after the cut", Duration::from_micros(last));
}

#[test]
fn a_cut_in_both_directions_stops_whoever_is_cut_off_in_time() {
    cut_for_twelve_seconds(Direction::Both);
}

#[test]
fn a_cut_of_the_requests_stops_whoever_is_cut_off_in_time() {
    cut_for_twelve_seconds(Direction::ToServer);
}

#[test]
fn a_cut_of_the_replies_stops_whoever_is_cut_off_in_time() {
    cut_for_twelve_seconds(Direction::ToClient);
}

/// Existing sockets are dead and stay so, as after a firewall has forgotten them; new ones work.
#[test]
fn half_open_connections_are_replaced_before_anything_is_lost() {
    let row = "half-open connections";
    let server = RedisServer::start().expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("a proxy");
    let load = Load::on(proxy.url());
    let mut fleet = fleet(&load);
    proxy.half_open(Direction::Both).expect("holds");
    let cut = now_us();
    newcomers(&mut fleet, &load, "");
    pause(Duration::from_secs(5));
    wait_working(&fleet);
    let end = now_us();
    let record = finish(fleet);

    tell(row, &record, (cut, end));
    record.check();
    assert_none(&record, "lost", (cut, end), "new connections work");
    assert_none(&record, "stalled", (cut, end), "new connections work");
    let recovered = record.recovered_after(cut, is_old);
    println!("{row}: all renewed over new connections after {recovered:?}");
    assert!(recovered < SOON, "{recovered:?}");
}

#[test]
fn a_link_with_200_ms_each_way_serves_for_everything() {
    let row = "200 ms each way";
    let server = RedisServer::start().expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("a proxy");
    let delay = Duration::from_millis(200);
    proxy.delay(delay, delay).expect("delays");
    let load = Load::on(proxy.url());
    let began = now_us();
    let mut fleet = fleet(&load);
    let working = now_us();
    pause(Duration::from_secs(5));
    newcomers(&mut fleet, &load, "");
    wait_working(&fleet);
    pause(Duration::from_secs(3));
    let end = now_us();
    let record = finish(fleet);

    tell(row, &record, (began, end));
    record.check();
    for event in record.events_of("acquired", (began, end)).take(3) {
        println!("{row}: {} {}", event.who, event.detail);
    }
    assert_none(&record, "lost", (working, end), "the link is slow, not cut");
    assert_none(
        &record,
        "stalled",
        (working, end),
        "the link is slow, not cut",
    );
    let seconds = usize::try_from((end - working) / SECOND_US).expect("few");
    for who in record
        .members(Role::Holders)
        .chain(record.members(Role::Workers))
        .filter(|who| is_old(who))
    {
        let beats = record.beats_in(who, (working, end));
        assert!(
            seconds / 3 <= beats,
            "{who}: {beats} heartbeats in {seconds} s"
        );
    }
}
