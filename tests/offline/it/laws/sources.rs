//! The scripts as the crates put them together, with one place changed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use coord_core::store::Script;

/// One place of one file, and what stands there instead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    /// From `crates` on.
    pub(super) file: &'static str,
    /// Occurs once.
    pub(super) find: &'static str,
    pub(super) replace: &'static str,
}

/// Every script by its name.
#[derive(Clone)]
pub(super) struct Scripts(BTreeMap<String, &'static Script>);

impl Scripts {
    pub(super) fn get(&self, name: &str) -> &'static Script {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no script is called {name}"))
    }
}

/// The files, and which of them make up a script.
pub(super) struct Sources {
    files: BTreeMap<&'static str, String>,
    scripts: Vec<(String, Vec<&'static str>)>,
}

impl Sources {
    /// Reads the crates' lists of scripts, so that there is no second one here.
    pub(super) fn read() -> Self {
        let mut sources = Self {
            files: BTreeMap::new(),
            scripts: Vec::new(),
        };
        for package in ["raus", "redbuckets"] {
            sources.read_list(package);
        }
        assert_eq!(
            sources.scripts.len(),
            19,
            "a list of scripts was not understood"
        );
        sources
    }

    fn read_list(&mut self, package: &str) {
        let list = read(&format!("{package}/src/scripts.rs"));
        let mut shared =
            BTreeMap::from([("history::PRELUDE", self.file("coord-core/src/history.lua"))]);
        for line in list.lines().filter_map(|line| line.strip_prefix("const ")) {
            let (name, rest) = line.split_once(':').expect("a constant has a type");
            shared.insert(name, self.file(&format!("{package}/src/{}", quoted(rest))));
        }
        for declared in list.split("Script::new(").skip(1) {
            let (_, parts) = declared.split_once("&[").expect("a script has parts");
            let (parts, _) = parts.split_once(']').expect("the list of parts ends");
            let parts = parts
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            let parts = parts.map(|part| match shared.get(part) {
                Some(file) => *file,
                None => self.file(&format!("{package}/src/{}", quoted(part))),
            });
            let parts = parts.collect();
            self.scripts.push((quoted(declared).to_owned(), parts));
        }
    }

    /// Reads a file once.
    fn file(&mut self, path: &str) -> &'static str {
        if let Some((known, _)) = self.files.get_key_value(path) {
            return known;
        }
        let known: &'static str = path.to_owned().leak();
        self.files.insert(known, read(path));
        known
    }

    /// Every file that scripts are made of.
    pub(super) fn files(&self) -> impl Iterator<Item = &'static str> {
        self.files.keys().copied()
    }

    /// The scripts, with `change` in place.
    pub(super) fn scripts(&self, change: Option<Change>) -> Scripts {
        let scripts = self.scripts.iter().map(|(name, parts)| {
            let parts = parts.iter().map(|&file| -> &'static str {
                let text = &self.files[file];
                match change.filter(|change| change.file == file) {
                    Some(change) => changed(text, change).leak(),
                    None => text.clone().leak(),
                }
            });
            let parts: Vec<&'static str> = parts.collect();
            let name: &'static str = name.clone().leak();
            let script: &'static Script = Box::leak(Box::new(Script::new(name, parts.leak())));
            (name.to_owned(), script)
        });
        Scripts(scripts.collect())
    }
}

fn changed(text: &str, change: Change) -> String {
    let Change {
        file,
        find,
        replace,
    } = change;
    let count = text.matches(find).count();
    assert_eq!(
        count, 1,
        "{find:?} stands {count} times in {file}: the mutation has to follow the script"
    );
    text.replace(find, replace)
}

fn quoted(text: &str) -> &str {
    text.split('"').nth(1).expect("something in quotes")
}

fn read(path: &str) -> String {
    let crates: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates");
    fs::read_to_string(crates.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
