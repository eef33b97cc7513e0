//! Measures `snowflake` beside its peers and the floors of the machine, all in one run.
//!
//! `cargo xtask bench snowflake` runs it; `--quick` takes a few seconds and shows that it works, not how fast it is.

mod burst;
mod encoding;
mod measure;
mod peers;
mod shared;
mod sustained;

use measure::{Effort, Table};

fn main() -> anyhow::Result<()> {
    let mut effort = Effort::FULL;
    let mut only = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => effort = Effort::QUICK,
            // What `cargo xtask bench snowflake` passes on: all of it.
            "snowflake" => {}
            "burst" | "shared" | "sustained" | "encoding" => only = Some(argument),
            other => anyhow::bail!(
                "unknown argument {other}; give --quick, or one of burst, shared, sustained, encoding"
            ),
        }
    }
    type Part = fn(Effort) -> anyhow::Result<Table>;
    let parts: [(&str, Part); 4] = [
        ("burst", burst::run),
        ("shared", shared::run),
        ("sustained", sustained::run),
        ("encoding", encoding::run),
    ];
    for (name, run) in parts {
        if only.as_deref().is_none_or(|only| only == name) {
            println!("{}", run(effort)?);
        }
    }
    Ok(())
}
