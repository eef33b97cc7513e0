//! Blocks that are read by other programs.

use std::fs;

use coord_tests::{program::Program, server::RedisServer};
use saphyr::{LoadableYamlNode, Yaml};

use super::{blocks::Block, root};
use crate::coordctl;

/// A Redis server has to start with these settings.
pub(super) fn conf(chapter: &str, block: &Block) {
    let lines = block.text.lines().map(str::trim);
    let settings = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let builder = settings.fold(RedisServer::builder(), |builder, line| {
        // A comment after a setting is for readers; the server takes none there.
        let setting = line.split(" #").next().unwrap_or_default().trim();
        builder.config_line(setting)
    });
    builder
        .start()
        .unwrap_or_else(|error| panic!("{chapter}:{}: {error:#}", block.line));
}

/// It is TOML, and whatever it asks of the project's crates is there.
pub(super) fn toml(chapter: &str, block: &Block) {
    let place = format!("{chapter}:{}", block.line);
    let document: toml_edit::DocumentMut = block
        .text
        .parse()
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    let Some(dependencies) = document
        .get("dependencies")
        .and_then(|item| item.as_table())
    else {
        return;
    };
    for (name, dependency) in dependencies {
        let Some(path) = dependency.get("path").and_then(|path| path.as_str()) else {
            continue;
        };
        assert!(
            path.ends_with(&format!("/crates/{name}")),
            "{place}: {path}"
        );
        let manifest = root().join("crates").join(name).join("Cargo.toml");
        let manifest = fs::read_to_string(&manifest)
            .unwrap_or_else(|error| panic!("{place}: {name}: {error}"));
        let manifest: toml_edit::DocumentMut = manifest.parse().expect("cargo reads it too");
        let package = dependency
            .get("package")
            .and_then(|name| name.as_str())
            .unwrap_or(name);
        assert_eq!(
            manifest["package"]["name"].as_str(),
            Some(package),
            "{place}"
        );
        let features = dependency.get("features").and_then(|list| list.as_array());
        for feature in features.into_iter().flatten() {
            let feature = feature.as_str().expect("features are texts");
            assert!(
                manifest["features"].get(feature).is_some(),
                "{place}: {name} has no feature {feature:?}"
            );
        }
    }
}

/// It is YAML, and every command in it that begins with coordctl runs.
pub(super) fn yaml(chapter: &str, block: &Block) {
    let place = format!("{chapter}:{}", block.line);
    let documents =
        Yaml::load_from_str(&block.text).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(!documents.is_empty(), "{place}: there is nothing in it");
    for document in &documents {
        each_command(document, &mut |command| runs(&place, command));
    }
}

/// Every instruction has a name that Docker knows, and an entry point that begins with coordctl runs.
pub(super) fn dockerfile(chapter: &str, block: &Block) {
    let place = format!("{chapter}:{}", block.line);
    for line in block.text.lines().filter(|line| !line.trim().is_empty()) {
        let (instruction, rest) = line.split_once(' ').unwrap_or((line, ""));
        assert!(
            INSTRUCTIONS.contains(&instruction),
            "{place}: {instruction}"
        );
        if ["ENTRYPOINT", "CMD"].contains(&instruction) {
            let words: Vec<String> =
                serde_json::from_str(rest).unwrap_or_else(|error| panic!("{place}: {error}"));
            if words.first().is_some_and(|word| word == "coordctl") {
                runs(&place, &words);
            }
        }
    }
}

fn each_command(value: &Yaml<'_>, visit: &mut impl FnMut(&[String])) {
    match value {
        Yaml::Sequence(values) => {
            let words: Option<Vec<String>> = values
                .iter()
                .map(|word| word.as_str().map(str::to_owned))
                .collect();
            if let Some(words) =
                words.filter(|words| words.first().is_some_and(|w| w == "coordctl"))
            {
                visit(&words);
            }
            for value in values {
                each_command(value, visit);
            }
        }
        Yaml::Mapping(fields) => {
            for value in fields.values() {
                each_command(value, visit);
            }
        }
        _ => {}
    }
}

/// The command with its program replaced by one that is everywhere, on a server of its own.
fn runs(place: &str, command: &[String]) {
    let server = RedisServer::start().expect("it starts");
    let mut words: Vec<&str> = command.iter().skip(1).map(String::as_str).collect();
    if let Some(end) = words.iter().position(|word| *word == "--") {
        words.truncate(end + 1);
        words.push("true");
    }
    let program = Program::coordctl()
        .expect("it builds")
        .args(&words)
        .env("REDIS_URL", server.url());
    let outcome = coordctl::finish(&mut program.spawn().expect("it starts"));
    assert_eq!(outcome.code, Some(0), "{place}: {command:?}: {outcome:?}");
}

const INSTRUCTIONS: &[&str] = &["FROM", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"];
