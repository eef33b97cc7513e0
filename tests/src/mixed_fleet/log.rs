//! What a fleet printed, read and judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    buckets::{self, Visit},
    history::{self, Holding},
    ids,
};

/// One line of a fleet.
#[derive(Debug, Clone)]
pub struct Line {
    /// When, on the machine's boot-time clock, µs.
    pub at_us: u64,
    /// Which holder or worker.
    pub who: String,
    /// What, such as `acquired` or `event`.
    pub what: String,
    /// The rest.
    pub rest: String,
}

impl Line {
    fn number(&self, index: usize) -> Result<u64> {
        let field = self.rest.split(' ').nth(index);
        let number = field.and_then(|field| field.parse().ok());
        number.with_context(|| format!("no number {index} in {self:?}"))
    }
}

/// What a fleet did, in the order of time.
#[derive(Debug, Default)]
pub struct Log {
    /// Every line.
    pub lines: Vec<Line>,
}

impl Log {
    /// The lines of several fleets.
    #[must_use]
    pub fn merged(logs: impl IntoIterator<Item = Self>) -> Self {
        let mut lines: Vec<Line> = logs.into_iter().flat_map(|log| log.lines).collect();
        lines.sort_by_key(|line| line.at_us);
        Self { lines }
    }

    fn of(&self, what: &str) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.what == what)
    }

    /// Everybody who got what they asked for.
    #[must_use]
    pub fn everybody(&self) -> BTreeSet<String> {
        self.of("acquired")
            .chain(self.of("joined"))
            .map(|line| line.who.clone())
            .collect()
    }

    /// Everybody who was granted a machine ID or a bucket.
    #[must_use]
    pub fn granted(&self) -> BTreeSet<String> {
        self.of("acquired")
            .chain(self.of("granted"))
            .map(|line| line.who.clone())
            .collect()
    }

    /// Who holds a machine ID at the end, and which.
    #[must_use]
    pub fn holding(&self) -> BTreeMap<String, u32> {
        let mut holding = BTreeMap::new();
        for line in &self.lines {
            match line.what.as_str() {
                "acquired" => {
                    let slot = line
                        .number(0)
                        .ok()
                        .and_then(|slot| u32::try_from(slot).ok());
                    holding.insert(line.who.clone(), slot.unwrap_or(u32::MAX));
                }
                "lost" | "released" => {
                    holding.remove(&line.who);
                }
                _ => {}
            }
        }
        holding
    }

    /// Which buckets are owned at the end, as their owners say.
    #[must_use]
    pub fn owned(&self) -> BTreeMap<u64, String> {
        let mut owned = BTreeMap::new();
        for line in &self.lines {
            let Ok(bucket) = line.number(0) else { continue };
            match line.what.as_str() {
                "granted" => {
                    owned.insert(bucket, line.who.clone());
                }
                "gave" | "lost" if owned.get(&bucket) == Some(&line.who) => {
                    owned.remove(&bucket);
                }
                _ => {}
            }
        }
        owned
    }

    /// Each one's first acknowledged renewal that was sent after `after_us`, by the time at which it was noticed.
    #[must_use]
    pub fn renewed(&self, after_us: u64, ttl: Duration) -> BTreeMap<String, u64> {
        // A deadline is the send time and 11/13 of a ttl, less 2 ms.
        let ttl_us = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
        let lead_us = ttl_us * 11 / 13 - 2_000;
        let mut renewed = BTreeMap::new();
        for line in self.of("until") {
            let sent_us = line.number(0).unwrap_or(0).saturating_sub(lead_us);
            if after_us <= sent_us {
                renewed.entry(line.who.clone()).or_insert(line.at_us);
            }
        }
        renewed
    }

    /// How often each event was seen, by its name, from `from_us` on.
    #[must_use]
    pub fn events(&self, from_us: u64) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in self.lines.iter().filter(|line| from_us <= line.at_us) {
            let name = match line.what.as_str() {
                "event" => line.rest.split([' ', '(', '{']).next().unwrap_or_default(),
                "lost" if line.who.contains("/w") => "Lost bucket",
                _ => continue,
            };
            *counts.entry(name.to_owned()).or_default() += 1;
        }
        counts
    }

    /// The longest time for which one holder minted nothing from `from_us` on.
    #[must_use]
    pub fn longest_silence(&self, from_us: u64) -> Duration {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        let mut longest = 0;
        for line in self.of("ids") {
            let before = last.insert(&line.who, line.at_us).unwrap_or(line.at_us);
            if from_us <= line.at_us {
                longest = longest.max(line.at_us - before);
            }
        }
        Duration::from_micros(longest)
    }

    /// Every holder's IDs.
    ///
    /// # Errors
    ///
    /// When a line bears something else.
    pub fn ids(&self) -> Result<Vec<ids::Source>> {
        let mut minted: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for line in self.of("ids") {
            let ids = minted.entry(&line.who).or_default();
            for text in line.rest.split(' ') {
                ids.push(text.parse().with_context(|| format!("{line:?}"))?);
            }
        }
        let sources = minted.into_iter();
        Ok(sources
            .map(|(who, ids)| ids::Source::new(who, ids))
            .collect())
    }

    /// Who held which machine ID when: from the grant to the loss or release, at most to the last deadline known.
    ///
    /// # Errors
    ///
    /// When a line lacks a field.
    pub fn holdings(&self) -> Result<Vec<Holding>> {
        let mut done = Vec::new();
        let mut open: BTreeMap<&str, Holding> = BTreeMap::new();
        let holders = self.lines.iter().filter(|line| !line.who.contains("/w"));
        for line in holders {
            match line.what.as_str() {
                "acquired" => {
                    let holding = Holding {
                        slot: u32::try_from(line.number(0)?)?,
                        fence: line.number(1)?,
                        from_us: line.at_us,
                        to_us: line.at_us,
                        who: line.who.clone(),
                    };
                    open.insert(&line.who, holding);
                }
                "until" => {
                    let until = line.number(0)?;
                    if let Some(holding) = open.get_mut(line.who.as_str()) {
                        holding.to_us = until;
                    }
                }
                "lost" | "released" => done.extend(open.remove(line.who.as_str()).map(|holding| {
                    let to_us = holding.to_us.min(line.at_us);
                    Holding { to_us, ..holding }
                })),
                _ => {}
            }
        }
        done.extend(open.into_values());
        Ok(done)
    }

    /// Every visit of every worker; one that outlived its worker's lease ends with it.
    ///
    /// # Errors
    ///
    /// When a line lacks a field.
    pub fn visits(&self) -> Result<Vec<Visit>> {
        let mut done = Vec::new();
        let mut open: BTreeMap<&str, Visit> = BTreeMap::new();
        let mut until: BTreeMap<&str, u64> = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line.who.contains("/w")) {
            match line.what.as_str() {
                "until" => {
                    until.insert(&line.who, line.number(0)?);
                }
                "enter" => {
                    let visit = Visit {
                        bucket: u32::try_from(line.number(0)?)?,
                        epoch: line.number(1)?,
                        from_us: line.at_us,
                        to_us: line.at_us,
                        who: line.who.clone(),
                    };
                    open.insert(&line.who, visit);
                }
                "exit" | "cut" => done.extend(open.remove(line.who.as_str()).map(|visit| {
                    let limit = until.get(line.who.as_str()).copied().unwrap_or(u64::MAX);
                    let to_us = line.at_us.min(limit).max(visit.from_us);
                    Visit { to_us, ..visit }
                })),
                _ => {}
            }
        }
        Ok(done)
    }

    /// Epochs that were granted to two for the same bucket.
    #[must_use]
    pub fn epochs_granted_twice(&self) -> Vec<String> {
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        let mut found = Vec::new();
        for line in self.of("granted") {
            let earlier = owners.insert(&line.rest, &line.who);
            if earlier.is_some_and(|earlier| earlier != line.who) {
                found.push(format!("{line:?}, before to {earlier:?}"));
            }
        }
        found
    }

    /// Checks the promises: no ID twice, no machine ID with two holders, no bucket with two visitors, epochs and fences
    /// that rise. Returns how many IDs and visits there were.
    ///
    /// # Errors
    ///
    /// When a line cannot be read.
    ///
    /// # Panics
    ///
    /// When a promise is broken; says which, by whom and when.
    #[track_caller]
    pub fn assert_promises(&self) -> Result<(usize, usize)> {
        let minted = ids::assert_all_distinct(&self.ids()?);
        history::assert_exclusive(&self.holdings()?);
        let visits = self.visits()?;
        let violations = buckets::violations(&visits);
        assert!(
            violations.is_empty(),
            "{} violations among {} visits: {}",
            violations.len(),
            visits.len(),
            violations[0]
        );
        let twice = self.epochs_granted_twice();
        assert!(
            twice.is_empty(),
            "{} grants of one epoch: {}",
            twice.len(),
            twice[0]
        );
        Ok((minted, visits.len()))
    }
}

/// Adds the lines of the file at `path`.
pub(super) fn read(path: &Path, lines: &mut Vec<Line>) -> Result<()> {
    let text = fs::read_to_string(path)?;
    // The last line may be on its way.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        let mut fields = line.splitn(4, ' ');
        let mut field = || fields.next().unwrap_or_default().to_owned();
        let (at, who, what, rest) = (field(), field(), field(), field());
        lines.push(Line {
            at_us: at.parse().with_context(|| format!("{line:?}"))?,
            who,
            what,
            rest,
        });
    }
    Ok(())
}
