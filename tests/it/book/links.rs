//! Every page is in the table of contents and in the tests, and every link leads somewhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{CHAPTERS, chapter, root, sources};

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = chapter("SUMMARY.md");
    let listed: BTreeSet<PathBuf> = links(&contents)
        .map(|(_, target)| PathBuf::from(target))
        .collect();
    let mut there = BTreeSet::new();
    pages(&sources(), &mut there);
    there.remove(Path::new("SUMMARY.md"));
    assert_eq!(listed, there);
}

#[test]
fn every_page_is_tried_out_or_holds_nothing_but_another_document() {
    let mut there = BTreeSet::new();
    pages(&sources(), &mut there);
    for page in there {
        let name = page.display().to_string();
        let is_document = chapter(&name).trim().starts_with("{{#include ")
            && chapter(&name).trim().lines().count() == 1;
        let is_tried = CHAPTERS.contains(&name.as_str());
        assert!(
            is_tried || is_document || name == "SUMMARY.md",
            "{name} is no chapter of tests/it/book.rs"
        );
    }
}

#[test]
fn the_rust_of_every_chapter_is_a_doctest() {
    let list = fs::read_to_string(root().join("tests/src/lib.rs")).expect("it is there");
    for name in CHAPTERS {
        let has_rust = chapter(name)
            .lines()
            .any(|line| line.trim().starts_with("```rust"));
        let is_listed = list.contains(&format!("docs/book/src/{name}\""));
        assert_eq!(
            has_rust, is_listed,
            "{name}: list it in tests/src/lib.rs exactly where it has Rust in it"
        );
    }
}

#[test]
fn every_link_leads_somewhere() {
    for name in CHAPTERS.iter().chain(&["SUMMARY.md"]) {
        let page = chapter(name);
        for (line, target) in links(&page).chain(includes(&page)) {
            if target.starts_with("https://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { *name } else { file };
            let path = sources().join(file);
            assert!(path.is_file(), "{name}:{line}: {target} leads nowhere");
            if !anchor.is_empty() {
                let text = included(&fs::read_to_string(&path).expect("it is text"));
                assert!(
                    anchors(&text).any(|found| found == anchor),
                    "{name}:{line}: {target}: no such heading"
                );
            }
        }
    }
}

/// A page that is another document, as readers see it.
fn included(page: &str) -> String {
    let document = includes(page)
        .next()
        .filter(|_| page.trim().lines().count() == 1);
    document.map_or_else(
        || page.to_owned(),
        |(_, path)| fs::read_to_string(sources().join(path)).expect("it is there"),
    )
}

fn pages(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.strip_prefix(sources()).expect("it lies there");
            found.insert(name.to_owned());
        }
    }
}

/// The targets of `[text](target)`, with their lines; not those in fenced blocks.
fn links(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_block = false;
    let lines = page.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim().starts_with("```");
        is_block ^= is_fence;
        !is_block && !is_fence
    });
    lines.flat_map(|(index, line)| {
        let targets = line.split("](").skip(1);
        targets.filter_map(move |rest| Some((index + 1, rest.split_once(')')?.0)))
    })
}

fn includes(page: &str) -> impl Iterator<Item = (usize, &str)> {
    page.lines().enumerate().filter_map(|(index, line)| {
        let path = line
            .trim()
            .strip_prefix("{{#include ")?
            .strip_suffix("}}")?;
        Some((index + 1, path))
    })
}

/// What mdBook and GitHub make of headings.
fn anchors(page: &str) -> impl Iterator<Item = String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        text.chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect()
    })
}
