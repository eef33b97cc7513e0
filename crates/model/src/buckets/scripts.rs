//! What the scripts do to a group, as pure functions. Each names the script it stands for.

use super::{
    rules::Rules,
    store::{Bucket, Grant, Group, Incarnation, Record, Ring},
};

/// What a script knows besides the store.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now: u8,
    /// The identity of the server.
    pub(crate) run: u8,
    /// The last of the numbers that server time in microseconds gives, never the same twice.
    pub(crate) numbers: &'a mut u8,
    pub(crate) buckets: u8,
    pub(crate) rules: &'a Rules,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Join {
    pub(crate) id: u8,
    pub(crate) actor: u8,
    /// The incarnation of the same process before.
    pub(crate) previous: Option<Incarnation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Beat {
    pub(crate) id: u8,
    pub(crate) incarnation: Incarnation,
    pub(crate) number: u8,
    pub(crate) seq: u8,
    pub(crate) generation: u8,
    pub(crate) got: u8,
    pub(crate) heard: u8,
    pub(crate) weight: u8,
    pub(crate) releases: Vec<Grant>,
    /// An idle member's request that does not look at the server's identity.
    pub(crate) glance: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) id: u8,
    pub(crate) incarnation: Incarnation,
    pub(crate) seq: u8,
    /// `None` in the first call.
    pub(crate) generation: Option<u8>,
    pub(crate) heard: u8,
    pub(crate) weight: u8,
    pub(crate) last: bool,
    pub(crate) claims: Vec<Grant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reply {
    Joined {
        number: u8,
        generation: u8,
        incarnation: Incarnation,
    },
    Occupied,
    Full,
    Beaten {
        surplus: u8,
        owned: u8,
        grants: Vec<Grant>,
        /// For each release, whether the bucket is kept.
        kept: Vec<bool>,
    },
    Resync,
    Fenced,
    Stale,
    Claimed {
        number: u8,
        generation: u8,
        rejected: Vec<u8>,
    },
    Restart,
}

impl Context<'_> {
    fn fresh(&mut self) -> u8 {
        *self.numbers += 1;
        *self.numbers
    }

    /// Later than every incarnation before.
    fn born(&mut self, actor: u8) -> Incarnation {
        Incarnation {
            born: self.fresh(),
            actor,
        }
    }

    /// `doubt` in `table.lua`.
    fn doubt(&self, group: &mut Group) {
        (group.run, group.till) = (self.run, self.now + self.rules.ttl);
        group.doubted = true;
    }

    /// `admit` in `table.lua`: whether the past is known.
    fn admit(&mut self, group: &mut Group) -> bool {
        if group.run != self.run {
            if self.rules.quarantine {
                self.doubt(group);
            } else {
                group.run = self.run;
            }
            group.generation = self.fresh();
            return !self.rules.quarantine;
        }
        if self.now < group.till {
            return false;
        }
        group.doubted = false;
        true
    }

    /// `create.lua`.
    fn create(&mut self, lost: bool) -> Group {
        let mut group = Group {
            run: self.run,
            till: self.now + self.rules.discovery,
            generation: self.fresh(),
            doubted: false,
            top: 0,
            retired: Vec::new(),
            records: Default::default(),
            buckets: Default::default(),
        };
        if lost {
            self.doubt(&mut group);
        }
        group
    }

    fn new_record(&self, group: &Group, id: u8, incarnation: Incarnation, weight: u8) -> Record {
        Record {
            id,
            incarnation,
            generation: group.generation,
            seq: 0,
            acked: 0,
            given: 0,
            weight,
            lease: self.now + self.rules.ttl,
            inbox: Vec::new(),
        }
    }
}

/// `is_later` in `group.lua`.
fn is_later(on_record: Incarnation, callers: Incarnation) -> bool {
    on_record.actor != callers.actor && callers.born < on_record.born
}

/// `join.lua`.
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
        (record.seq, record.weight) = (0, 1);
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
    let record = context.new_record(group, ask.id, incarnation, 1);
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

/// `glance.lua`, `beat.lua` and `hand.lua`.
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

/// `claim.lua`.
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

/// `leave.lua`.
pub(crate) fn leave(store: &mut Option<Group>, number: u8, incarnation: Incarnation) {
    if let Some(group) = store
        && group
            .record(number)
            .is_some_and(|me| me.incarnation == incarnation)
    {
        group.remove(number);
    }
}

/// What time alone does.
pub(crate) fn tick(store: &mut Option<Group>, now: u8) {
    let Some(group) = store else {
        return;
    };
    if group.till <= now {
        group.till = 0;
    }
    for record in group.records.iter_mut().flatten() {
        if record.lease <= now {
            record.lease = 0;
        }
    }
}
