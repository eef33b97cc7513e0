//! Workers as real processes, killed and stopped at random: what they print is merged, and no bucket was worked in by
//! two at a time.

use std::{collections::BTreeMap, time::Duration};

use coord_tests::program::{Program, Running};
use serde_json::Value;

use super::server;

const WORKERS: usize = 8;
/// How long workers are disturbed, in s; `CHAOS_SECONDS` says otherwise.
const SECONDS: u64 = 10;

fn worker(url: &str, number: usize) -> Running {
    let program = Program::example("worker").expect("the examples build");
    let name = format!("worker-{number}");
    program
        .named(&name)
        .args([
            "--redis",
            url,
            "--group",
            "chaos",
            "--buckets",
            "64",
            "--id",
            &name,
        ])
        .args([
            "--ttl-ms",
            "1500",
            "--period-ms",
            "150",
            "--settle-ms",
            "200",
        ])
        .spawn()
        .expect("starts")
}

/// From when to when a process was in a bucket, under which epoch.
#[derive(Debug, Clone)]
struct Visit {
    who: String,
    epoch: u64,
    from_us: u64,
    /// `None` where the process never said that it left.
    until_us: Option<u64>,
}

fn visits(running: &Running, into: &mut BTreeMap<u64, Vec<Visit>>) {
    let number = |event: &Value, field: &str| event[field].as_u64().expect("a number");
    let mut inside: BTreeMap<u64, usize> = BTreeMap::new();
    for event in running.events().expect("JSON lines") {
        let kind = event["event"].as_str().expect("every line says what it is");
        if kind != "enter" && kind != "exit" {
            continue;
        }
        let (bucket, at_us) = (number(&event, "bucket"), number(&event, "t_mono_us"));
        let visits = into.entry(bucket).or_default();
        if kind == "enter" {
            inside.insert(bucket, visits.len());
            visits.push(Visit {
                who: running.name().to_owned(),
                epoch: event["epoch"]
                    .as_str()
                    .and_then(|e| e.parse().ok())
                    .expect("an epoch"),
                from_us: at_us,
                until_us: None,
            });
        } else if let Some(visit) = inside.remove(&bucket) {
            // A process that was stopped inside says late that it has left, and that it was late.
            let valid = event["valid"] == Value::Bool(true);
            visits[visit].until_us = valid.then_some(at_us);
        }
    }
}

#[test]
fn no_bucket_is_worked_in_by_two_processes() {
    let seconds = std::env::var("CHAOS_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let server = server();
    let mut rng = fastrand::Rng::with_seed(7);
    let mut all: BTreeMap<u64, Vec<Visit>> = BTreeMap::new();
    let mut workers: Vec<Running> = (0..WORKERS)
        .map(|number| worker(&server.url(), number))
        .collect();
    let mut next = WORKERS;
    for _ in 0..seconds.unwrap_or(SECONDS) {
        std::thread::sleep(Duration::from_millis(1_000));
        let index = rng.usize(0..workers.len());
        if rng.bool() {
            let mut killed = std::mem::replace(&mut workers[index], worker(&server.url(), next));
            next += 1;
            killed.kill().expect("ends");
            visits(&killed, &mut all);
        } else {
            workers[index].process().stop().expect("stops");
            std::thread::sleep(Duration::from_millis(rng.u64(100..3_000)));
            workers[index].process().cont().expect("goes on");
        }
    }
    for running in &mut workers {
        running.process().terminate().expect("is told to leave");
    }
    for running in &mut workers {
        running.wait(Duration::from_secs(20)).expect("leaves");
        visits(running, &mut all);
    }
    let mut count = 0;
    for (bucket, mut visits) in all {
        visits.sort_by_key(|visit| visit.from_us);
        count += visits.len();
        for pair in visits.windows(2) {
            let (first, second) = (&pair[0], &pair[1]);
            assert!(
                first.epoch <= second.epoch,
                "bucket {bucket}: an older epoch entered later: {first:?} {second:?}"
            );
            let apart = first.who == second.who
                || (first.epoch < second.epoch
                    && first.until_us.is_none_or(|until| until <= second.from_us));
            assert!(
                apart,
                "bucket {bucket}: two at a time: {first:?} {second:?}"
            );
        }
    }
    assert!(
        1_000 < count,
        "only {count} visits: the workers did nothing"
    );
}
