//! Are all IDs of all processes distinct?

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result};

/// The IDs that one process minted, in the order in which it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What a message calls the process.
    pub name: String,
    /// Its IDs.
    pub ids: Vec<u64>,
}

impl Source {
    /// The IDs of the process `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, ids: Vec<u64>) -> Self {
        Self {
            name: name.into(),
            ids,
        }
    }

    /// Reads a file with one decimal ID a line, named after the file.
    ///
    /// A last line without a line end is left out: its process was killed while it wrote.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or a line is not a decimal `u64`; the message names file and line.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("reading {name}"))?;
        let ids = parse(&text).with_context(|| format!("reading IDs from {name}"))?;
        Ok(Self { name, ids })
    }
}

/// One ID and two places that it was found at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The ID that occurs twice.
    pub id: u64,
    /// The two processes, each with the place in its own sequence, from 0.
    pub places: [(String, usize); 2],
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(first, at), (second, also_at)] = &self.places;
        write!(
            f,
            "ID {} was minted by {first} (no. {at}) and by {second} (no. {also_at})",
            self.id
        )
    }
}

/// One [`Duplicate`] for each place beyond the first at which an ID occurs.
#[must_use]
pub fn duplicates(sources: &[Source]) -> Vec<Duplicate> {
    let mut all: Vec<(u64, usize, usize)> = sources
        .iter()
        .enumerate()
        .flat_map(|(source, minted)| {
            let numbered = minted.ids.iter().enumerate();
            numbered.map(move |(place, id)| (*id, source, place))
        })
        .collect();
    all.sort_unstable();
    let name = |source: usize, place| (sources[source].name.clone(), place);
    all.windows(2)
        .filter(|pair| pair[0].0 == pair[1].0)
        .map(|pair| Duplicate {
            id: pair[0].0,
            places: [name(pair[0].1, pair[0].2), name(pair[1].1, pair[1].2)],
        })
        .collect()
}

/// Checks that no ID occurs twice, within a source or across them, and returns how many there are.
///
/// The caller looks at the number: no IDs at all are distinct too.
///
/// # Panics
///
/// When an ID occurs twice; the message names both sources.
#[track_caller]
pub fn assert_all_distinct(sources: &[Source]) -> usize {
    let found = duplicates(sources);
    let total = sources.iter().map(|source| source.ids.len()).sum();
    if let Some(first) = found.first() {
        panic!("{} duplicates among {total} IDs: {first}", found.len());
    }
    total
}

pub(crate) fn parse(text: &str) -> Result<Vec<u64>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .enumerate()
        .map(|(number, line)| {
            line.parse()
                .with_context(|| format!("line {}: {line:?} is not an ID", number + 1))
        })
        .collect()
}
