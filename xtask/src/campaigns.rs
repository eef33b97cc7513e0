//! The slow ways to doubt the tests: mutants of the code, and programs that watch memory and threads.

use std::fmt;

use anyhow::{Context, Result, bail};

use crate::cargo::Call;

/// Changes one thing at a time and runs the tests of its crate; `.cargo/mutants.toml` says where.
pub(crate) fn mutants(arguments: &[String]) -> Result<()> {
    if Call::cargo("mutants --version").output().is_err() {
        bail!(
            "cargo-mutants is missing: run `cargo install cargo-mutants --locked`, then try again"
        );
    }
    let call = arguments
        .iter()
        .fold(Call::cargo("mutants"), |call, argument| call.arg(argument));
    call.run().with_context(|| format!("`{call}`"))
}

/// What watches a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Miri: every access of the generator, on a machine that reorders what it may.
    Miri,
    /// ThreadSanitizer: data races.
    Thread,
}

impl Watch {
    pub(crate) const ALL: [Self; 2] = [Self::Miri, Self::Thread];

    fn calls(self) -> Vec<Call> {
        match self {
            Self::Miri => MIRI.iter().map(|line| miri(line)).collect(),
            Self::Thread => vec![sanitized(self)],
        }
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Miri => "miri",
            Self::Thread => "thread",
        })
    }
}

/// Runs the tests of the libraries under one of these, or under all.
pub(crate) fn sanitize(watch: Option<Watch>) -> Result<()> {
    let components = Call::program("rustup", "component list --installed --toolchain nightly");
    let installed = components.output().unwrap_or_default();
    for component in ["miri", "rust-src"] {
        if !installed.lines().any(|line| line.starts_with(component)) {
            bail!(
                "the nightly toolchain has no {component}: run `rustup toolchain install nightly --component \
                 miri,rust-src`, then try again"
            );
        }
    }
    let wanted = watch.map_or_else(|| Watch::ALL.to_vec(), |watch| vec![watch]);
    for call in wanted.into_iter().flat_map(Watch::calls) {
        println!("running `{call}`");
        call.run().with_context(|| format!("`{call}`"))?;
    }
    Ok(())
}

/// What Miri, which takes a thousand times as long, gets through in minutes.
const MIRI: &[&str] = &[
    "raus-snowflake --no-default-features --features std --lib -- --skip model --skip text",
    "raus-snowflake --no-default-features --features std --test it -- layouts text threads::ids_of",
    "coord-core --all-features --lib -- --skip model --skip store::embedded advice::rules candidate clock endpoint event_log history lease namespace \
     heartbeat::tests spawn store::redis",
    "raus --all-features --lib",
    "redbuckets --all-features --lib -- glance inspect keys membership protocol shed",
];

fn miri(line: &str) -> Call {
    nightly(&format!(
        "miri test --target-dir target/miri --package {line}"
    ))
    // The clocks are the machine's.
    .env("MIRIFLAGS", "-Zmiri-disable-isolation")
    .env("SNOWFLAKE_IDS_PER_THREAD", 40)
    .env("PROPTEST_CASES", 4)
}

/// The standard library is built with it, too, or its locks would look like races. Loom runs no threads of its own, and a
/// forked child has none.
fn sanitized(watch: Watch) -> Call {
    let line = format!(
        "test -Zbuild-std --target {TARGET} --target-dir target/sanitize-{watch} --package raus-snowflake \
         --package coord-core --package raus --package redbuckets --lib --test it -- --skip model --skip fork \
         --skip every_bucket_is_owned"
    );
    nightly(&line)
        .env("RUSTFLAGS", format!("-Zsanitizer={watch}"))
        .env("SNOWFLAKE_IDS_PER_THREAD", 20_000)
        .env("PROPTEST_CASES", 8)
}

fn nightly(line: &str) -> Call {
    Call::program("rustup", &format!("run nightly cargo {line}"))
}

const TARGET: &str = "x86_64-unknown-linux-gnu";
