//! Prints what the models show: `cargo run --release -p coord-model -- [--bounds small|large] [--json]`.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use coord_model::{Bounds, Entry, Findings, catalogue};
use serde::Serialize;

/// Checks the models of the two protocols, state by state.
#[derive(Debug, Parser)]
struct Args {
    /// How much there is of everything.
    #[arg(long, value_enum, default_value = "small")]
    bounds: Size,
    /// One JSON object a line, with the steps of each counterexample.
    #[arg(long)]
    json: bool,
    /// Only models whose protocol, kind and name contain this, as in "lease mutant".
    #[arg(long, default_value = "")]
    only: String,
    /// The steps of each counterexample.
    #[arg(long)]
    steps: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Size {
    Small,
    Large,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    protocol: &'a str,
    kind: &'a str,
    name: &'a str,
    bounds: &'a str,
    states: usize,
    depth: usize,
    seconds: f64,
    refuted: Option<&'a str>,
    steps: &'a [String],
    as_expected: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let bounds = match args.bounds {
        Size::Small => Bounds::Small,
        Size::Large => Bounds::Large,
    };
    if !args.json {
        println!("| model | bounds | states | depth | seconds | result |");
        println!("| --- | --- | ---: | ---: | ---: | --- |");
    }
    let mut all_well = true;
    for entry in catalogue(bounds) {
        if !title(&entry).contains(&args.only) {
            continue;
        }
        let findings = entry.check();
        all_well &= entry.is_as_expected(&findings);
        report(&args, &entry, &findings);
    }
    if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn title(entry: &Entry) -> String {
    format!("{} {}: {}", entry.protocol(), entry.kind.name(), entry.name)
}

fn report(args: &Args, entry: &Entry, findings: &Findings) {
    let expected = entry
        .refuted
        .and_then(|property| findings.refuted.get_key_value(property));
    let refuted = expected.or_else(|| findings.refuted.iter().next());
    let line = Line {
        protocol: entry.protocol(),
        kind: entry.kind.name(),
        name: entry.name,
        bounds: &entry.bounds,
        states: findings.states,
        depth: findings.depth,
        seconds: findings.took.as_secs_f64(),
        refuted: refuted.map(|(property, _)| *property),
        steps: refuted.map_or(&[], |(_, steps)| steps),
        as_expected: entry.is_as_expected(findings),
    };
    if args.json {
        println!("{}", serde_json::json!(line));
        return;
    }
    let surprise = if line.as_expected {
        ""
    } else {
        " (UNEXPECTED)"
    };
    let result = line.refuted.map_or_else(
        || "holds".to_owned(),
        |property| format!("refuted in {} steps: {property}", line.steps.len()),
    );
    println!(
        "| {} | {} | {} | {} | {:.1} | {result}{surprise} |",
        title(entry),
        line.bounds,
        line.states,
        line.depth,
        line.seconds,
    );
    if args.steps || !line.as_expected {
        for step in line.steps {
            println!("    {step}");
        }
    }
}
