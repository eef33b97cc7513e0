//! Every target over its corpus and over mutations of it: what the fuzzers do, for seconds and with any toolchain.

use std::{fs, panic, path::Path};

use fuzz_targets::{TARGETS, run};

/// The whole corpus stays small enough to be read.
const CORPUS_MAX: u64 = 200_000;

/// How many mutations; those that run a whole client or whole processes cost more.
const fn mutations(target: &str) -> usize {
    match target.as_bytes() {
        b"peer" => 60,
        b"server" => 300,
        _ => 4_000,
    }
}

fn check(target: &str) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "fuzz/corpus/{target} is empty");
    for input in &corpus {
        replay(target, input);
    }
    let mut rng = fastrand::Rng::with_seed(17);
    for _ in 0..mutations(target) {
        let mut input = rng.choice(&corpus).cloned().unwrap_or_default();
        for _ in 0..rng.usize(1..6) {
            mutate(&mut input, &corpus, &mut rng);
        }
        replay(target, &input);
    }
}

#[track_caller]
fn replay(target: &str, input: &[u8]) {
    if panic::catch_unwind(|| run(target, input)).is_err() {
        let shown = input.escape_ascii();
        panic!("{target} breaks its promise; add this as a file to fuzz/corpus/{target}: {shown}");
    }
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut fastrand::Rng) {
    const WORDS: [&[u8]; 10] = [
        b"\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b":18446744073709551615\r\n",
        b"$20\r\n18446744073709551615\r\n",
        b"*2147483647\r\n",
        b"\x1e",
        b"%",
        b"@",
        b"://",
    ];
    let at = rng.usize(0..=input.len());
    match rng.u8(0..6) {
        0 => input.truncate(at),
        1 if at < input.len() => input[at] = rng.u8(..),
        2 if at < input.len() => drop(input.remove(at)),
        3 => drop(input.splice(
            at..at,
            rng.choice(WORDS).unwrap_or_default().iter().copied(),
        )),
        4 => input.insert(at, rng.u8(..)),
        _ => {
            let other = rng.choice(corpus).cloned().unwrap_or_default();
            let from = rng.usize(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
    input.truncate(4_096);
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = root().join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a readable file"))
        .collect()
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

#[test]
fn what_servers_say_of_themselves_is_understood_or_passed_over() {
    check("deployment");
}

#[test]
fn messages_end_where_they_end_for_the_client_and_cost_what_they_hold() {
    check("frames");
}

#[test]
fn ids_have_one_spelling_and_go_together_again() {
    check("ids");
}

#[test]
fn a_member_holds_what_it_was_granted_whatever_it_is_told() {
    check("member");
}

#[test]
fn garbage_in_the_store_grants_nothing_twice() {
    check("peer");
}

#[test]
fn replies_grant_what_they_say_and_nothing_else() {
    check("replies");
}

#[test]
fn a_search_ends_and_stays_in_its_range() {
    check("search");
}

#[test]
fn a_hostile_server_neither_hangs_a_client_nor_makes_it_hold_anything_for_long() {
    check("server");
}

#[test]
fn urls_are_understood_or_refused_and_show_no_password() {
    check("urls");
}

#[test]
fn every_target_has_a_corpus_and_all_of_them_are_small() {
    let mut folders: Vec<String> = fs::read_dir(root())
        .expect("the corpus")
        .map(|entry| {
            entry
                .expect("a folder")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    folders.sort();
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(folders, names);
    let size: u64 = names
        .iter()
        .flat_map(|name| corpus(name))
        .map(|input| input.len() as u64)
        .sum();
    assert!(
        size <= CORPUS_MAX,
        "{size} bytes; the limit is {CORPUS_MAX}"
    );
}
