//! Pictures without a script or a file beside them.

use std::{fmt::Write, time::Duration};

use crate::picture::Grid;

/// A grid of coloured cells.
pub(super) fn grid(grid: &Grid, titles: impl Fn(usize) -> String) -> String {
    let columns = grid.cells.len().min(COLUMNS);
    let rows = grid.cells.len().div_ceil(COLUMNS.max(1));
    let (width, height) = (columns * CELL, rows * CELL);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"who owns what\">"
    );
    for (at, &owner) in grid.cells.iter().enumerate() {
        let (x, y) = (at % COLUMNS * CELL, at / COLUMNS * CELL);
        let _ = write!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{INNER}\" height=\"{INNER}\" fill=\"{}\"><title>{}</title></rect>",
            color(owner),
            escape(&titles(at))
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The colour of an owner: neighbours in the list lie far apart on the wheel.
pub(super) fn color(owner: Option<usize>) -> String {
    owner.map_or_else(
        || "#d5d5d5".to_owned(),
        |owner| format!("hsl({} 65% {}%)", owner * 137 % 360, 45 + owner % 3 * 8),
    )
}

/// Round trips as bars, in the order in which they were made; at most one for each pixel, the slowest of its neighbours.
pub(super) fn bars(took: &[Duration]) -> String {
    let per_bar = took.len().div_ceil(BARS).max(1);
    let slowest = |chunk: &[Duration]| chunk.iter().max().copied().unwrap_or_default();
    let bars: Vec<Duration> = took.chunks(per_bar).map(slowest).collect();
    let top = slowest(&bars).as_secs_f64().max(f64::MIN_POSITIVE);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {BARS} {BAR_HEIGHT}\" width=\"{BARS}\" height=\"{BAR_HEIGHT}\" role=\"img\" \
         aria-label=\"round trips\">"
    );
    let width = (BARS / bars.len().max(1)).max(1);
    for (at, bar) in bars.iter().enumerate() {
        let height = (bar.as_secs_f64() / top * BAR_HEIGHT as f64).max(1.0);
        let (x, y) = (at * width, BAR_HEIGHT as f64 - height);
        let ms = bar.as_secs_f64() * 1e3;
        let _ = write!(
            svg,
            "<rect x=\"{x}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height:.1}\" fill=\"#4878a8\">\
             <title>{ms:.2} ms</title></rect>"
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Changes on a line of time, each as high as its share of the largest.
pub(super) fn timeline(changes: &[(Duration, u32)], lasted: Duration) -> String {
    let top = f64::from(
        changes
            .iter()
            .map(|&(_, weight)| weight)
            .max()
            .unwrap_or(0)
            .max(1),
    );
    let length = lasted.as_secs_f64().max(f64::MIN_POSITIVE);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {BARS} {BAR_HEIGHT}\" width=\"{BARS}\" height=\"{BAR_HEIGHT}\" role=\"img\" \
         aria-label=\"changes over time\"><line x1=\"0\" y1=\"{BAR_HEIGHT}\" x2=\"{BARS}\" y2=\"{BAR_HEIGHT}\" \
         stroke=\"#999\"/>"
    );
    for &(at, weight) in changes {
        let x = at.as_secs_f64() / length * BARS as f64;
        let y = BAR_HEIGHT as f64 * (1.0 - 0.9 * f64::from(weight) / top) - 4.0;
        let _ = write!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{BAR_HEIGHT}\" stroke=\"#c05020\" stroke-width=\"2\">\
             <title>{weight} at {:.1} s</title></line>",
            y.max(0.0),
            at.as_secs_f64()
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Text that others chose, made harmless.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

const COLUMNS: usize = 64;
const CELL: usize = 13;
const INNER: usize = 12;
const BARS: usize = 832;
const BAR_HEIGHT: usize = 90;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text() {
        assert_eq!(
            escape("<script>'&\"\u{1b}"),
            "&lt;script&gt;&#39;&amp;&quot;\u{fffd}"
        );
    }

    #[test]
    fn pictures_of_nothing_are_pictures() {
        assert!(bars(&[]).ends_with("</svg>"));
        assert!(timeline(&[], Duration::ZERO).ends_with("</svg>"));
        let empty = Grid::new(0, 10, []);
        assert!(grid(&empty, |_| String::new()).ends_with("</svg>"));
    }

    #[test]
    fn a_long_observation_still_fits() {
        let took = vec![Duration::from_millis(1); 100_000];
        assert!(bars(&took).matches("<rect").count() <= BARS);
    }
}
