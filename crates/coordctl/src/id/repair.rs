//! Shows and resets timestamps that lie too far ahead.

use std::process::ExitCode;

use anstyle::Style;
use raus::inspect::{Outcome, Repair, SlotRepair};
use serde_json::{Value, json};

use crate::{
    cli::{Global, RepairOptions},
    connect,
    failure::Failure,
    output::{self, Cell},
    time,
};

pub(crate) async fn run(global: &Global, options: &RepairOptions) -> Result<ExitCode, Failure> {
    let raus = connect::namespace(global, &(0..=1_023))?;
    let inspector = raus.inspector()?;
    let plan = inspector.plan_repair().await?;
    let is_done = options.yes && plan.has_work();
    let shown = if is_done {
        inspector.repair(&plan).await?
    } else {
        plan
    };
    if global.json {
        output::json(&to_json(raus.namespace(), &shown, is_done))?;
    } else {
        print(raus.namespace(), &shown, is_done)?;
    }
    if is_done && has_changed(&shown) {
        return Err(Failure::Failed(
            "some of it changed meanwhile and was left as it is; repair again".to_owned(),
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn has_changed(repair: &Repair) -> bool {
    let mut slots = repair.slots.iter();
    repair.floor == Outcome::Changed || slots.any(|slot| slot.outcome == Outcome::Changed)
}

fn print(namespace: &str, repair: &Repair, is_done: bool) -> Result<(), Failure> {
    let limit = time::relative(repair.server_ms, repair.limit_ms);
    if repair.slots.is_empty() && repair.floor == Outcome::Fine {
        return output::line(&format!(
            "namespace {}: nothing lies further ahead than {limit}; nothing to repair",
            output::plain(namespace)
        ));
    }
    output::line(&format!(
        "namespace {}: what lies further ahead than {limit} ({})",
        output::plain(namespace),
        time::utc(repair.limit_ms)
    ))?;
    let mut rows = Vec::new();
    if repair.floor != Outcome::Fine {
        rows.push(row(
            repair,
            "floor",
            "-",
            repair.floor_ms,
            repair.floor,
            is_done,
        ));
    }
    for slot in &repair.slots {
        let label = if slot.label.is_empty() {
            "-"
        } else {
            &slot.label
        };
        let (id, ms) = (slot.id.to_string(), slot.horizon_ms);
        rows.push(row(repair, &id, label, ms, slot.outcome, is_done));
    }
    output::table(&["ID", "LABEL", "AHEAD", "UNTIL", "WHAT"], &rows)?;
    if let Some((from, to)) = repair.risk_ms() {
        output::line(&output::styled(
            output::WARN,
            &format!(
                "IDs with timestamps from {} to {} may have been minted already, and may be minted a second time when the \
                 clock gets there",
                time::utc(from),
                time::utc(to)
            ),
        ))?;
    }
    if !is_done && repair.has_work() {
        output::line("nothing was changed; do it with --yes")?;
    }
    Ok(())
}

fn row(
    repair: &Repair,
    id: &str,
    label: &str,
    ms: u64,
    outcome: Outcome,
    is_done: bool,
) -> Vec<Cell> {
    let (text, style) = what(outcome, is_done);
    vec![
        Cell::new(id),
        Cell::new(label),
        Cell::new(time::relative(repair.server_ms, ms)),
        Cell::new(time::utc(ms)),
        Cell::styled(text, style),
    ]
}

const fn what(outcome: Outcome, is_done: bool) -> (&'static str, Style) {
    match (outcome, is_done) {
        (Outcome::Fine, _) => ("fine by now", output::GOOD),
        (Outcome::Reset, true) => ("reset", output::GOOD),
        (Outcome::Reset, false) => ("to be reset", output::WARN),
        (Outcome::Held, _) => (
            "held: stop its holder or revoke it, then repair again",
            output::BAD,
        ),
        (Outcome::Cut, true) => (
            "held for one more ttl at most, unless renewed; repair again then",
            output::WARN,
        ),
        (Outcome::Cut, false) => (
            "its lease is to be cut to one more ttl; repair again then",
            output::WARN,
        ),
        _ => ("changed meanwhile", output::BAD),
    }
}

fn to_json(namespace: &str, repair: &Repair, is_done: bool) -> Value {
    let slot = |slot: &SlotRepair| {
        json!({
            "id": slot.id,
            "label": slot.label,
            "fence": slot.fence.to_string(),
            "horizon_ms": slot.horizon_ms,
            "outcome": slot.outcome.as_str(),
        })
    };
    let slots: Vec<Value> = repair.slots.iter().map(slot).collect();
    json!({
        "namespace": namespace,
        "done": is_done,
        "server_ms": repair.server_ms,
        "limit_ms": repair.limit_ms,
        "floor_ms": repair.floor_ms,
        "floor": repair.floor.as_str(),
        "slots": slots,
        "may_repeat_ms": repair.risk_ms().map(|(from, to)| [from, to]),
    })
}
