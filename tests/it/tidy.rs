//! House rules, so that nobody has to remember them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files that may be longer than [`LINES_MAX`], each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Near 400 a file should be split; here it has to be.
const LINES_MAX: usize = 450;

#[test]
fn every_manifest_inherits_from_the_workspace() {
    let mut seen = 0;
    for (path, text) in files(&["toml"]) {
        let is_package = text.lines().any(|line| line == "[package]");
        if !path.ends_with("Cargo.toml") || !is_package {
            continue;
        }
        seen += 1;
        for field in ["version", "edition", "rust-version", "license"] {
            let inherited = format!("{field}.workspace = true");
            assert!(
                text.lines().any(|line| line == inherited),
                "{path}: `{inherited}` is missing from [package]"
            );
        }
        assert!(
            text.contains("[lints]\nworkspace = true\n"),
            "{path}: `[lints]` does not inherit from the workspace"
        );
    }
    assert!(
        seen >= 6,
        "only {seen} packages: looked in the wrong place?"
    );
}

#[test]
fn no_file_grows_too_long() {
    let long: Vec<(String, usize)> = files(&["rs", "lua"])
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| LINES_MAX < *lines)
        .collect();
    for (path, lines) in &long {
        assert!(
            LONG_FILES.iter().any(|(listed, _)| listed == path),
            "{path} has {lines} lines, {LINES_MAX} at most: split it, or list it with the reason"
        );
    }
    for (listed, _) in LONG_FILES {
        assert!(
            long.iter().any(|(path, _)| path == listed),
            "{listed} is no longer long: take it off the list"
        );
    }
}

#[test]
fn the_changelog_names_the_version() {
    let manifest = read("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = \""))
        .and_then(|rest| rest.strip_suffix('"'))
        .expect("the workspace has a version");
    let changelog = read("CHANGELOG.md");
    for heading in ["[Unreleased]", &format!("[{version}]")] {
        assert!(
            changelog.contains(&format!("\n## {heading}")),
            "CHANGELOG.md has no heading `## {heading}`"
        );
    }
}

#[test]
fn no_test_is_switched_off_and_nothing_is_left_unfinished() {
    // Put together here, so that this file does not name them itself.
    let banned = [
        ["#[ign", "ore"],
        ["tod", "o!("],
        ["unimple", "mented!("],
        ["db", "g!("],
    ]
    .map(|parts| parts.concat());
    for (path, text) in files(&["rs"]) {
        for (number, line) in text.lines().enumerate() {
            for word in &banned {
                assert!(!line.contains(word), "{path}:{}: {word}", number + 1);
            }
        }
    }
}

#[test]
fn every_lua_script_begins_with_its_contract() {
    let scripts = files(&["lua"])
        .into_iter()
        .filter(|(path, _)| path.contains("/scripts/"));
    for (path, text) in scripts {
        let header: String = text
            .lines()
            .take_while(|line| line.starts_with("--"))
            .collect::<Vec<_>>()
            .join("\n")
            .to_lowercase();
        // Definitions that scripts share have no arguments of their own.
        if header.starts_with("-- shared by") {
            continue;
        }
        for word in ["keys", "argv", "reply", "guarantee"] {
            assert!(
                header.contains(word),
                "{path}: the comment at its top does not say {word}; it names KEYS, ARGV, the reply and the guarantee"
            );
        }
    }
}

/// Where `unsafe` is, as ARCHITECTURE.md lists it under its invariants.
#[test]
fn unsafe_is_where_the_architecture_lists_it() {
    let architecture = read("ARCHITECTURE.md");
    let word = ["uns", "afe"].concat();
    let (_, rest) = architecture
        .split_once(&format!("**`{word}` is denied in the whole workspace.**"))
        .expect("the invariant");
    let listed = rest.split("\n\n").next().expect("its paragraph");
    let mut found = Vec::new();
    for (path, text) in files(&["rs"]) {
        let lines = text.lines().filter(|line| {
            let is_word = |part: &str| part == word;
            let code = line.split("//").next().unwrap_or_default();
            code.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(is_word)
        });
        let count = lines.count();
        if count != 0 {
            assert!(
                listed.contains(&format!("`{path}` ({count})")),
                "{path}: {count} lines with {word}"
            );
            found.push(path);
        }
    }
    assert_eq!(
        listed.matches(".rs` (").count(),
        found.len(),
        "{found:?} of {listed}"
    );
}

#[test]
fn continuous_integration_is_one_command() {
    let script = read(".ci/run");
    let commands: Vec<&str> = script
        .lines()
        .filter(|line| line.contains("cargo"))
        .collect();
    assert_eq!(commands, ["exec cargo xtask ci"]);
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file of these kinds, with its path from the root and its text.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["crates", "fuzz/fuzz_targets", "tests", "xtask"] {
        walk(&root().join(folder), &mut |path| {
            let extension = path.extension().unwrap_or_default();
            if extensions.iter().any(|wanted| extension == *wanted) {
                let from_root = path.strip_prefix(root()).expect("it lies under the root");
                let from_root = from_root.display().to_string();
                found.push((from_root.clone(), read(&from_root)));
            }
        });
    }
    found
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        let is_output = path.file_name().is_some_and(|name| name == "target");
        if path.is_dir() && !is_output {
            walk(&path, visit);
        } else if path.is_file() {
            visit(&path);
        }
    }
}

pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("it lies in the workspace")
        .to_owned()
}
