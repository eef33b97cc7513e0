//! The guides of `docs/book`: every command and every snippet in them runs.
//!
//! | a fenced block of | is |
//! | --- | --- |
//! | `console` | typed in, line by line, in a shell of the chapter's own; what it prints is what the chapter shows |
//! | `sql` | executed, in order, on the chapter's own SQLite database; `-- 1 row` is how many rows it touched |
//! | `conf` | given to a Redis server, which has to start with it |
//! | `toml` | read, and its features looked up in the crates' manifests |
//! | `yaml` | read; a `command` that begins with coordctl is run |
//! | `dockerfile` | read; an `ENTRYPOINT` that begins with coordctl is run |
//! | `rust` | a doctest of this package (`coord_tests`, its `lib.rs`) |
//! | `text` | for diagrams: nothing to run, and no command in it |
//!
//! Nothing else is allowed, so nothing escapes. `$ redis-server` starts the server that a chapter talks to; where a
//! chapter has no such line, the test has started one.

mod blocks;
mod capacity;
mod console;
mod data;
mod expected;
mod links;
mod sql;

use std::{fs, path::PathBuf};

use self::blocks::Block;

/// A chapter's text, from the folder of the book.
fn chapter(name: &str) -> String {
    let path = sources().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs every block of a chapter.
fn try_out(name: &str) {
    let blocks = blocks::parse(&chapter(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let of = |language: &str| -> Vec<&Block> {
        blocks
            .iter()
            .filter(|block| block.language == language)
            .collect()
    };
    for block in &blocks {
        let line = block.line;
        match block.language.as_str() {
            "console" | "sql" => {}
            "text" => assert!(
                !block.text.lines().any(|line| line.trim().starts_with("$ ")),
                "{name}:{line}: a command is no diagram; make it a block of console"
            ),
            "rust" => block.check_rust(name),
            "conf" => data::conf(name, block),
            "toml" => data::toml(name, block),
            "yaml" => data::yaml(name, block),
            "dockerfile" => data::dockerfile(name, block),
            other => panic!(
                "{name}:{line}: a block of {other:?} is not tried out; use one of the table in tests/it/book.rs"
            ),
        }
    }
    sql::run(name, &of("sql"));
    console::run(name, &of("console"));
}

/// One test for each chapter, and the list of them.
macro_rules! chapters {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                try_out($name);
            }
        )*

        const CHAPTERS: &[&str] = &[$($name,)*];
    };
}

chapters! {
    introduction: "introduction.md",
    quick_start: "quick-start.md",
    ranges_and_layouts: "ranges-and-layouts.md",
    kubernetes: "kubernetes.md",
    from_go_raus: "from-go-raus.md",
    from_go_redbuckets: "from-go-redbuckets.md",
    from_worker_ids: "from-worker-ids.md",
    from_java: "from-java.md",
    ttl_and_heartbeat: "ttl-and-heartbeat.md",
    redis_settings: "redis-settings.md",
    failure_handbook: "failure-handbook.md",
    fencing: "fencing.md",
    capacity_chapter: "capacity.md",
    faq: "faq.md",
}

fn sources() -> PathBuf {
    root().join("docs/book/src")
}

fn root() -> PathBuf {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("it lies in the workspace")
        .to_owned()
}
