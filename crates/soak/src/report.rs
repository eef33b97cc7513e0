//! The report: one HTML file with plots and totals, and the verdicts on the terminal.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    figures::{self, Latency},
    plot::escaped,
    plots,
    recording::Recording,
    totals,
    verdict::{self, Verdict},
};

/// Writes `report.html` into the run's folder, prints what it says in short, and returns whether the run passed.
pub(crate) fn report(folder: &Path) -> Result<bool> {
    let recording = Recording::read(folder)?;
    let latencies = figures::latencies(&recording)?;
    let verdicts = verdict::judge(&recording)?;
    let html = html(&recording, &latencies, &verdicts);
    let path = folder.join("report.html");
    fs::write(&path, html).with_context(|| path.display().to_string())?;
    for timing in totals::timings(&latencies) {
        let [p50, p99, _, max] = timing.took_ms;
        let title = timing.title;
        println!("{title}: p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.1} ms");
    }
    for row in totals::totals(&recording) {
        println!("{}: {}", row.name, row.value);
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
    html += "</table>\n<h2>Totals</h2>\n<p>Latencies and averages leave out the first tenth of the run, the warm-up.</p>\n\
             <table>\n<tr><th></th><th>times</th><th>p50, ms</th><th>p99, ms</th><th>p99.9, ms</th><th>max, ms</th></tr>\n";
    for timing in totals::timings(latencies) {
        let [p50, p99, p999, max] = timing.took_ms;
        let (title, count) = (escaped(timing.title), timing.count);
        let _ = writeln!(
            html,
            "<tr><td>{title}</td><td>{count}</td><td>{p50:.2}</td><td>{p99:.2}</td><td>{p999:.1}</td><td>{max:.1}</td></tr>"
        );
    }
    html += "</table>\n<table>\n";
    for row in totals::totals(recording) {
        let (name, value) = (escaped(&row.name), escaped(&row.value));
        let _ = writeln!(html, "<tr><td>{name}</td><td>{value}</td></tr>");
    }
    html += "</table>\n<h2>Over time</h2>\n<p>Minutes from left to right. Strokes below each plot: processes that \
             <span class=\"started\">started</span>, <span class=\"left\">left</span> and were \
             <span class=\"killed\">killed</span>.</p>\n";
    let marks = plots::marks(recording);
    for plot in plots::of_latencies(latencies)
        .into_iter()
        .chain(plots::of_server(recording))
        .chain(plots::of_processes(recording))
    {
        html += &plot.svg(setting.minutes, &marks);
    }
    html += "</body></html>\n";
    html
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0}th{text-align:left;font-weight:600}td,th{border-bottom:1px solid #ddd;padding:.2em .8em .2em 0;vertical-align:top}\
figure{margin:1.5em 0}figcaption{font-weight:600}svg{width:100%;height:auto;background:#fafafa}\
svg text{font-size:11px;fill:#444}svg text.left{text-anchor:end}svg text.below{text-anchor:middle}\
polyline{fill:none;stroke-width:1.4}.grid{stroke:#ddd}.legend{margin:.2em 0;font-size:13px}.legend span{margin-right:1.2em}\
.legend i{display:inline-block;width:1em;height:.25em;margin-right:.4em;vertical-align:middle}\
.ok{color:#1b7837}.failed{color:#c51b1b;font-weight:700}.started{color:#1b7837}.killed{color:#c51b1b}p .left{color:#555}";
