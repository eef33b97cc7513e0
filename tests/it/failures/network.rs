//! The network between some of the fleet and the server fails, in the ways that networks do.

use coord_tests::proxy::{Direction, Proxy};

use super::*;

const CUT: Duration = Duration::from_secs(12);
/// 25 slots for 20 holders and 10 newcomers: some of these want what those who are cut off have.
const FEW: u32 = 24;
const MANY: u32 = 1_023;

/// Whether this member's process goes through the proxy: every other one does, the first too.
fn is_cut(who: &str) -> bool {
    is_old(who) && (who[1..].starts_with('0') || who[1..].starts_with('2'))
}

/// Half of the fleet is cut off for longer than any ttl, while the other half and newcomers want what it has.
fn cut_for_twelve_seconds(direction: Direction, highest: u32) {
    let row = format!("cut for 12 s: {direction:?}, {} slots", highest + 1);
    let server = RedisServer::start().expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("a proxy");
    let mut load = Load::on(proxy.url()).and_on(server.url());
    load.holders.highest = highest;
    let mut fleet = fleet(&load);
    proxy.hold(direction).expect("holds");
    let cut = now_us();
    newcomers(&mut fleet, &load, "a");
    newcomers(&mut fleet, &load, "b");
    pause(CUT);
    let resumed = now_us();
    proxy.resume().expect("resumes");
    pause(Duration::from_secs(5));
    fleet
        .wait_shared(PATIENCE)
        .expect("every bucket has its owner");
    let end = now_us();
    let record = finish(fleet);

    tell(&row, &record, (cut, end));
    record.check();
    assert_stopped_in_time(&row, &record, cut, resumed);
    let others = record.longest_silence((cut, end), |who| is_old(who) && !is_cut(who));
    assert!(others < SOON, "the others mint on: {others:?}");
    for (role, count) in [(Role::Holders, 10), (Role::Workers, 4)] {
        let lost = how_many(&record, role, "lost", (cut, resumed));
        assert_eq!(lost, count, "whoever is cut off is told: {role:?}");
    }
    let newcomers = record.events_of("acquired", (cut, end)).count();
    assert_eq!(newcomers, 10, "what nobody renewed goes to newcomers");
    let again = record.recovered_after(resumed, |who| is_cut(who) && who.starts_with('w'));
    println!("{row}: workers are members again {again:?} after the end");
    assert!(again < SOON, "{again:?}");
    if highest == MANY {
        let again: Vec<u64> = record
            .events_of("mints_again", (resumed, end))
            .map(|event| event.at_us - resumed)
            .collect();
        let last = Duration::from_micros(again.iter().copied().max().unwrap_or(0));
        println!("{row}: holders mint again {last:?} after the end");
        assert_eq!(again.len(), 10, "there are slots for all");
    }
}

/// Whoever is cut off works and holds up to its deadline and not beyond, and mints up to its horizon and not beyond.
fn assert_stopped_in_time(row: &str, record: &Record, cut: u64, resumed: u64) {
    let mut last_work = 0;
    for who in record.members(Role::Workers).filter(|who| is_cut(who)) {
        let worked = record.last_worked(who, (cut, resumed));
        let worked = worked.expect("works up to then") - cut;
        assert!(worked <= BUCKET_TTL_US, "{who} worked for {worked} µs");
        last_work = last_work.max(worked);
    }
    let mut last_id = 0;
    for who in record.members(Role::Holders).filter(|who| is_cut(who)) {
        let minted = record.last_minted(who, (cut, resumed));
        let minted = minted.expect("mints up to then") - cut;
        assert!(
            minted <= SLOT_TTL_US + SECOND_US,
            "{who} minted for {minted} µs"
        );
        last_id = last_id.max(minted);
    }
    let held = record.holdings.iter();
    let held = held.filter(|holding| is_cut(&holding.who) && holding.from_us < cut);
    for holding in held {
        assert!(
            holding.to_us <= cut + SLOT_TTL_US,
            "held too long: {holding}"
        );
    }
    let (work, id) = (
        Duration::from_micros(last_work),
        Duration::from_micros(last_id),
    );
    println!("{row}: last work in a bucket {work:?}, last ID {id:?} after the cut");
}

#[test]
fn a_cut_in_both_directions_stops_whoever_is_cut_off_in_time() {
    cut_for_twelve_seconds(Direction::Both, FEW);
}

#[test]
fn a_cut_of_the_requests_stops_whoever_is_cut_off_in_time() {
    cut_for_twelve_seconds(Direction::ToServer, MANY);
}

#[test]
fn a_cut_of_the_replies_stops_whoever_is_cut_off_in_time() {
    cut_for_twelve_seconds(Direction::ToClient, MANY);
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
    for who in ["h0.0", "new-h.0"] {
        let mut acquired = record.events_of("acquired", (began, end));
        let detail = acquired.find(|event| event.who == who);
        println!(
            "{row}: {who}: {}",
            detail.map_or("nothing", |event| &event.detail)
        );
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
