//! Did two hold one slot at once, and did its fence always rise?

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// One holder's time with one slot (or bucket), on a clock that all holders share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The slot.
    pub slot: u32,
    /// The fencing token that came with it.
    pub fence: u64,
    /// When the holding began, in microseconds.
    pub from_us: u64,
    /// When it ended, in microseconds; this instant no longer belongs to it.
    pub to_us: u64,
    /// Who held it.
    pub who: String,
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} from {} to {} µs with fence {}",
            self.who, self.from_us, self.to_us, self.fence
        )
    }
}

/// What is wrong with a set of holdings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A holding ends before it begins.
    Reversed(Holding),
    /// Two held one slot at one time; the one that began first comes first.
    Overlap(Holding, Holding),
    /// A later holding's fence is not above that of an earlier one.
    FenceFell(Holding, Holding),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reversed(holding) => {
                write!(f, "slot {}: ends early: {holding}", holding.slot)
            }
            Self::Overlap(first, second) => {
                write!(f, "slot {}: held twice: {first}; {second}", first.slot)
            }
            Self::FenceFell(first, second) => {
                write!(
                    f,
                    "slot {}: fence did not rise: {first}; {second}",
                    first.slot
                )
            }
        }
    }
}

/// Everything that is wrong with `holdings`, which may come in any order.
#[must_use]
pub fn violations(holdings: &[Holding]) -> Vec<Violation> {
    let mut slots: BTreeMap<u32, Vec<&Holding>> = BTreeMap::new();
    for holding in holdings {
        slots.entry(holding.slot).or_default().push(holding);
    }
    slots.into_values().flat_map(violations_of_slot).collect()
}

fn violations_of_slot(mut holdings: Vec<&Holding>) -> Vec<Violation> {
    holdings.sort_by_key(|holding| (holding.from_us, holding.fence));
    let mut found = Vec::new();
    let mut before: Option<(&Holding, &Holding)> = None;
    for holding in holdings {
        if holding.to_us < holding.from_us {
            found.push(Violation::Reversed(holding.clone()));
        }
        let Some((last_to_end, highest)) = before else {
            before = Some((holding, holding));
            continue;
        };
        if holding.from_us < last_to_end.to_us {
            found.push(Violation::Overlap(last_to_end.clone(), holding.clone()));
        }
        if holding.fence <= highest.fence {
            found.push(Violation::FenceFell(highest.clone(), holding.clone()));
        }
        // Compared with the extremes so far, not with the neighbour: a long holding may span several short ones.
        let ends_later = last_to_end.to_us < holding.to_us;
        let fence_is_higher = highest.fence < holding.fence;
        before = Some((
            if ends_later { holding } else { last_to_end },
            if fence_is_higher { holding } else { highest },
        ));
    }
    found
}

/// Checks that no slot was held twice at once and that fences rise, and returns how many holdings there are.
///
/// # Panics
///
/// When something is wrong; the message names both holders.
#[track_caller]
pub fn assert_exclusive(holdings: &[Holding]) -> usize {
    let found = violations(holdings);
    if let Some(first) = found.first() {
        panic!(
            "{} violations in {} holdings: {first}",
            found.len(),
            holdings.len()
        );
    }
    holdings.len()
}

/// The holdings in the events that a `lease` or `mint` program printed, with `t_mono_us` as the shared clock.
///
/// `acquired` and `reacquired` begin a holding; `lost`, `released` and the next beginning end it. What is still held at
/// the last event ends at `until_us`: the deadline that the program last knew, or the time of its death.
///
/// # Errors
///
/// When an event that begins a holding lacks `t_mono_us`, `id` or `fence`; the message shows it.
pub fn from_events(who: &str, events: &[Value], until_us: u64) -> Result<Vec<Holding>> {
    let mut done = Vec::new();
    let mut open: Option<Holding> = None;
    for event in events {
        let begins = match event["event"].as_str() {
            Some("acquired" | "reacquired") => true,
            Some("lost" | "released") => false,
            Some(_) => continue,
            None => bail!("{who}: no `event` in {event}"),
        };
        let at = number(event, "t_mono_us")
            .with_context(|| format!("{who}: no `t_mono_us` in {event}"))?;
        done.extend(open.take().map(|held| Holding { to_us: at, ..held }));
        if begins {
            let slot = number(event, "id").and_then(|id| u32::try_from(id).ok());
            open = Some(Holding {
                slot: slot.with_context(|| format!("{who}: no `id` in {event}"))?,
                fence: number(event, "fence")
                    .with_context(|| format!("{who}: no `fence` in {event}"))?,
                from_us: at,
                to_us: until_us,
                who: who.to_owned(),
            });
        }
    }
    done.extend(open);
    Ok(done)
}

/// A number that is written as one or, as fences are, as a string of digits.
fn number(event: &Value, field: &str) -> Option<u64> {
    let value = &event[field];
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
