//! What the `worker` programs printed, merged and judged: who worked in which bucket, when, under which epoch.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// Work of one instance in one bucket, by the machine's monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The bucket.
    pub bucket: u32,
    /// The epoch of the grant under which it was entered.
    pub epoch: u64,
    /// When it was entered, µs.
    pub from_us: u64,
    /// When it was left, µs.
    pub to_us: u64,
    /// Who was there.
    pub who: String,
}

/// The visits in the lines of one worker. One without an exit ends at `until_us`: the time of its death.
///
/// # Errors
///
/// When a line lacks a field; the message shows it.
pub fn visits(who: &str, lines: &[Value], until_us: u64) -> Result<Vec<Visit>> {
    let mut done = Vec::new();
    let mut open: Option<Visit> = None;
    for line in lines {
        let at = line["t_mono_us"]
            .as_u64()
            .with_context(|| format!("no time in {line}"))?;
        match line["event"].as_str() {
            Some("enter") => {
                let number = |field: &str| {
                    let value = &line[field];
                    let parsed = value.as_u64().or_else(|| value.as_str()?.parse().ok());
                    parsed.with_context(|| format!("no {field} in {line}"))
                };
                open = Some(Visit {
                    bucket: u32::try_from(number("bucket")?)?,
                    epoch: number("epoch")?,
                    from_us: at,
                    to_us: until_us,
                    who: who.to_owned(),
                });
            }
            Some("exit") => done.extend(open.take().map(|visit| Visit { to_us: at, ..visit })),
            _ => {}
        }
    }
    done.extend(open);
    Ok(done)
}

/// What is left of visits of a process that was stopped from `stop.0` to `stop.1` (µs): nothing that began while it
/// was stopped or just before or after (when it entered is then not what it printed), and nothing after the stop began of
/// what began earlier (a stopped process works on nothing; what it does afterwards bears an old epoch, which is checked).
#[must_use]
pub fn without_stop(visits: Vec<Visit>, stop: (u64, u64)) -> Vec<Visit> {
    let (from, to) = stop;
    visits
        .into_iter()
        .filter(|visit| {
            visit.from_us < from.saturating_sub(SLACK_US) || to + SLACK_US < visit.from_us
        })
        .map(|visit| {
            let is_cut = visit.from_us < from && from < visit.to_us;
            let to_us = if is_cut { from } else { visit.to_us };
            Visit { to_us, ..visit }
        })
        .collect()
}

/// What is wrong with these visits: two instances in one bucket at one time, or an epoch that falls.
#[must_use]
pub fn violations(visits: &[Visit]) -> Vec<String> {
    let mut buckets: BTreeMap<u32, Vec<&Visit>> = BTreeMap::new();
    for visit in visits {
        buckets.entry(visit.bucket).or_default().push(visit);
    }
    let mut found = Vec::new();
    for visits in buckets.values_mut() {
        visits.sort_by_key(|visit| visit.from_us);
        for pair in visits.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            if first.who != second.who && second.from_us < first.to_us {
                found.push(format!("both at once: {first:?} and {second:?}"));
            }
            let must_rise = first.who != second.who;
            if second.epoch < first.epoch || (must_rise && second.epoch == first.epoch) {
                found.push(format!(
                    "the epoch does not rise: {first:?}, then {second:?}"
                ));
            }
        }
    }
    found
}

const SLACK_US: u64 = 50_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn visit(who: &str, epoch: u64, from_us: u64, to_us: u64) -> Visit {
        Visit {
            bucket: 7,
            epoch,
            from_us,
            to_us,
            who: who.to_owned(),
        }
    }

    #[test]
    fn visits_are_read_from_lines_and_the_last_one_ends_with_its_process() {
        let lines = [
            json!({ "event": "enter", "bucket": 7, "epoch": "3", "t_mono_us": 10 }),
            json!({ "event": "granted", "bucket": 8, "epoch": "4", "t_mono_us": 15 }),
            json!({ "event": "exit", "bucket": 7, "epoch": "3", "t_mono_us": 20 }),
            json!({ "event": "enter", "bucket": 7, "epoch": "3", "t_mono_us": 30 }),
        ];
        let expected = [visit("a", 3, 10, 20), visit("a", 3, 30, 99)];
        assert_eq!(visits("a", &lines, 99).expect("well-formed"), expected);
    }

    #[test]
    fn overlaps_and_falling_epochs_are_found() {
        assert!(
            violations(&[
                visit("a", 1, 0, 10),
                visit("b", 2, 10, 20),
                visit("b", 2, 30, 40)
            ])
            .is_empty()
        );
        assert_eq!(
            violations(&[visit("a", 1, 0, 10), visit("b", 2, 9, 20)]).len(),
            1
        );
        assert_eq!(
            violations(&[visit("a", 2, 0, 10), visit("b", 1, 10, 20)]).len(),
            1
        );
        assert_eq!(
            violations(&[visit("a", 2, 0, 10), visit("b", 2, 10, 20)]).len(),
            1
        );
    }

    #[test]
    fn a_stop_ends_a_visit_and_hides_what_began_in_it() {
        let kept = without_stop(
            vec![
                visit("a", 1, 0, 500_000),
                visit("a", 1, 450_000, 600_000),
                visit("a", 1, 900_000, 900_001),
            ],
            (400_000, 700_000),
        );
        assert_eq!(
            kept,
            [visit("a", 1, 0, 400_000), visit("a", 1, 900_000, 900_001)]
        );
    }
}
