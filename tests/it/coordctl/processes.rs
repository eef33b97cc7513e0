//! What a program under `id exec` starts, leaves behind, and does not hear of.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use coord_tests::{
    process::Process,
    program::{Program, Running},
    server::RedisServer,
    wait,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{LIMIT, exec, finish, run, server};

/// The process that the program says it is.
fn own_pid(running: &Running) -> Pid {
    let line = running.wait_for_line(LIMIT, |line| line.starts_with("pid "));
    let line = line.expect("it starts").text;
    Pid::from_raw(line["pid ".len()..].parse().expect("a number"))
}

#[track_caller]
fn wait_for_message(running: &Running, text: &str) {
    let found = wait::until(LIMIT, || running.stderr().contains(text).then_some(()));
    assert!(
        found.is_some(),
        "{text:?} is not said: {}",
        running.stderr()
    );
}

fn held(server: &RedisServer) -> serde_json::Value {
    run(server, &["id", "list", "--json"]).json()["held"].clone()
}

#[test]
fn what_a_program_leaves_behind_ends_before_its_machine_id_is_free() {
    let server = server();
    let folder = tempfile::tempdir().expect("a directory");
    let status = folder.path().join("lease");
    let (status, flag) = (status.display(), folder.path().join("flag"));
    let flag = flag.display();
    let script = format!(
        "(trap 'cat {status}; exit' TERM; : > {flag}; while :; do sleep 0.02; done) &
         until [ -e {flag} ]; do sleep 0.02; done; exit 7"
    );
    let status = status.to_string();
    let outcome = finish(&mut exec(&server, &["--status-file", &status], &script));
    // The program's own end, not that of what it left.
    assert_eq!(outcome.code, Some(7), "{outcome:?}");
    assert!(outcome.stderr.contains("left others"), "{outcome:?}");
    assert!(outcome.stdout.contains("held_until"), "{outcome:?}");
    assert_eq!(held(&server), 0);
}

#[test]
fn what_is_left_behind_and_deaf_is_killed_after_the_grace() {
    let server = server();
    let folder = tempfile::tempdir().expect("a directory");
    let flag = folder.path().join("flag");
    let flag = flag.display();
    let script = format!(
        "(trap '' TERM; : > {flag}; while :; do echo tick; sleep 0.02; done) &
         until [ -e {flag} ]; do sleep 0.02; done"
    );
    // Ends only when nobody holds the output any more.
    let outcome = finish(&mut exec(&server, &["--grace", "200ms"], &script));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("SIGKILL to them"), "{outcome:?}");
    assert_eq!(held(&server), 0);
}

#[test]
fn a_daemon_is_warned_of() {
    let script = "setsid sleep 3 > /dev/null 2>&1 & sleep 0.2";
    let outcome = finish(&mut exec(&server(), &[], script));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let warning = "go on without a machine ID";
    assert!(outcome.stderr.contains(warning), "{outcome:?}");
}

#[test]
fn a_program_without_children_ends_without_a_word() {
    let outcome = finish(&mut exec(&server(), &[], "echo a | cat; exit 3"));
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
}

#[test]
fn a_hangup_that_is_ignored_is_ignored_for_the_program_too() {
    let server = server();
    let tool = Program::coordctl().expect("it builds").path().to_owned();
    let script = format!(
        r#"trap '' HUP; exec {} id exec --discovery 0s -- sh -c 'while :; do echo tick; sleep 0.02; done'"#,
        tool.display()
    );
    let shell = Program::at("/bin/sh").args(["-c", &script]);
    let shell = shell.env("REDIS_URL", server.url());
    let mut running = shell.spawn().expect("it starts");
    running.wait_for_lines(1, LIMIT).expect("it starts");
    let pid = i32::try_from(running.process().pid()).expect("a process number");
    kill(Pid::from_raw(pid), Signal::SIGHUP).expect("it runs");
    let ticks = running.line_count();
    running
        .wait_for_lines(ticks + 50, LIMIT)
        .expect("it goes on");
    running.process().terminate().expect("it runs");
    assert_eq!(finish(&mut running).code, Some(143));
}

#[test]
fn a_stopped_program_keeps_its_machine_id_and_hears_that_it_is_to_end() {
    let server = server();
    let script = "trap 'echo bye; exit 4' TERM; echo pid $$; while :; do sleep 0.02; done";
    let options = ["--ttl", "3s", "--heartbeat", "200ms"];
    let mut running = exec(&server, &options, script);
    let pid = own_pid(&running);
    kill(pid, Signal::SIGSTOP).expect("it runs");
    wait_for_message(&running, "was stopped (SIGSTOP)");
    // Far beyond its lease as it was when it was stopped.
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(held(&server), 1);
    kill(pid, Signal::SIGCONT).expect("it is there");
    wait_for_message(&running, "goes on");
    kill(pid, Signal::SIGSTOP).expect("it runs");
    let stops = || (running.stderr().matches("was stopped").count() == 2).then_some(());
    wait::until(LIMIT, stops).expect("it is stopped again");
    running.process().terminate().expect("it runs");
    let outcome = finish(&mut running);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert!(outcome.stdout.ends_with("bye\n"), "{outcome:?}");
}

#[test]
fn a_stopped_program_whose_lease_is_lost_is_ended() {
    let server = server();
    let script = "trap '' TERM; echo pid $$; while :; do sleep 0.02; done";
    let options = ["--ttl", "3s", "--heartbeat", "200ms"];
    let mut running = exec(&server, &options, script);
    kill(own_pid(&running), Signal::SIGSTOP).expect("it runs");
    server.kill().expect("it runs");
    assert_eq!(finish(&mut running).code, Some(5));
}

/// What the keys of a terminal do to `id exec`, by `script`, which makes a terminal.
#[test]
fn a_program_suspended_by_its_terminal_can_still_be_interrupted() {
    let server = server();
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("log");
    let tool = Program::coordctl().expect("it builds").path().to_owned();
    let command = format!(
        r#"{} id exec --discovery 0s -- sh -c 'echo ready; exec sleep 600' 2>&1"#,
        tool.display()
    );
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--flush", "--command", &command])
        .arg(&log)
        .env("REDIS_URL", server.url())
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("script, of util-linux, starts");
    let mut keys = child.stdin.take().expect("it was asked for just above");
    let process = Process::new("script", child);
    let wait_for = |text: &str| {
        let read = || std::fs::read_to_string(&log).unwrap_or_default();
        let found = wait::until(LIMIT, || read().contains(text).then_some(()));
        assert!(found.is_some(), "{text:?} is not shown: {}", read());
    };
    wait_for("ready");
    keys.write_all(b"\x1a").expect("a key");
    wait_for("was stopped (SIGTSTP)");
    keys.write_all(b"\x03").expect("a key");
    let status = process.wait(LIMIT).expect("it ends");
    assert_eq!(status.code(), Some(130));
}
