//! What happens to servers.

use super::{
    setting::{Identity, Setting},
    store::{Reply, Server},
    world::{ACTORS, COPIES, DISK, Flight, Phase, World},
};

pub(super) fn fail_over(world: &mut World, copy: usize, setting: &Setting) {
    world.left.failovers -= 1;
    if setting.split {
        world.old = Some((world.server, world.store));
    }
    let promoted = match setting.identity {
        Identity::Process => world.runs[copy],
        Identity::Term => world.new_run(),
    };
    world.runs[copy] = world.server.run;
    start(world, copy, promoted, true);
}

pub(super) fn restart(world: &mut World) {
    world.left.restarts -= 1;
    let run = world.new_run();
    start(world, DISK, run, false);
}

/// A server begins with one of the copies; the others follow it.
fn start(world: &mut World, copy: usize, run: u8, promoted: bool) {
    world.store = world.copies[copy];
    world.copies = [world.store; COPIES];
    world.server = Server {
        run,
        term: world.server.term + 1,
        before: world.server.run,
        promoted,
    };
    if world.store.past.is_none() {
        unheard(world);
    }
}

/// The store has no past any more: a newcomer listens, and living holders are heard.
pub(super) fn unheard(world: &mut World) {
    for at in 0..ACTORS {
        let actor = &world.actors[at];
        let granted = matches!(actor.flight, Flight::Replied(Reply::Granted { .. }, _));
        world.unheard[at] |= granted || matches!(actor.phase, Phase::Held | Phase::Waiting);
    }
}
