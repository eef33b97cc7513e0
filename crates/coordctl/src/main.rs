//! The command line tool of raus and redbuckets, for operators and for services in any language.
//!
//! - `coordctl id exec -- PROGRAM` leases a machine ID and runs a program with it in its environment.
//! - `coordctl id list|watch|status|revoke` and `coordctl buckets list|watch|members|drain|evict` say who holds what, and change it.
//! - `coordctl id init|repair|layout|export|import` begin, mend and move a namespace.
//! - `coordctl mint` and `coordctl decode` make IDs and take them apart.
//! - `coordctl doctor` examines a server, `coordctl report` writes what happens there into one HTML page.
//! - `coordctl exporter` serves what it sees of a namespace and groups to Prometheus.
//!
//! `cli` has every option; each command is a module of its own below. A command returns a `failure::Failure`, which knows
//! its exit code.

mod buckets;
mod cli;
mod completions;
mod connect;
mod decode;
mod doctor;
#[cfg(feature = "exporter")]
mod exporter;
mod failure;
mod id;
mod live;
mod mint;
mod output;
mod picture;
mod report;
mod time;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::{BucketsCommand, ChildOptions, Cli, Command, IdCommand},
    failure::Failure,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|first| first == cli::CHILD) {
        let name = std::iter::once("coordctl".into());
        return id::exec::become_program(&ChildOptions::parse_from(name.chain(arguments)));
    }
    let cli = Cli::parse();
    // One thread: a program that `id exec` runs is ended by the kernel together with the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(Failure::from(error)),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            if let Some(message) = failure.message() {
                output::complain(message);
            }
            failure.code()
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Id(IdCommand::Exec(options)) => id::exec::run(global, options).await,
        Command::Id(IdCommand::List(options)) => id::list::run(global, options).await,
        Command::Id(IdCommand::Watch(options)) => id::watch::run(global, options).await,
        Command::Id(IdCommand::Status(options)) => id::status::run(global, options),
        Command::Id(IdCommand::Revoke(options)) => id::revoke::run(global, options).await,
        Command::Id(IdCommand::Init(options)) => id::init::run(global, options).await,
        Command::Id(IdCommand::Repair(options)) => id::repair::run(global, options).await,
        Command::Id(IdCommand::Layout(options)) => id::layout::run(global, options).await,
        Command::Id(IdCommand::Export) => id::moving::export(global).await,
        Command::Id(IdCommand::Import(options)) => id::moving::import(global, options).await,
        Command::Buckets(BucketsCommand::List(options)) => {
            buckets::list::run(global, options).await
        }
        Command::Buckets(BucketsCommand::Members(options)) => {
            buckets::members::run(global, options).await
        }
        Command::Buckets(BucketsCommand::Watch(options)) => {
            buckets::watch::run(global, options).await
        }
        Command::Buckets(BucketsCommand::Evict(options)) => {
            buckets::drain::evict(global, options).await
        }
        Command::Buckets(BucketsCommand::Drain(options)) => {
            buckets::drain::run(global, options).await
        }
        Command::Mint(options) => mint::run(global, options).await,
        Command::Decode(options) => decode::run(global, options),
        Command::Doctor(options) => doctor::run(global, options).await,
        Command::Report(options) => report::run(global, options).await,
        #[cfg(feature = "exporter")]
        Command::Exporter(options) => exporter::run(global, options).await,
        Command::Completions(options) => completions::completions(options),
        Command::Man(options) => completions::man(options),
    }
}
