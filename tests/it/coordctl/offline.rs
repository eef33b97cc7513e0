//! What needs no server.

use coord_tests::program::Program;

use super::{Outcome, finish, run_at};

/// Nothing is there; nothing is asked.
const NOBODY: &str = "redis://127.0.0.1:1";

fn run(arguments: &[&str]) -> Outcome {
    run_at(NOBODY, arguments)
}

#[test]
fn ids_are_taken_apart() {
    let text = run(&["decode", "1541815603606036480"]);
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(
        text.stdout.contains("2022-06-28T16:07:40.105Z  378      0"),
        "{text:?}"
    );
    let json = run(&[
        "decode",
        "--json",
        "1541815603606036480",
        "1565a11f6217a000",
        "1ASD13XH1F800",
    ])
    .json();
    for id in json.as_array().expect("a list") {
        assert_eq!(id["id"], "1541815603606036480");
        assert_eq!(
            (&id["unix_ms"], &id["machine_id"]),
            (&1_656_432_460_105_u64.into(), &378.into())
        );
        assert_eq!(
            (&id["sequence"], &id["hex"]),
            (&0.into(), &"1565a11f6217a000".into())
        );
        assert_eq!(id["time"], "2022-06-28T16:07:40.105Z");
    }
}

#[test]
fn ids_of_any_layout_are_taken_apart() {
    let check = |arguments: &[&str], time: &str, machine: u32, sequence: u32| {
        let json = run(&[&["decode", "--json"], arguments].concat()).json();
        assert_eq!(json[0]["time"], time, "{arguments:?}");
        assert_eq!(
            (&json[0]["machine_id"], &json[0]["sequence"]),
            (&machine.into(), &sequence.into())
        );
    };
    check(
        &["175928847299117063", "--layout", "discord"],
        "2016-04-30T11:18:25.796Z",
        32,
        7,
    );
    // 5 units of 10 ms, sequence 3, machine 9, since 2014-09-01.
    check(
        &["84082697", "--layout", "sonyflake"],
        "2014-09-01T00:00:00.050Z",
        9,
        3,
    );
    let own = [
        "4242",
        "--layout",
        "41/6/6",
        "--epoch",
        "2025-01-01T00:00:00Z",
        "--unit",
        "1s",
    ];
    check(&own, "2025-01-01T00:00:01.000Z", 2, 18);
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let outcome = run(&["completions", shell]);
        assert_eq!(outcome.code, Some(0), "{shell}");
        for word in ["buckets", "doctor", "decode", "exporter", "revoke"] {
            assert!(outcome.stdout.contains(word), "{shell}: {word}");
        }
        assert!(
            !outcome.stdout.contains("on-parent-death"),
            "{shell} shows what is hidden"
        );
    }
    let page = run(&["man"]).stdout;
    for word in [".TH coordctl 1", "Exit codes", "REDIS_URL"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("UTF-8");
    assert_eq!(run(&["man", "--dir", path]).code, Some(0));
    assert!(dir.path().join("coordctl-id-exec.1").is_file());
}

/// What a command prints on a terminal, which `script` makes.
fn on_terminal(command: &str, environment: &[(&str, &str)]) -> String {
    let tool = Program::coordctl().expect("it builds").path().to_owned();
    let output = std::process::Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .args([&format!("{} {command}", tool.display()), "/dev/null"])
        .env_clear()
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("script, of util-linux, starts");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn colours_are_for_terminals_and_for_those_who_want_them() {
    assert!(on_terminal("decode 1", &[]).contains("\u{1b}["));
    assert!(on_terminal("frobnicate", &[]).contains("\u{1b}["));
    // Logs of CI are terminals of a kind: there even a dumb one shows colours.
    let in_ci = [("TERM", "dumb"), ("CI", "true")];
    assert!(on_terminal("decode 1", &in_ci).contains("\u{1b}["));
    for plain in [
        on_terminal("decode 1", &[("NO_COLOR", "1")]),
        on_terminal("decode 1", &[("TERM", "dumb")]),
        on_terminal("decode 1 --json", &[]),
        run(&["decode", "1"]).stdout,
        run(&["frobnicate"]).stderr,
    ] {
        assert!(!plain.is_empty() && !plain.contains('\u{1b}'), "{plain:?}");
    }
}

#[test]
fn help_tells_the_exit_codes_and_no_secret() {
    let outcome = run_at("redis://:s3cr3t@127.0.0.1:1", &["--help"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("Exit codes:"), "{outcome:?}");
    assert!(!outcome.stdout.contains("s3cr3t"), "{outcome:?}");
    let outcome = run(&["id", "exec", "--help"]);
    assert!(outcome.stdout.contains("MACHINE_ID_FENCE"), "{outcome:?}");
}

#[test]
fn without_a_server_named_it_is_asked_for() {
    let program = Program::coordctl()
        .expect("it builds")
        .args(["id", "list"])
        .env("REDIS_URL", "");
    let outcome = finish(&mut program.spawn().expect("it starts"));
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(
        outcome.stderr.contains("--url") && outcome.stderr.contains("REDIS_URL"),
        "{outcome:?}"
    );
}
