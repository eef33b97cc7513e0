//! A short run from begin to end, and what it wrote.

use std::{fs, path::Path};

use coord_chaos::{
    check::{self, Violation},
    history::History,
    nemesis::Load,
    plan::{Bounds, Kind, Plan, Topology},
    run::{Outcome, Run, password},
    secrets,
};

const SEED: u64 = 7;

fn run(target: &Path, kinds: &[Kind]) -> Outcome {
    let run = Run {
        plan: Plan::new(Topology::Standalone, SEED, 8_000, kinds, Bounds::Promised),
        load: Load {
            processes: 2,
            holders: 2,
            ids_a_tick: 64,
            ..Load::default()
        },
        program: env!("CARGO_BIN_EXE_coord-chaos").into(),
        target: target.to_owned(),
        keep: true,
        replay: "cargo xtask chaos".to_owned(),
    };
    run.execute().expect("can be run")
}

#[test]
fn a_run_keeps_its_promises_and_its_password_and_a_lie_in_its_histories_is_found() {
    let target = tempfile::tempdir().expect("a directory");
    let outcome = run(target.path(), Kind::ALL);
    assert!(outcome.is_good, "{}", outcome.summary);
    let report = fs::read_to_string(&outcome.report).expect("is there");
    assert!(report.contains("<svg") && report.contains("Every promise was kept"));

    let kept = outcome.kept.expect("asked for");
    let logs = fs::read_dir(&kept).expect("is there").flatten();
    let logs = logs.filter(|entry| entry.path().extension().is_some_and(|it| it == "log"));
    let logs: Vec<String> = logs
        .map(|it| fs::read_to_string(it.path()).expect("text"))
        .collect();
    // Otherwise there was nothing to find it in.
    assert!(
        logs.iter()
            .any(|log| log.contains("Ready to accept connections"))
    );
    assert!(
        logs.iter()
            .filter(|log| log.contains("a holder begins"))
            .count()
            >= 2
    );
    let leaks = secrets::files_with(target.path(), &password(SEED)).expect("readable");
    assert_eq!(leaks, [""; 0].map(std::path::PathBuf::from));

    let mut histories = History::read_all(&kept).expect("are there");
    histories.retain(|history| history.name != "nemesis");
    assert!(check::check(&histories).violations.is_empty());
    let twin = History {
        name: "twin".to_owned(),
        ..histories[0].clone()
    };
    histories.push(twin);
    let found = check::check(&histories).violations;
    let is_found = |wanted: fn(&Violation) -> bool| found.iter().any(wanted);
    assert!(is_found(|it| matches!(it, Violation::DuplicateId { .. })));
    assert!(is_found(|it| matches!(it, Violation::Overlap(_))));
    assert!(is_found(|it| matches!(it, Violation::FenceFell(_))));
}
