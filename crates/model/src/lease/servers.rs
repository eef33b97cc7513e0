//! What happens to servers and clones.

use super::{
    chain::{self, Chain},
    setting::{Newcomers, Setting},
    store::{Context, Reply, Server, Store},
    world::{ACTORS, DISK, Flight, Phase, Request, Twin, World},
};

/// A replica is promoted. The replaced master follows it, and so does the other replica: of the replica's replica nothing
/// else is left, and the replica of a promoted one keeps what it has.
pub(super) fn fail_over(world: &mut World, copy: usize, setting: &Setting) {
    world.left.failovers -= 1;
    if let Some(lasts) = setting.old {
        world.old = Some((world.server, world.store, world.now.saturating_add(lasts)));
    }
    let process = std::mem::replace(&mut world.processes[copy], world.server.process);
    world.store = world.copies[copy];
    world.copies[DISK] = world.store;
    if copy == 0 {
        world.copies[0] = world.copies[1];
        world.processes.swap(0, 1);
    } else {
        world.copies[0] = world.store;
    }
    world.copies[1] = world.store;
    world.server = Server {
        process,
        id: world.server.id + 1,
        followed: true,
    };
    world.seen.renewed = 0;
    if world.store.past.is_none() {
        unheard(world);
    }
}

pub(super) fn restart(world: &mut World) {
    world.left.restarts -= 1;
    let server = world.server;
    world.store = world.copies[DISK];
    world.copies = [world.store; 3];
    world.server = Server {
        process: server.process + 3,
        id: server.id + 1,
        followed: false,
    };
    world.seen.renewed = 0;
    if world.store.past.is_none() {
        unheard(world);
    }
}

/// An older copy takes the place of what the server has.
pub(super) fn rewind(world: &mut World, setting: &Setting) {
    world.left.rewinds -= 1;
    world.store = world.copies[DISK];
    unheard(world);
    world.unnoticed = setting.newcomers == Newcomers::AfterNotice;
}

pub(super) fn flush(world: &mut World, setting: &Setting) {
    world.left.flushes -= 1;
    world.store = Store::default();
    unheard(world);
    world.unnoticed = setting.expects && setting.newcomers == Newcomers::AfterNotice;
}

/// Living holders are heard by a newcomer that listens.
fn unheard(world: &mut World) {
    for at in 0..ACTORS {
        let actor = &world.actors[at];
        let granted = matches!(actor.flight, Flight::Replied(Reply::Granted { .. }));
        world.unheard[at] |= granted || actor.phase == Phase::Held;
    }
}

/// Whether a rewind to what the disk has is one that the setting looks at.
pub(super) fn may_rewind(world: &World, setting: &Setting) -> bool {
    let copy = &world.copies[DISK];
    let shows = |at: usize| {
        let (actor, grant) = (&world.actors[at], &world.actors[at].grant);
        let (fence, answered) = (grant.fence, actor.answered);
        let held = actor.phase == Phase::Held;
        held && shows_loss(copy, world.now, grant.slot, fence, answered, grant.till)
    };
    match setting.newcomers {
        Newcomers::AfterNotice => (0..ACTORS).any(shows),
        Newcomers::IfQuiet => copy
            .past
            .is_some_and(|past| past.seen + past.longest() < world.now),
        Newcomers::AtOnce => *copy != world.store,
    }
}

/// A message shows that the store has lost something, if it comes in time.
pub(super) fn notice(world: &mut World, request: &Request) {
    let shows = |slot, fence, chain: Chain, till| {
        shows_loss(&world.store, world.now, slot, fence, chain[1], till)
    };
    let shows = match request {
        Request::Acquire(_) => false,
        Request::Renew(ask) => shows(ask.slot, ask.fence, ask.chain, ask.till),
        Request::Release(ask) => shows(ask.slot, ask.fence, ask.chain, ask.till),
    };
    world.unnoticed &= !shows;
}

fn shows_loss(store: &Store, now: u8, slot: u8, fence: u16, answered: u8, till: u8) -> bool {
    let record = &store.slots[usize::from(slot)];
    let older = record.fence == fence && chain::is_older(record.chain, answered);
    now < till && (record.fence < fence || older)
}

/// The last actor becomes what `at` is, with its memory.
pub(super) fn clone(world: &mut World, at: usize, setting: &Setting) {
    world.left.clones -= 1;
    world.actors[at].twin = Twin::Fresh;
    world.actors[setting.actors - 1] = world.actors[at];
}

/// Who is renewed or told, and what its twin was before.
pub(super) fn note_twins(world: &mut World, at: usize, told: bool, setting: &Setting) {
    if world.actors[at].twin == Twin::None {
        world.seen.mistaken |= told;
        return;
    }
    let others = (0..setting.actors).filter(|&other| other != at);
    let twins: Vec<Twin> = others.map(|other| world.actors[other].twin).collect();
    let other_is = |twin: Twin| twins.contains(&twin);
    world.seen.untold |= !told && (other_is(Twin::Renewed) || other_is(Twin::Told));
    world.actors[at].twin = if told { Twin::Told } else { Twin::Renewed };
}

pub(super) fn context<'a>(
    now: u8,
    server: Server,
    numbers: &'a mut u8,
    setting: &'a Setting,
) -> Context<'a> {
    Context {
        now,
        server,
        numbers,
        slots: setting.slots,
        rules: &setting.rules,
    }
}
