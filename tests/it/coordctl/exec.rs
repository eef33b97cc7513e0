//! A program under a leased machine ID, while all is well.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
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

use super::{LIMIT, exec, finish, run, server, tool};

const TALK: &str = "echo $MACHINE_ID $MACHINE_ID_FENCE $MACHINE_ID_NAMESPACE; exit 42";

fn signal(running: &Running, signal: Signal) {
    let pid = i32::try_from(running.process().pid()).expect("a process number");
    kill(Pid::from_raw(pid), signal).expect("it runs");
}

#[test]
fn the_program_learns_its_machine_id_and_its_code_is_passed_on() {
    let server = server();
    let outcome = finish(&mut exec(&server, &["--range", "7-7"], TALK));
    assert_eq!(outcome.code, Some(42), "{outcome:?}");
    let words: Vec<&str> = outcome.stdout.split_whitespace().collect();
    assert_eq!((words[0], words[2]), ("7", "raus"));
    assert!(0 < words[1].parse::<u64>().expect("a fence"));
    // It was given back.
    assert_eq!(run(&server, &["id", "list", "--json"]).json()["held"], 0);

    let url = format!("{}?ns=orders", server.url());
    let script = "echo $WORKER/$WORKER_NAMESPACE/$MACHINE_ID";
    let options = ["--url", &url, "--range", "3", "--env", "WORKER"];
    let outcome = finish(&mut exec(&server, &options, script));
    assert_eq!(outcome.stdout, "3/orders/\n", "{outcome:?}");
}

#[test]
fn nothing_runs_on_a_server_that_evicts_unless_that_is_accepted() {
    let server = RedisServer::builder()
        .config_line("maxmemory 50mb")
        .config_line("maxmemory-policy allkeys-lru")
        .start()
        .expect("it starts");
    let outcome = finish(&mut exec(&server, &[], TALK));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("allow_eviction"), "{outcome:?}");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
    let outcome = finish(&mut exec(&server, &["--allow-eviction"], TALK));
    assert_eq!(outcome.code, Some(42), "{outcome:?}");
}

#[test]
fn a_program_that_a_signal_ends_is_told_of_as_shells_do() {
    let outcome = finish(&mut exec(&server(), &[], "kill -KILL $$"));
    assert_eq!(outcome.code, Some(137), "{outcome:?}");
}

#[test]
fn programs_that_are_not_there_have_the_codes_of_shells() {
    let server = server();
    let arguments = |program| ["id", "exec", "--discovery", "0s", "--", program];
    let outcome = run(&server, &arguments("there-is-no-such-program"));
    assert_eq!(outcome.code, Some(127), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("there-is-no-such-program: No such file"),
        "{outcome:?}"
    );
    let plain = tempfile::NamedTempFile::new().expect("a file");
    let outcome = run(&server, &arguments(plain.path().to_str().expect("UTF-8")));
    assert_eq!(outcome.code, Some(126), "{outcome:?}");
    assert_eq!(run(&server, &["id", "list", "--json"]).json()["held"], 0);
}

#[test]
fn signals_reach_the_program() {
    let server = server();
    let script = r#"
        for name in HUP INT QUIT USR1 USR2 WINCH; do trap "echo got $name" $name; done
        trap 'echo bye; exit 9' TERM
        echo ready
        while :; do sleep 0.02; done"#;
    // Whoever started the tests may have had them ignore some, as `nohup` does.
    let tool = Program::coordctl().expect("it builds").path().to_owned();
    let tool = tool.to_str().expect("UTF-8");
    let heard = Program::at("/usr/bin/env").args(["--default-signal", tool, "id", "exec"]);
    let heard = heard.args(["--discovery", "0s", "--", "sh", "-c", script]);
    let heard = heard.env("REDIS_URL", server.url());
    let mut running = heard.spawn().expect("it starts");
    running
        .wait_for_line(LIMIT, |line| line == "ready")
        .expect("it starts");
    let signals = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGWINCH,
    ];
    for name in signals {
        signal(&running, name);
        let expected = format!("got {}", name.as_str().trim_start_matches("SIG"));
        running
            .wait_for_line(LIMIT, |line| line == expected)
            .expect("it is passed on");
    }
    running.process().terminate().expect("it runs");
    let outcome = finish(&mut running);
    assert_eq!(outcome.code, Some(9), "{outcome:?}");
    assert!(outcome.stdout.ends_with("bye\n"), "{outcome:?}");
    assert_eq!(run(&server, &["id", "list", "--json"]).json()["held"], 0);
}

#[test]
fn two_programs_have_two_machine_ids() {
    let server = server();
    let script = "echo $MACHINE_ID; while :; do sleep 0.02; done";
    let programs = [(); 2].map(|()| exec(&server, &["--range", "0-1"], script));
    let mut ids = programs.each_ref().map(|program| {
        let line = program.wait_for_line(LIMIT, |line| !line.is_empty());
        line.expect("it starts").text
    });
    ids.sort();
    assert_eq!(ids, ["0", "1"]);
    // A third one finds the range full, and starts nothing.
    let outcome = finish(&mut exec(&server, &["--range", "0-1"], TALK));
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(4), ""),
        "{outcome:?}"
    );
    assert!(
        outcome.stderr.contains("all slots of 0..=1 are held"),
        "{outcome:?}"
    );
    // No time to wait is no search without time.
    let elsewhere = ["--range", "2", "--wait", "0s"];
    assert_eq!(finish(&mut exec(&server, &elsewhere, TALK)).code, Some(42));
    // A fourth one waits for the first to end.
    let mut patient = exec(&server, &["--range", "0-1", "--wait", "50s"], TALK);
    programs[0].process().terminate().expect("it runs");
    assert_eq!(finish(&mut patient).code, Some(42));
}

#[test]
fn a_signal_before_there_is_a_program_ends_the_waiting() {
    let server = server();
    let holder = exec(
        &server,
        &["--range", "5"],
        "echo ready; while :; do sleep 0.02; done",
    );
    holder
        .wait_for_line(LIMIT, |line| line == "ready")
        .expect("it starts");
    let mut waiting = exec(&server, &["--range", "5", "--wait", "50s"], TALK);
    let clients = || {
        server
            .query::<String>(&["CLIENT", "LIST"])
            .ok()
            .filter(|list| 3 < list.lines().count())
    };
    wait::until(LIMIT, clients).expect("it has connected");
    waiting.process().terminate().expect("it runs");
    let outcome = finish(&mut waiting);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(143), ""),
        "{outcome:?}"
    );
}

#[test]
fn the_program_dies_with_coordctl() {
    let server = server();
    let mut running = exec(
        &server,
        &[],
        "trap '' TERM; while :; do echo tick; sleep 0.02; done",
    );
    running.wait_for_lines(2, LIMIT).expect("it starts");
    // Its output ends only when nobody holds it any more.
    running.kill().expect("it runs");
}

#[test]
fn the_program_waits_until_no_former_holder_can_have_minted_for_its_time() {
    let server = server();
    assert_eq!(
        finish(&mut exec(&server, &["--range", "5"], "exit 0")).code,
        Some(0)
    );
    // A former holder's clock was ahead by three seconds.
    let record: String = server
        .query(&["HGET", "raus:slots", "5"])
        .expect("it is on record");
    let words: Vec<&str> = record.splitn(5, ' ').collect();
    let ahead = words[1].parse::<u64>().expect("a horizon") + 3_000;
    let record = format!("{} {ahead} {ahead} {} {}", words[0], words[3], words[4]);
    server
        .cli(&["HSET", "raus:slots", "5", &record])
        .expect("it is kept");
    let script = "date +%s%3N";
    let outcome = finish(&mut exec(&server, &["--range", "5"], script));
    let started: u64 = outcome.stdout.trim().parse().expect("milliseconds");
    assert!(ahead <= started, "{outcome:?}");
    assert!(outcome.stderr.contains("waiting"), "{outcome:?}");
}

#[test]
fn what_happens_is_told_as_json_on_demand() {
    let server = server();
    let arguments = [
        "id",
        "exec",
        "--json",
        "--discovery",
        "0s",
        "--range",
        "4",
        "--",
        "true",
    ];
    let outcome = finish(&mut tool(&server, &arguments).spawn().expect("it starts"));
    let lines: Vec<serde_json::Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["event"], "started", "{outcome:?}");
    assert_eq!(
        (&lines[0]["id"], &lines[0]["namespace"]),
        (&4.into(), &"raus".into())
    );
    assert!(
        lines[0]["fence"].is_string() && lines[0]["pid"].is_number(),
        "{outcome:?}"
    );
}

#[test]
fn a_slow_reader_of_messages_does_not_hold_the_program_up() {
    let server = server();
    // Nobody ever reads this pipe, and it is full.
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    let mut full = writer.try_clone().expect("a handle");
    let filling = std::thread::spawn(move || full.write_all(&[b'x'; 65_536]));
    // Where a pipe holds less, this goes on until the reader is gone.
    let _ = wait::until(Duration::from_secs(1), || {
        filling.is_finished().then_some(())
    });
    let path = Program::coordctl().expect("it builds").path().to_owned();
    let child = Command::new(path)
        .args([
            "id",
            "exec",
            "--discovery",
            "0s",
            "--",
            "sh",
            "-c",
            "exit 3",
        ])
        .env("REDIS_URL", server.url())
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .expect("it starts");
    let process = Process::new("coordctl", child);
    let status = process.wait(Duration::from_secs(30)).expect("it ends");
    assert_eq!(status.code(), Some(3));
}
