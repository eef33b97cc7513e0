//! What follows from what happens.

use super::{
    action::Action,
    rules::Acks,
    servers,
    setting::{Clocks, Setting},
    store::{self, Acquire, Release, Renew, Reply, Server, Store},
    world::{ACTORS, Actor, COPIES, Flight, Grant, Message, Phase, Request, World},
};

/// The world after `action`; `None` where nothing changes.
pub(crate) fn apply(before: &World, action: Action, setting: &Setting) -> Option<World> {
    let mut world = before.clone();
    match action {
        Action::Tick => tick(&mut world, setting),
        Action::Ask { .. } | Action::Beat { .. } => send(&mut world, action, setting),
        Action::Release {
            actor,
            minted,
            late,
        } => release(&mut world, actor, minted, late, setting),
        Action::Execute(index) => execute(&mut world, index, setting),
        Action::ExecuteOld(index) => execute_old(&mut world, index, setting),
        Action::Receive(actor) => receive(&mut world, actor, setting),
        Action::Lose(actor) => lose(&mut world, actor),
        Action::GiveUp(actor) => {
            world.left.ghosts -= 1;
            abandon(&mut world, actor);
        }
        Action::Acknowledged(actor) => acknowledged(&mut world, actor, setting),
        Action::Retry(actor) => retry(&mut world, actor),
        Action::Crash(actor) => crash(&mut world, actor, setting),
        Action::Copy(copy) => world.copies[copy] = world.store,
        Action::Failover(copy) => servers::fail_over(&mut world, copy, setting),
        Action::Restart => servers::restart(&mut world),
        Action::Flush => {
            world.left.flushes -= 1;
            world.store = Store::default();
            servers::unheard(&mut world);
        }
        Action::Evict(slot) => {
            world.left.evictions -= 1;
            (world.store.slots[slot].lock, world.store.slots[slot].expiry) = (0, 0);
        }
    }
    world.net.sort_unstable();
    forget_what_cannot_matter(&mut world, setting);
    (world != *before).then_some(world)
}

/// Fewer states to tell apart: copies nobody will need, timestamps that are too old to be minted again.
fn forget_what_cannot_matter(world: &mut World, setting: &Setting) {
    if world.left.failovers == 0 && world.left.restarts == 0 {
        (world.copies, world.runs) = ([Store::default(); COPIES], [0; COPIES]);
    }
    let oldest = world
        .now
        .saturating_sub(setting.rules.ttl + setting.rules.skew);
    for slot in 0..setting.slots {
        world.unmint(slot, 0, oldest);
    }
}

fn tick(world: &mut World, setting: &Setting) {
    world.now += 1;
    store::tick(&mut world.store, world.now);
    for copy in 0..COPIES {
        store::tick(&mut world.copies[copy], world.now);
    }
    if let Some((_, old)) = &mut world.old {
        store::tick(old, world.now);
    }
    for at in 0..ACTORS {
        let is_held = world.actors[at].phase == Phase::Held;
        if is_held && !world.is_valid(at, &setting.rules) {
            end(world, at);
        }
    }
}

fn send(world: &mut World, action: Action, setting: &Setting) {
    let (now, skew) = (world.now, setting.rules.skew);
    let wall = |ahead: bool| {
        if ahead {
            now + skew
        } else {
            now.saturating_sub(skew)
        }
    };
    let (at, request) = match action {
        Action::Ask { actor, first, mode } => {
            let asking = &mut world.actors[actor];
            asking.phase = Phase::Asking;
            let request = Acquire {
                holder: uuid(actor),
                first,
                wall: wall(true),
                mode,
                acking: !setting.plain[actor],
                armed: asking.armed,
            };
            (actor, Request::Acquire(request))
        }
        Action::Beat { actor, minted } => {
            let grant = world.actors[actor].grant;
            let request = Renew {
                holder: uuid(actor),
                slot: grant.slot,
                fence: grant.fence,
                wall: wall(minted),
                minted: last_minted(world, actor, minted, setting),
                till: grant.till,
            };
            (actor, Request::Renew(request))
        }
        _ => return,
    };
    (world.actors[at].sent, world.actors[at].flight) = (world.now, Flight::Sent);
    world.net.push(Message {
        actor: u8::try_from(at).expect("few actors"),
        awaited: true,
        request,
    });
}

/// The holder stops for good; its message is executed at once, or later, or never.
fn release(world: &mut World, at: usize, minted: bool, late: bool, setting: &Setting) {
    let grant = world.actors[at].grant;
    let horizon = if minted {
        last_minted(world, at, true, setting) + 1
    } else {
        grant.floor
    };
    let request = Release {
        holder: uuid(at),
        slot: grant.slot,
        fence: grant.fence,
        horizon,
    };
    world.unmint(usize::from(grant.slot), horizon, grant.horizon);
    world.unheard[at] = false;
    end(world, at);
    if late {
        world.left.ghosts -= 1;
        world.net.push(Message {
            actor: u8::try_from(at).expect("few actors"),
            awaited: false,
            request: Request::Release(request),
        });
    } else {
        store::release(&mut world.store, &request);
    }
}

/// The timestamp that a holder has reached: none, or all that its clock lets it mint.
fn last_minted(world: &World, actor: usize, minted: bool, setting: &Setting) -> u8 {
    let grant = world.actors[actor].grant;
    if !minted {
        return grant.floor;
    }
    let reserved = grant.horizon.saturating_sub(1);
    match setting.clocks {
        Clocks::Stepped => reserved.max(grant.floor),
        Clocks::Tolerated => reserved
            .min(world.now + setting.rules.skew)
            .max(grant.floor),
    }
}

fn execute(world: &mut World, index: usize, setting: &Setting) {
    let message = world.net.remove(index);
    let (now, server) = (world.now, world.server);
    let reply = run(
        &mut world.store,
        now,
        server,
        &message.request,
        &mut world.numbers,
        setting,
    );
    if let Some(Reply::Renewed { .. }) = reply {
        world.unheard[usize::from(message.actor)] = false;
    }
    answer(world, message, reply, server);
}

fn execute_old(world: &mut World, index: usize, setting: &Setting) {
    let Some((server, mut old)) = world.old else {
        return;
    };
    let message = world.net.remove(index);
    let now = world.now;
    let reply = run(
        &mut old,
        now,
        server,
        &message.request,
        &mut world.numbers,
        setting,
    );
    world.old = Some((server, old));
    answer(world, message, reply, server);
}

fn answer(world: &mut World, message: Message, reply: Option<Reply>, server: Server) {
    if let (true, Some(reply)) = (message.awaited, reply) {
        world.actors[usize::from(message.actor)].flight = Flight::Replied(reply, server.term);
    }
}

fn run(
    store: &mut Store,
    now: u8,
    server: Server,
    request: &Request,
    numbers: &mut u8,
    setting: &Setting,
) -> Option<Reply> {
    let rules = &setting.rules;
    match request {
        Request::Acquire(ask) => Some(store::acquire(
            store,
            now,
            server,
            ask,
            setting.slots,
            numbers,
            rules,
        )),
        Request::Renew(ask) => Some(store::renew(store, now, server, ask, numbers, rules)),
        Request::Release(ask) => {
            store::release(store, ask);
            None
        }
    }
}

/// `acquire.rs`, `renewal.rs` and `lease.rs`: what a holder makes of an answer.
fn receive(world: &mut World, at: usize, setting: &Setting) {
    let Flight::Replied(reply, term) = world.actors[at].flight else {
        return;
    };
    world.actors[at].flight = Flight::None;
    let rules = &setting.rules;
    let sent = if rules.deadline_from_send {
        world.actors[at].sent
    } else {
        world.now
    };
    world.actors[at].sent = 0;
    match reply {
        Reply::Granted { .. } => handle_granted(world, at, reply, sent, term, setting),
        Reply::Renewed { .. } => handle_renewed(world, at, reply, sent, setting),
        Reply::Flipped(flip) => {
            let actor = &mut world.actors[at];
            (actor.phase, actor.term, actor.flip) = (Phase::Waiting, term, flip);
        }
        Reply::Absent(token) => {
            let now = world.now;
            let actor = &mut world.actors[at];
            if actor.token != token {
                (actor.token, actor.since) = (token, now);
            }
        }
        Reply::Refused => {}
        Reply::Lost => {
            world.unheard[at] = false;
            end(world, at);
        }
    }
}

fn handle_granted(
    world: &mut World,
    at: usize,
    reply: Reply,
    sent: u8,
    term: u8,
    setting: &Setting,
) {
    let Reply::Granted {
        slot,
        fence,
        floor,
        horizon,
        at: served,
        again,
    } = reply
    else {
        return;
    };
    let rules = &setting.rules;
    // Too late to be worth anything: the same question again.
    if rules.local_deadline && rules.deadline(sent) <= world.now {
        world.unheard[at] = false;
        return;
    }
    world.actors[at].grant = Grant {
        slot,
        fence,
        floor: floor.max(served.saturating_sub(rules.skew)),
        horizon,
        sent,
        till: served + rules.ttl,
    };
    // A master that was replaced has no replicas.
    let alone = term != world.server.term;
    let waits = |acks: Acks| !(alone && again) || acks.repeats_wait;
    if rules.acks.is_some_and(waits) && !setting.plain[at] {
        let actor = &mut world.actors[at];
        (actor.phase, actor.term, actor.flip) = (Phase::Waiting, term, 0);
    } else {
        hold(world, at);
    }
}

fn handle_renewed(world: &mut World, at: usize, reply: Reply, sent: u8, setting: &Setting) {
    let Reply::Renewed {
        horizon,
        at: served,
    } = reply
    else {
        return;
    };
    let grant = &mut world.actors[at].grant;
    let (slot, from) = (usize::from(grant.slot), grant.horizon);
    grant.horizon = from.max(horizon);
    grant.sent = grant.sent.max(sent);
    grant.till = served + setting.rules.ttl;
    let to = grant.horizon;
    world.note_minted(slot, from, to);
}

/// A grant takes effect.
fn hold(world: &mut World, at: usize) {
    let grant = world.actors[at].grant;
    world.actors[at] = Actor {
        phase: Phase::Held,
        grant,
        ..Actor::default()
    };
    world.note_grant(
        usize::from(grant.slot),
        grant.fence,
        grant.floor,
        grant.horizon,
    );
}

fn acknowledged(world: &mut World, at: usize, setting: &Setting) {
    let actor = &mut world.actors[at];
    if actor.flip != 0 {
        actor.armed = actor.flip;
        return retry(world, at);
    }
    if world.now < setting.rules.deadline(actor.grant.sent) {
        hold(world, at);
    } else {
        retry(world, at);
    }
}

fn retry(world: &mut World, at: usize) {
    let actor = &mut world.actors[at];
    (actor.phase, actor.term, actor.flip) = (Phase::Asking, 0, 0);
    actor.grant = Grant::default();
    world.unheard[at] = false;
}

fn lose(world: &mut World, at: usize) {
    let sender = u8::try_from(at).expect("few actors");
    world
        .net
        .retain(|message| !(message.awaited && message.actor == sender));
    let actor = &mut world.actors[at];
    (actor.flight, actor.sent) = (Flight::None, 0);
    if !matches!(actor.phase, Phase::Held) {
        world.unheard[at] = false;
    }
}

/// Whoever waited for an answer does so no more; the request stays under way.
fn abandon(world: &mut World, at: usize) {
    let sender = u8::try_from(at).expect("few actors");
    for message in &mut world.net {
        if message.actor == sender {
            message.awaited = false;
        }
    }
    (world.actors[at].flight, world.actors[at].sent) = (Flight::None, 0);
}

/// The lease is over, for its holder. What it was allowed to mint stays as it is: it may have been paused in the middle.
fn end(world: &mut World, at: usize) {
    lose(world, at);
    world.actors[at] = Actor {
        phase: Phase::Over,
        ..Actor::default()
    };
}

fn crash(world: &mut World, at: usize, setting: &Setting) {
    let grant = world.actors[at].grant;
    let reached = last_minted(world, at, true, setting) + 1;
    world.unmint(usize::from(grant.slot), reached, grant.horizon);
    world.unheard[at] = false;
    end(world, at);
}

fn uuid(actor: usize) -> u8 {
    u8::try_from(actor).expect("few actors") + 1
}
