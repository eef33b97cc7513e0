use super::*;

fn parsed(line: &str) -> Result<Task, String> {
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse(&arguments)
}

#[track_caller]
fn check(line: &str, expected: Task) {
    assert_eq!(parsed(line), Ok(expected), "{line}");
}

#[track_caller]
fn check_misuse(line: &str, expected: &str) {
    let misuse = parsed(line).unwrap_err();
    assert!(misuse.contains(expected), "{line}: {misuse}");
    assert!(misuse.contains("Usage: cargo xtask"), "{line}: {misuse}");
}

#[test]
fn every_command_is_understood() {
    check("setup", Task::Setup);
    check("test", Task::Test);
    check("ci", Task::Ci);
    check("book", Task::Book);
    check("package", Task::Package { quick: false });
    check("package --quick", Task::Package { quick: true });
    check("demo", Task::Demo { redis: None });
    let redis = Some("redis://127.0.0.1".to_owned());
    check("demo --redis redis://127.0.0.1", Task::Demo { redis });
    let what = "mint".to_owned();
    check("bench mint --quick", Task::Bench { what, quick: true });
    check("docker", Task::Docker(docker::Options::default()));
    let all = docker::Options {
        prebuilt: true,
        pull: true,
    };
    check("docker --pull --prebuilt", Task::Docker(all));
    check("sim --seeds 20", Task::Sim(SimRun::seeds(20)));
    let (seeds, minutes, start) = (None, Some(5), Some(700));
    let run = SimRun::Search {
        seeds,
        minutes,
        start,
        only: Some("ids".to_owned()),
    };
    check("sim --start 700 --minutes 5 --only ids", Task::Sim(run));
    let (seed, keep) = (0, Some("3,7".to_owned()));
    check(
        "sim --replay 0 --keep 3,7",
        Task::Sim(SimRun::Replay { seed, keep }),
    );
    let soak = |options: &[&str]| Task::Soak(options.iter().map(|o| (*o).to_owned()).collect());
    check("soak", soak(&["run"]));
    let options = ["run", "--minutes", "0.3", "--processes", "8", "--seed", "2"];
    check("soak --minutes 0.3 --processes 8 --seed 2", soak(&options));
    check(
        "soak report target/soak/1",
        soak(&["report", "target/soak/1"]),
    );
    let arguments = ["-p", "raus"].map(str::to_owned).to_vec();
    check("mutants -p raus", Task::Mutants(arguments));
    check("sanitize", Task::Sanitize(None));
    check("sanitize miri", Task::Sanitize(Some(Watch::Miri)));
    let options = ["--topology", "cluster", "--seed", "7"].map(str::to_owned);
    check(
        "chaos --topology cluster --seed 7",
        Task::Chaos(options.to_vec()),
    );
    check("deny", Task::Deny);
    let fuzz = |target: Option<&str>, seconds| Task::Fuzz {
        target: target.map(str::to_owned),
        seconds,
    };
    check("fuzz", fuzz(None, 60));
    check("fuzz urls --seconds 5", fuzz(Some("urls"), 5));
}

#[test]
fn every_command_has_help() {
    for command in COMMANDS {
        let Ok(Task::Help(text)) = parsed(&format!("{} --help", command.name)) else {
            panic!("{} has no help", command.name);
        };
        assert!(text.contains(command.name), "{text}");
    }
    for line in ["", "help", "--help"] {
        check(line, Task::Help(overview()));
    }
}

#[test]
fn misuse_is_named_with_the_usage() {
    check_misuse("frobnicate", "no such command: frobnicate");
    check_misuse("ci --fast", "unknown argument: --fast");
    check_misuse("docker --push", "unknown argument: --push");
    check_misuse("demo --redis", "--redis needs a URL");
    check_misuse("demo --redis --redis", "--redis needs a URL");
    check_misuse("bench", "which benchmark?");
    check_misuse("bench a b", "unknown argument: b");
    check_misuse("sim --seeds many", "--seeds needs a number from 0");
    check_misuse("sim --seeds 0", "at least 1");
    check_misuse("sim --only odd", "ids or buckets, not odd");
    check_misuse("sim --replay 1 --only ids", "one seed alone");
    check_misuse("sim --minutes 0", "at least 1");
    check_misuse("sim --seeds 1 --replay 2", "one seed alone");
    check_misuse("sim --keep 1", "--keep is for --replay");
    check_misuse("sim --replay 1 --keep 1,,2", "needs steps such as");
    check_misuse("soak --minutes none", "--minutes needs a number above 0");
    check_misuse("soak --minutes 0", "--minutes needs a number above 0");
    check_misuse("soak --processes -1", "--processes needs a number from 0");
    check_misuse("soak report", "report needs a run's folder");
    check_misuse("soak --seed 1 report x", "unknown argument: report");
    check_misuse("sanitize memory", "unknown argument: memory");
}
