//! Everything that a fleet did, judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::line::{Line, Role};
use crate::{
    buckets::{self, Visit},
    history::{self, Holding},
    ids,
};

/// What the processes of a fleet recorded, by member.
#[derive(Debug, Default)]
pub struct Record {
    /// The IDs of each holder.
    pub ids: Vec<ids::Source>,
    /// Which slot was held when, by the holders' own word.
    pub holdings: Vec<Holding>,
    /// Which bucket was worked in when, by the workers' own word.
    pub visits: Vec<Visit>,
    /// What happened, in order.
    pub events: Vec<Event>,
    minted_at: BTreeMap<String, Vec<u64>>,
    beats: BTreeMap<String, Vec<u64>>,
    members: BTreeMap<String, Role>,
    held: BTreeMap<(String, u32, u64), (u64, u64)>,
    worked: BTreeMap<(u32, u64, String), (u64, u64)>,
}

/// Something that happened to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, µs of the boot-time clock.
    pub at_us: u64,
    /// To whom.
    pub who: String,
    /// What.
    pub kind: String,
    /// More about it.
    pub detail: String,
}

impl Event {
    /// What it says of a bucket: the first two numbers of the detail.
    fn bucket_and_epoch(&self) -> Option<(u64, u64)> {
        let mut numbers = self
            .detail
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|digits| digits.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    }
}

/// How much was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// IDs.
    pub ids: usize,
    /// Grants of slots.
    pub holdings: usize,
    /// Grants of buckets.
    pub visits: usize,
}

impl Record {
    /// Checks that no ID exists twice, no slot and no bucket was two members' at once, and fences and epochs rise.
    ///
    /// # Panics
    ///
    /// When something is wrong; the message names both members.
    #[track_caller]
    pub fn check(&self) -> Counts {
        let counts = self.check_ids_and_slots();
        let found = self.bucket_violations();
        if let Some(first) = found.first() {
            panic!("{} violations among buckets: {first}", found.len());
        }
        counts
    }

    /// [`Record::check`] without the buckets.
    ///
    /// # Panics
    ///
    /// As [`Record::check`].
    #[track_caller]
    pub fn check_ids_and_slots(&self) -> Counts {
        Counts {
            ids: ids::assert_all_distinct(&self.ids),
            holdings: history::assert_exclusive(&self.holdings),
            visits: self.visits.len(),
        }
    }

    /// What is wrong among the buckets.
    #[must_use]
    pub fn bucket_violations(&self) -> Vec<String> {
        buckets::violations(&self.visits)
    }

    /// For how long two workers were told that one bucket is theirs, by the events that began and ended it; of those
    /// whose ownership ended with a loss. Zero where that never was.
    #[must_use]
    pub fn longest_bucket_overlap(&self) -> Duration {
        let mut granted: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for event in self.events.iter().filter(|event| event.kind == "granted") {
            granted.extend(event.bucket_and_epoch().map(|key| (key, event.at_us)));
        }
        let lost = self.events.iter().filter(|event| event.kind == "lost");
        let overlaps = lost.filter_map(|event| {
            let (bucket, epoch) = event.bucket_and_epoch()?;
            let mut later = granted.range((bucket, epoch + 1)..=(bucket, u64::MAX));
            Some(event.at_us.saturating_sub(*later.next()?.1))
        });
        Duration::from_micros(overlaps.max().unwrap_or(0))
    }

    /// For how long two holders believed to hold one slot, at most; zero where that never was.
    #[must_use]
    pub fn longest_slot_overlap(&self) -> Duration {
        let mut longest = 0;
        for (index, first) in self.holdings.iter().enumerate() {
            for second in &self.holdings[index + 1..] {
                if first.slot == second.slot {
                    let from = first.from_us.max(second.from_us);
                    longest = longest.max(first.to_us.min(second.to_us).saturating_sub(from));
                }
            }
        }
        Duration::from_micros(longest)
    }

    /// Every member of this role.
    pub fn members(&self, role: Role) -> impl Iterator<Item = &str> {
        let members = self.members.iter();
        members
            .filter(move |(_, its)| **its == role)
            .map(|(who, _)| who.as_str())
    }

    /// Events of this kind in this span (µs).
    pub fn events_of(&self, kind: &str, span: (u64, u64)) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| {
            event.kind == kind && span.0 <= event.at_us && event.at_us < span.1
        })
    }

    /// How long after `since_us` the last of these members had its first heartbeat acknowledged.
    ///
    /// # Panics
    ///
    /// When one never had.
    #[track_caller]
    #[must_use]
    pub fn recovered_after(&self, since_us: u64, who: impl Fn(&str) -> bool) -> Duration {
        let mut slowest = 0;
        for member in self.members.keys().filter(|member| who(member)) {
            let beats = self.beats.get(member).map_or(&[][..], Vec::as_slice);
            let Some(first) = beats.iter().find(|at| since_us <= **at) else {
                panic!("{member} was never heard again");
            };
            slowest = slowest.max(first - since_us);
        }
        Duration::from_micros(slowest)
    }

    /// Heartbeats of this member that were acknowledged in this span (µs).
    #[must_use]
    pub fn beats_in(&self, who: &str, span: (u64, u64)) -> usize {
        let beats = self.beats.get(who).map_or(&[][..], Vec::as_slice);
        let in_span = beats.iter().filter(|at| span.0 <= **at && **at < span.1);
        in_span.count()
    }

    /// The longest time in this span (µs) in which one of these holders minted nothing.
    #[must_use]
    pub fn longest_silence(&self, span: (u64, u64), who: impl Fn(&str) -> bool) -> Duration {
        let mut longest = 0;
        for (_, times) in self.minted_at.iter().filter(|(member, _)| who(member)) {
            let mut last = span.0;
            let in_span = times.iter().filter(|at| span.0 <= **at && **at < span.1);
            for at in in_span.chain([&span.1]) {
                longest = longest.max(at.saturating_sub(last));
                last = *at;
            }
        }
        Duration::from_micros(longest)
    }

    /// When this holder last minted in this span (µs).
    #[must_use]
    pub fn last_minted(&self, who: &str, span: (u64, u64)) -> Option<u64> {
        let times = self.minted_at.get(who)?;
        let mut in_span = times.iter().filter(|at| span.0 <= **at && **at < span.1);
        in_span.next_back().copied()
    }

    /// When this worker was last in a bucket in this span (µs), by its own word.
    #[must_use]
    pub fn last_worked(&self, who: &str, span: (u64, u64)) -> Option<u64> {
        let own = self.visits.iter().filter(|visit| visit.who == who);
        let cut = own.filter(|visit| visit.from_us < span.1 && span.0 < visit.to_us);
        cut.map(|visit| visit.to_us.min(span.1)).max()
    }

    /// What happened in this span (µs), by kind: how often and to how many, and when the first and the last time after
    /// its begin.
    #[must_use]
    pub fn story(&self, span: (u64, u64)) -> String {
        let mut kinds: BTreeMap<(&str, &str), Vec<&Event>> = BTreeMap::new();
        let in_span = |event: &&Event| span.0 <= event.at_us && event.at_us < span.1;
        for event in self.events.iter().filter(in_span) {
            let role = match self.members.get(&event.who) {
                Some(Role::Workers) => "worker",
                Some(Role::Holders) => "holder",
                None => "newcomer",
            };
            kinds.entry((role, &event.kind)).or_default().push(event);
        }
        let second = |event: Option<&&Event>| {
            let at = event.map_or(span.0, |event| event.at_us);
            Duration::from_micros(at - span.0).as_secs_f64()
        };
        kinds
            .into_iter()
            .map(|((role, kind), events)| {
                let who: BTreeSet<&str> = events.iter().map(|event| event.who.as_str()).collect();
                let (count, members) = (events.len(), who.len());
                let (first, last) = (second(events.first()), second(events.last()));
                format!("  {role} {kind}: {count} of {members}, from {first:.2} to {last:.2} s\n")
            })
            .collect()
    }

    pub(super) fn take(&mut self, role: Role, process: &str, line: Line) {
        let name = |who: u32| format!("{process}.{who}");
        match line {
            Line::Ready { .. } | Line::Owned { .. } => {}
            Line::Ids { at, who, ids } => {
                let name = name(who);
                self.members.insert(name.clone(), role);
                self.minted_at.entry(name.clone()).or_default().push(at);
                match self.ids.iter_mut().find(|source| source.name == name) {
                    Some(source) => source.ids.extend(ids),
                    None => self.ids.push(ids::Source::new(name, ids)),
                }
            }
            Line::Held {
                who,
                slot,
                fence,
                from,
                to,
            } => {
                let span = self.held.entry((name(who), slot, fence));
                let span = span.or_insert((from, to));
                *span = (span.0.min(from), span.1.max(to));
            }
            Line::Visits { who, visits } => {
                for [bucket, epoch, from, to] in visits {
                    let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
                    let span = self.worked.entry((bucket, epoch, name(who)));
                    let span = span.or_insert((from, to));
                    *span = (span.0.min(from), span.1.max(to));
                }
            }
            Line::Beat { at, who } => {
                self.members.insert(name(who), role);
                self.beats.entry(name(who)).or_default().push(at);
            }
            Line::Event {
                at,
                who,
                kind,
                detail,
            } => self.events.push(Event {
                at_us: at,
                who: name(who),
                kind,
                detail,
            }),
        }
    }

    /// A grant has one fence, so the spans of one fence are one holding: whoever else had it in between had a higher
    /// one, and the first holder's was then no longer valid.
    pub(super) fn complete(&mut self) {
        self.events.sort_by_key(|event| event.at_us);
        let held = std::mem::take(&mut self.held).into_iter();
        self.holdings = held
            .map(|((who, slot, fence), (from_us, to_us))| Holding {
                slot,
                fence,
                from_us,
                to_us,
                who,
            })
            .collect();
        let worked = std::mem::take(&mut self.worked).into_iter();
        self.visits = worked
            .map(|((bucket, epoch, who), (from_us, to_us))| Visit {
                bucket,
                epoch,
                from_us,
                to_us,
                who,
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(lines: Vec<(Role, &str, Line)>) -> Record {
        let mut record = Record::default();
        for (role, process, line) in lines {
            record.take(role, process, line);
        }
        record.complete();
        record
    }

    fn ids(at: u64, ids: &[u64]) -> Line {
        let ids = ids.to_vec();
        Line::Ids { at, who: 0, ids }
    }

    fn held(fence: u64, from: u64, to: u64) -> Line {
        Line::Held {
            who: 0,
            slot: 3,
            fence,
            from,
            to,
        }
    }

    fn visit(epoch: u64, from: u64, to: u64) -> Line {
        Line::Visits {
            who: 0,
            visits: vec![[7, epoch, from, to]],
        }
    }

    #[test]
    fn spans_of_one_grant_are_one_and_grants_that_follow_each_other_are_fine() {
        let record = record(vec![
            (Role::Holders, "a", ids(5, &[1, 2])),
            (Role::Holders, "b", ids(6, &[3])),
            (Role::Holders, "a", held(1, 0, 10)),
            (Role::Holders, "a", held(1, 0, 20)),
            (Role::Holders, "b", held(2, 20, 30)),
            (Role::Workers, "w", visit(1, 0, 10)),
            (Role::Workers, "w", visit(1, 12, 20)),
            (Role::Workers, "v", visit(2, 25, 30)),
        ]);
        let counts = Counts {
            ids: 3,
            holdings: 2,
            visits: 2,
        };
        assert_eq!(record.check(), counts);
    }

    #[test]
    #[should_panic(expected = "held twice")]
    fn a_slot_that_two_hold_at_once_is_found() {
        let (first, second) = (held(1, 0, 20), held(2, 19, 30));
        record(vec![
            (Role::Holders, "a", first),
            (Role::Holders, "b", second),
        ])
        .check();
    }

    #[test]
    #[should_panic(expected = "both at once")]
    fn a_bucket_that_two_work_in_at_once_is_found() {
        let (first, second) = (visit(1, 0, 20), visit(2, 19, 30));
        record(vec![
            (Role::Workers, "a", first),
            (Role::Workers, "b", second),
        ])
        .check();
    }

    #[test]
    #[should_panic(expected = "duplicate")]
    fn an_id_of_two_holders_is_found() {
        record(vec![
            (Role::Holders, "a", ids(1, &[1, 2])),
            (Role::Holders, "b", ids(2, &[2])),
        ])
        .check();
    }

    #[test]
    fn silence_and_recovery_are_measured_from_the_fault() {
        let beat = |at| Line::Beat { at, who: 0 };
        let record = record(vec![
            (Role::Holders, "a", ids(10, &[1])),
            (Role::Holders, "a", ids(40, &[2])),
            (Role::Holders, "a", beat(15)),
            (Role::Holders, "a", beat(35)),
        ]);
        let micros = Duration::from_micros;
        assert_eq!(record.longest_silence((10, 50), |_| true), micros(30));
        assert_eq!(record.recovered_after(20, |_| true), micros(15));
        assert_eq!(record.last_minted("a.0", (0, 40)), Some(10));
    }

    #[test]
    fn an_overlap_of_buckets_is_measured_by_the_events_of_loss_and_grant() {
        let event = |at, kind: &str, epoch| Line::Event {
            at,
            who: 0,
            kind: kind.to_owned(),
            detail: format!(" {{ bucket: 7, epoch: {epoch} }}"),
        };
        let record = record(vec![
            (Role::Workers, "a", event(1, "granted", 4)),
            (Role::Workers, "b", event(10, "granted", 6)),
            (Role::Workers, "a", event(25, "lost", 4)),
        ]);
        assert_eq!(record.longest_bucket_overlap(), Duration::from_micros(15));
    }
}
