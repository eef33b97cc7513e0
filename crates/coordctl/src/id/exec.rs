//! Runs any program under a leased machine ID.
//!
//! With a ttl T, counted from the moment at which the last acknowledged renewal was *sent*:
//!
//! | time | what happens |
//! | --- | --- |
//! | every heartbeat | a renewal is sent; each one that is acknowledged moves all that follows |
//! | 2/3 T | the lease is at risk: said on the standard error |
//! | 11/13 T − 2 ms − T/80 − grace | the program and its process group are told to end (SIGTERM) |
//! | 11/13 T − 2 ms − T/80 | what is left of the group is killed (SIGKILL) |
//! | 11/13 T − 2 ms | the local deadline: nothing runs under the machine ID any more |
//! | T, by the server | another may get the machine ID |
//!
//! The grace is at most T/7, so nothing is told to end before the lease is at risk. Where the server *says* that the lease is
//! another's, the program is told at once and killed after the grace, or at the last deadline that counted if that is
//! earlier. When coordctl itself is killed, the kernel kills the program (Linux); its lease runs out by itself.
//!
//! The program runs in a process group of its own, which gets the terminal's foreground where coordctl had it: what a
//! terminal sends (Ctrl-C) reaches the program alone and once. While the program is stopped coordctl has it, and renews on.
//! When the program ends, what it leaves behind in its group is told to end and killed after the grace, before the machine ID
//! is given back. coordctl reaps every child that it is given, so it can be the first process of a container.

mod child;
mod journal;
mod plan;
mod program;
mod signals;
mod status_file;
mod terminal;
mod watermark;

use std::{process::ExitCode, sync::Arc};

use coord_core::clock::{Clock, SystemClock};
use nix::sys::signal::Signal;
use raus::{Event, MachineId};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use self::program::become_program;
use self::{
    child::{Change, Child, Ended},
    journal::Journal,
    plan::{Act, Guard, Plan},
    signals::Signals,
    status_file::StatusFile,
    watermark::Watermark,
};
use crate::{
    cli::{ExecOptions, Global},
    connect,
    failure::{Failure, LEASE_LOST, causes},
    id::status::Status,
};

pub(crate) async fn run(global: &Global, options: &ExecOptions) -> Result<ExitCode, Failure> {
    if options.program[0].is_empty() {
        return Err(Failure::Usage(
            "the program has no name; write it after --, such as -- ./service --port 80".to_owned(),
        ));
    }
    let plan =
        Plan::new(options.lease.ttl, options.on_lost, options.grace).map_err(Failure::Usage)?;
    let raus = connect::lessor(global, &options.range.range, &options.lease)?.build()?;
    let mut signals = Signals::listen()?;
    let mut reports = Reports {
        status_file: options
            .status_file
            .as_deref()
            .map(StatusFile::open)
            .transpose()?,
        journal: Journal::new(global.json),
    };
    let machine_id = tokio::select! {
        machine_id = connect::acquire(&raus, &options.lease) => machine_id?,
        number = signals.stop() => return Err(Failure::Signal(number)),
    };
    let outcome = lead(
        raus.namespace(),
        options,
        plan,
        &machine_id,
        &mut signals,
        &mut reports,
    )
    .await;
    let Reports {
        journal,
        status_file,
    } = reports;
    // Nobody may be told of a machine ID that has been given back.
    if let Some(status_file) = status_file {
        status_file.close();
    }
    if machine_id.is_held()
        && let Err(error) = machine_id.release().await
    {
        journal.say("release_failed", json!({}), &causes(&error));
    }
    journal.close();
    outcome
}

/// What others learn while the program runs.
struct Reports {
    journal: Journal,
    status_file: Option<StatusFile>,
}

/// Starts the program and follows it to its end.
async fn lead(
    namespace: &str,
    options: &ExecOptions,
    plan: Plan,
    machine_id: &MachineId,
    signals: &mut Signals,
    reports: &mut Reports,
) -> Result<ExitCode, Failure> {
    let watermark = Arc::new(Watermark::default());
    let attached = machine_id.attach(Arc::clone(&watermark) as _).await;
    attached.map_err(|error| Failure::Failed(causes(&error)))?;
    tokio::select! {
        passed = watermark.passed(&reports.journal) => passed?,
        number = signals.stop() => return Err(Failure::Signal(number)),
    }
    // Before the child is there: its end must not be missed.
    let mut ends = signal(SignalKind::child())?;
    let (mut child, status) = start(namespace, options, machine_id, &reports.journal)?;
    let mut guard = Guard::new(plan, machine_id.deadline());
    let mut events = machine_id.events();
    let mut has_events = true;
    let mut passed_on = None;
    let mut ended = None;
    let ended = loop {
        let held_until = machine_id.is_held().then(|| machine_id.deadline());
        match held_until {
            Some(deadline) => guard.handle_deadline(deadline),
            None => guard.handle_lost(),
        }
        while let Some(act) = guard.poll(SystemClock.now()) {
            act_on(&child, act, ended.is_some(), &reports.journal);
        }
        // After what is due: nothing may go on under a lease that is over.
        if let Some(number) = passed_on.take() {
            child.pass_on(number);
        }
        child.share_terminal();
        if let Some(file) = &mut reports.status_file {
            file.show(held_until.map(|held_until| Status {
                held_until,
                ..status.clone()
            }));
        }
        tokio::select! {
            biased;
            _ = ends.recv() => {}
            number = signals.next() => passed_on = Some(number),
            event = events.next(), if has_events => match event {
                Some(event) => reports.journal.tell(&event),
                None => has_events = false,
            },
            () = tokio::time::sleep(guard.pause(SystemClock.now())) => {}
        }
        for change in child.reap() {
            reports.journal.tell_of(child.pid(), change);
            if let Change::Ended(how) = change {
                ended = Some(how);
            }
        }
        if let Some(ended) = ended {
            let now = SystemClock.now();
            if child.group_is_gone() || guard.is_over(now) {
                break ended;
            }
            guard.handle_end(now);
        }
    };
    Ok(finish(&child, ended, &guard, &reports.journal))
}

fn start(
    namespace: &str,
    options: &ExecOptions,
    machine_id: &MachineId,
    journal: &Journal,
) -> Result<(Child, Status), Failure> {
    let (id, fence) = (machine_id.id(), machine_id.fence());
    let environment = [
        (options.env.clone(), id.to_string()),
        (format!("{}_FENCE", options.env), fence.to_string()),
        (format!("{}_NAMESPACE", options.env), namespace.to_owned()),
    ];
    let child = Child::spawn(&options.program, &environment, options.on_lost);
    let child = child.map_err(|error| Failure::Program {
        code: 126,
        message: format!("the program cannot be started: {error}"),
    })?;
    let pid = child.pid();
    journal.say(
        "started",
        json!({ "id": id, "fence": fence.to_string(), "namespace": namespace, "pid": pid }),
        &format!("machine ID {id} of namespace {namespace} (fence {fence}) for process {pid}"),
    );
    let status = Status {
        id,
        fence,
        namespace: namespace.to_owned(),
        pid,
        held_until: machine_id.deadline(),
    };
    Ok((child, status))
}

fn act_on(child: &Child, act: Act, has_ended: bool, journal: &Journal) {
    let (word, signal) = match act {
        Act::Tell(signal) => ("told", signal),
        Act::Kill => ("killed", Signal::SIGKILL),
    };
    child.tell_group(signal);
    let pid = child.pid();
    let text = if has_ended {
        format!("process {pid} has ended and left others in its group: {signal} to them")
    } else {
        format!("the machine ID is being lost: {signal} to process {pid} and its group")
    };
    journal.say(
        word,
        json!({ "signal": signal.as_str(), "pid": pid }),
        &text,
    );
}

fn finish(child: &Child, ended: Ended, guard: &Guard, journal: &Journal) -> ExitCode {
    let code = ended.code();
    child.share_terminal();
    if child.is_outlived() {
        journal.say(
            "outlived",
            json!({ "pid": child.pid() }),
            "processes that have left the program's group go on without a machine ID; run the program in the foreground, not \
             as a daemon",
        );
    }
    if guard.ends_for_loss() {
        journal.say(
            "lost",
            json!({ "code": code }),
            "the machine ID was lost and the program has ended",
        );
        return ExitCode::from(LEASE_LOST);
    }
    ExitCode::from(code)
}

impl Journal {
    /// What has become of the program; its end is for the exit code.
    fn tell_of(&self, pid: i32, change: Change) {
        let (word, text) = match change {
            Change::Stopped(signal) => (
                "stopped",
                format!(
                    "process {pid} was stopped ({signal}) and keeps its machine ID: `kill -CONT -- -{pid}` continues it, Ctrl-C \
                     or SIGTERM ends it"
                ),
            ),
            Change::Continued => ("continued", format!("process {pid} goes on")),
            Change::Ended(_) => return,
        };
        self.say(word, json!({ "pid": pid }), &text);
    }

    /// What happens to the machine ID while the program runs.
    fn tell(&self, event: &Event) {
        let (word, fields, text) = match event {
            Event::RenewalFailed { id, error, .. } => (
                "renewal_failed",
                json!({ "id": id }),
                format!("a renewal failed: {}", causes(&**error)),
            ),
            Event::AtRisk { id, .. } => (
                "at_risk",
                json!({ "id": id }),
                format!(
                    "machine ID {id} is at risk: no renewal was acknowledged for two thirds of its ttl"
                ),
            ),
            Event::Reasserted { id, .. } => (
                "reasserted",
                json!({ "id": id }),
                format!("the server had forgotten machine ID {id}; it was put back"),
            ),
            Event::Lost(loss) => ("lost_lease", json!({ "id": loss.id }), causes(loss)),
            Event::Released { id, .. } => (
                "released",
                json!({ "id": id }),
                format!("machine ID {id} was given back"),
            ),
            Event::ClockSkewed { skew } => (
                "clock_skewed",
                json!({}),
                format!("the clock is {skew:?} off the server's"),
            ),
            _ => return,
        };
        self.say(word, fields, &text);
    }
}
