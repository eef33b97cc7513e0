//! What lies under docker/: it fits the programs, and itself.

mod compose;
mod kubernetes;

use std::{fs, path::Path};

use saphyr::{LoadableYamlNode, Yaml};

/// A file under docker/.
fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("docker/{path}: {error}"))
}

fn documents<'a>(path: &str, text: &'a str) -> Vec<Yaml<'a>> {
    Yaml::load_from_str(text).unwrap_or_else(|error| panic!("docker/{path}: {error}"))
}

/// What lies at this place, names and numbers separated by dots.
#[track_caller]
fn at<'a>(node: &'a Yaml<'a>, place: &str) -> &'a Yaml<'a> {
    find(node, place).unwrap_or_else(|| panic!("there is no {place} in {node:?}"))
}

fn find<'a>(node: &'a Yaml<'a>, place: &str) -> Option<&'a Yaml<'a>> {
    place
        .split('.')
        .try_fold(node, |node, step| match step.parse() {
            Ok(index) => node.as_sequence_get(index),
            Err(_) => node.as_mapping_get(step),
        })
}

#[track_caller]
fn string<'a>(node: &'a Yaml<'a>, place: &str) -> &'a str {
    let found = at(node, place);
    found
        .as_str()
        .unwrap_or_else(|| panic!("{place} is no text: {found:?}"))
}

#[track_caller]
fn number(node: &Yaml<'_>, place: &str) -> u64 {
    let found = at(node, place).as_integer();
    let found = found.unwrap_or_else(|| panic!("{place} is no number"));
    u64::try_from(found).unwrap_or_else(|_| panic!("{place} is negative"))
}

#[track_caller]
fn list<'a>(node: &'a Yaml<'a>, place: &str) -> Vec<&'a str> {
    let found = at(node, place).as_sequence();
    let found = found.unwrap_or_else(|| panic!("{place} is no list"));
    found
        .iter()
        .map(|item| {
            item.as_str()
                .unwrap_or_else(|| panic!("{place} has {item:?}"))
        })
        .collect()
}
