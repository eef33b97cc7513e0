//! What one look saw, as text for Prometheus.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use raus::inspect::{History, SlotState};

use super::{look::Seen, seconds, series};
use crate::{
    buckets::group::{self, Group},
    id::list::Namespace,
};

/// The page; `seen` is `None` where the server did not answer.
pub(super) fn render(seen: Option<&Seen>, last_seen_ms: Option<u64>, per_member: bool) -> String {
    // A recorder of its own: what is gone since the last look is not on it.
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        for metric in series::STATES {
            metric.describe();
        }
        series::UP.set(if seen.is_some() { 1.0 } else { 0.0 }, &[]);
        if let Some(ms) = last_seen_ms {
            series::LAST_LOOK.set(seconds(Duration::from_millis(ms)), &[]);
        }
        let Some(seen) = seen else { return };
        series::ROUND_TRIP.set(seconds(seen.sample.took), &[]);
        let apart = Duration::from_millis(seen.sample.skew_ms.unsigned_abs());
        let sign = if seen.sample.skew_ms < 0 { -1.0 } else { 1.0 };
        series::SERVER_CLOCK_SKEW.set(sign * seconds(apart), &[]);
        if let Some(namespace) = &seen.namespace {
            show_namespace(namespace);
        }
        for (name, group) in &seen.groups {
            let exists = if group.is_some() { 1.0 } else { 0.0 };
            series::GROUP_EXISTS.set(exists, &[("group", name)]);
            if let Some(group) = group {
                show_group(group, per_member);
            }
        }
    });
    recorder.handle().render()
}

fn show_namespace(namespace: &Namespace) {
    let name = ("namespace", namespace.name.as_str());
    let (low, high) = (namespace.range.start(), namespace.range.end());
    let size = u64::from(*high) - u64::from(*low) + 1;
    let slots = &namespace.read.slots;
    let count = |state| slots.iter().filter(|slot| slot.state() == state).count() as u64;
    let taken = [
        SlotState::Held,
        SlotState::Unrecorded,
        SlotState::Unlocked,
        SlotState::Revoked,
    ];
    for state in taken {
        let labels = &[name, ("state", state.as_str())];
        series::SLOTS.set(number(count(state)), labels);
    }
    let free = size.saturating_sub(taken.map(count).iter().sum());
    series::SLOTS.set(number(free), &[name, ("state", SlotState::Free.as_str())]);

    let (is, quarantine) = match namespace.read.history {
        History::Known => ("known", Duration::ZERO),
        History::Quarantine { left, .. } => ("quarantine", left),
        _ => ("absent", Duration::ZERO),
    };
    for state in ["known", "quarantine", "absent"] {
        let value = if state == is { 1.0 } else { 0.0 };
        series::HISTORY.set(value, &[name, ("state", state)]);
    }
    series::QUARANTINE.set(seconds(quarantine), &[name]);
    let held = slots.iter().filter(|slot| slot.state() == SlotState::Held);
    let left = held.clone().map(|slot| slot.lease_left);
    if let (Some(min), Some(max)) = (left.clone().min(), left.max()) {
        series::LEASE_LEFT_MIN.set(seconds(min), &[name]);
        series::LEASE_LEFT_MAX.set(seconds(max), &[name]);
    }
    let ahead = held.map(|slot| slot.horizon_ms.saturating_sub(namespace.read.server_ms));
    let ahead = Duration::from_millis(ahead.max().unwrap_or(0));
    series::HORIZON_AHEAD.set(seconds(ahead), &[name]);
}

fn show_group(group: &Group, per_member: bool) {
    let name = ("group", group.name.as_str());
    let read = &group.read;
    let members = &read.members;
    let incoming: u32 = members.iter().map(|member| member.incoming).sum();
    let surplus: u32 = members.iter().map(|member| group.surplus(member)).sum();
    let apart = read.free + incoming + surplus;
    let states = [
        ("owned", read.buckets.saturating_sub(apart)),
        ("incoming", incoming),
        ("surplus", surplus),
        ("unowned", read.free),
    ];
    for (state, count) in states {
        series::BUCKETS.set(f64::from(count), &[name, ("state", state)]);
    }
    for state in group::STATES {
        let alike = members
            .iter()
            .filter(|member| group::state(member).0 == state);
        let labels = &[name, ("state", state)];
        series::MEMBERS.set(number(alike.count() as u64), labels);
    }
    let deviation = members
        .iter()
        .map(|member| member.owned.abs_diff(member.quota));
    series::DEVIATION.set(f64::from(deviation.max().unwrap_or(0)), &[name]);
    series::DOUBT.set(seconds(read.doubt), &[name]);
    let left = members.iter().map(|member| member.lease_left).min();
    if let Some(left) = left {
        series::MEMBER_LEASE_LEFT.set(seconds(left), &[name]);
    }
    if !per_member {
        return;
    }
    for member in members.iter().take(MEMBERS_SHOWN) {
        let labels = &[name, ("member", member.id.as_str())];
        series::MEMBER_OWNED.set(f64::from(member.owned), labels);
        series::MEMBER_QUOTA.set(f64::from(member.quota), labels);
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody holds 2^53 of anything")]
const fn number(count: u64) -> f64 {
    count as f64
}

/// More members than these do not get series of their own.
const MEMBERS_SHOWN: usize = 1_000;
