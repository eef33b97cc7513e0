//! What clients and nemesis record: one line a record, in one file a process.
//!
//! A record is written with one system call before whoever asked for the work goes on with its outcome. So a process
//! that is killed has recorded everything that anybody could have acted on; what it had not recorded, nobody has seen.
//! All times are of the machine's boot-time clock, in µs, which every process shares and no fault changes.

mod text;

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};
use coord_core::clock::{Clock, SystemClock};

/// Which of the two things that are leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A machine ID; its fencing token is the fence.
    Slot,
    /// A bucket; its fencing token is the epoch.
    Bucket,
}

/// How a client's right to a slot or bucket ended, as it saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is about to be given back: recorded before the store is told.
    Released,
    /// The client found that it is gone.
    Lost,
}

/// A slot or bucket with the fencing token of its grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// Of what.
    pub kind: Kind,
    /// The slot or bucket.
    pub number: u32,
    /// The fencing token.
    pub fence: u64,
}

/// One record of one member of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: u64,
    /// The member's number in its process.
    pub member: u32,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// `count` IDs from `first` on, each one above the last, were minted and may be used.
    Ids {
        /// The lowest.
        first: u64,
        /// How many.
        count: u32,
    },
    /// A grant is asked for.
    Asked(Kind),
    /// It was refused or not answered.
    Refused(Kind),
    /// A grant was completed; it was asked for at `asked` or later.
    Granted {
        /// Which.
        grant: Grant,
        /// When its client last held nothing.
        asked: u64,
    },
    /// What the member holds of this kind is valid until `deadline`, unless more is said.
    Until {
        /// Of what.
        kind: Kind,
        /// The local deadline.
        deadline: u64,
    },
    /// A grant is over.
    Ended {
        /// Which.
        grant: Grant,
        /// How.
        how: End,
    },
    /// The nemesis began with the fault of this number in its plan.
    FaultBegan(u32),
    /// The nemesis has ended it, and what it broke works again.
    FaultEnded(u32),
    /// Anything else worth telling.
    Said(String),
}

/// The history of one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The process.
    pub name: String,
    /// Its records, each member's in the order of their happening.
    pub records: Vec<Record>,
}

impl History {
    /// Reads the file at `path`; the process is called as the file is.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or a line other than an unfinished last one is no record.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        // A line without its end is one that a kill interrupted, before anybody acted on it.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let record = |line: &str| {
            line.parse()
                .with_context(|| format!("{}: {line:?}", path.display()))
        };
        Ok(Self {
            name: name.into_owned(),
            records: whole.lines().map(record).collect::<Result<_>>()?,
        })
    }

    /// Reads every history in `directory`.
    ///
    /// # Errors
    ///
    /// As [`History::read`].
    pub fn read_all(directory: &Path) -> Result<Vec<Self>> {
        let mut histories = Vec::new();
        for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == EXTENSION) {
                histories.push(Self::read(&path)?);
            }
        }
        histories.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(histories)
    }
}

/// Writes one process's history.
#[derive(Debug)]
pub struct Recorder {
    file: Mutex<File>,
}

impl Recorder {
    /// Creates the history of the process `name` in `directory`.
    ///
    /// # Errors
    ///
    /// When there is one already, or it cannot be created.
    pub fn create(directory: &Path, name: &str) -> Result<Self> {
        let path = directory.join(name).with_extension(EXTENSION);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        Ok(Self {
            file: Mutex::new(file),
        })
    }

    /// Records what happens to `member` now.
    ///
    /// # Panics
    ///
    /// When it cannot be written: a history with a hole would prove nothing.
    pub fn record(&self, member: u32, what: What) {
        self.record_all(&[Record {
            at: now_us(),
            member,
            what,
        }]);
    }

    /// Records several things with one system call.
    ///
    /// # Panics
    ///
    /// As [`Recorder::record`].
    pub fn record_all(&self, records: &[Record]) {
        let text: String = records.iter().map(|record| format!("{record}\n")).collect();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(text.as_bytes())
            .expect("a history can be written");
    }
}

/// The machine's boot-time clock, µs.
#[must_use]
pub fn now_us() -> u64 {
    us(SystemClock.now())
}

/// The same for a deadline.
#[must_use]
pub fn us(instant: coord_core::clock::Instant) -> u64 {
    u64::try_from(instant.since_boot().as_micros()).unwrap_or(u64::MAX)
}

/// What histories' files are called.
pub const EXTENSION: &str = "history";
