//! What cargo-deny checks of our dependencies, as far as `cargo metadata` tells, so that it is checked wherever tests run.
//! Advisories need their database, and so `cargo xtask deny` and a network.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    process::Command,
};

use serde_json::Value;

/// Crates of which the libraries' users compile two versions, each with the reason.
const DUPLICATES: &[(&str, &str)] = &[
    ("block-buffer", "digest 0.10 of sqlx-core, 0.11 of redis"),
    ("cpufeatures", "as block-buffer"),
    ("crypto-common", "as block-buffer"),
    ("digest", "as block-buffer"),
    ("sha2", "as block-buffer"),
    ("getrandom", "ring and uuid"),
    ("hashbrown", "indexmap and hashlink of sqlx-core"),
    (
        "quanta",
        "0.12 of metrics-util, which coordctl's exporter needs",
    ),
    ("rand", "as quanta"),
    ("rand_core", "as quanta"),
    ("syn", "derive macros in the middle of a move to version 3"),
];

fn metadata() -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--locked",
            "--all-features",
            "--format-version=1",
        ])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The licences that deny.toml allows.
fn allowed() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    let config = std::fs::read_to_string(path).expect("deny.toml");
    let (_, rest) = config
        .split_once("\nallow = [")
        .expect("a list of licences");
    let (listed, _) = rest.split_once(']').expect("the end of the list");
    let quoted = listed.split('"').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// Whether a licence expression can be met with `allowed` ones: all of what AND joins, one of what OR does.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let plain = expression.replace('/', " OR ").replace(['(', ')'], " ");
    plain.split(" AND ").all(|part| {
        let mut choices = part.split(" OR ").map(str::trim);
        choices.any(|choice| allowed.contains(choice))
    })
}

#[test]
fn every_dependency_is_free_to_use_and_comes_from_the_registry() {
    let (metadata, allowed) = (metadata(), allowed());
    assert!(allowed.contains("MIT"), "deny.toml allows {allowed:?}");
    let packages = list(&metadata, "packages");
    assert!(packages.len() > 50, "{} packages", packages.len());
    for package in packages {
        let (name, licence) = (text(package, "name"), text(package, "license"));
        assert!(
            is_met(licence, &allowed),
            "{name} is under {licence:?}; see deny.toml"
        );
        let source = package["source"].as_str();
        assert!(
            source.is_none_or(|source| source.starts_with("registry+")),
            "{name} comes from {source:?}"
        );
    }
}

#[test]
fn what_users_compile_twice_is_known() {
    let metadata = metadata();
    let packages: HashMap<&str, &Value> = list(&metadata, "packages")
        .iter()
        .map(|package| (text(package, "id"), package))
        .collect();
    let nodes: HashMap<&str, &Value> = list(&metadata["resolve"], "nodes")
        .iter()
        .map(|node| (text(node, "id"), node))
        .collect();
    // What a user of a published package gets with every feature.
    let is_published =
        |package: &&Value| package["source"].is_null() && package["publish"].is_null();
    let mut waiting: Vec<&str> = packages
        .values()
        .copied()
        .filter(is_published)
        .map(|package| text(package, "id"))
        .collect();
    let mut seen: BTreeSet<&str> = waiting.iter().copied().collect();
    while let Some(id) = waiting.pop() {
        for dependency in list(nodes[id], "deps") {
            let kinds = list(dependency, "dep_kinds");
            let is_for_users = kinds
                .iter()
                .any(|kind| kind["kind"].as_str() != Some("dev"));
            let id = text(dependency, "pkg");
            if is_for_users && seen.insert(id) {
                waiting.push(id);
            }
        }
    }
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for id in &seen {
        let package = packages[id];
        let version = text(package, "version");
        versions
            .entry(text(package, "name"))
            .or_default()
            .insert(version);
    }
    let twice: BTreeMap<_, _> = versions
        .into_iter()
        .filter(|(_, all)| all.len() > 1)
        .collect();
    let unknown: Vec<_> = twice
        .iter()
        .filter(|(name, _)| DUPLICATES.iter().all(|(known, _)| known != *name))
        .collect();
    assert!(
        unknown.is_empty(),
        "compiled more than once: {unknown:?}; bring them together, or list them with the reason"
    );
    for (known, _) in DUPLICATES {
        assert!(
            twice.contains_key(known),
            "{known} is compiled once: take it off the list"
        );
    }
}
