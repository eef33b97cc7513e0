//! What the fuzzers call: each target takes any bytes and panics where a promise is broken.
//!
//! `cargo xtask fuzz` lets cargo-fuzz look for such bytes; a test runs every target over the corpus under `fuzz/corpus`
//! and mutations of it, with any toolchain. docs/testing/fuzzing.md says what each target promises.

mod deployment;
mod frames;
mod ids;
mod peer;
mod replies;
mod server;
mod urls;

/// One target: its name, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target; the name is that of its folder under `fuzz/corpus`.
pub const TARGETS: &[Target] = &[
    ("deployment", deployment::run),
    ("frames", frames::run),
    ("ids", ids::run),
    ("member", redbuckets::fuzzing::member),
    ("peer", peer::run),
    ("replies", replies::run),
    ("search", raus::fuzzing::search),
    ("server", server::run),
    ("urls", urls::run),
];

/// Runs the target `name` over `data`.
///
/// # Panics
///
/// Where a promise is broken, and where there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = found.expect("a target of this name");
    target(data);
}
