//! Who holds which machine ID.

use std::{ops::RangeInclusive, process::ExitCode};

use anstyle::Style;
use raus::{
    Raus,
    inspect::{History, Inspection, Inspector, SlotRecord, SlotState},
};
use serde_json::{Value, json};

use crate::{
    cli::{Global, ListOptions},
    connect,
    failure::Failure,
    output::{self, Cell},
    time,
};

/// A namespace as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) range: RangeInclusive<u32>,
    pub(crate) read: Inspection,
}

/// Reads a namespace, again and again.
#[derive(Debug)]
pub(crate) struct Reader {
    name: String,
    inspector: Inspector,
}

impl Reader {
    pub(crate) fn new(global: &Global, range: &RangeInclusive<u32>) -> Result<Self, Failure> {
        Self::of(&connect::namespace(global, range)?)
    }

    pub(crate) fn of(raus: &Raus) -> Result<Self, Failure> {
        Ok(Self {
            name: raus.namespace().to_owned(),
            inspector: raus.inspector()?,
        })
    }

    pub(crate) async fn read(&self) -> Result<Namespace, Failure> {
        Ok(Namespace {
            name: self.name.clone(),
            range: self.inspector.range(),
            read: self.inspector.read().await?,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn inspector(&self) -> &Inspector {
        &self.inspector
    }
}

pub(crate) async fn run(global: &Global, options: &ListOptions) -> Result<ExitCode, Failure> {
    let namespace = Reader::new(global, &options.range.range)?.read().await?;
    if global.json {
        output::json(&namespace.json(options.all))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&namespace.headline())?;
    let rows: Vec<Vec<Cell>> = namespace
        .shown(options.all)
        .map(|slot| namespace.row(slot))
        .collect();
    if !rows.is_empty() {
        output::table(&HEADINGS, &rows)?;
    }
    if let Some(note) = namespace.note() {
        output::line(&output::styled(output::DIM, &note))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) const HEADINGS: [&str; 7] = [
    "ID", "STATE", "LABEL", "TTL LEFT", "HORIZON", "FENCE", "HOLDER",
];

impl Namespace {
    /// The slots to show.
    pub(crate) fn shown(&self, all: bool) -> impl Iterator<Item = &SlotRecord> {
        let slots = self.read.slots.iter();
        slots.filter(move |slot| all || slot.state() != SlotState::Free)
    }

    /// How many slots are not free.
    pub(crate) fn held(&self) -> usize {
        self.shown(false).count()
    }

    pub(crate) fn headline(&self) -> String {
        let (low, high) = (self.range.start(), self.range.end());
        let size = u64::from(*high) - u64::from(*low) + 1;
        let history = match self.read.history {
            History::Known => output::styled(output::GOOD, "history known"),
            History::Quarantine { left, has_begun } => output::styled(
                output::WARN,
                &format!(
                    "quarantine: nothing new is granted for {}{}",
                    time::span(left),
                    if has_begun {
                        ""
                    } else {
                        ", from the next renewal or request on"
                    }
                ),
            ),
            _ => output::styled(output::DIM, "no history: not used yet, or emptied"),
        };
        let layout = match self.read.layout.as_str() {
            "" => String::new(),
            layout => format!("; layout {}", output::plain(layout)),
        };
        format!(
            "namespace {}, machine IDs {low}-{high}: {} of {size} held; {history}{layout}",
            output::plain(&self.name),
            self.held()
        )
    }

    /// What the table does not show.
    pub(crate) fn note(&self) -> Option<String> {
        let inside = self
            .read
            .slots
            .iter()
            .filter(|slot| slot.fence != 0)
            .count() as u64;
        let outside = self.read.recorded.checked_sub(inside).filter(|&n| n != 0)?;
        let (low, high) = (self.range.start(), self.range.end());
        Some(format!(
            "{outside} more on record outside of {low}-{high}; see them with --range"
        ))
    }

    /// One line of the table.
    pub(crate) fn row(&self, slot: &SlotRecord) -> Vec<Cell> {
        let state = slot.state();
        let left = match &slot.lock {
            Some(lock) => lock.ttl.map_or_else(|| "never ends".to_owned(), time::span),
            None if slot.lease_left.is_zero() => "-".to_owned(),
            None => time::span(slot.lease_left),
        };
        let horizon = match slot.horizon_ms {
            0 => "-".to_owned(),
            ms => time::relative(self.read.server_ms, ms),
        };
        let holder = slot.lock.as_ref().map_or("-", |lock| &lock.holder);
        let label = if slot.label.is_empty() {
            "-"
        } else {
            &slot.label
        };
        vec![
            Cell::new(slot.id.to_string()),
            Cell::styled(state.as_str(), state_style(state)),
            Cell::new(label),
            Cell::new(left),
            Cell::new(horizon),
            Cell::new(slot.fence.to_string()),
            Cell::styled(holder, output::DIM),
        ]
    }

    pub(crate) fn json(&self, all: bool) -> Value {
        let slots: Vec<Value> = self.shown(all).map(slot_json).collect();
        json!({
            "namespace": self.name,
            "range": [self.range.start(), self.range.end()],
            "server_ms": self.read.server_ms,
            "history": history_json(self.read.history),
            "layout": layout_json(&self.read.layout),
            "floor_ms": self.read.floor_ms,
            "longest": {
                "ttl_ms": self.read.longest.ttl_ms,
                "failover_bound_ms": self.read.longest.failover_bound_ms,
                "clock_skew_ms": self.read.longest.max_clock_skew_ms,
            },
            "held": self.held(),
            "recorded": self.read.recorded,
            "slots": slots,
        })
    }
}

/// Null where none is on record.
pub(crate) fn layout_json(layout: &str) -> Value {
    match layout {
        "" => Value::Null,
        layout => layout.into(),
    }
}

pub(crate) fn history_json(history: History) -> Value {
    match history {
        History::Known => json!({ "state": "known", "left_ms": 0 }),
        History::Quarantine { left, has_begun } => {
            json!({ "state": "quarantine", "left_ms": time::ms(left), "begun": has_begun })
        }
        _ => json!({ "state": "absent", "left_ms": 0 }),
    }
}

pub(crate) const fn state_style(state: SlotState) -> Style {
    match state {
        SlotState::Held => output::GOOD,
        SlotState::Free => output::DIM,
        SlotState::Revoked => output::BAD,
        _ => output::WARN,
    }
}

/// Fences are strings: they do not fit the numbers of every language.
fn slot_json(slot: &SlotRecord) -> Value {
    let lock = slot.lock.as_ref();
    json!({
        "id": slot.id,
        "state": slot.state().as_str(),
        "holder": lock.map(|lock| &lock.holder),
        "label": slot.label,
        "fence": slot.fence.to_string(),
        "ttl_left_ms": lock.and_then(|lock| lock.ttl).map(time::ms),
        "lease_left_ms": time::ms(slot.lease_left),
        "horizon_ms": slot.horizon_ms,
        "floor_ms": slot.floor_ms,
    })
}
