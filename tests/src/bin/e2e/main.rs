//! The end-to-end example of the compose files, on any deployment that `REDIS_URL` names.
//!
//! Processes lease machine IDs and mint, others share buckets. Two of them are stopped for longer than their leases and
//! resumed, others take their place meanwhile, and the servers fail over. Then every ID, every holding and all work in
//! buckets is compared. Ends with 0 if nothing was anybody's twice, and with 1 if something was or nothing could be tried.
//! That is `--through-faults`, the default.
//!
//! `--two-namespaces` shows that it can fail: the processes are told different namespaces, as by a mistake in a
//! configuration, and so have the same machine IDs.

mod deployment;

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use coord_tests::{
    fleet::{self, Fleet, Job, Load, Record, Role},
    history, ids, wait,
};

use crate::deployment::Deployment;

fn main() -> ExitCode {
    match run() {
        Ok(said) => {
            println!("e2e: ok: {said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("e2e: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String> {
    let url = env::var("REDIS_URL").context("REDIS_URL names the store to try")?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["--through-faults"] => through_faults(&url),
        ["--two-namespaces"] => in_two_namespaces(&url),
        _ => bail!("usage: e2e [--through-faults | --two-namespaces]"),
    }
}

/// What has to hold, tried.
fn through_faults(url: &str) -> Result<String> {
    let deployment = Deployment::parse(url)?;
    let mut fleet = Fleet::start(beside("fleet")?, &nobody())?;
    for process in 0..3 {
        fleet.add(&holders(url, "e2e", &format!("h{process}"), SLOTS), None)?;
    }
    for process in 0..3 {
        fleet.add(&workers(url, &format!("w{process}")), None)?;
    }
    fleet.wait_working(PATIENCE).context("at the start")?;
    say("12 holders mint, and 6 workers share 256 buckets");

    for name in ["h0", "w0"] {
        for running in fleet.processes(name) {
            running.process().stop()?;
        }
    }
    say("h0 and w0 are stopped for longer than their leases last; h3 joins");
    fleet.add(&holders(url, "e2e", "h3", SLOTS), None)?;
    fleet::pause(LEASE + Duration::from_secs(2));
    for name in ["h0", "w0"] {
        for running in fleet.processes(name) {
            running.process().cont()?;
        }
    }
    wait_well(&fleet).context("after two processes were stopped")?;

    say(&deployment.disturb(PATIENCE)?);
    wait_well(&fleet).context("after the servers were disturbed")?;
    say("all are well");
    fleet::pause(Duration::from_secs(2));
    judge(&fleet.finish(PATIENCE)?)
}

/// A mistake that has to be found.
fn in_two_namespaces(url: &str) -> Result<String> {
    let mut fleet = Fleet::start(beside("fleet")?, &nobody())?;
    for name in ["north", "south"] {
        // As many slots as holders: both have all of them.
        fleet.add(&holders(url, &format!("e2e-{name}"), name, MEMBERS), None)?;
    }
    fleet.wait_working(PATIENCE)?;
    fleet::pause(Duration::from_secs(5));
    judge(&fleet.finish(PATIENCE)?)
}

/// Every member is heard from now on, and every bucket has its one owner.
fn wait_well(fleet: &Fleet) -> Result<()> {
    let since = fleet::now_us();
    let is_well = || {
        let record = fleet.record().ok()?;
        let mut members = record
            .members(Role::Holders)
            .chain(record.members(Role::Workers));
        members
            .all(|who| 0 < record.beats_in(who, (since, u64::MAX)))
            .then_some(())
    };
    let well = wait::until(PATIENCE, is_well);
    // It says more where a process has ended.
    fleet.record()?;
    well.with_context(|| format!("somebody was not heard within {PATIENCE:?}"))?;
    fleet.wait_working(PATIENCE)
}

fn judge(record: &Record) -> Result<String> {
    let minted: usize = record.ids.iter().map(|source| source.ids.len()).sum();
    ensure!(0 < minted, "nothing was minted");
    let duplicates = ids::duplicates(&record.ids);
    if let Some(first) = duplicates.first() {
        bail!(
            "{} duplicates among {minted} IDs: {first}",
            duplicates.len()
        );
    }
    if let Some(first) = history::violations(&record.holdings).first() {
        bail!("among the machine IDs: {first}");
    }
    if let Some(first) = record.bucket_violations().first() {
        bail!("among the buckets: {first}");
    }
    Ok(format!(
        "{minted} IDs of {} holders, no two equal; {} grants of machine IDs and {} of buckets, none at the same time as another \
         of the same",
        record.ids.len(),
        record.holdings.len(),
        record.visits.len()
    ))
}

/// The processes are added one by one, each with what it is told.
fn nobody() -> Load {
    Load {
        holder_processes: 0,
        worker_processes: 0,
        workers: Job {
            buckets: BUCKETS,
            ..Job::workers(0)
        },
        ..Load::on("")
    }
}

fn holders(url: &str, namespace: &str, name: &str, slots: u32) -> Job {
    let job = Job {
        ttl_ms: LEASE_MS,
        heartbeat_ms: LEASE_MS / 10,
        discovery_ms: 500 + LEASE_MS / 5,
        highest: slots - 1,
        ..Job::holders(MEMBERS)
    };
    let separator = if url.contains('?') { '&' } else { '?' };
    job.named(name)
        .at(format!("{url}{separator}ns={namespace}"))
}

fn workers(url: &str, name: &str) -> Job {
    let job = Job {
        ttl_ms: LEASE_MS,
        heartbeat_ms: LEASE_MS / 10,
        buckets: BUCKETS,
        ..Job::workers(2)
    };
    job.named(name).at(url)
}

/// A program that lies where this one does.
fn beside(name: &str) -> Result<PathBuf> {
    let own = env::current_exe().context("where this program lies")?;
    let path = own.with_file_name(name);
    ensure!(path.is_file(), "there is no {}", path.display());
    Ok(path)
}

fn say(text: &str) {
    println!("e2e: {text}");
}

/// Holders of one process.
const MEMBERS: u32 = 4;
/// For the holders of four processes, no more: whoever comes late gets what another lost.
const SLOTS: u32 = 4 * MEMBERS;
const BUCKETS: u32 = 256;
const LEASE_MS: u64 = 3_000;
const LEASE: Duration = Duration::from_millis(LEASE_MS);
/// For everything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
