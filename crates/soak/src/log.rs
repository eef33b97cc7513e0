//! What one process has done, on its way to its file.

use std::{
    collections::BTreeMap,
    fs::File,
    mem,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;

use crate::raw::{self, Line};

/// Collects how long things took, and writes everything else at once.
#[derive(Debug)]
pub(crate) struct Log {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    took_us: BTreeMap<String, Vec<u64>>,
    ids: u64,
    granted: Vec<(u32, u64)>,
}

impl Log {
    pub(crate) fn new(file: File) -> Self {
        Self {
            inner: Mutex::new(Inner {
                file,
                took_us: BTreeMap::new(),
                ids: 0,
                granted: Vec::new(),
            }),
        }
    }

    pub(crate) fn took(&self, operation: &str, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.with(|inner| match inner.took_us.get_mut(operation) {
            Some(all) => all.push(micros),
            None => {
                inner.took_us.insert(operation.to_owned(), vec![micros]);
            }
        });
    }

    pub(crate) fn minted(&self, count: u64) {
        self.with(|inner| inner.ids += count);
    }

    pub(crate) fn granted(&self, bucket: u32, epoch: u64) {
        self.with(|inner| inner.granted.push((bucket, epoch)));
    }

    /// Writes what was done since the last call.
    pub(crate) fn flush(&self, owned: u32) -> Result<()> {
        self.with(|inner| {
            let line = Line::Did {
                at_ms: raw::now_ms(),
                took_us: mem::take(&mut inner.took_us),
                owned,
                ids: mem::take(&mut inner.ids),
                granted: mem::take(&mut inner.granted),
            };
            raw::append(&mut inner.file, &line)
        })
    }

    pub(crate) fn write(&self, line: &Line) -> Result<()> {
        self.with(|inner| raw::append(&mut inner.file, line))
    }

    pub(crate) fn failed(&self, text: impl Into<String>) -> Result<()> {
        let (at_ms, text) = (raw::now_ms(), text.into());
        self.write(&Line::Failed { at_ms, text })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        // Every change is whole, so a panic elsewhere leaves it valid.
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
