//! A short run of the soak: it passes, and its report has everything.

use std::{fs, path::PathBuf, process::Command};

#[test]
fn a_short_run_passes_and_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = soak()
        .args([
            "run",
            "--minutes",
            "0.35",
            "--processes",
            "8",
            "--every",
            "1",
            "--into",
        ])
        .arg(folder.path())
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&run.stdout);
    let complaint = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}\n{complaint}");
    let written: Vec<PathBuf> = fs::read_dir(folder.path())
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let [run] = written.as_slice() else {
        panic!("one run, not {written:?}");
    };
    let report = fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(!report.contains("NaN"), "a figure was measured of nothing");
    for title in [
        "Acquire,",
        "(beat)",
        "(renew)",
        "Server: processor",
        "Server: memory",
        "resident memory",
    ] {
        let plot = format!("aria-label=\"{title}");
        let is_there = report
            .lines()
            .any(|line| line.contains("<svg") && line.contains(title));
        assert!(is_there, "no plot {plot}");
    }
    assert!(
        report.matches("<polyline").count() > 20,
        "lines are missing"
    );

    // The report can be made anew, from what was recorded alone.
    fs::remove_file(run.join("report.html")).expect("the report goes");
    let again = soak()
        .arg("report")
        .arg(run)
        .status()
        .expect("the program starts");
    assert!(again.success());
    assert_eq!(
        fs::read_to_string(run.join("report.html")).expect("a report"),
        report
    );

    // And it does not pass by itself.
    fs::remove_file(run.join("end.json")).expect("the end goes");
    let cut_off = soak()
        .arg("report")
        .arg(run)
        .status()
        .expect("the program starts");
    assert!(!cut_off.success());
}

fn soak() -> Command {
    Command::new(env!("CARGO_BIN_EXE_coord-soak"))
}
