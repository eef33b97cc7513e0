//! How soon everything works again after a fault, from the histories alone.
//!
//! Everything works while every bucket has an owner, and no holder waits for a machine ID or cannot mint. After a fault that
//! takes from the server what it knew, or makes another server of it, nothing new is granted for a quarantine: whoever
//! comes or gives something away meanwhile waits for its end.

use std::collections::BTreeMap;

use crate::{
    check::Holding,
    client::FAILOVER_BOUND,
    history::{History, Kind as Leased, What},
    plan::{self, Lane, Topology},
    report::Fault,
};

/// From and to, µs.
type Span = (u64, u64);

/// How soon everything worked after the faults of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The times, µs, from the shortest to the longest.
    pub took: Vec<u64>,
    /// How many more there were, after which the servers were broken again before everything worked.
    pub unknown: usize,
}

impl Recovery {
    /// The time within which so much of a hundred came, µs.
    #[must_use]
    pub fn percentile(&self, hundredths: usize) -> Option<u64> {
        let rank = (self.took.len() * hundredths).div_ceil(100);
        self.took.get(rank.saturating_sub(1)).copied()
    }
}

/// The recoveries by kind of fault: until the end of the last time without that begins within `felt_us` of the fault's end,
/// those aside in which something moves as it should.
#[must_use]
pub fn recoveries(
    histories: &[History],
    holdings: &[Holding],
    faults: &[Fault<'_>],
    felt_us: impl Fn(plan::Kind) -> u64,
) -> BTreeMap<plan::Kind, Recovery> {
    let bad = merged(without_owner(holdings).chain(waiting(histories)).collect());
    let mut recoveries: BTreeMap<plan::Kind, Recovery> = BTreeMap::new();
    for fault in faults {
        let is_next = |next: &&Fault<'_>| next.step.lane == Lane::Servers && fault.to <= next.from;
        let next = faults
            .iter()
            .find(is_next)
            .map_or(u64::MAX, |next| next.from);
        let felt_until = next.min(fault.to + felt_us(fault.step.kind));
        let is_felt = |(from, to): &&Span| fault.to < *to && *from <= felt_until;
        let is_long = |(from, to): &&Span| *from <= fault.to || MOVE_US < to - from;
        let last = bad.iter().filter(is_felt).rfind(is_long);
        let well_at = last.map_or(fault.to, |(_, to)| *to);
        let recovery = recoveries.entry(fault.step.kind).or_default();
        match well_at <= next {
            true => recovery.took.push(well_at - fault.to),
            false => recovery.unknown += 1,
        }
    }
    for recovery in recoveries.values_mut() {
        recovery.took.sort_unstable();
    }
    recoveries
}

/// For how long after its end a fault is felt, µs: for a quarantine, where the server has lost something or is another one.
#[must_use]
pub const fn felt_us(kind: plan::Kind, topology: Topology) -> u64 {
    use plan::Kind as K;
    let alone = matches!(topology, Topology::Standalone);
    let is_felt_for_ms = match kind {
        K::KillClient | K::PauseClient | K::RestartClient | K::StepClientClock => 0,
        K::FillMemory | K::StepServerClock | K::HalfOpen | K::SlowLink => 0,
        K::StopServer | K::Partition | K::Cut if alone => 0,
        // Elsewhere a replica may take over meanwhile; slots that migrate come to another server.
        _ => topology.ttl_ms() + FAILOVER_BOUND.as_millis() as u64,
    };
    is_felt_for_ms * 1_000
}

/// Within which time everything is to work again, µs; `None` after what befalls clients, whose leases have to end.
#[must_use]
pub const fn goal_us(kind: plan::Kind, topology: Topology) -> Option<u64> {
    let is_of_clients = kind.suits(topology, Lane::Holders);
    match felt_us(kind, topology) {
        _ if is_of_clients => None,
        0 => Some(KEPT_US),
        quarantine => Some(quarantine + LOST_US),
    }
}

/// Where the server kept its data and its process.
const KEPT_US: u64 = 1_500_000;
/// Elsewhere, after the quarantine.
const LOST_US: u64 = 1_000_000;
/// What moves is without an owner for a moment: the next one is told at once, and looks every 25 ms.
const MOVE_US: u64 = 300_000;

/// When a bucket that had an owner has none, until it has one again.
fn without_owner(holdings: &[Holding]) -> impl Iterator<Item = Span> {
    let mut buckets: BTreeMap<u32, Vec<Span>> = BTreeMap::new();
    for holding in holdings {
        if holding.grant.kind == Leased::Bucket && holding.from < holding.valid_to() {
            let spans = buckets.entry(holding.grant.number).or_default();
            spans.push((holding.from, holding.valid_to()));
        }
    }
    buckets.into_values().flat_map(|owned| {
        let owned = merged(owned);
        let gaps = owned.windows(2).map(|pair| (pair[0].1, pair[1].0));
        gaps.collect::<Vec<Span>>()
    })
}

/// When a member waits for a machine ID, or has one and cannot mint.
fn waiting(histories: &[History]) -> impl Iterator<Item = Span> {
    histories.iter().flat_map(|history| {
        let mut since: BTreeMap<u32, u64> = BTreeMap::new();
        let mut spans = Vec::new();
        for record in &history.records {
            let begins = match &record.what {
                What::Asked(Leased::Slot) => true,
                What::Said(text) if text.starts_with("Stalled") => true,
                What::Said(text) if text == "MintsAgain" => false,
                What::Granted { grant, .. } | What::Ended { grant, .. }
                    if grant.kind == Leased::Slot =>
                {
                    false
                }
                _ => continue,
            };
            if begins {
                since.entry(record.member).or_insert(record.at);
            } else if let Some(since) = since.remove(&record.member) {
                spans.push((since, record.at));
            }
        }
        // Whoever was killed waits no longer.
        let end = history.records.last().map_or(0, |record| record.at);
        spans.extend(since.into_values().map(|since| (since, end)));
        spans
    })
}

/// The same times, as spans that do not touch.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::Who,
        history::{End, Grant, Record},
        plan::Step,
    };

    fn bucket(from: u64, deadline: u64, released: Option<u64>) -> Holding {
        Holding {
            who: Who {
                process: "w0-1".to_owned(),
                member: 0,
            },
            grant: Grant {
                kind: Leased::Bucket,
                number: 1,
                fence: from,
            },
            asked: from,
            from,
            deadline,
            ended: released.map(|at| (at, End::Released)),
        }
    }

    fn step(kind: plan::Kind) -> Step {
        Step {
            number: 0,
            lane: Lane::Servers,
            at_ms: 0,
            lasts_ms: 0,
            kind,
            target: 0,
            by_ms: 0,
        }
    }

    fn said(at: u64, what: What) -> Record {
        Record {
            at,
            member: 0,
            what,
        }
    }

    #[test]
    fn it_works_again_when_the_last_bucket_has_an_owner_and_the_last_holder_mints() {
        let holdings = [bucket(0, 100, None), bucket(150, 900, None)];
        let history = History {
            name: "h0-1".to_owned(),
            records: vec![
                said(120, What::Said("Stalled why".to_owned())),
                said(180, What::Said("MintsAgain".to_owned())),
                said(400, What::Asked(Leased::Slot)),
                said(450, What::Refused(Leased::Slot)),
            ],
        };
        let (flush, cut) = (step(plan::Kind::Flush), step(plan::Kind::Cut));
        let fault = |step, from, to| Fault { step, from, to };
        let faults = [
            fault(&flush, 90, 110),
            fault(&cut, 200, 210),
            fault(&cut, 390, 410),
            fault(&flush, 440, 500),
        ];
        let found = recoveries(&[history], &holdings, &faults, |_| 0);
        let expected = |took: &[u64], unknown| Recovery {
            took: took.to_vec(),
            unknown,
        };
        assert_eq!(found[&plan::Kind::Flush], expected(&[0, 70], 0));
        assert_eq!(found[&plan::Kind::Cut], expected(&[0], 1), "broken again");
    }

    #[test]
    fn what_waits_for_the_end_of_a_quarantine_counts() {
        let holdings = [
            bucket(0, 2_000_000, None),
            bucket(3_000_000, 9_000_000, None),
        ];
        let flush = step(plan::Kind::Flush);
        let faults = [Fault {
            step: &flush,
            from: 900_000,
            to: 1_000_000,
        }];
        let took = |felt_us| {
            let found = recoveries(&[], &holdings, &faults, |_| felt_us);
            found[&plan::Kind::Flush].took.clone()
        };
        assert_eq!(took(1_000_000), [2_000_000]);
        assert_eq!(took(900_000), [0]);
    }

    #[test]
    fn what_was_given_away_has_no_owner_before_it_is_taken() {
        let holdings = [bucket(0, 100, Some(50)), bucket(70, 200, None)];
        assert_eq!(without_owner(&holdings).collect::<Vec<_>>(), [(50, 70)]);
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let recovery = Recovery {
            took: (1..=10).collect(),
            unknown: 0,
        };
        let found = [50, 99, 100].map(|hundredths| recovery.percentile(hundredths));
        assert_eq!(found, [Some(5), Some(10), Some(10)]);
        assert_eq!(Recovery::default().percentile(50), None);
    }

    #[test]
    fn a_goal_is_a_quarantine_where_the_server_is_another() {
        let goal = goal_us;
        assert_eq!(goal(plan::Kind::Cut, Topology::Standalone), Some(1_500_000));
        assert_eq!(goal(plan::Kind::Cut, Topology::Sentinel), Some(13_000_000));
        assert_eq!(
            goal(plan::Kind::Flush, Topology::Standalone),
            Some(10_000_000)
        );
        assert_eq!(goal(plan::Kind::KillClient, Topology::Standalone), None);
    }
}
