//! Latencies and loads, as numbers over time and over all.

use std::collections::BTreeMap;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::{
    raw::{Line, Sample, Turn},
    recording::Recording,
};

/// How long one operation took.
pub(crate) struct Latency {
    /// After the warm-up, microseconds.
    pub(crate) all: Histogram<u64>,
    /// By the number of the window; those in which nothing happened are left out.
    windows: BTreeMap<u64, Histogram<u64>>,
    /// Minutes of a window.
    width: f64,
}

/// Every operation by its name.
pub(crate) fn latencies(recording: &Recording) -> Result<BTreeMap<&str, Latency>> {
    let width = (recording.setting.minutes / WINDOWS).max(SHORTEST);
    let mut found = BTreeMap::new();
    for line in recording.lines() {
        let Line::Did { at_ms, took_us, .. } = line else {
            continue;
        };
        let minute = recording.minute(*at_ms);
        for (operation, took_us) in took_us {
            let latency = found
                .entry(operation.as_str())
                .or_insert_with(|| Latency::new(width));
            let is_warm = recording.setting.warm_up() <= minute;
            latency.add(minute, took_us, is_warm)?;
        }
    }
    Ok(found)
}

impl Latency {
    fn new(width: f64) -> Self {
        Self {
            all: histogram(),
            windows: BTreeMap::new(),
            width,
        }
    }

    fn add(&mut self, minute: f64, took_us: &[u64], is_warm: bool) -> Result<()> {
        let number = (minute / self.width) as u64;
        let window = self.windows.entry(number).or_insert_with(histogram);
        for took in took_us {
            window.record(*took)?;
            if is_warm {
                self.all.record(*took)?;
            }
        }
        Ok(())
    }

    /// A figure of each window, by the minute of its middle.
    pub(crate) fn over_time(&self, figure: impl Fn(&Histogram<u64>) -> f64) -> Vec<(f64, f64)> {
        let points = self.windows.iter();
        points
            .map(|(number, took_us)| ((*number as f64 + 0.5) * self.width, figure(took_us)))
            .collect()
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three significant digits are allowed")
}

/// The share of one processor that the server used between samples, in percent, by minute.
pub(crate) fn server_cpu(recording: &Recording) -> Vec<(f64, f64)> {
    per_second(recording, |sample| {
        100.0 * (value(sample, "used_cpu_sys") + value(sample, "used_cpu_user"))
    })
}

/// How fast a number of the samples rose between them, a second, by minute.
pub(crate) fn per_second(
    recording: &Recording,
    number: impl Fn(&Sample) -> f64,
) -> Vec<(f64, f64)> {
    let pairs = recording.samples.windows(2);
    pairs
        .filter_map(|pair| {
            let (from, to) = (
                recording.minute(pair[0].at_ms),
                recording.minute(pair[1].at_ms),
            );
            let seconds = (to - from) * 60.0;
            (0.0 < seconds).then(|| (to, (number(&pair[1]) - number(&pair[0])) / seconds))
        })
        .collect()
}

/// A number out of INFO, 0 where a sample lacks it.
pub(crate) fn value(sample: &Sample, name: &str) -> f64 {
    sample.server.get(name).copied().unwrap_or_default()
}

/// A number of the samples by minute.
pub(crate) fn over_time(recording: &Recording, number: impl Fn(&Sample) -> f64) -> Vec<(f64, f64)> {
    let points = recording.samples.iter();
    points
        .map(|sample| (recording.minute(sample.at_ms), number(sample)))
        .collect()
}

/// The mean of some numbers; 0 of none.
pub(crate) fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| {
        (sum + number, count + 1.0)
    });
    if count == 0.0 { 0.0 } else { sum / count }
}

/// How often something happened to a process.
pub(crate) fn count(recording: &Recording, what: Turn) -> usize {
    let changes = recording.changes.iter();
    changes.filter(|change| change.what == what).count()
}

const WINDOWS: f64 = 120.0;
/// Minutes: what a process writes at once.
const SHORTEST: f64 = 1.0 / 12.0;
