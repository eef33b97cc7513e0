//! Real processes mint under leased machine IDs while they, their connections and their server fail. Every ID they
//! print is recorded; no two may be equal.

use std::time::Duration;

use coord_core::clock::{Clock, SystemClock};
use coord_tests::{
    clock::FakeClock,
    ids,
    program::{Program, Running},
    proxy::Proxy,
    server::RedisServer,
    wait,
};

const TTL: Duration = Duration::from_millis(2_000);
const PATIENCE: Duration = Duration::from_secs(30);

fn server() -> RedisServer {
    RedisServer::start().expect("redis-server starts")
}

fn mint(name: &str, url: &str, range: &str, rate: &str) -> Program {
    Program::example("mint")
        .expect("the examples build")
        .named(name)
        .args(["--redis", url, "--range", range, "--rate", rate])
        .args([
            "--ttl-ms",
            "2000",
            "--heartbeat-ms",
            "250",
            "--discovery-ms",
            "1000",
        ])
}

fn start(program: Program) -> Running {
    let running = program.spawn().expect("starts");
    running
        .wait_for_lines(1, PATIENCE)
        .unwrap_or_else(|error| panic!("{error:#}: {}", running.stderr()));
    running
}

/// Ends `running` politely and returns what it printed.
fn finish(mut running: Running) -> ids::Source {
    running.process().terminate().expect("is signalled");
    let status = running.wait(PATIENCE).expect("ends");
    assert!(status.success(), "{}: {}", running.name(), running.stderr());
    running.ids().expect("prints IDs and nothing else")
}

/// When an ID was minted, Unix ms, in the default layout.
const fn minted_ms(id: u64) -> u64 {
    (id >> 22) + 1_288_834_974_657
}

const fn slot(id: u64) -> u64 {
    id >> 12 & 0x3ff
}

fn sleep(duration: Duration) {
    // Lets the processes under test run; nothing is asserted about how long it takes.
    let _ = wait::until(duration, || None::<()>);
}

#[test]
fn processes_that_start_at_once_mint_distinct_ids() {
    let server = server();
    let processes: Vec<Running> = (0..10)
        .map(|number| {
            Program::example("mint")
                .expect("the examples build")
                .named(format!("process {number}"))
                .args(["--redis", &server.url(), "--count", "50000"])
                .spawn()
                .expect("starts")
        })
        .collect();
    let sources: Vec<ids::Source> = processes
        .into_iter()
        .map(|mut process| {
            let status = process.wait(PATIENCE).expect("ends");
            assert!(status.success(), "{}", process.stderr());
            process.ids().expect("prints IDs")
        })
        .collect();
    assert_eq!(ids::assert_all_distinct(&sources), 500_000);
    let left: Vec<String> = server.query(&["KEYS", "raus:id:*"]).expect("keys");
    assert!(
        left.is_empty(),
        "every machine ID was given back, but {left:?} were not"
    );
}

/// One process is stopped past its ttl, another takes its machine ID, and the first one goes on.
fn paused_and_succeeded(successor_clock_ms: i64) {
    let server = server();
    let paused = start(mint("paused", &server.url(), "0-0", "2000"));
    paused.process().stop().expect("stops");
    sleep(TTL + TTL / 2);
    let stopped_with = paused.line_count();

    let clock = FakeClock::new().expect("libfaketime is there");
    clock.set_offset_ms(successor_clock_ms).expect("sets");
    let successor = start(mint("successor", &server.url(), "0-0", "2000").clock(&clock));
    paused.process().cont().expect("continues");
    sleep(TTL);
    let after_waking = paused.line_count() - stopped_with;
    let while_disturbed = successor.line_count();
    sleep(TTL / 2);
    assert!(
        while_disturbed < successor.line_count(),
        "the successor mints on"
    );
    assert!(
        !successor.stderr().contains("Lost"),
        "the successor keeps its slot: {}",
        successor.stderr()
    );
    // A tick of at most two IDs may have been on its way to the pipe when the process was stopped.
    assert!(
        after_waking <= 2,
        "{after_waking} IDs under a slot that is another's"
    );

    let from_successor = finish(successor);
    assert!(
        wait::until(PATIENCE, || (stopped_with + 10 < paused.line_count())
            .then_some(()))
        .is_some(),
        "the first process gets the slot back and mints on: {}",
        paused.stderr()
    );
    let from_paused = finish(paused);
    assert!(ids::assert_all_distinct(&[from_paused, from_successor]) > 1_000);
}

#[test]
fn a_process_that_was_stopped_past_its_ttl_mints_nothing_under_its_old_slot() {
    paused_and_succeeded(0);
}

#[test]
fn a_successor_whose_clock_is_five_seconds_behind_mints_distinct_ids() {
    paused_and_succeeded(-5_000);
}

#[test]
fn the_slot_of_a_killed_process_is_taken_over_without_a_duplicate() {
    let server = server();
    let mut killed = start(mint("killed", &server.url(), "0-0", "2000"));
    killed.wait_for_lines(500, PATIENCE).expect("mints");
    killed.kill().expect("is killed");
    killed.wait(PATIENCE).expect("is dead");
    sleep(TTL + TTL / 4);
    let heir = start(mint("heir", &server.url(), "0-0", "2000"));
    heir.wait_for_lines(500, PATIENCE).expect("mints");
    let sources = [killed.ids().expect("prints IDs"), finish(heir)];
    assert!(ids::assert_all_distinct(&sources) >= 1_000);
}

#[test]
fn a_process_that_is_cut_off_stops_at_its_horizon_and_gets_another_slot() {
    let server = server();
    let proxy = Proxy::in_front_of(&server).expect("proxy");
    let cut = start(mint("cut off", &proxy.url(), "0-1", "1000"));
    proxy.cut().expect("cuts");
    sleep(TTL + TTL / 2);
    let others = start(mint("other", &server.url(), "0-1", "1000"));
    proxy.resume().expect("resumes");
    let before = cut.line_count();
    assert!(
        wait::until(PATIENCE, || (before + 100 < cut.line_count()).then_some(())).is_some(),
        "{}",
        cut.stderr()
    );
    let sources = [finish(cut), finish(others)];
    assert!(ids::assert_all_distinct(&sources) > 1_000);
}

#[test]
fn minting_survives_its_server_up_to_the_horizon_and_goes_on_when_it_is_back() {
    let server = RedisServer::builder().persistent().start().expect("starts");
    let process = start(mint("process", &server.url(), "0-9", "1000"));
    process.wait_for_lines(1_000, PATIENCE).expect("mints");
    server.kill().expect("kills");
    let killed_ms = SystemClock.wall_ms();
    sleep(2 * TTL);
    let stopped_with = process.line_count();
    sleep(TTL / 4);
    assert_eq!(
        process.line_count(),
        stopped_with,
        "nothing is minted past the horizon"
    );

    server.restart().expect("restarts");
    process
        .wait_for_lines(stopped_with + 1_000, PATIENCE)
        .expect("mints on");
    let source = finish(process);
    let ttl_ms = u64::try_from(TTL.as_millis()).expect("fits");
    let last_before = source.ids[..stopped_with]
        .iter()
        .map(|&id| minted_ms(id))
        .max()
        .expect("some");
    // The horizon is one ttl after the last renewal, which was sent at most a heartbeat before the server died.
    assert!(
        last_before < killed_ms + ttl_ms,
        "{last_before} is past the horizon"
    );
    assert!(
        killed_ms + ttl_ms - 500 < last_before,
        "{last_before} is before the horizon"
    );
    ids::assert_all_distinct(&[source]);
}

#[test]
fn an_empty_restart_under_twenty_holders_and_twenty_newcomers_makes_no_duplicate() {
    let server = server();
    let holders: Vec<Running> = (0..20)
        .map(|number| {
            mint(&format!("holder {number}"), &server.url(), "0-63", "100")
                .spawn()
                .expect("starts")
        })
        .collect();
    for holder in &holders {
        holder
            .wait_for_lines(20, PATIENCE)
            .unwrap_or_else(|error| panic!("{error:#}: {}", holder.stderr()));
    }
    server.wipe_and_restart().expect("restarts");
    let newcomers: Vec<Running> = (0..20)
        .map(|number| {
            mint(&format!("newcomer {number}"), &server.url(), "0-63", "100")
                .spawn()
                .expect("starts")
        })
        .collect();
    for newcomer in &newcomers {
        newcomer
            .wait_for_lines(50, PATIENCE)
            .unwrap_or_else(|error| panic!("{error:#}: {}", newcomer.stderr()));
    }
    for holder in &holders {
        assert!(
            !holder.stderr().contains("Lost"),
            "{}: {}",
            holder.name(),
            holder.stderr()
        );
    }
    let sources: Vec<ids::Source> = holders.into_iter().chain(newcomers).map(finish).collect();
    let slots: std::collections::BTreeSet<u64> =
        sources.iter().map(|source| slot(source.ids[0])).collect();
    assert_eq!(slots.len(), 40, "no slot was granted twice");
    assert!(ids::assert_all_distinct(&sources) > 2_000);
}
