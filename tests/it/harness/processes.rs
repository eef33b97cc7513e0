//! Programs are watched, signalled and ended as asked.

use std::time::Duration;

use coord_tests::{clock::FakeClock, ids::Source, program::Program, wait};

const LIMIT: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Program {
    Program::at("/bin/sh").args(["-c", script])
}

#[test]
fn output_arrives_as_lines_in_memory_and_in_a_file() {
    let mut running = shell("echo 7; echo 9; echo log >&2; exit 3")
        .named("shell")
        .spawn()
        .unwrap();
    let status = running.wait(LIMIT).unwrap();
    assert_eq!(status.code(), Some(3));
    assert_eq!(running.line_count(), 2);
    let lines = running.lines();
    assert!(lines[0].at <= lines[1].at);
    assert_eq!(lines[1].text, "9");
    assert_eq!(running.stderr(), "log\n");
    assert_eq!(running.ids().unwrap(), Source::new("shell", vec![7, 9]));
    assert_eq!(Source::read(&running.stdout_path()).unwrap().ids, [7, 9]);
}

#[test]
fn a_line_cut_off_by_a_kill_is_left_out() {
    let mut running = shell("echo 12; printf 34; exec sleep 60").spawn().unwrap();
    running.wait_for_lines(1, LIMIT).unwrap();
    running.kill().unwrap();
    assert_eq!(running.ids().unwrap().ids, [12]);
}

#[test]
fn events_are_waited_for_and_parsed() {
    let script = r#"echo '{"event":"acquired","id":3}'; echo '{"event":"lost"}'; exec sleep 60"#;
    let running = shell(script).spawn().unwrap();
    let acquired = running.wait_for_event(LIMIT, "acquired").unwrap();
    assert_eq!(acquired["id"], 3);
    running
        .wait_for_line(LIMIT, |line| line.contains("lost"))
        .unwrap();
    assert_eq!(running.events().unwrap().len(), 2);
}

#[test]
fn waiting_for_what_an_ended_program_never_said_is_an_error_with_its_last_words() {
    let running = shell("echo 1; echo disaster >&2").spawn().unwrap();
    let error = running.wait_for_event(LIMIT, "acquired").unwrap_err();
    assert!(error.to_string().contains("disaster"), "{error}");
    assert!(running.events().is_ok_and(|events| events == [1]));
}

#[test]
fn a_stopped_program_stands_still_until_it_goes_on() {
    let script = "i=0; while [ $i -lt 100000 ]; do echo $i; i=$((i+1)); sleep 0.01; done";
    let mut running = shell(script).spawn().unwrap();
    running.wait_for_lines(3, LIMIT).unwrap();
    running.process().stop().unwrap();
    // What was in the pipe still arrives; then there is silence.
    let silent = wait::until(LIMIT, || {
        let before = running.line_count();
        std::thread::sleep(Duration::from_millis(200));
        (running.line_count() == before).then_some(before)
    });
    let before = silent.unwrap();
    running.process().cont().unwrap();
    running.wait_for_lines(before + 3, LIMIT).unwrap();
    running.process().terminate().unwrap();
    assert!(!running.wait(LIMIT).unwrap().success());
    assert!(
        running.process().cont().is_err(),
        "no signal to an ended process"
    );
}

#[test]
fn a_dropped_program_is_killed() {
    let running = shell("exec sleep 60").spawn().unwrap();
    let proc_entry = std::path::PathBuf::from(format!("/proc/{}", running.process().pid()));
    assert!(proc_entry.exists());
    drop(running);
    assert!(!proc_entry.exists());
}

#[test]
fn a_program_lives_under_a_fake_clock() {
    let clock = FakeClock::new().unwrap();
    clock.set_offset_ms(-1_000_000_000_000).unwrap();
    let script = "i=0; while [ $i -lt 1000 ]; do date +%s; i=$((i+1)); sleep 0.05; done";
    let running = shell(script).clock(&clock).spawn().unwrap();
    let year_1996 = |line: &str| line.parse().is_ok_and(|s: u64| s < 1_500_000_000);
    running.wait_for_line(LIMIT, year_1996).unwrap();
    clock.set_offset_ms(0).unwrap();
    running
        .wait_for_line(LIMIT, |line| !year_1996(line))
        .unwrap();
}

#[test]
fn an_example_that_does_not_exist_is_named() {
    let error = Program::example("no-such-example").unwrap_err();
    assert!(error.to_string().contains("no-such-example"), "{error}");
}

#[test]
fn waiting_ends_at_its_bound() {
    let mut asked = 0;
    let found: Option<()> = wait::until(Duration::ZERO, || {
        asked += 1;
        None
    });
    assert_eq!((found, asked), (None, 1));
}

#[tokio::test]
async fn async_waiting_returns_what_it_found() {
    let mut asked = 0;
    let found = wait::until_async(LIMIT, async || {
        asked += 1;
        (asked == 3).then_some(asked)
    });
    assert_eq!(found.await, Some(3));
}
