//! Real worker processes share buckets while they are killed and stopped at random. Every entry of every worker is
//! recorded, merged and judged.

use std::{collections::BTreeSet, time::Duration};

use coord_core::clock::{Clock, SystemClock};
use coord_tests::{
    buckets::{self, Visit},
    program::{Program, Running},
    server::RedisServer,
    wait,
};

const BUCKETS: u32 = 64;
const WORKERS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);
/// How long workers are killed and stopped.
const CHAOS: Duration = Duration::from_secs(60);

struct Worker {
    running: Running,
    stops: Vec<(u64, u64)>,
    died_us: Option<u64>,
}

impl Worker {
    fn start(server: &RedisServer, name: &str) -> Self {
        let running = Program::example("worker")
            .expect("the examples build")
            .named(name)
            .args(["--redis", &server.url(), "--group", "chaos", "--id", name])
            .args(["--buckets", &BUCKETS.to_string(), "--work-ms", "3"])
            .args([
                "--ttl-ms",
                "2000",
                "--period-ms",
                "250",
                "--settle-ms",
                "250",
            ])
            .spawn()
            .expect("starts");
        Self {
            running,
            stops: Vec::new(),
            died_us: None,
        }
    }

    fn visits(&self) -> Vec<Visit> {
        let lines = self.running.events().expect("prints JSON lines");
        let until = self.died_us.unwrap_or(u64::MAX);
        let visits =
            buckets::visits(self.running.name(), &lines, until).expect("well-formed lines");
        self.stops
            .iter()
            .fold(visits, |visits, &stop| buckets::without_stop(visits, stop))
    }
}

/// The machine's monotonic clock, by which the workers stamp their lines. The harness' clock counts suspend too, but
/// nothing is suspended while a test runs, so the two differ by a constant.
fn monotonic_us(offset_us: u64) -> u64 {
    u64::try_from(SystemClock.now().since_boot().as_micros()).expect("fits") - offset_us
}

/// By how much the boot-time clock is ahead of the monotonic one.
fn clock_offset_us() -> u64 {
    let monotonic = nix::time::ClockId::CLOCK_MONOTONIC;
    #[expect(
        clippy::disallowed_methods,
        reason = "the workers' lines bear this clock, which the library does not offer"
    )]
    let monotonic =
        Duration::from(nix::time::clock_gettime(monotonic).expect("every Unix has this clock"));
    let boot = SystemClock.now().since_boot();
    u64::try_from(boot.saturating_sub(monotonic).as_micros()).expect("fits")
}

fn sleep(duration: Duration) {
    // Lets the processes under test run; nothing is asserted about how long it takes.
    let _ = wait::until(duration, || None::<()>);
}

/// Whether every bucket has one owner among the live workers, as they say themselves.
fn all_are_owned(workers: &[Worker]) -> bool {
    let mut owners = vec![0; BUCKETS as usize];
    for worker in workers {
        let mut owned = BTreeSet::new();
        for line in worker.running.events().expect("prints JSON lines") {
            let bucket = line["bucket"]
                .as_u64()
                .and_then(|bucket| usize::try_from(bucket).ok());
            match (line["event"].as_str(), bucket) {
                (Some("granted"), Some(bucket)) => {
                    owned.insert(bucket);
                }
                (Some("released" | "lost"), Some(bucket)) => {
                    owned.remove(&bucket);
                }
                _ => {}
            }
        }
        owned.into_iter().for_each(|bucket| owners[bucket] += 1);
    }
    owners.into_iter().all(|owners| owners == 1)
}

#[test]
fn no_bucket_is_worked_in_twice_while_workers_are_killed_and_stopped() {
    let server = RedisServer::start().expect("redis-server starts");
    let offset_us = clock_offset_us();
    let mut rng = fastrand::Rng::with_seed(42);
    let mut next = WORKERS;
    let mut workers: Vec<Worker> = (0..WORKERS)
        .map(|n| Worker::start(&server, &format!("worker-{n}")))
        .collect();
    let mut dead: Vec<Worker> = Vec::new();
    for worker in &workers {
        worker
            .running
            .wait_for_event(PATIENCE, "enter")
            .expect("works");
    }
    let end = SystemClock.now() + CHAOS;
    while SystemClock.now() < end {
        sleep(Duration::from_millis(rng.u64(100..1_500)));
        let index = rng.usize(0..workers.len());
        if rng.bool() {
            let mut worker = workers.swap_remove(index);
            worker.running.kill().expect("is killed");
            worker.running.wait(PATIENCE).expect("is dead");
            worker.died_us = Some(monotonic_us(offset_us));
            dead.push(worker);
            workers.push(Worker::start(&server, &format!("worker-{next}")));
            next += 1;
        } else {
            let worker = &mut workers[index];
            let from = monotonic_us(offset_us);
            worker.running.process().stop().expect("stops");
            sleep(Duration::from_millis(rng.u64(200..6_000)));
            worker.running.process().cont().expect("continues");
            worker.stops.push((from, monotonic_us(offset_us)));
        }
    }
    let settled = wait::until(PATIENCE, || all_are_owned(&workers).then_some(()));
    assert!(
        settled.is_some(),
        "every bucket has an owner again after the last fault"
    );
    for worker in &mut workers {
        worker.running.process().terminate().expect("is signalled");
    }
    for worker in &mut workers {
        let status = worker.running.wait(PATIENCE).expect("ends");
        assert!(
            status.success(),
            "{}: {}",
            worker.running.name(),
            worker.running.stderr()
        );
    }
    let visits: Vec<Visit> = workers
        .iter()
        .chain(&dead)
        .flat_map(Worker::visits)
        .collect();
    let violations = buckets::violations(&visits);
    println!(
        "{} visits of {} workers, {} of them killed",
        visits.len(),
        next,
        dead.len()
    );
    assert!(
        10_000 < visits.len() && !dead.is_empty(),
        "only {} visits",
        visits.len()
    );
    assert!(
        violations.is_empty(),
        "{} violations, the first: {}",
        violations.len(),
        violations[0]
    );
}
