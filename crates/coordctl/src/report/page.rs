//! The page itself.

use std::{fmt::Write, time::Duration};

use super::{
    Observed,
    changes::Snapshot,
    svg::{self, escape},
};
use crate::{
    buckets::group::{self, Group},
    doctor::Latency,
    id::list::{self, Namespace},
    output::{self, Cell},
    picture::Grid,
    time,
};

pub(super) fn render(observed: &Observed, wall_ms: u64) -> String {
    let title = escape(&observed.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n\
         <p>Observed for {}, {}, until {}.</p>\n",
        time::span(observed.lasted),
        output::count(observed.looks, "look"),
        time::utc(wall_ms)
    );
    match &observed.last {
        Snapshot::Group(group) => write_group(&mut page, group),
        Snapshot::Namespace(namespace) => write_namespace(&mut page, namespace),
    }
    write_changes(&mut page, observed);
    write_latency(&mut page, observed);
    page.push_str("</body></html>\n");
    page
}

fn write_group(page: &mut String, group: &Group) {
    let _ = writeln!(page, "<p>{}</p>", plain(&group.headline()));
    let grid = group.grid(CELLS);
    let title = |at: usize| {
        let first = at as u64 * u64::from(grid.per_cell);
        let owner = grid.cells[at];
        let members = group.read.members.iter();
        let mut owners = members.filter(|member| Some(Group::place(member.number)) == owner);
        let name = owners.next().map_or("nobody", |member| member.id.as_str());
        format!("from bucket {first}: {name}")
    };
    let _ = writeln!(page, "<h2>Who owns what</h2>\n{}", svg::grid(&grid, title));
    if 1 < grid.per_cell {
        let _ = writeln!(
            page,
            "<p>One cell stands for {} buckets.</p>",
            grid.per_cell
        );
    }
    let rows = group.read.members.iter().map(|member| {
        let place = Group::place(member.number);
        (Some(place), group.row(member))
    });
    write_table(page, "Members", &group::HEADINGS, rows);
}

fn write_namespace(page: &mut String, namespace: &Namespace) {
    let _ = writeln!(page, "<p>{}</p>", plain(&namespace.headline()));
    let (low, high) = (*namespace.range.start(), *namespace.range.end());
    let size = high.saturating_sub(low).saturating_add(1);
    let held = namespace.shown(false).enumerate();
    let mut runs = Vec::new();
    let mut at = 0;
    for (place, slot) in held {
        let number = slot.id - low;
        runs.push((at..number, None));
        runs.push((number..number + 1, Some(place)));
        at = number + 1;
    }
    runs.push((at..size, None));
    let grid = Grid::new(size, CELLS, runs);
    let title = |at: usize| {
        let first = u64::from(low) + at as u64 * u64::from(grid.per_cell);
        let holder = grid.cells[at].and_then(|place| namespace.shown(false).nth(place));
        let name = holder.map_or("free", |slot| slot.label.as_str());
        format!("machine ID {first}: {name}")
    };
    let _ = writeln!(page, "<h2>Who holds what</h2>\n{}", svg::grid(&grid, title));
    let rows = namespace.shown(false).enumerate();
    let rows = rows.map(|(place, slot)| (Some(place), namespace.row(slot)));
    write_table(page, "Holders", &list::HEADINGS, rows);
}

fn write_table(
    page: &mut String,
    title: &str,
    headings: &[&str],
    rows: impl Iterator<Item = (Option<usize>, Vec<Cell>)>,
) {
    let _ = write!(page, "<h2>{title}</h2>\n<table><tr><th></th>");
    for heading in headings {
        let _ = write!(page, "<th>{}</th>", escape(heading));
    }
    page.push_str("</tr>\n");
    for (place, row) in rows {
        let color = svg::color(place);
        let _ = write!(page, "<tr><td><i style=\"background:{color}\"></i></td>");
        for cell in row {
            let _ = write!(page, "<td>{}</td>", escape(&cell.text));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

fn write_changes(page: &mut String, observed: &Observed) {
    let count = observed.changes.len() + observed.dropped;
    let _ = writeln!(page, "<h2>Changes</h2>\n<p>{count} seen.</p>");
    let marks: Vec<(Duration, u32)> = observed
        .changes
        .iter()
        .map(|change| (change.at, change.weight))
        .collect();
    let _ = writeln!(page, "{}", svg::timeline(&marks, observed.lasted));
    page.push_str("<table><tr><th>AFTER</th><th>WHAT</th></tr>\n");
    for change in &observed.changes {
        let at = time::span(change.at);
        let _ = writeln!(
            page,
            "<tr><td>{at}</td><td>{}</td></tr>",
            escape(&change.what)
        );
    }
    page.push_str("</table>\n");
    if observed.dropped != 0 {
        let _ = writeln!(page, "<p>{} more are not listed.</p>", observed.dropped);
    }
}

fn write_latency(page: &mut String, observed: &Observed) {
    let latency = Latency::of(&observed.samples);
    let ms = |span: Duration| format!("{:.2} ms", span.as_secs_f64() * 1e3);
    let took: Vec<Duration> = observed.samples.iter().map(|sample| sample.took).collect();
    let _ = writeln!(
        page,
        "<h2>Round trips</h2>\n<p>{} of them: p50 {}, p99 {}, largest {}. The server's clock is {} ms {} this machine's.</p>\n{}",
        latency.count,
        ms(latency.p50),
        ms(latency.p99),
        ms(latency.max),
        latency.skew_ms.unsigned_abs(),
        if latency.skew_ms < 0 {
            "behind"
        } else {
            "ahead of"
        },
        svg::bars(&took)
    );
}

/// A line that was written for a terminal.
fn plain(text: &str) -> String {
    escape(&anstream::adapter::strip_str(text).to_string())
}

const CELLS: u32 = 4_096;

const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222;\
background:#fff}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:1.6em}svg{max-width:100%;height:auto}\
table{border-collapse:collapse}th,td{padding:.2em .8em .2em 0;text-align:left;border-bottom:1px solid #eee;\
font-variant-numeric:tabular-nums}i{display:inline-block;width:1em;height:1em}@media(prefers-color-scheme:dark){\
body{color:#ddd;background:#181818}th,td{border-color:#333}}";
