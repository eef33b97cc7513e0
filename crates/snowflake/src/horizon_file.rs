//! A horizon on disk, for those without a lease.
//!
//! The file holds a time that no ID has reached yet. It is written and synced before IDs may run up to it, so that a process that
//! starts again, on whatever clock, begins where no ID can be. Two records take turns: a torn write spoils one of them.

mod disk;

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use thiserror::Error;

use crate::Layout;

/// What is wrong with a horizon file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HorizonFileError {
    /// The file cannot be opened, read, written or synced.
    #[error("cannot keep the horizon in {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process mints by this file.
    #[error("{path} is locked: another process mints by it")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no intact horizon. An empty file is damaged as well: a new one is never empty.
    #[error(
        "{path} holds no intact horizon; if IDs may have been minted by it, wait until the present time has passed the times that they carry, then delete it"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
    },
    /// The file was removed, replaced or written to while a generator minted by it. Another process may have found another
    /// file there, or none, and mint the same IDs: the generator has stopped for good.
    #[error(
        "{path} {found} while a generator minted by it; the generator has stopped, because another process may mint the same IDs; keep other programs from touching the file, then make a new generator"
    )]
    Replaced {
        /// The file.
        path: PathBuf,
        /// What happened to it.
        found: &'static str,
    },
    /// The file belongs to another machine ID or layout.
    #[error("{path} is for {found}, not for {wanted}; give each generator a file of its own")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What it is for.
        found: String,
        /// What it was to be for.
        wanted: String,
    },
    /// The horizon lies more than a day ahead: the clock was wrong once, or is now.
    #[error(
        "{path} says that IDs were minted up to {horizon_ms} ms, but it is {now_ms} ms; set the clock, or delete the file if the horizon came of a wrong one and no ID of that time is in use"
    )]
    FarAhead {
        /// The file.
        path: PathBuf,
        /// The horizon, in milliseconds since the Unix epoch.
        horizon_ms: u64,
        /// The wall clock, in milliseconds since the Unix epoch.
        now_ms: u64,
    },
}

/// An open, locked horizon file.
#[derive(Debug)]
pub(crate) struct HorizonFile {
    path: PathBuf,
    owner: String,
    window_ms: u64,
    identity: disk::Identity,
    records: Mutex<Records>,
    /// From when on the horizon should be raised.
    due_ms: AtomicU64,
}

#[derive(Debug)]
struct Records {
    /// Locked for as long as it is open.
    file: File,
    /// What the file holds, if nothing else writes to it.
    image: Vec<u8>,
    horizon_ms: u64,
    /// Which record is written next.
    turn: u64,
}

impl HorizonFile {
    /// Opens or creates the file, and says from when on IDs may be minted if it was there.
    pub(crate) fn open(
        path: &Path,
        layout: &Layout,
        machine_id: u32,
        window: Duration,
        now_ms: u64,
    ) -> Result<(Self, Option<u64>), HorizonFileError> {
        let owner = format!("machine {machine_id} of {layout}");
        let opened = disk::open(path, &record(&owner, now_ms, 0))?;
        let mut file = opened.file;
        let image = read_image(&mut file).map_err(|source| HorizonFileError::Io {
            path: path.to_owned(),
            source,
        })?;
        let (stored_ms, turn) = read(&image, &owner, path)?;
        let floor_ms = stored_ms.max(now_ms);
        if floor_ms - now_ms > MAX_AHEAD_MS {
            return Err(HorizonFileError::FarAhead {
                path: path.to_owned(),
                horizon_ms: floor_ms,
                now_ms,
            });
        }
        let horizon_file = Self {
            path: path.to_owned(),
            owner,
            window_ms: crate::clock::millis(window),
            identity: opened.identity,
            records: Mutex::new(Records {
                file,
                image,
                horizon_ms: floor_ms,
                turn: turn + 1,
            }),
            due_ms: AtomicU64::new(0),
        };
        Ok((horizon_file, (!opened.is_new).then_some(floor_ms)))
    }

    /// Says whether the file is in its place: if not, another process may have made one, and mint by that.
    pub(crate) fn look(&self) -> Result<(), HorizonFileError> {
        disk::look(&self.path, self.identity)
    }

    /// Raises the horizon if `now_ms` comes near it. Returns the new one if it was raised; waits for another caller that does so
    /// only where nothing could be minted meanwhile.
    pub(crate) fn keep(&self, now_ms: u64) -> Result<Option<u64>, HorizonFileError> {
        if now_ms < self.due_ms.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let past_horizon = now_ms >= self.due_ms.load(Ordering::Relaxed) + self.window_ms / 2;
        let mut records = if past_horizon {
            self.records.lock().unwrap_or_else(PoisonError::into_inner)
        } else {
            match self.records.try_lock() {
                Ok(records) => records,
                Err(_) => return Ok(None),
            }
        };
        if now_ms < self.due_ms.load(Ordering::Relaxed) {
            return Ok(Some(records.horizon_ms));
        }
        let horizon_ms = now_ms.max(records.horizon_ms) + self.window_ms;
        self.write(&mut records, horizon_ms)?;
        self.due_ms
            .store(horizon_ms - self.window_ms / 2, Ordering::Relaxed);
        Ok(Some(horizon_ms))
    }

    /// Says that nothing is minted from `end_ms` on.
    pub(crate) fn finish(&self, end_ms: u64) -> Result<(), HorizonFileError> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        // Later than any record before it, or the lower horizon would not count: both are written.
        self.write(&mut records, end_ms)?;
        self.write(&mut records, end_ms)
    }

    fn write(&self, records: &mut Records, horizon_ms: u64) -> Result<(), HorizonFileError> {
        let io = |source| HorizonFileError::Io {
            path: self.path.clone(),
            source,
        };
        self.look()?;
        let Records { file, image, .. } = records;
        // What is written now would hide that an older copy stood here, or nothing.
        if read_image(file).map_err(io)? != *image {
            return Err(HorizonFileError::Replaced {
                path: self.path.clone(),
                found: "was written to by something else",
            });
        }
        let line = record(&self.owner, horizon_ms, records.turn);
        let offset = records.turn % 2 * RECORD;
        let written = file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| file.write_all(line.as_bytes()))
            .and_then(|()| file.sync_data());
        // Also after a failure: whatever of it reached the disk is ours.
        *image = read_image(file).map_err(io)?;
        written.map_err(io)?;
        records.horizon_ms = horizon_ms;
        records.turn += 1;
        Ok(())
    }
}

/// The highest horizon among the records, with the turn to go on from.
fn read(text: &[u8], owner: &str, path: &Path) -> Result<(u64, u64), HorizonFileError> {
    let mut best: Option<(u64, u64)> = None;
    for record in text.chunks(RECORD as usize) {
        let Some((found, horizon_ms, turn)) = parse(record) else {
            continue;
        };
        if found != owner {
            return Err(HorizonFileError::Mismatch {
                path: path.to_owned(),
                found: found.to_owned(),
                wanted: owner.to_owned(),
            });
        }
        best = Some(best.map_or((horizon_ms, turn), |(high, latest)| {
            (high.max(horizon_ms), latest.max(turn))
        }));
    }
    best.ok_or_else(|| HorizonFileError::Corrupt {
        path: path.to_owned(),
    })
}

/// The whole file, or as much as it should have and a little of what it should not.
fn read_image(file: &mut File) -> io::Result<Vec<u8>> {
    let mut image = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(2 * RECORD + 1).read_to_end(&mut image)?;
    Ok(image)
}

/// One line, padded to a record: `<owner> | <horizon> | <turn> | <check>`.
fn record(owner: &str, horizon_ms: u64, turn: u64) -> String {
    let body = format!("{owner} | {horizon_ms} | {turn}");
    let check = fnv(body.as_bytes());
    let line = format!("{body} | {check:016x}");
    format!("{line:<width$}\n", width = RECORD as usize - 1)
}

fn parse(record: &[u8]) -> Option<(&str, u64, u64)> {
    let line = std::str::from_utf8(record).ok()?.trim_end();
    let (body, check) = line.rsplit_once(" | ")?;
    if u64::from_str_radix(check, 16).ok()? != fnv(body.as_bytes()) {
        return None;
    }
    let (rest, turn) = body.rsplit_once(" | ")?;
    let (owner, horizon_ms) = rest.rsplit_once(" | ")?;
    Some((owner, horizon_ms.parse().ok()?, turn.parse().ok()?))
}

/// Finds torn writes; nobody is kept out by it.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A sector each, so that one write spoils one record at most.
const RECORD: u64 = 512;

const MAX_AHEAD_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests;
