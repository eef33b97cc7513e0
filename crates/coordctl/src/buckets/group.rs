//! A group as it was read.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use anstyle::Style;
use redbuckets::{
    Assignment, Redbuckets,
    inspect::{Inspection, Inspector, MemberRecord},
};
use serde_json::{Value, json};

use crate::{
    cli::{Global, GroupOptions},
    connect,
    failure::Failure,
    output::{self, Cell},
    picture::{self, Grid},
    time,
};

#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) read: Inspection,
}

/// Reads a group, again and again.
#[derive(Debug)]
pub(crate) struct Reader {
    name: String,
    inspector: Inspector,
}

impl Reader {
    pub(crate) fn new(global: &Global, options: &GroupOptions) -> Result<Self, Failure> {
        Self::of(&options.group, &connect::group(global, options)?)
    }

    pub(crate) fn of(name: &str, group: &Redbuckets) -> Result<Self, Failure> {
        Ok(Self {
            name: name.to_owned(),
            inspector: group.inspector()?,
        })
    }

    pub(crate) async fn read(&self) -> Result<Group, Failure> {
        Ok(Group {
            name: self.name.clone(),
            read: self.inspector.read().await?,
        })
    }

    pub(crate) const fn inspector(&self) -> &Inspector {
        &self.inspector
    }
}

pub(crate) const HEADINGS: [&str; 9] = [
    "",
    "MEMBER",
    "OWNED",
    "SHARE",
    "MOVES",
    "WEIGHT",
    "LEASE LEFT",
    "JOINED",
    "STATE",
];

impl Group {
    /// A member's place among all, which decides its letter and colour: its number, so that it stays the same while the
    /// group changes.
    pub(crate) const fn place(number: u32) -> usize {
        number.saturating_sub(1) as usize
    }

    /// The map in at most `room` cells.
    pub(crate) fn grid(&self, room: u32) -> Grid {
        let runs = self.read.runs.iter();
        let runs = runs.map(|run| (run.buckets.clone(), run.owner.map(Self::place)));
        Grid::new(self.read.buckets, room, runs)
    }

    /// How many buckets are on their way: granted but not acknowledged, or above somebody's share.
    pub(crate) fn moves(&self) -> u32 {
        let members = self.read.members.iter();
        members
            .map(|member| member.incoming + self.surplus(member))
            .sum()
    }

    /// How many buckets went from whom to whom until `after`.
    pub(crate) fn moved(&self, after: &Self) -> BTreeMap<(Option<u32>, Option<u32>), u32> {
        let mut moved: BTreeMap<(Option<u32>, Option<u32>), u32> = BTreeMap::new();
        let mut rest = after.read.runs.iter().peekable();
        // Both cover all buckets in their order: where they overlap is what went from one owner to the other.
        for from in &self.read.runs {
            while let Some(to) = rest.peek() {
                let first = from.buckets.start.max(to.buckets.start);
                let end = from.buckets.end.min(to.buckets.end);
                if first < end && from.owner != to.owner {
                    *moved.entry((from.owner, to.owner)).or_default() += end - first;
                }
                if from.buckets.end < to.buckets.end {
                    break;
                }
                rest.next();
            }
        }
        moved
    }

    /// While membership is not quiet, and in a contiguous group, shares say nothing of what moves.
    pub(crate) fn surplus(&self, member: &MemberRecord) -> u32 {
        let settled = self.read.settles_in.is_zero() || member.weight == 0;
        let counted = settled && self.read.assignment == Assignment::Sticky;
        if counted || member.weight == 0 {
            member.surplus()
        } else {
            0
        }
    }

    pub(crate) fn headline(&self) -> String {
        let read = &self.read;
        let assignment = assignment_name(read.assignment);
        let members = u32::try_from(read.members.len()).unwrap_or(u32::MAX);
        let mut parts = vec![format!(
            "group {}: {}, {assignment}, {}",
            output::plain(&self.name),
            output::count(read.buckets, "bucket"),
            output::count(members, "member")
        )];
        match self.moves() {
            0 => parts.push("nothing moves".to_owned()),
            moves => parts.push(output::styled(output::WARN, &format!("{moves} moving"))),
        }
        if read.free != 0 {
            parts.push(output::styled(
                output::WARN,
                &format!("{} without an owner", read.free),
            ));
        }
        if !read.settles_in.is_zero() {
            parts.push(format!("balanced from {} on", time::span(read.settles_in)));
        }
        if !read.doubt.is_zero() {
            let left = time::span(read.doubt);
            let text = format!("quarantine: nothing free is granted for {left}");
            parts.push(output::styled(output::WARN, &text));
        }
        if read.is_torn {
            parts.push(output::styled(output::WARN, "it changed while it was read"));
        }
        parts.join("; ")
    }

    pub(crate) fn row(&self, member: &MemberRecord) -> Vec<Cell> {
        let place = Self::place(member.number);
        let letter = Grid::letter(Some(place)).to_string();
        let color = Style::new().fg_color(Some(picture::color(place).into()));
        let (state, style) = state(member);
        let moves = match (member.incoming, self.surplus(member)) {
            (0, 0) => "-".to_owned(),
            (incoming, 0) => format!("+{incoming}"),
            (0, outgoing) => format!("-{outgoing}"),
            (incoming, outgoing) => format!("+{incoming} -{outgoing}"),
        };
        vec![
            Cell::styled(letter, color),
            Cell::new(member.id.as_str()),
            Cell::new(member.owned.to_string()),
            Cell::new(member.quota.to_string()),
            Cell::new(moves),
            Cell::new(member.weight.to_string()),
            Cell::new(time::span(member.lease_left)),
            Cell::new(time::utc(member.joined_ms)),
            Cell::styled(state, style),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        let mut runs: HashMap<Option<u32>, Vec<&Range<u32>>> = HashMap::new();
        for run in &self.read.runs {
            runs.entry(run.owner).or_default().push(&run.buckets);
        }
        // Both ends included, as in `WHERE bucket BETWEEN a AND b`.
        let ranges = |owner: Option<u32>| -> Value {
            let owned = runs.get(&owner).into_iter().flatten();
            owned.map(|run| json!([run.start, run.end - 1])).collect()
        };
        let member = |member: &MemberRecord| {
            json!({
                "number": member.number,
                "id": member.id,
                "state": state(member).0,
                "owned": member.owned,
                "quota": member.quota,
                "incoming": member.incoming,
                "surplus": self.surplus(member),
                "weight": member.weight,
                "lease_left_ms": time::ms(member.lease_left),
                "grace_ms": time::ms(member.grace),
                "joined_ms": member.joined_ms,
                "ranges": ranges(Some(member.number)),
            })
        };
        let members: Vec<Value> = self.read.members.iter().map(member).collect();
        json!({
            "group": self.name,
            "server_ms": self.read.server_ms,
            "buckets": self.read.buckets,
            "assignment": assignment_name(self.read.assignment),
            "version": self.read.version,
            "doubt_ms": time::ms(self.read.doubt),
            "settles_in_ms": time::ms(self.read.settles_in),
            "free": self.read.free,
            "free_ranges": ranges(None),
            "moving": self.moves(),
            "torn": self.read.is_torn,
            "members": members,
        })
    }
}

/// Every word that [`state`] has.
#[cfg(feature = "exporter")]
pub(crate) const STATES: [&str; 9] = [
    "member", "joining", "idle", "draining", "drained", "leaving", "parked", "awaited", "expired",
];

/// One word, and how it looks.
pub(crate) fn state(member: &MemberRecord) -> (&'static str, Style) {
    match () {
        () if member.is_parked => ("parked", output::DIM),
        () if member.lease_left.is_zero() && !member.grace.is_zero() => ("awaited", output::WARN),
        () if member.lease_left.is_zero() => ("expired", output::BAD),
        () if member.is_drained && member.owned == 0 => ("drained", output::DIM),
        () if member.is_drained => ("draining", output::WARN),
        () if member.weight == 0 && member.owned == 0 => ("idle", output::WARN),
        () if member.weight == 0 => ("leaving", output::WARN),
        () if !member.is_in_step => ("joining", output::WARN),
        () => ("member", output::GOOD),
    }
}

const fn assignment_name(assignment: Assignment) -> &'static str {
    match assignment {
        Assignment::Contiguous => "contiguous",
        _ => "sticky",
    }
}
