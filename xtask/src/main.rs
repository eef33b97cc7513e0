//! The project's own commands: `cargo xtask help` lists them.

mod args;
mod cargo;
mod ci;
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
        Task::Bench { what, quick } => tasks::bench(&what, quick),
        Task::Sim(run) => tasks::sim(run),
        Task::Fuzz { target, seconds } => guards::fuzz(target.as_deref(), seconds),
        Task::Deny => guards::deny(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
