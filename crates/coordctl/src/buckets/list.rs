//! A group: its members, and who owns what.

use std::process::ExitCode;

use super::group::{HEADINGS, Reader};
use crate::{
    cli::{Global, GroupOptions},
    failure::Failure,
    output::{self, Cell},
};

pub(crate) async fn run(global: &Global, options: &GroupOptions) -> Result<ExitCode, Failure> {
    let group = Reader::new(global, options)?.read().await?;
    if global.json {
        output::json(&group.json())?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&group.headline())?;
    let rows: Vec<Vec<Cell>> = group
        .read
        .members
        .iter()
        .map(|member| group.row(member))
        .collect();
    output::table(&HEADINGS, &rows)?;
    let grid = group.grid((WIDTH * HEIGHT) as u32);
    output::line("")?;
    for line in grid.lines(WIDTH) {
        output::line(&line)?;
    }
    if 1 < grid.per_cell {
        let note = format!("one letter stands for {} buckets", grid.per_cell);
        output::line(&output::styled(output::DIM, &note))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fits a terminal of 80 columns with the number before each line.
const WIDTH: usize = 64;
const HEIGHT: usize = 32;
