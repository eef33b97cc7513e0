//! What a holder does: `acquire.rs`, `renewal.rs`, `tenure.rs` and `lease.rs`.

use super::{
    action::Action,
    chain,
    rules::Acknowledge,
    servers,
    setting::{Clocks, Setting},
    store::{Acquire, Release, Renew, Reply, Terms},
    world::{Actor, Flight, Grant, Message, Phase, Request, Twin, World},
};

pub(super) fn send(world: &mut World, action: Action, setting: &Setting) {
    let (at, request) = match action {
        Action::Ask {
            actor, first, mode, ..
        } => {
            world.actors[actor].phase = Phase::Asking;
            let ask = Acquire {
                holder: uuid(world, actor, setting),
                terms: terms(world, actor, setting),
                first,
                wall: wall(world, true, setting),
                mode,
                number: number(world, actor, setting),
            };
            (actor, Request::Acquire(ask))
        }
        Action::Beat { actor, minted, .. } => (
            actor,
            Request::Renew(renewal(world, actor, minted, setting)),
        ),
        _ => return,
    };
    (world.actors[at].sent, world.actors[at].flight) = (world.now, Flight::Sent);
    world.net.push(Message {
        actor: u8::try_from(at).expect("few actors"),
        awaited: true,
        request,
    });
}

fn renewal(world: &mut World, at: usize, minted: bool, setting: &Setting) -> Renew {
    if setting.renewals != u8::MAX {
        world.actors[at].renewals += 1;
    }
    world.actors[at].asked = number(world, at, setting);
    let actor = &world.actors[at];
    Renew {
        holder: uuid(world, at, setting),
        terms: terms(world, at, setting),
        slot: actor.grant.slot,
        fence: actor.grant.fence,
        wall: wall(world, minted, setting) + u8::from(setting.clocks == Clocks::Stepped),
        last: handed_out(world, at, minted, setting),
        till: actor.grant.till,
        horizon: actor.grant.horizon,
        chain: actor.chain(),
    }
}

/// Closing reports the first timestamp that was never handed out.
pub(super) fn close(world: &mut World, at: usize, all: bool, setting: &Setting) {
    let rules = &setting.rules;
    let grant = world.actors[at].grant;
    if world.actors[at].closed != 0 {
        // As if nothing had been minted.
        world.actors[at].closed = grant.floor;
        return;
    }
    let next = if all {
        handed_out(world, at, true, setting) + 1
    } else {
        grant.floor
    };
    world.unmint(usize::from(grant.slot), next, grant.horizon);
    let reported = if rules.close_counts_ranges {
        next
    } else {
        grant.floor
    };
    world.actors[at].closed = reported.max(1);
}

/// What it asks for when it stops. A holder that was not closed does not know what was minted.
pub(super) fn release(world: &mut World, at: usize, setting: &Setting) -> Request {
    if setting.renewals != u8::MAX {
        world.actors[at].renewals += 1;
    }
    world.actors[at].asked = number(world, at, setting);
    let actor = world.actors[at];
    let (lowers, horizon) = match actor.closed {
        0 if setting.rules.explicit => (false, actor.grant.horizon),
        0 => (true, actor.grant.floor),
        closed => (true, closed),
    };
    let request = Release {
        holder: uuid(world, at, setting),
        terms: terms(world, at, setting),
        slot: actor.grant.slot,
        fence: actor.grant.fence,
        till: actor.grant.till,
        horizon,
        lowers,
        chain: actor.chain(),
    };
    world.unheard[at] = false;
    end(world, at);
    Request::Release(request)
}

/// The last timestamp that was handed out: none, or all that its clock lets it mint.
fn handed_out(world: &World, at: usize, all: bool, setting: &Setting) -> u8 {
    let actor = &world.actors[at];
    let grant = actor.grant;
    if actor.closed != 0 {
        return grant.floor.max(actor.closed - 1);
    }
    let limit = world.now + setting.rules.skew;
    let reserved = grant.horizon.saturating_sub(1);
    let reached = match setting.clocks {
        _ if !all => 0,
        Clocks::Tolerated => reserved.min(limit),
        Clocks::Borrowing => reserved.min(limit + setting.rules.skew),
        Clocks::Stepped => reserved,
    };
    reached.max(grant.floor)
}

fn wall(world: &World, ahead: bool, setting: &Setting) -> u8 {
    let skew = setting.rules.skew;
    if ahead {
        world.now + skew
    } else {
        world.now - skew
    }
}

fn terms(world: &World, at: usize, setting: &Setting) -> Terms {
    Terms {
        ttl: setting.ttls[at],
        known: world.actors[at].known,
        expects: setting.expects,
    }
}

/// The number of a request: that of an acquisition is the same whenever it is repeated.
fn number(world: &World, at: usize, setting: &Setting) -> u8 {
    if setting.chains {
        chain::number(world.actors[at].renewals + 1, at)
    } else {
        0
    }
}

/// `acquire.rs`, `renewal.rs` and `lease.rs`: what a holder makes of an answer, which replicas acknowledged or did not.
pub(super) fn receive(world: &mut World, at: usize, acknowledged: bool, setting: &Setting) {
    let Flight::Replied(reply) = world.actors[at].flight else {
        return;
    };
    let counts = match (setting.rules.acknowledge, reply) {
        (Acknowledge::Everything, Reply::Granted { .. } | Reply::Renewed { .. })
        | (Acknowledge::Grants, Reply::Granted { .. }) => acknowledged,
        _ => true,
    };
    if !counts {
        return lose(world, at);
    }
    world.actors[at].flight = Flight::None;
    let sent = if setting.rules.deadline_from_send {
        world.actors[at].sent
    } else {
        world.now
    };
    world.actors[at].sent = 0;
    match reply {
        Reply::Granted { .. } => handle_granted(world, at, reply, sent, setting),
        Reply::Renewed { .. } => handle_renewed(world, at, reply, sent, setting),
        Reply::Listen(token) => {
            let now = world.now;
            let actor = &mut world.actors[at];
            if actor.token != token {
                (actor.token, actor.since) = (token, now);
            }
        }
        Reply::Refused => {}
        Reply::Late => miss(&mut world.actors[at]),
        Reply::Lost | Reply::Cloned => {
            if reply == Reply::Cloned {
                servers::note_twins(world, at, true, setting);
            }
            world.unheard[at] = false;
            end(world, at);
        }
    }
}

fn handle_granted(world: &mut World, at: usize, reply: Reply, sent: u8, setting: &Setting) {
    let Reply::Granted {
        slot,
        fence,
        floor,
        horizon,
        at: served,
        longest,
    } = reply
    else {
        return;
    };
    let (rules, ttl) = (&setting.rules, setting.ttls[at]);
    // Too late to be worth anything: the same question again.
    if rules.local_deadline && rules.deadline(sent, ttl) <= world.now {
        world.unheard[at] = false;
        return;
    }
    let grant = Grant {
        slot,
        fence,
        floor: floor.max(served.saturating_sub(rules.skew)),
        horizon,
        sent,
        till: served + ttl,
    };
    world.actors[at] = Actor {
        phase: Phase::Held,
        grant,
        known: if setting.has_windows() { longest } else { 0 },
        answered: number(world, at, setting),
        ..Actor::default()
    };
    world.note_grant(usize::from(slot), fence, grant.floor, horizon);
}

fn handle_renewed(world: &mut World, at: usize, reply: Reply, sent: u8, setting: &Setting) {
    let Reply::Renewed {
        horizon,
        at: served,
        longest,
    } = reply
    else {
        return;
    };
    servers::note_twins(world, at, false, setting);
    let actor = &mut world.actors[at];
    if setting.has_windows() {
        actor.known = longest;
    }
    (actor.answered, actor.missing, actor.asked) = (actor.asked, [0; 2], 0);
    let grant = &mut actor.grant;
    let (slot, from) = (usize::from(grant.slot), grant.horizon);
    grant.horizon = from.max(horizon);
    grant.sent = grant.sent.max(sent);
    grant.till = served + setting.ttls[at];
    let (to, is_open) = (grant.horizon, actor.closed == 0);
    if is_open && actor.twin == Twin::None {
        world.note_minted(slot, from, to);
    }
}

pub(super) fn lose(world: &mut World, at: usize) {
    let sender = u8::try_from(at).expect("few actors");
    world
        .net
        .retain(|message| !(message.awaited && message.actor == sender));
    let actor = &mut world.actors[at];
    (actor.flight, actor.sent) = (Flight::None, 0);
    miss(actor);
    if actor.phase != Phase::Held {
        world.unheard[at] = false;
    }
}

/// The answer to a renewal is missing.
fn miss(actor: &mut Actor) {
    if actor.asked != 0 {
        let free = usize::from(actor.missing[0] != 0);
        actor.missing[free] = actor.asked;
        actor.asked = 0;
    }
}

/// The sender waits for an answer no more; the request stays under way.
pub(super) fn abandon(world: &mut World, at: usize) {
    let sender = u8::try_from(at).expect("few actors");
    for message in &mut world.net {
        if message.actor == sender {
            message.awaited = false;
        }
    }
    (world.actors[at].flight, world.actors[at].sent) = (Flight::None, 0);
    miss(&mut world.actors[at]);
}

/// The lease is over, for its holder. What it was allowed to mint stays as it is: it may have been paused in the middle.
pub(super) fn end(world: &mut World, at: usize) {
    lose(world, at);
    world.actors[at] = Actor {
        phase: Phase::Over,
        twin: world.actors[at].twin,
        ..Actor::default()
    };
}

pub(super) fn crash(world: &mut World, at: usize, setting: &Setting) {
    let grant = world.actors[at].grant;
    let reached = handed_out(world, at, true, setting) + 1;
    world.unmint(usize::from(grant.slot), reached, grant.horizon);
    world.unheard[at] = false;
    end(world, at);
}

/// A clone has the UUID of what it was copied from.
fn uuid(world: &World, at: usize, setting: &Setting) -> u8 {
    let is_clone = world.actors[at].twin != Twin::None && at + 1 == setting.actors;
    let original = (0..at).find(|&other| world.actors[other].twin != Twin::None);
    let own = if is_clone { original.unwrap_or(at) } else { at };
    u8::try_from(own).expect("few actors") + 1
}
