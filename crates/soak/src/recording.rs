//! Everything that a run has left, read back.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::raw::{self, Change, End, IdRun, Line, Sample, Setting};

/// What a run has left so far.
pub(crate) struct Recording {
    pub(crate) setting: Setting,
    pub(crate) samples: Vec<Sample>,
    pub(crate) changes: Vec<Change>,
    /// By process, in no order that means anything.
    pub(crate) members: Vec<Member>,
    /// `None` while it goes on, or where it was cut off.
    pub(crate) end: Option<End>,
}

/// What one process has left.
pub(crate) struct Member {
    pub(crate) lines: Vec<Line>,
    pub(crate) ids: Vec<IdRun>,
}

impl Recording {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let setting: Setting = raw::read_value(&folder.join(raw::SETTING))?;
        let end = folder.join(raw::END);
        let members = fs::read_dir(folder.join(raw::MEMBERS)).context("the folder of a run?")?;
        let mut read = Vec::new();
        for entry in members {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "jsonl")
            {
                read.push(Member::read(&path)?);
            }
        }
        Ok(Self {
            samples: raw::read_lines(&folder.join(raw::SAMPLES))?,
            changes: raw::read_lines(&folder.join(raw::CHANGES))?,
            members: read,
            end: end.exists().then(|| raw::read_value(&end)).transpose()?,
            setting,
        })
    }

    /// Minutes since the run began.
    pub(crate) fn minute(&self, at_ms: u64) -> f64 {
        Setting::minutes_between(self.setting.started_ms, at_ms)
    }

    /// Every line of every process.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.members.iter().flat_map(|member| &member.lines)
    }

    /// The samples of these minutes in which processes were there.
    pub(crate) fn samples_within(
        &self,
        minutes: std::ops::Range<f64>,
    ) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| {
            minutes.contains(&self.minute(sample.at_ms)) && 0 < sample.members.count
        })
    }
}

impl Member {
    fn read(lines: &Path) -> Result<Self> {
        let ids = lines.with_extension("ids");
        Ok(Self {
            lines: raw::read_lines(lines)?,
            // One that was ended while it joined has none.
            ids: if ids.exists() {
                IdRun::read_all(&ids)?
            } else {
                Vec::new()
            },
        })
    }
}
