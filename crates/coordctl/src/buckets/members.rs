//! The members of a group.

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
        let mut json = group.json();
        output::json(&json["members"].take())?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<Cell>> = group
        .read
        .members
        .iter()
        .map(|member| group.row(member))
        .collect();
    output::table(&HEADINGS, &rows)?;
    Ok(ExitCode::SUCCESS)
}
