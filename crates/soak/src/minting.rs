//! IDs at a modest rate, all on record.

use std::{fs::File, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use snowflake::{Generator, Id};

use crate::{log::Log, raw::IdRun};

/// Mints in bursts and writes each burst down as a run.
pub(crate) struct Minting {
    generator: Generator,
    file: File,
    log: Arc<Log>,
    /// The last ID, whoever it was minted under.
    last: Option<Id>,
}

impl Minting {
    /// How often a burst is minted.
    pub(crate) const PERIOD: Duration = Duration::from_millis(250);

    pub(crate) fn new(generator: Generator, file: File, log: Arc<Log>) -> Self {
        Self {
            generator,
            file,
            log,
            last: None,
        }
    }

    /// Mints `count` IDs. What goes wrong with one ends the burst and is on record.
    pub(crate) async fn burst(&mut self, count: u32) -> Result<()> {
        let mut run: Option<IdRun> = None;
        for _ in 0..count {
            let id = match self.generator.next().await {
                Ok(id) => id,
                Err(error) => {
                    self.log.failed(format!("minting: {error:?}"))?;
                    break;
                }
            };
            if let (Some(open), false) = (run, self.follows(id)?) {
                open.write(&mut self.file)?;
                run = None;
            }
            let bits = id.as_u64();
            let first = run.map_or(bits, |run| run.first);
            let count = run.map_or(0, |run| run.count) + 1;
            run = Some(IdRun {
                first,
                last: bits,
                count,
            });
            self.last = Some(id);
        }
        let Some(run) = run else { return Ok(()) };
        run.write(&mut self.file)?;
        self.log.minted(run.count);
        Ok(())
    }

    pub(crate) fn into_generator(self) -> Generator {
        self.generator
    }

    /// Whether `id` goes on under the machine ID of the last one; then it has to be above it.
    fn follows(&self, id: Id) -> Result<bool> {
        let layout = self.generator.layout();
        let Some(last) = self.last else {
            return Ok(false);
        };
        if id.machine_id(&layout) != last.machine_id(&layout) {
            return Ok(false);
        }
        if id <= last {
            bail!("{id} was minted after {last}");
        }
        Ok(true)
    }
}
