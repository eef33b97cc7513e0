//! `glance.lua`, `beat.lua` and `hand.lua`.

use super::{Beat, Context, Reply, is_later};
use crate::buckets::store::{Bucket, Group, Record, Ring};

/// One heartbeat.
pub(crate) fn beat(store: &mut Option<Group>, ask: &Beat, context: &mut Context<'_>) -> Reply {
    let Some(group) = store else {
        return Reply::Resync;
    };
    let Some(me) = group.record(ask.number).filter(|me| me.id == ask.id) else {
        return Reply::Resync;
    };
    if me.incarnation != ask.incarnation && context.rules.fencing {
        return if is_later(me.incarnation, ask.incarnation) {
            Reply::Fenced
        } else {
            Reply::Resync
        };
    }
    if ask.seq <= me.seq {
        return Reply::Stale;
    }
    let in_step = me.generation == group.generation
        && ask.generation == group.generation
        && ask.heard <= me.seq
        && me.acked <= ask.got
        && ask.got <= me.given;
    if !in_step {
        return Reply::Resync;
    }
    if ask.glance && is_idle(group, me, ask, context) {
        renew(group, ask, context);
        return answer(group, ask, true, Vec::new(), context);
    }
    hand(group, ask, context)
}

fn is_idle(group: &Group, me: &Record, ask: &Beat, context: &Context<'_>) -> bool {
    let count = group.count(ask.number);
    let share = group.quota(ask.number, ask.weight, count, group.shares(context.buckets));
    ask.releases.is_empty()
        && ask.weight == me.weight
        && !has_limbo(group, ask.number)
        && ask.got == me.given
        && group
            .first_lease()
            .is_some_and(|(_, lease)| context.now < lease)
        && (group.free(context.buckets) == 0 || share <= count)
        && group.till <= context.now
        && !group.doubted
}

fn has_limbo(group: &Group, number: u8) -> bool {
    let is_in = |bucket: &Bucket| bucket.ring == Ring::Limbo && bucket.owner == number;
    group.buckets.iter().any(is_in)
}

fn renew(group: &mut Group, ask: &Beat, context: &Context<'_>) {
    if let Some(me) = group.record_mut(ask.number) {
        me.lease = context.now + context.rules.ttl;
        me.seq = ask.seq;
        let received = usize::from(ask.got - me.acked);
        me.inbox.drain(..received);
        me.acked = ask.got;
    }
}

fn answer(group: &Group, ask: &Beat, known: bool, kept: Vec<bool>, context: &Context<'_>) -> Reply {
    let count = group.count(ask.number);
    let share = group.quota(ask.number, ask.weight, count, group.shares(context.buckets));
    let surplus = match ask.weight {
        0 => count,
        _ if known => count.saturating_sub(share),
        _ => 0,
    };
    Reply::Beaten {
        surplus,
        owned: count,
        grants: group
            .record(ask.number)
            .map_or_else(Vec::new, |me| me.inbox.clone()),
        kept,
    }
}

/// `hand.lua`.
fn hand(group: &mut Group, ask: &Beat, context: &mut Context<'_>) -> Reply {
    let known = context.admit(group);
    if ask.generation != group.generation {
        return Reply::Resync;
    }
    let expired = group.first_lease().filter(|&(number, lease)| {
        number != ask.number && (lease <= context.now || !context.rules.lease_check)
    });
    renew(group, ask, context);
    if known && let Some((dead, _)) = expired {
        group.remove(dead);
    }
    if let Some(me) = group.record_mut(ask.number) {
        me.weight = ask.weight;
    }
    let kept = take_back(group, ask, context);
    grant(group, ask, known, context);
    answer(group, ask, known, kept, context)
}

/// What the caller releases, and who gets it.
fn take_back(group: &mut Group, ask: &Beat, context: &Context<'_>) -> Vec<bool> {
    let shares = group.shares(context.buckets);
    let count = group.count(ask.number);
    let allowed = if ask.weight == 0 {
        usize::MAX
    } else {
        let extra = shares.extras != 0 && group.above(shares) <= shares.extras;
        usize::from(count.saturating_sub(shares.floor + u8::from(extra)))
    };
    let (mut kept, mut released) = (Vec::new(), Vec::new());
    for &(bucket, epoch) in &ask.releases {
        let own = &mut group.buckets[usize::from(bucket)];
        let is_callers = own.owner == ask.number && own.epoch == epoch;
        let is_callers = is_callers || !context.rules.release_check;
        kept.push(is_callers && allowed <= released.len());
        if is_callers && released.len() < allowed {
            // In no ring while it is on its way.
            (own.owner, own.ring) = (0, Ring::Own);
            released.push(bucket);
        }
    }
    let mut released = released.into_iter().peekable();
    while released.peek().is_some() {
        match group.neediest(context.now, shares) {
            Some((needy, lacks)) => {
                for bucket in released.by_ref().take(usize::from(lacks)) {
                    group.give(context.now, needy, bucket, context.rules.epochs_rise);
                }
            }
            None => released.by_ref().for_each(|bucket| group.set_free(bucket)),
        }
    }
    kept
}

/// What the caller gets.
fn grant(group: &mut Group, ask: &Beat, known: bool, context: &Context<'_>) {
    let rises = context.rules.epochs_rise;
    for bucket in 0..context.buckets {
        let own = group.buckets[usize::from(bucket)];
        if own.ring == Ring::Limbo && own.owner == ask.number {
            if ask.weight == 0 {
                group.set_free(bucket);
            } else if known {
                group.give(context.now, ask.number, bucket, rises);
            }
        }
    }
    if known {
        let count = group.count(ask.number);
        let share = group.quota(ask.number, ask.weight, count, group.shares(context.buckets));
        for bucket in group.take_free(share.saturating_sub(count), context.buckets) {
            group.give(context.now, ask.number, bucket, rises);
        }
    }
}
