//! Timing, medians and tables.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::Context as _;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) repetitions: usize,
    /// Bursts in each repetition.
    pub(crate) bursts: usize,
    /// Of throughput, each repetition.
    pub(crate) window: Duration,
}

impl Effort {
    pub(crate) const FULL: Self = Self {
        repetitions: 15,
        bursts: 100,
        window: Duration::from_millis(400),
    };
    pub(crate) const QUICK: Self = Self {
        repetitions: 3,
        bursts: 5,
        window: Duration::from_millis(20),
    };
}

/// Rows of a name and a number each, compared with one of them.
#[derive(Debug)]
pub(crate) struct Table {
    title: &'static str,
    unit: &'static str,
    base: &'static str,
    rows: Vec<(String, Vec<f64>)>,
}

impl Table {
    pub(crate) const fn new(title: &'static str, unit: &'static str, base: &'static str) -> Self {
        Self {
            title,
            unit,
            base,
            rows: Vec::new(),
        }
    }

    /// Adds one repetition's number to a row.
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        match self.rows.iter_mut().find(|(row, _)| row == name) {
            Some((_, values)) => values.push(value),
            None => self.rows.push((name.to_owned(), vec![value])),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit;
        let base = self.rows.iter().find(|(name, _)| name == self.base);
        let base = base.map_or(f64::NAN, |(_, values)| median(values));
        writeln!(f, "## {}\n", self.title)?;
        writeln!(f, "| work | {unit} | spread | × {} |", self.base)?;
        writeln!(f, "| --- | ---: | ---: | ---: |")?;
        for (name, values) in &self.rows {
            let mid = median(values);
            let (low, high) = (quantile(values, 0.1), quantile(values, 0.9));
            writeln!(
                f,
                "| {name} | {mid:.2} | {low:.2}–{high:.2} | {:.2} |",
                mid / base
            )?;
        }
        Ok(())
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * at).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// Keeps this thread on one processor, where the platform can.
pub(crate) fn pin(processor: usize) -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use nix::{
            sched::{CpuSet, sched_setaffinity},
            unistd::Pid,
        };
        let mut set = CpuSet::new();
        set.set(processor % processors())?;
        sched_setaffinity(Pid::from_raw(0), &set).context("cannot pin a thread")?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = processor;
    Ok(())
}

pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures elapsed time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Burns time, so that the processor stays awake.
pub(crate) fn spin(duration: Duration) {
    let until = now() + duration;
    while now() < until {
        std::hint::spin_loop();
    }
}
