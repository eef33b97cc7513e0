//! Shell completions and manual pages, from the options themselves.

use std::{io::Write, process::ExitCode};

use clap::CommandFactory;

use crate::{
    cli::{Cli, CompletionsOptions, ManOptions},
    failure::Failure,
};

pub(crate) fn completions(options: &CompletionsOptions) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "coordctl", &mut text);
    std::io::stdout().lock().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn man(options: &ManOptions) -> Result<ExitCode, Failure> {
    let Some(dir) = &options.dir else {
        let mut text = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut text)?;
        std::io::stdout().lock().write_all(&text)?;
        return Ok(ExitCode::SUCCESS);
    };
    if !dir.is_dir() {
        return Err(Failure::Usage(format!(
            "{} is no directory; create it first",
            dir.display()
        )));
    }
    clap_mangen::generate_to(Cli::command(), dir)?;
    Ok(ExitCode::SUCCESS)
}
