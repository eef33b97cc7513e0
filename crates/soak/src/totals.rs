//! The run in one table.

use std::collections::BTreeMap;

use crate::{
    figures::{self, Latency, mean, per_second, server_cpu, value},
    raw::{Line, Sample, Turn},
    recording::Recording,
};

/// One line of the table of latencies.
pub(crate) struct Timing {
    pub(crate) title: &'static str,
    pub(crate) count: u64,
    /// p50, p99, p99.9 and the longest, in milliseconds.
    pub(crate) took_ms: [f64; 4],
}

/// One line of the table of everything else.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// What is timed, with what the report calls it.
pub(crate) const OPERATIONS: [(&str, &str); 8] = [
    (
        "acquire (new process)",
        "Acquire, first of a process: connects, asks the server about itself",
    ),
    ("acquire", "Acquire, in a process that is connected"),
    ("release", "Release"),
    ("renew", "Heartbeat of machine IDs (renew)"),
    ("beat", "Heartbeat of a member (beat)"),
    ("join", "Join"),
    ("first bucket", "Join, until the first bucket"),
    ("leave", "Leave, with handing over every bucket"),
];

/// How long everything took after the warm-up.
pub(crate) fn timings(latencies: &BTreeMap<&str, Latency>) -> Vec<Timing> {
    let timing = |(operation, title): (&str, &'static str)| {
        let Latency { all, .. } = latencies.get(operation)?;
        let at = |quantile| ms(all.value_at_quantile(quantile));
        // What did not happen took no time that could be said.
        (!all.is_empty()).then(|| Timing {
            title,
            count: all.len(),
            took_ms: [at(0.5), at(0.99), at(0.999), ms(all.max())],
        })
    };
    OPERATIONS.into_iter().filter_map(timing).collect()
}

/// What server and processes used, and what they did.
pub(crate) fn totals(recording: &Recording) -> Vec<Row> {
    let mut rows = of_server(recording);
    rows.extend(of_processes(recording));
    rows
}

fn of_server(recording: &Recording) -> Vec<Row> {
    let (warm_up, minutes) = (recording.setting.warm_up(), recording.setting.minutes);
    let after = |points: Vec<(f64, f64)>| -> Vec<f64> {
        let points = points
            .into_iter()
            .filter(|(minute, _)| (warm_up..minutes).contains(minute));
        points.map(|(_, value)| value).collect()
    };
    let cpu = after(server_cpu(recording));
    let commands = after(per_second(recording, |sample| {
        value(sample, "total_commands_processed")
    }));
    let memory = |name: &str| {
        let part = |from, to| {
            let samples = recording.samples_within(from..to);
            kib(mean(samples.map(|sample| value(sample, name))))
        };
        let highest = recording.samples.iter().map(|sample| value(sample, name));
        format!(
            "{} after the warm-up, {} at the end, {} at most",
            part(warm_up, 2.0 * warm_up),
            part(minutes - warm_up, minutes),
            kib(highest.fold(0.0, f64::max))
        )
    };
    let clients = recording
        .samples
        .iter()
        .map(|sample| value(sample, "connected_clients"));
    vec![
        row(
            "Server: share of one processor",
            format!(
                "{:.2} % on average, {:.2} % at most between two samples",
                mean(cpu.iter().copied()),
                cpu.iter().copied().fold(0.0, f64::max)
            ),
        ),
        row(
            "Server: commands a second",
            format!("{:.0} on average", mean(commands.into_iter())),
        ),
        row("Server: memory used", memory("used_memory")),
        row("Server: memory resident", memory("used_memory_rss")),
        row("Server: data", memory("used_memory_dataset")),
        row(
            "Server: clients",
            format!("{} at most", clients.fold(0.0, f64::max)),
        ),
    ]
}

fn of_processes(recording: &Recording) -> Vec<Row> {
    let (warm_up, minutes) = (recording.setting.warm_up(), recording.setting.minutes);
    let rss = |from, to| {
        let samples = recording.samples_within(from..to);
        kib(mean(samples.map(|sample: &Sample| {
            float(sample.members.rss.sum) / float(sample.members.count.max(1))
        })))
    };
    let most = |of: fn(&Sample) -> u64| recording.samples.iter().map(of).max().unwrap_or_default();
    let moves: usize = recording.lines().map(granted).sum();
    let ids = recording.members.iter().flat_map(|member| &member.ids);
    let retried = recording
        .lines()
        .filter(|line| matches!(line, Line::Retried { .. }))
        .count();
    let load = mean(recording.samples.iter().map(|sample| sample.load));
    let count = |what| figures::count(recording, what).to_string();
    vec![
        row(
            "Processes: resident memory of one",
            format!(
                "{} after the warm-up, {} at the end, {} at most",
                rss(warm_up, 2.0 * warm_up),
                rss(minutes - warm_up, minutes),
                kib(float(most(|sample| sample.members.rss.max)))
            ),
        ),
        row(
            "Processes: threads of one",
            format!("{} at most", most(|sample| sample.members.threads.max)),
        ),
        row(
            "Processes: files of one",
            format!("{} at most", most(|sample| sample.members.files.max)),
        ),
        row("Processes started", count(Turn::Started)),
        row("Processes that left", count(Turn::Left)),
        row("Processes killed", count(Turn::Killed)),
        row("Buckets granted", moves.to_string()),
        row(
            "IDs minted",
            ids.map(|run| run.count).sum::<u64>().to_string(),
        ),
        row(
            "Heartbeats that failed and were tried again, or put something back",
            retried.to_string(),
        ),
        row("Load average of the machine", format!("{load:.1}")),
    ]
}

fn granted(line: &Line) -> usize {
    match line {
        Line::Did { granted, .. } => granted.len(),
        _ => 0,
    }
}

fn row(name: &str, value: String) -> Row {
    Row {
        name: name.to_owned(),
        value,
    }
}

fn kib(bytes: f64) -> String {
    format!("{:.0} KiB", bytes / 1_024.0)
}

/// Microseconds as milliseconds.
pub(crate) fn ms(us: u64) -> f64 {
    float(us) / 1_000.0
}

/// Numbers of this size have no digits that a double lacks.
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}
