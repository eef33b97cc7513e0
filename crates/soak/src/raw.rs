//! What a run writes down, and how: lines of JSON, and runs of IDs in binary.
//!
//! All times are milliseconds of the machine's boot-time clock.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use coord_core::clock::{Clock, SystemClock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// How a run was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) started_ms: u64,
    /// The wall clock at the start, Unix ms.
    pub(crate) started_wall_ms: u64,
    pub(crate) minutes: f64,
    pub(crate) processes: u32,
    pub(crate) seed: u64,
    /// Mean seconds between two processes that end.
    pub(crate) every: f64,
    pub(crate) buckets: u32,
    pub(crate) ids_per_second: u32,
    pub(crate) ttl_ms: u64,
    pub(crate) server: String,
    pub(crate) processors: usize,
}

/// What one process writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum Line {
    /// What it did since its last such line.
    Did {
        at_ms: u64,
        /// Microseconds that each operation took, in its order.
        took_us: BTreeMap<String, Vec<u64>>,
        /// Buckets owned now.
        owned: u32,
        /// IDs minted since its last such line.
        ids: u64,
        /// Buckets granted since then, with their epochs.
        granted: Vec<(u32, u64)>,
    },
    /// An operation failed for its caller, or an ID was wrong.
    Failed { at_ms: u64, text: String },
    /// A lease was lost.
    Lost { at_ms: u64, text: String },
    /// A heartbeat failed and was tried again: nothing was lost.
    Retried { at_ms: u64, text: String },
    /// It has given everything back.
    Left { at_ms: u64 },
}

/// A process started or ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) at_ms: u64,
    pub(crate) member: u32,
    pub(crate) what: Turn,
}

/// What happened to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Turn {
    Started,
    /// It was asked to leave.
    Asked,
    /// It has left.
    Left,
    Killed,
}

/// Server and processes at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) at_ms: u64,
    /// Numbers out of INFO by their names there, and `keys`.
    pub(crate) server: BTreeMap<String, f64>,
    pub(crate) members: Members,
    /// Processes that want a processor, on average over a minute, with those of others.
    pub(crate) load: f64,
}

/// The processes at one moment.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Members {
    pub(crate) count: u64,
    pub(crate) rss: Spread,
    pub(crate) threads: Spread,
    pub(crate) files: Spread,
}

/// Many numbers in two.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) sum: u64,
    pub(crate) max: u64,
}

impl Spread {
    pub(crate) fn add(&mut self, value: u64) {
        self.sum += value;
        self.max = self.max.max(value);
    }
}

/// What was left on the server when everybody had gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) at_ms: u64,
    pub(crate) keys: Vec<String>,
    /// Machine IDs still leased.
    pub(crate) leased: usize,
    /// Members still on record.
    pub(crate) members: usize,
    /// Buckets with an owner on record.
    pub(crate) owned: u32,
    /// Processes that ended otherwise than they were told to.
    pub(crate) misbehaved: Vec<String>,
    /// Samples that could not be taken.
    pub(crate) unseen: Vec<String>,
}

/// IDs that were minted one after the other under one machine ID, each above the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdRun {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) count: u64,
}

impl IdRun {
    const BYTES: usize = 24;

    /// Appends it in one write, so that a killed process leaves whole records.
    pub(crate) fn write(self, file: &mut File) -> std::io::Result<()> {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.first.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.last.to_le_bytes());
        bytes[16..].copy_from_slice(&self.count.to_le_bytes());
        file.write_all(&bytes)
    }

    pub(crate) fn read_all(path: &Path) -> Result<Vec<Self>> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let (records, rest) = bytes.as_chunks::<{ Self::BYTES }>();
        ensure!(rest.is_empty(), "{} ends in half a record", path.display());
        let word = |record: &[u8], index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&record[index * 8..][..8]);
            u64::from_le_bytes(word)
        };
        let run = |record: &[u8; Self::BYTES]| Self {
            first: word(record, 0),
            last: word(record, 1),
            count: word(record, 2),
        };
        Ok(records.iter().map(run).collect())
    }
}

/// Now, as every line says it.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemClock.now().since_boot().as_millis()).unwrap_or(u64::MAX)
}

/// Appends one line in one write.
pub(crate) fn append(file: &mut File, line: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text).context("writing a line")
}

/// Every whole line of a file; a process that was killed may have left half of one.
pub(crate) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut reader = BufReader::new(file);
    let (mut lines, mut text) = (Vec::new(), String::new());
    while 0 < reader.read_line(&mut text)? {
        if text.ends_with('\n') {
            let line = serde_json::from_str(&text);
            lines.push(line.with_context(|| format!("{}: {text}", path.display()))?);
        }
        text.clear();
    }
    Ok(lines)
}

/// Writes a file of one value.
pub(crate) fn write_value(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// Reads a file of one value.
pub(crate) fn read_value<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

pub(crate) const SETTING: &str = "setting.json";
pub(crate) const SAMPLES: &str = "samples.jsonl";
pub(crate) const CHANGES: &str = "changes.jsonl";
pub(crate) const END: &str = "end.json";
pub(crate) const MEMBERS: &str = "members";

impl Setting {
    /// How long the first part of the run is, which the figures leave out, in minutes.
    pub(crate) fn warm_up(&self) -> f64 {
        self.minutes / 10.0
    }

    pub(crate) fn minutes_between(earlier_ms: u64, later_ms: u64) -> f64 {
        Duration::from_millis(later_ms.saturating_sub(earlier_ms)).as_secs_f64() / 60.0
    }
}
