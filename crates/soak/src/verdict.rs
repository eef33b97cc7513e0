//! What has to hold for a run to have passed.

use std::collections::BTreeSet;

use anyhow::Result;
use snowflake::{Id, Layout};

use crate::{
    figures::{mean, value},
    raw::{End, IdRun, Line, Sample},
    recording::Recording,
};

/// One demand, and whether it was met.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) demand: &'static str,
    pub(crate) passed: bool,
    /// What was found.
    pub(crate) found: String,
}

/// Every demand, in the order of the report.
pub(crate) fn judge(recording: &Recording) -> Result<Vec<Verdict>> {
    Ok(vec![
        complete(recording),
        unique_ids(recording)?,
        unique_grants(recording),
        no_loss(recording),
        no_failure(recording),
        nothing_left(recording.end.as_ref()),
        steady_memory(recording),
    ])
}

fn complete(recording: &Recording) -> Verdict {
    let end = recording.end.as_ref();
    let unseen = end.map_or(0, |end| end.unseen.len());
    let taken = recording.samples.len();
    Verdict {
        demand: "the run is complete",
        // A sample now and then may fail on a machine that is short of processors.
        passed: end.is_some() && unseen * 20 <= taken,
        found: match end {
            Some(_) => format!("{taken} samples taken, {unseen} failed"),
            None => "it goes on, or was cut off".to_owned(),
        },
    }
}

/// Within a run every ID is above the one before, which its process has checked; so no two are equal where the runs of
/// each machine ID lie apart.
fn unique_ids(recording: &Recording) -> Result<Verdict> {
    let layout = Layout::default();
    let machine_id = |bits| Id::from_u64(bits).machine_id(&layout);
    let runs = recording.members.iter().flat_map(|member| &member.ids);
    let mut runs: Vec<&IdRun> = runs.collect();
    runs.sort_unstable_by_key(|run| (machine_id(run.first), run.first));
    let mut wrong = runs
        .windows(2)
        .filter(|pair| machine_id(pair[0].first) == machine_id(pair[1].first))
        .filter(|pair| pair[1].first <= pair[0].last)
        .count();
    wrong += runs
        .iter()
        .filter(|run| run.last < run.first || machine_id(run.first) != machine_id(run.last))
        .count();
    let ids: u64 = runs.iter().map(|run| run.count).sum();
    let used: BTreeSet<u32> = runs.iter().map(|run| machine_id(run.first)).collect();
    Ok(Verdict {
        demand: "no ID twice",
        passed: wrong == 0 && 0 < ids,
        found: format!(
            "{ids} IDs in {} runs under {} machine IDs, {wrong} runs that meet",
            runs.len(),
            used.len()
        ),
    })
}

fn unique_grants(recording: &Recording) -> Verdict {
    let mut seen = BTreeSet::new();
    let (mut grants, mut twice) = (0_u64, 0_u64);
    for line in recording.lines() {
        let Line::Did { granted, .. } = line else {
            continue;
        };
        for grant in granted {
            grants += 1;
            twice += u64::from(!seen.insert(*grant));
        }
    }
    Verdict {
        demand: "no bucket granted twice with one epoch",
        passed: twice == 0 && 0 < grants,
        found: format!("{grants} grants, {twice} of them twice"),
    }
}

fn no_loss(recording: &Recording) -> Verdict {
    let lost: Vec<&String> = recording
        .lines()
        .filter_map(|line| match line {
            Line::Lost { text, .. } => Some(text),
            _ => None,
        })
        .collect();
    Verdict {
        demand: "no lease lost",
        passed: lost.is_empty(),
        found: listed(&lost),
    }
}

fn no_failure(recording: &Recording) -> Verdict {
    let misbehaved = recording.end.iter().flat_map(|end| &end.misbehaved);
    let failed = recording.lines().filter_map(|line| match line {
        Line::Failed { text, .. } => Some(text),
        _ => None,
    });
    let all: Vec<&String> = misbehaved.chain(failed).collect();
    Verdict {
        demand: "no operation failed for its caller, no process ended by itself",
        passed: all.is_empty(),
        found: listed(&all),
    }
}

fn nothing_left(end: Option<&End>) -> Verdict {
    let demand = "nothing left over when all had gone";
    let Some(end) = end else {
        return Verdict {
            demand,
            passed: false,
            found: "not known yet".to_owned(),
        };
    };
    let stays = |key: &str| {
        let last = key.rsplit_once(':').map_or(key, |(rest, last)| {
            if rest.ends_with(":table") {
                "table"
            } else {
                last
            }
        });
        STAYS.contains(&last)
    };
    let too_many: Vec<&String> = end.keys.iter().filter(|key| !stays(key)).collect();
    Verdict {
        demand,
        passed: too_many.is_empty() && end.leased == 0 && end.members == 0 && end.owned == 0,
        found: format!(
            "{} machine IDs leased, {} members, {} buckets owned; keys that ought to be gone: {}; keys that stay: {}",
            end.leased,
            end.members,
            end.owned,
            listed(&too_many),
            end.keys.len() - too_many.len(),
        ),
    }
}

/// Compares the minutes after the warm-up with the last ones in which processes were there.
fn steady_memory(recording: &Recording) -> Verdict {
    let (warm_up, minutes) = (recording.setting.warm_up(), recording.setting.minutes);
    let memory = |from, to| {
        let samples = recording.samples_within(from..to);
        mean(samples.map(|sample: &Sample| value(sample, "used_memory")))
    };
    let (before, after) = (
        memory(warm_up, 2.0 * warm_up),
        memory(minutes - warm_up, minutes),
    );
    let bound = before * MEMORY_FACTOR + MEMORY_ALLOWANCE;
    Verdict {
        demand: "the server's memory does not grow (10 % + 256 KiB)",
        passed: 0.0 < before && 0.0 < after && after <= bound,
        found: format!(
            "{:.0} KiB on average after the warm-up, {:.0} KiB at the end, {:.0} KiB allowed",
            before / 1_024.0,
            after / 1_024.0,
            bound / 1_024.0
        ),
    }
}

fn listed(all: &[&String]) -> String {
    match all {
        [] => "none".to_owned(),
        [first, ..] => format!("{}, the first: {first}", all.len()),
    }
}

/// What a namespace and a group keep for ever: fences, horizons and epochs, which must not start anew.
const STAYS: [&str; 4] = ["slots", "group", "retired", "table"];

const MEMORY_FACTOR: f64 = 1.1;
/// A short run is over before every machine ID has its record of some 100 bytes.
const MEMORY_ALLOWANCE: f64 = 256.0 * 1_024.0;

#[cfg(test)]
mod tests;
