//! What follows from what happens.

use super::{
    action::{Action, Way},
    holder::{self, send},
    rules::Acknowledge,
    servers,
    setting::Setting,
    store::{self, Reply, Store},
    world::{ACTORS, COPIES, Flight, Message, Phase, Request, World},
};

/// The world after `action`; `None` if nothing changes.
pub(crate) fn apply(before: &World, action: Action, setting: &Setting) -> Option<World> {
    let mut world = before.clone();
    match action {
        Action::Tick => tick(&mut world, setting),
        Action::Ask { actor, way, .. } | Action::Beat { actor, way, .. } => {
            send(&mut world, action, setting);
            serve(&mut world, actor, way, setting);
        }
        Action::Close { actor, all } => holder::close(&mut world, actor, all, setting),
        Action::Release { actor, late } => release(&mut world, actor, late, setting),
        Action::Execute(index) => execute(&mut world, index, setting),
        Action::ExecuteOld(index) => execute_old(&mut world, index, setting),
        Action::Receive(actor) => holder::receive(&mut world, actor, true, setting),
        Action::Lose(actor) => holder::lose(&mut world, actor),
        Action::GiveUp(actor) => {
            world.left.ghosts -= 1;
            holder::abandon(&mut world, actor);
        }
        Action::Crash(actor) => holder::crash(&mut world, actor, setting),
        Action::Clone(actor) => servers::clone(&mut world, actor, setting),
        Action::Copy(1) => world.copies[1] = world.copies[0],
        Action::Copy(copy) => world.copies[copy] = world.store,
        Action::Failover(copy) => servers::fail_over(&mut world, copy, setting),
        Action::Restart => servers::restart(&mut world),
        Action::Rewind => servers::rewind(&mut world, setting),
        Action::Rename => {
            world.left.renames -= 1;
            world.server.id += 1;
        }
        Action::Flush => servers::flush(&mut world, setting),
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
    if world.left.failovers == 0 && !world.left.needs_disk() {
        (world.copies, world.processes) = ([Store::default(); COPIES], [0; 2]);
    }
    let reach = setting.longest() + setting.rules.skew;
    let oldest = world.now.saturating_sub(reach);
    for slot in 0..setting.slots {
        world.unmint(slot, 0, oldest);
    }
}

fn tick(world: &mut World, setting: &Setting) {
    world.now += 1;
    store::tick(&mut world.store, world.now);
    for copy in &mut world.copies {
        store::tick(copy, world.now);
    }
    world.old = world.old.filter(|&(_, _, until)| world.now <= until);
    if let Some((_, old, _)) = &mut world.old {
        store::tick(old, world.now);
    }
    for at in 0..ACTORS {
        let is_held = world.actors[at].phase == Phase::Held;
        if is_held && !world.is_valid(at, setting) {
            holder::end(world, at);
        }
    }
}

/// A request that takes no time.
fn serve(world: &mut World, at: usize, way: Way, setting: &Setting) {
    let sender = u8::try_from(at).expect("few actors");
    let is_its = |message: &Message| message.awaited && message.actor == sender;
    let Some(index) = world.net.iter().position(is_its) else {
        return;
    };
    match way {
        Way::Slow => {}
        Way::Master => {
            execute(world, index, setting);
            if setting.rules.acknowledge != Acknowledge::Nothing {
                world.copies[0] = world.store;
            }
            holder::receive(world, at, true, setting);
        }
        Way::MasterUnheard => {
            execute(world, index, setting);
            holder::lose(world, at);
        }
        Way::Old => {
            execute_old(world, index, setting);
            holder::receive(world, at, false, setting);
        }
    }
}

/// The holder stops for good; its message is executed at once, or later, or never.
fn release(world: &mut World, at: usize, late: bool, setting: &Setting) {
    let request = holder::release(world, at, setting);
    if late {
        world.left.ghosts -= 1;
        world.net.push(Message {
            actor: u8::try_from(at).expect("few actors"),
            awaited: false,
            request,
        });
    } else {
        servers::notice(world, &request);
        let mut store = world.store;
        let mut cx = servers::context(world.now, world.server, &mut world.numbers, setting);
        run(&mut store, &request, &mut cx);
        world.store = store;
    }
}

fn execute(world: &mut World, index: usize, setting: &Setting) {
    let message = world.net.remove(index);
    let seen = world.store.past.map(|past| past.seen);
    servers::notice(world, &message.request);
    let mut cx = servers::context(world.now, world.server, &mut world.numbers, setting);
    let reply = run(&mut world.store, &message.request, &mut cx);
    if let Some(Reply::Renewed { .. }) = reply {
        world.unheard[usize::from(message.actor)] = false;
        // Only one that looks; see `history::watch`.
        let looks = seen != Some(world.now);
        if world.seen.renewed == 0 && 1 < world.server.id && looks {
            world.seen.renewed = world.now;
        }
    }
    answer(world, message, reply);
}

fn execute_old(world: &mut World, index: usize, setting: &Setting) {
    let Some((server, mut old, until)) = world.old else {
        return;
    };
    let message = world.net.remove(index);
    let mut cx = servers::context(world.now, server, &mut world.numbers, setting);
    let reply = run(&mut old, &message.request, &mut cx);
    world.old = Some((server, old, until));
    answer(world, message, reply);
}

fn answer(world: &mut World, message: Message, reply: Option<Reply>) {
    if let (true, Some(reply)) = (message.awaited, reply) {
        world.actors[usize::from(message.actor)].flight = Flight::Replied(reply);
    }
}

fn run(store: &mut Store, request: &Request, cx: &mut store::Context<'_>) -> Option<Reply> {
    match request {
        Request::Acquire(ask) => Some(store::acquire(store, ask, cx)),
        Request::Renew(ask) => Some(store::renew(store, ask, cx)),
        Request::Release(ask) => {
            store::release(store, ask, cx);
            None
        }
    }
}
