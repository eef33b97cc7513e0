//! What is printed: colours only where somebody sees them, and a reader that goes away ends the command quietly.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::failure::Failure;

pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();

/// One line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// One value, on one line.
pub(crate) fn json(value: &Value) -> Result<(), Failure> {
    line(&value.to_string())
}

/// One line on the standard error, prefixed with whose it is.
pub(crate) fn complain(text: &str) {
    // Nobody is left to tell where this fails.
    let _ = writeln!(anstream::stderr(), "coordctl: {text}");
}

/// Asks on the terminal.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    let mut out = anstream::stderr().lock();
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// `text` in a style.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::styled(text, Style::new())
    }

    /// What others chose is shown without its control characters.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: plain(&text.into()),
            style,
        }
    }
}

/// `1 bucket`, `2 buckets`.
pub(crate) fn count(number: impl Into<u64>, noun: &str) -> String {
    let number = number.into();
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// `text` without control characters, which could move the cursor.
pub(crate) fn plain(text: &str) -> String {
    let safe = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(safe).collect()
}

/// A table, its columns as wide as they need to be.
pub(crate) fn table(headings: &[&str], rows: &[Vec<Cell>]) -> Result<(), Failure> {
    let head: Vec<Cell> = headings
        .iter()
        .map(|&heading| Cell::styled(heading, HEADING))
        .collect();
    let mut widths = vec![0; headings.len()];
    for row in std::iter::once(&head).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    for row in std::iter::once(&head).chain(rows) {
        let mut text = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let is_last = at + 1 == row.len();
            let padding = if is_last {
                0
            } else {
                width - cell.text.chars().count() + 2
            };
            text.push_str(&styled(cell.style, &cell.text));
            text.push_str(&" ".repeat(padding));
        }
        line(text.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(1_u32, "bucket"), "1 bucket");
        assert_eq!(count(0_u32, "bucket"), "0 buckets");
    }

    #[test]
    fn nothing_that_others_wrote_moves_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(Cell::new("\u{7}").text, "\u{fffd}");
    }
}
