//! A program whose lease is lost: told, ended, and gone before another can get its machine ID.

use std::time::Duration;

use coord_core::clock::{Clock, SystemClock};
use coord_tests::{
    program::{Line, Running},
    server::RedisServer,
    wait,
};

use super::{LIMIT, exec, finish, server};

const TTL: Duration = Duration::from_secs(3);
const SHORT: [&str; 4] = ["--ttl", "3s", "--heartbeat", "200ms"];

/// Prints its machine ID, then what it is told, and a tick all the time.
fn talker(server: &RedisServer, options: &[&str], on_term: &str) -> Running {
    let script = format!(
        r#"echo id $MACHINE_ID; trap '{on_term}' TERM; trap 'echo heard USR1' USR1
        while :; do echo tick; sleep 0.02; done"#
    );
    let running = exec(server, options, &script);
    running.wait_for_lines(3, LIMIT).expect("it starts");
    running
}

#[track_caller]
fn wait_for_line(running: &Running, wanted: impl Fn(&Line) -> bool) {
    let found = wait::until(LIMIT, || running.lines().pop().filter(|line| wanted(line)));
    assert!(found.is_some(), "it goes on: {}", running.stderr());
}

#[test]
fn without_a_server_the_program_is_told_in_time_to_end_by_itself() {
    let server = server();
    let mut running = talker(&server, &SHORT, "echo told; exit 0");
    let killed_at = SystemClock.now();
    server.kill().expect("it runs");
    let told = running
        .wait_for_line(LIMIT, |line| line == "told")
        .expect("it is told");
    assert!(
        told.at < killed_at + TTL,
        "told {:?} after the server went",
        told.at.saturating_since(killed_at)
    );
    let outcome = finish(&mut running);
    // Its own code would say that all was well.
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    assert!(outcome.stderr.contains("at risk"), "{outcome:?}");
}

#[test]
fn a_program_that_does_not_listen_is_gone_before_the_deadline() {
    let server = server();
    // Long enough that a busy machine is late by less than the margin that coordctl keeps.
    let ttl = Duration::from_secs(12);
    let options = ["--ttl", "12s", "--heartbeat", "200ms"];
    let mut running = talker(&server, &options, "echo deaf");
    let stopped_at = SystemClock.now();
    server.stop().expect("it runs");
    let outcome = finish(&mut running);
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    assert!(
        outcome.stdout.contains("deaf"),
        "it was told first: {outcome:?}"
    );
    assert!(outcome.stderr.contains("SIGKILL"), "{outcome:?}");
    // The last acknowledged renewal was sent before the server stopped, and the server counts a ttl from later on.
    let last = running.lines().pop().expect("it has printed");
    let alive = last.at.saturating_since(stopped_at);
    assert!(alive < ttl, "it ran for {alive:?} after the server stopped");
}

#[test]
fn what_the_program_has_started_goes_with_it() {
    let server = server();
    let script = "echo ready; (trap '' TERM; while :; do echo tick; sleep 0.02; done) & wait";
    let mut running = exec(&server, &SHORT, script);
    running.wait_for_lines(3, LIMIT).expect("it starts");
    server.kill().expect("it runs");
    // Ends only when nobody holds the output any more.
    assert_eq!(finish(&mut running).code, Some(5));
}

#[test]
fn what_the_program_has_started_has_the_whole_grace_even_if_the_program_ends_at_once() {
    let server = server();
    let script =
        "(trap 'sleep 0.5; echo bye; exit' TERM; echo ready; while :; do sleep 0.02; done) & wait";
    let options = ["--ttl", "12s", "--heartbeat", "200ms"];
    let mut running = exec(&server, &options, script);
    running
        .wait_for_line(LIMIT, |line| line == "ready")
        .expect("it starts");
    server.kill().expect("it runs");
    let outcome = finish(&mut running);
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    assert!(outcome.stdout.ends_with("bye\n"), "{outcome:?}");
}

#[test]
fn a_kill_comes_without_a_word_to_the_program_and_its_group() {
    let server = server();
    let options = [&SHORT[..], &["--on-lost", "kill"]].concat();
    let script =
        "trap 'echo told' TERM; (trap 'echo told' TERM; while :; do echo tick; sleep 0.02; done) & 
        while :; do sleep 0.02; done";
    let mut running = exec(&server, &options, script);
    running.wait_for_lines(3, LIMIT).expect("it starts");
    server.kill().expect("it runs");
    // Ends only when nobody holds the output any more.
    let outcome = finish(&mut running);
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    assert!(!outcome.stdout.contains("told"), "{outcome:?}");
    assert!(outcome.stderr.contains("SIGKILL"), "{outcome:?}");
}

#[test]
fn a_lock_that_is_anothers_is_respected_at_once() {
    let server = server();
    let long = ["--ttl", "60s", "--heartbeat", "200ms", "--range", "6"];
    let script = "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    let mut running = exec(&server, &long, script);
    running
        .wait_for_line(LIMIT, |line| line == "ready")
        .expect("it starts");
    server
        .cli(&["SET", "raus:id:6", "a-stranger"])
        .expect("it answers");
    let began = SystemClock.now();
    let outcome = finish(&mut running);
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    assert!(
        outcome.stderr.contains("another holder's value"),
        "{outcome:?}"
    );
    assert!(
        SystemClock.now() < began + Duration::from_secs(30),
        "long before its deadline"
    );
    let lock: String = server.query(&["GET", "raus:id:6"]).expect("it answers");
    assert_eq!(lock, "a-stranger");
}

#[test]
fn a_signal_of_choice_is_all_that_is_sent() {
    let server = server();
    let mut running = talker(
        &server,
        &[&SHORT[..], &["--on-lost", "signal:USR1"]].concat(),
        "echo bye; exit 4",
    );
    server.kill().expect("it runs");
    running
        .wait_for_line(LIMIT, |line| line == "heard USR1")
        .expect("it is told");
    let ticks = running.line_count();
    running
        .wait_for_lines(ticks + 200, LIMIT)
        .expect("it goes on");
    running.process().terminate().expect("it runs");
    assert_eq!(finish(&mut running).code, Some(4));
}

#[test]
fn a_loss_can_be_ignored() {
    let server = server();
    let mut running = talker(
        &server,
        &[&SHORT[..], &["--on-lost", "ignore"]].concat(),
        "echo bye; exit 4",
    );
    let killed_at = SystemClock.now();
    server.kill().expect("it runs");
    let after = |line: &Line| killed_at + 2 * TTL < line.at;
    wait_for_line(&running, after);
    running.process().terminate().expect("it runs");
    let outcome = finish(&mut running);
    assert_eq!(outcome.code, Some(4));
    assert!(outcome.stderr.contains("was lost"), "{outcome:?}");
}

#[test]
fn a_server_that_comes_back_in_time_changes_nothing() {
    let server = server();
    let mut running = talker(&server, &["--ttl", "20s"], "echo told; exit 4");
    server.stop().expect("it runs");
    let paused_at = SystemClock.now();
    let half = |line: &Line| paused_at + Duration::from_secs(2) < line.at;
    wait_for_line(&running, half);
    server.cont().expect("it is stopped");
    let resumed = SystemClock.now();
    let later = |line: &Line| resumed + Duration::from_secs(2) < line.at;
    wait_for_line(&running, later);
    assert!(!running.lines().iter().any(|line| line.text == "told"));
    running.process().terminate().expect("it runs");
    assert_eq!(finish(&mut running).code, Some(4));
}
