//! What the report shows over time.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::{
    figures::{self, Latency, per_second, server_cpu, value},
    plot::{Mark, Plot, PlotLine, Scale},
    raw::{Change, Sample, Spread, Turn},
    recording::Recording,
    totals::{OPERATIONS, float, ms},
};

/// One plot for each operation that was timed.
pub(crate) fn of_latencies(latencies: &BTreeMap<&str, Latency>) -> Vec<Plot> {
    let plot = |(operation, title): &(&str, &str)| {
        let latency = latencies.get(*operation)?;
        let line = |name: &str, of: &dyn Fn(&Histogram<u64>) -> u64| PlotLine {
            name: name.to_owned(),
            points: latency.over_time(|took_us| ms(of(took_us))),
        };
        Some(Plot {
            title: (*title).to_owned(),
            axis: "ms",
            scale: Scale::Logarithmic,
            lines: vec![
                line("p50", &|took| took.value_at_quantile(0.5)),
                line("p99", &|took| took.value_at_quantile(0.99)),
                line("max", &Histogram::max),
            ],
        })
    };
    OPERATIONS.iter().filter_map(plot).collect()
}

/// What the server used.
pub(crate) fn of_server(recording: &Recording) -> Vec<Plot> {
    let over_time = |name: &str, number: &dyn Fn(&Sample) -> f64| PlotLine {
        name: name.to_owned(),
        points: figures::over_time(recording, number),
    };
    let one = |name: &str, points| {
        let name = name.to_owned();
        vec![PlotLine { name, points }]
    };
    let commands = per_second(recording, |sample| {
        value(sample, "total_commands_processed")
    });
    let memory = vec![
        over_time("used", &|sample| mib(value(sample, "used_memory"))),
        over_time("resident", &|sample| mib(value(sample, "used_memory_rss"))),
        over_time("data", &|sample| mib(value(sample, "used_memory_dataset"))),
    ];
    let contents = vec![
        over_time("connected clients", &|sample| {
            value(sample, "connected_clients")
        }),
        over_time("keys", &|sample| value(sample, "keys")),
    ];
    vec![
        linear(
            "Server: processor",
            "% of one",
            one("redis-server", server_cpu(recording)),
        ),
        linear(
            "Server: commands",
            "a second",
            one("commands, those in scripts too", commands),
        ),
        linear("Server: memory", "MiB", memory),
        linear("Server: clients and keys", "", contents),
    ]
}

/// What the processes used, and the machine with everything else on it.
pub(crate) fn of_processes(recording: &Recording) -> Vec<Plot> {
    let over_time = |name: &str, number: &dyn Fn(&Sample) -> f64| PlotLine {
        name: name.to_owned(),
        points: figures::over_time(recording, number),
    };
    let on_average =
        |spread: Spread, sample: &Sample| float(spread.sum) / float(sample.members.count.max(1));
    let count = over_time("processes", &|sample| float(sample.members.count));
    let memory = vec![
        over_time("on average", &|sample| {
            mib(on_average(sample.members.rss, sample))
        }),
        over_time("largest", &|sample| mib(float(sample.members.rss.max))),
    ];
    let handles = vec![
        over_time("most files", &|sample| float(sample.members.files.max)),
        over_time("files on average", &|sample| {
            on_average(sample.members.files, sample)
        }),
        over_time("most threads", &|sample| float(sample.members.threads.max)),
    ];
    let load = over_time("load", &|sample| sample.load);
    vec![
        linear("Processes: number", "", vec![count]),
        linear("Processes: resident memory", "MiB", memory),
        linear("Processes: threads and files of one", "", handles),
        linear(
            "Machine: load average over a minute, with all other work",
            "",
            vec![load],
        ),
    ]
}

fn linear(title: &str, axis: &'static str, lines: Vec<PlotLine>) -> Plot {
    Plot {
        title: title.to_owned(),
        axis,
        scale: Scale::Linear,
        lines,
    }
}

/// When processes came and went.
pub(crate) fn marks(recording: &Recording) -> Vec<Mark> {
    let mark = |change: &Change| {
        let (colour, row) = match change.what {
            Turn::Started => ("#1b7837", 0),
            Turn::Left => ("#555555", 1),
            Turn::Killed => ("#c51b1b", 2),
            Turn::Asked => return None,
        };
        Some(Mark {
            minute: recording.minute(change.at_ms),
            colour,
            row,
        })
    };
    recording.changes.iter().filter_map(mark).collect()
}

fn mib(bytes: f64) -> f64 {
    bytes / (1_024.0 * 1_024.0)
}
