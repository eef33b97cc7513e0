//! `claim.lua`.

use super::{Claim, Context, Reply, is_later};
use crate::buckets::store::{Bucket, Grant, Group, Ring};

/// A member says what it holds.
pub(crate) fn claim(store: &mut Option<Group>, ask: &Claim, context: &mut Context<'_>) -> Reply {
    if store.is_none() && ask.generation.is_some() {
        return Reply::Restart;
    }
    let mut group = store.take().unwrap_or_else(|| context.create(true));
    context.admit(&mut group);
    let reply = claim_in(&mut group, ask, context);
    *store = Some(group);
    reply
}

fn claim_in(group: &mut Group, ask: &Claim, context: &mut Context<'_>) -> Reply {
    let number = group.number_of(ask.id);
    if let Some(me) = number.and_then(|number| group.record_mut(number)) {
        let doubtful = me.incarnation != ask.incarnation;
        if doubtful && is_later(me.incarnation, ask.incarnation) && context.rules.fencing {
            return Reply::Fenced;
        }
        if doubtful {
            (me.incarnation, me.seq) = (ask.incarnation, 0);
        }
        let is_stale = ask.seq <= me.seq;
        if doubtful && !group.doubted {
            context.doubt(group);
        }
        if is_stale {
            return Reply::Stale;
        }
    }
    if let Some(generation) = ask.generation
        && (number.is_none() || generation != group.generation)
    {
        return Reply::Restart;
    }
    let Some(number) = claimant(group, number, ask, context) else {
        return Reply::Full;
    };
    let generation = group.generation;
    if !ask.last {
        // What is yet to be claimed stays nobody else's.
        group.till = group.till.max(context.now + context.rules.ttl);
    }
    if let Some(me) = group.record_mut(number) {
        me.seq = ask.seq;
        me.generation = if ask.last { generation } else { 0 };
    }
    let rejected = ask
        .claims
        .iter()
        .filter(|&&claim| !accept(group, number, claim, context))
        .map(|&(bucket, _)| bucket)
        .collect();
    Reply::Claimed {
        number,
        generation,
        rejected,
    }
}

/// The number of the member that claims, which is made where it is gone.
fn claimant(
    group: &mut Group,
    number: Option<u8>,
    ask: &Claim,
    context: &Context<'_>,
) -> Option<u8> {
    let Some(number) = number else {
        let number = group.new_number()?;
        let record = context.new_record(group, ask.id, ask.incarnation, ask.weight);
        group.records[usize::from(number) - 1] = Some(record);
        if !group.doubted {
            context.doubt(group);
        }
        return Some(number);
    };
    let me = group.record_mut(number)?;
    me.lease = context.now + context.rules.ttl;
    let behind = me.seq < ask.heard;
    if ask.generation.is_none() {
        group.unconfirm(number);
        if behind && !group.doubted {
            context.doubt(group);
        }
    }
    Some(number)
}

/// Whether a claim stands: the higher epoch wins.
fn accept(group: &mut Group, number: u8, claim: Grant, context: &Context<'_>) -> bool {
    let (bucket, epoch) = claim;
    let own = group.buckets[usize::from(bucket)];
    let owned = own.epoch != 0 && own.owner != 0 && group.record(own.owner).is_some();
    let is_lower = epoch < own.epoch || (epoch == own.epoch && owned && own.owner != number);
    if is_lower {
        return false;
    }
    if own.epoch != 0
        && owned
        && own.owner != number
        && let Some(owner) = group.record_mut(own.owner)
    {
        owner.generation = 0;
    }
    if own.epoch < epoch && !group.doubted {
        context.doubt(group);
    }
    group.buckets[usize::from(bucket)] = Bucket {
        epoch,
        owner: number,
        ring: Ring::Own,
    };
    true
}
