//! From records to grants with their spans.

use std::collections::BTreeMap;

use super::{Verdict, Violation, Who};
use crate::history::{End, Grant, History, Kind, Record, What};

/// One grant, as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Whose.
    pub who: Who,
    /// What.
    pub grant: Grant,
    /// It was asked for at this time or later, µs.
    pub asked: u64,
    /// When its client had it, µs.
    pub from: u64,
    /// The last deadline that its client knew, µs.
    pub deadline: u64,
    /// When and how it ended before.
    pub ended: Option<(u64, End)>,
}

impl Holding {
    /// Until when its client took it for valid.
    #[must_use]
    pub fn valid_to(&self) -> u64 {
        self.ended
            .map_or(self.deadline, |(at, _)| at.min(self.deadline))
    }

    /// From when on somebody else may be granted it.
    pub(super) fn free_from(&self) -> u64 {
        match self.ended {
            Some((at, End::Released)) => at.min(self.deadline),
            Some((_, End::Lost)) | None => self.deadline,
        }
    }
}

pub(super) fn collect(history: &History, verdict: &mut Verdict) {
    let mut members: BTreeMap<u32, Member> = BTreeMap::new();
    for record in &history.records {
        let member = members.entry(record.member).or_default();
        if !member.take(&history.name, record) {
            verdict.violations.push(Violation::Malformed {
                who: who(&history.name, record),
                record: record.to_string(),
            });
        }
    }
    let earlier = verdict.holdings.len();
    for member in members.into_values() {
        verdict.holdings.extend(member.done);
        verdict.holdings.extend(member.open.into_values());
    }
    let figures = &mut verdict.figures;
    for holding in &verdict.holdings[earlier..] {
        match holding.grant.kind {
            Kind::Slot => figures.slot_grants += 1,
            Kind::Bucket => figures.bucket_grants += 1,
        }
        let is_lost = matches!(holding.ended, Some((_, End::Lost)));
        figures.losses += usize::from(is_lost);
    }
}

pub(super) fn who(process: &str, record: &Record) -> Who {
    Who {
        process: process.to_owned(),
        member: record.member,
    }
}

#[derive(Default)]
struct Member {
    open: BTreeMap<(Kind, u32), Holding>,
    deadlines: BTreeMap<Kind, u64>,
    done: Vec<Holding>,
}

impl Member {
    /// Whether the record fits those before it.
    fn take(&mut self, process: &str, record: &Record) -> bool {
        match &record.what {
            What::Granted { grant, asked } => {
                let holding = Holding {
                    who: who(process, record),
                    grant: *grant,
                    asked: *asked,
                    from: record.at,
                    deadline: self.deadlines.get(&grant.kind).copied().unwrap_or(0),
                    ended: None,
                };
                let before = self.open.insert((grant.kind, grant.number), holding);
                before.is_none() && *asked <= record.at
            }
            What::Until { kind, deadline } => {
                self.deadlines.insert(*kind, *deadline);
                let open = self.open.values_mut();
                for holding in open.filter(|holding| holding.grant.kind == *kind) {
                    holding.deadline = *deadline;
                }
                true
            }
            What::Ended { grant, how } => {
                let open = self.open.remove(&(grant.kind, grant.number));
                let Some(holding) = open.filter(|holding| holding.grant == *grant) else {
                    return false;
                };
                self.done.push(Holding {
                    ended: Some((record.at, *how)),
                    ..holding
                });
                true
            }
            _ => true,
        }
    }
}
