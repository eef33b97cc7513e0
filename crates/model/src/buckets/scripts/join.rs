//! `join.lua`.

use super::{Context, Join, Reply};
use crate::buckets::store::{Group, Incarnation};

/// Makes an instance a member.
pub(crate) fn join(store: &mut Option<Group>, ask: &Join, context: &mut Context<'_>) -> Reply {
    let mut group = store.take().unwrap_or_else(|| context.create(false));
    let known = context.admit(&mut group);
    let reply = join_group(&mut group, ask, known, context);
    *store = Some(group);
    reply
}

fn join_group(group: &mut Group, ask: &Join, known: bool, context: &mut Context<'_>) -> Reply {
    let Some(number) = group.number_of(ask.id) else {
        return join_anew(group, ask, context);
    };
    let generation = group.generation;
    let Some(record) = group.record_mut(number) else {
        return Reply::Full;
    };
    if record.incarnation.actor != ask.actor {
        let is_successor = Some(record.incarnation) == ask.previous;
        if !is_successor && (context.now < record.lease || !known) {
            return Reply::Occupied;
        }
        record.incarnation = context.born(ask.actor);
        record.generation = generation;
        record.seq = 0;
        record.lease = context.now + context.rules.ttl;
        group.unconfirm(number);
    }
    joined(group, number)
}

fn join_anew(group: &mut Group, ask: &Join, context: &mut Context<'_>) -> Reply {
    let Some(number) = group.new_number() else {
        return Reply::Full;
    };
    let incarnation = context.born(ask.actor);
    // It has a share once it has spoken.
    let record = context.new_record(group, ask.id, incarnation, 0);
    group.records[usize::from(number) - 1] = Some(record);
    joined(group, number)
}

fn joined(group: &Group, number: u8) -> Reply {
    let incarnation = group
        .record(number)
        .map_or_else(Incarnation::default, |record| record.incarnation);
    Reply::Joined {
        number,
        generation: group.generation,
        incarnation,
    }
}
