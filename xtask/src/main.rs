//! The project's own commands: `cargo xtask help` lists them.

mod args;
mod campaigns;
mod cargo;
mod ci;
mod docker;
mod features;
mod guards;
mod setup;
mod tasks;

use std::{env, process::ExitCode};

use crate::args::Task;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let task = match args::parse(&arguments) {
        Ok(task) => task,
        Err(misuse) => {
            eprintln!("error: {misuse}");
            return ExitCode::from(2);
        }
    };
    let done = match task {
        Task::Help(text) => {
            print!("{text}");
            Ok(())
        }
        Task::Setup => setup::setup(),
        Task::Demo { redis } => tasks::demo(redis.as_deref()),
        Task::Test => tasks::test(),
        Task::Ci => ci::ci(),
        Task::Package { quick } => tasks::package(quick),
        Task::Bench { what, quick } => tasks::bench(&what, quick),
        Task::Docker(options) => docker::docker(options),
        Task::Sim(run) => tasks::sim(run),
        Task::Book => tasks::book(),
        Task::Soak(options) => tasks::soak(&options),
        Task::Mutants(arguments) => campaigns::mutants(&arguments),
        Task::Sanitize(watch) => campaigns::sanitize(watch),
        Task::Chaos(options) => tasks::chaos(&options),
        Task::Fuzz { target, seconds } => guards::fuzz(target.as_deref(), seconds),
        Task::Deny => guards::deny(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<tasks::Misuse>() { 2 } else { 1 })
        }
    }
}
