//! What needs more than the toolchain: fuzzers, and what is known of dependencies.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::cargo::{Call, root};

/// Lets cargo-fuzz look for bytes that break a promise of `target`, or of one target after the other, for so long each.
pub(crate) fn fuzz(target: Option<&str>, seconds: u64) -> Result<()> {
    let version = Call::program("rustup", "run nightly cargo fuzz --version").output();
    if version.is_err() {
        bail!(
            "cargo-fuzz is needed, and a nightly toolchain: `rustup toolchain install nightly` and \
             `cargo install cargo-fuzz --locked`; without them `cargo test --package fuzz-targets` does the same for seconds"
        );
    }
    let targets = targets()?;
    if let Some(unknown) = target.filter(|name| !targets.iter().any(|known| known == name)) {
        bail!(
            "no target is named {unknown}; there are {}",
            targets.join(", ")
        );
    }
    for name in targets {
        if target.is_none_or(|wanted| wanted == name) {
            let call = fuzzer(&name, seconds)?;
            println!("running `{call}`");
            call.run().with_context(|| format!("`{call}`"))?;
        }
    }
    Ok(())
}

/// What is new goes into a folder of its own: what is worth keeping is copied from there by hand.
fn fuzzer(name: &str, seconds: u64) -> Result<Call> {
    let found = format!("target/fuzz-corpus/{name}");
    fs::create_dir_all(root().join(&found)).with_context(|| found.clone())?;
    let line = format!(
        "run nightly cargo fuzz run --fuzz-dir fuzz --sanitizer none {name} {found} fuzz/corpus/{name} -- \
         -max_total_time={seconds} -max_len=4096 -timeout=30 -rss_limit_mb=2048"
    );
    Ok(Call::program("rustup", &line))
}

fn targets() -> Result<Vec<String>> {
    let folder = fs::read_dir(root().join("fuzz/corpus")).context("fuzz/corpus")?;
    let mut names = folder
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Advisories, licences, duplicates and sources of all dependencies; see deny.toml.
pub(crate) fn deny() -> Result<()> {
    if Call::cargo("deny --version").output().is_err() {
        bail!(
            "cargo-deny is needed: `cargo install cargo-deny --locked`; licences, duplicates and sources are checked \
             without it by `cargo test --package coord-tests --test it -- dependencies`"
        );
    }
    Call::cargo("deny check").run().context(
        "`cargo deny check`; it fetches the advisories, so without a network run \
         `cargo deny --offline check licenses bans sources`",
    )
}
