//! The report: one HTML file with plots and totals, and the verdicts on the terminal.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use crate::{
    figures::{self, Latency, per_second, server_cpu, value},
    plot::{Mark, Plot, PlotLine, Scale, escaped},
    raw::{Sample, Turn},
    recording::Recording,
    totals,
    verdict::{self, Verdict},
};

/// Writes `report.html` into the run's folder, prints what it says in short, and returns whether the run passed.
pub(crate) fn report(folder: &Path) -> Result<bool> {
    let recording = Recording::read(folder)?;
    let latencies = figures::latencies(&recording)?;
    let verdicts = verdict::judge(&recording)?;
    let totals = totals::totals(&recording, &latencies);
    let html = html(&recording, &latencies, &verdicts, &totals);
    let path = folder.join("report.html");
    fs::write(&path, html).with_context(|| path.display().to_string())?;
    for row in &totals {
        println!("{:40} {}", row.name, row.value);
    }
    for verdict in &verdicts {
        let word = if verdict.passed { "ok    " } else { "FAILED" };
        println!("{word} {}: {}", verdict.demand, verdict.found);
    }
    println!("report: {}", path.display());
    Ok(verdicts.iter().all(|verdict| verdict.passed))
}

fn html(
    recording: &Recording,
    latencies: &BTreeMap<&str, Latency>,
    verdicts: &[Verdict],
    totals: &[totals::Row],
) -> String {
    let setting = &recording.setting;
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Soak</title><style>{STYLE}</style></head>\
         <body>\n<h1>Soak</h1>\n<p>{} processes for {} minutes on one server ({}), a process ending every {} s on average, \
         seed {}. Each holds a machine ID, mints {} IDs a second, is a member of one group of {} buckets, and leases one \
         more machine ID now and then; ttl {} s, a heartbeat a second. Everything ran on one machine of {} processors, \
         beside other work: the load plot says how much. The longest latencies are therefore the machine's rather than \
         the protocol's.</p>\n",
        setting.processes,
        setting.minutes,
        setting.server,
        setting.every,
        setting.seed,
        setting.ids_per_second,
        setting.buckets,
        setting.ttl_ms / 1_000,
        setting.processors,
    );
    html += "<h2>Verdicts</h2>\n<table>\n";
    for verdict in verdicts {
        let (class, word) = if verdict.passed {
            ("ok", "ok")
        } else {
            ("failed", "FAILED")
        };
        let (demand, found) = (escaped(verdict.demand), escaped(&verdict.found));
        let _ = writeln!(
            html,
            "<tr><td class=\"{class}\">{word}</td><td>{demand}</td><td>{found}</td></tr>"
        );
    }
    html += "</table>\n<h2>Totals</h2>\n<p>Latencies and averages leave out the first tenth of the run.</p>\n<table>\n";
    for row in totals {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td></tr>",
            escaped(&row.name),
            escaped(&row.value)
        );
    }
    html += "</table>\n<h2>Over time</h2>\n<p>Minutes from left to right. Strokes below each plot: processes that \
             <span class=\"started\">started</span>, <span class=\"left\">left</span> and were \
             <span class=\"killed\">killed</span>.</p>\n";
    let marks = marks(recording);
    for plot in latency_plots(latencies)
        .into_iter()
        .chain(load_plots(recording))
    {
        html += &plot.svg(setting.minutes, &marks);
    }
    html += "</body></html>\n";
    html
}

fn latency_plots(latencies: &BTreeMap<&str, Latency>) -> Vec<Plot> {
    let plot = |(operation, title): &(&str, &str)| {
        let latency = latencies.get(*operation)?;
        let line = |name: &str, of: &dyn Fn(&Histogram<u64>) -> u64| PlotLine {
            name: name.to_owned(),
            points: latency.over_time(|took_us| totals::ms(of(took_us))),
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
    totals::OPERATIONS.iter().filter_map(plot).collect()
}

fn load_plots(recording: &Recording) -> Vec<Plot> {
    let over_time = |name: &str, number: &dyn Fn(&Sample) -> f64| PlotLine {
        name: name.to_owned(),
        points: figures::over_time(recording, number),
    };
    let linear = |title: &str, axis, lines| Plot {
        title: title.to_owned(),
        axis,
        scale: Scale::Linear,
        lines,
    };
    let rate = |name: &str, points| PlotLine {
        name: name.to_owned(),
        points,
    };
    let commands = per_second(recording, |sample| {
        value(sample, "total_commands_processed")
    });
    let per_process =
        |sum: u64, sample: &Sample| totals::float(sum) / totals::float(sample.members.count.max(1));
    vec![
        linear(
            "Server: processor",
            "% of one",
            vec![rate("redis-server", server_cpu(recording))],
        ),
        linear(
            "Server: commands",
            "a second",
            vec![rate("commands, those in scripts too", commands)],
        ),
        linear(
            "Server: memory",
            "MiB",
            vec![
                over_time("used", &|sample| mib(value(sample, "used_memory"))),
                over_time("resident", &|sample| mib(value(sample, "used_memory_rss"))),
                over_time("data", &|sample| mib(value(sample, "used_memory_dataset"))),
            ],
        ),
        linear(
            "Server: clients and keys",
            "",
            vec![
                over_time("connected clients", &|sample| {
                    value(sample, "connected_clients")
                }),
                over_time("keys", &|sample| value(sample, "keys")),
            ],
        ),
        linear(
            "Processes: number",
            "",
            vec![over_time("processes", &|sample| {
                totals::float(sample.members.count)
            })],
        ),
        linear(
            "Processes: resident memory",
            "MiB",
            vec![
                over_time("on average", &|sample| {
                    mib(per_process(sample.members.rss.sum, sample))
                }),
                over_time("largest", &|sample| {
                    mib(totals::float(sample.members.rss.max))
                }),
            ],
        ),
        linear(
            "Processes: threads and files of one",
            "",
            vec![
                over_time("most files", &|sample| {
                    totals::float(sample.members.files.max)
                }),
                over_time("files on average", &|sample| {
                    per_process(sample.members.files.sum, sample)
                }),
                over_time("most threads", &|sample| {
                    totals::float(sample.members.threads.max)
                }),
            ],
        ),
        linear(
            "Machine: load average over a minute, with all other work",
            "",
            vec![over_time("load", &|sample| sample.load)],
        ),
    ]
}

fn marks(recording: &Recording) -> Vec<Mark> {
    let mark = |change: &crate::raw::Change| {
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

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse}td{border-bottom:1px solid #ddd;padding:.2em .8em .2em 0;vertical-align:top}\
figure{margin:1.5em 0}figcaption{font-weight:600}svg{width:100%;height:auto;background:#fafafa}\
svg text{font-size:11px;fill:#444}svg text.left{text-anchor:end}svg text.below{text-anchor:middle}\
polyline{fill:none;stroke-width:1.4}.grid{stroke:#ddd}.legend{margin:.2em 0;font-size:13px}.legend span{margin-right:1.2em}\
.legend i{display:inline-block;width:1em;height:.25em;margin-right:.4em;vertical-align:middle}\
.ok{color:#1b7837}.failed{color:#c51b1b;font-weight:700}.started{color:#1b7837}.killed{color:#c51b1b}p .left{color:#555}";
