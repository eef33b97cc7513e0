//! What follows from what happens.

use super::{
    action::Action,
    member::{Flight, Member, Phase},
    scripts::{self, Context, Join, Reply},
    setting::Setting,
    world::{ACTORS, Message, Request, World},
};

/// The world after `action`; `None` where nothing changes.
pub(crate) fn apply(before: &World, action: Action, setting: &Setting) -> Option<World> {
    let mut world = before.clone();
    match action {
        Action::Tick => tick(&mut world, setting),
        Action::Join { actor, again } => join(&mut world, actor, again),
        Action::Ask {
            actor,
            drained,
            glance,
        } => ask(&mut world, actor, drained, glance, setting),
        Action::Drain(actor) => world.actors[actor].drain(),
        Action::Leave(actor) => leave(&mut world, actor, setting),
        Action::Execute(index) => execute(&mut world, index, setting),
        Action::Receive(actor) => receive(&mut world, actor, setting),
        Action::Lose(actor) => {
            world.left.losses -= 1;
            lose(&mut world, actor);
        }
        Action::GiveUp(actor) => {
            world.left.ghosts -= 1;
            give_up(&mut world, actor);
        }
        Action::Crash(actor) => end(&mut world, actor),
        Action::Copy => world.copy.clone_from(&world.group),
        Action::Failover => {
            world.left.failovers -= 1;
            world.group = world.copy.clone();
            world.run += 1;
            if world.group.is_none() {
                forgotten(&mut world);
            }
        }
        Action::Flush => {
            world.left.flushes -= 1;
            world.group = None;
            forgotten(&mut world);
        }
    }
    if world.left.failovers == 0 {
        world.copy = None;
    }
    world.net.sort_unstable();
    (world != *before).then_some(world)
}

fn tick(world: &mut World, setting: &Setting) {
    world.now += 1;
    scripts::tick(&mut world.group, world.now);
    scripts::tick(&mut world.copy, world.now);
    for at in 0..ACTORS {
        let member = &world.actors[at];
        if member.phase == Phase::Member && member.sent + setting.rules.ttl <= world.now {
            let unheard = world.unheard[at];
            end(world, at);
            world.unheard[at] = unheard;
        }
    }
}

fn join(world: &mut World, at: usize, again: bool) {
    let first = world.actors[0].incarnation;
    world.actors[at].phase = Phase::Joining;
    let request = Join {
        id: world.actors[at].id,
        actor: u8::try_from(at).expect("few actors"),
        previous: again.then_some(first),
    };
    send(world, at, Request::Join(request));
}

fn ask(world: &mut World, at: usize, drained: bool, glance: bool, setting: &Setting) {
    let member = &mut world.actors[at];
    let request = match member.claim(setting.chunk) {
        Some(claim) => Request::Claim(claim),
        None => Request::Beat(member.beat(drained, glance, &setting.rules)),
    };
    send(world, at, request);
}

fn send(world: &mut World, at: usize, request: Request) {
    let member = &mut world.actors[at];
    (member.asked, member.flight) = (world.now, Flight::Sent);
    world.net.push(Message {
        actor: at,
        awaited: true,
        request,
    });
}

fn leave(world: &mut World, at: usize, setting: &Setting) {
    let member = &world.actors[at];
    let (number, incarnation) = (member.number, member.incarnation);
    end(world, at);
    let request = Request::Leave(number, incarnation);
    run(world, at, &request, setting);
}

fn execute(world: &mut World, index: usize, setting: &Setting) {
    let message = world.net.remove(index);
    let reply = run(world, message.actor, &message.request, setting);
    if let (true, Some(reply)) = (message.awaited, reply) {
        world.actors[message.actor].flight = Flight::Replied(reply);
    }
}

fn run(world: &mut World, at: usize, request: &Request, setting: &Setting) -> Option<Reply> {
    let mut context = Context {
        now: world.now,
        run: world.run,
        numbers: &mut world.numbers,
        buckets: setting.buckets,
        rules: &setting.rules,
    };
    let group = &mut world.group;
    match request {
        Request::Join(ask) => Some(scripts::join(group, ask, &mut context)),
        Request::Beat(ask) => Some(scripts::beat(group, ask, &mut context)),
        Request::Claim(ask) => {
            if ask.last {
                world.unheard[at] = false;
            }
            Some(scripts::claim(group, ask, &mut context))
        }
        Request::Leave(number, incarnation) => {
            scripts::leave(group, *number, *incarnation);
            None
        }
    }
}

fn receive(world: &mut World, at: usize, setting: &Setting) {
    let Flight::Replied(reply) = std::mem::take(&mut world.actors[at].flight) else {
        return;
    };
    let now = world.now;
    let before = world.actors[at].clone();
    let member = &mut world.actors[at];
    let sent = if setting.rules.deadline_from_send {
        member.asked
    } else {
        now
    };
    member.asked = 0;
    let is_join = matches!(reply, Reply::Joined { .. });
    member.handle(reply, sent);
    let too_late = is_join && member.sent + setting.rules.ttl <= now;
    if too_late || member.phase == Phase::Over || member.has_ended() {
        return end(world, at);
    }
    world.note_epochs(at, &before);
}

/// Its lease is over, or it has stopped: what it asked is not waited for.
fn end(world: &mut World, at: usize) {
    world.actors[at].end();
    world
        .net
        .retain(|message| !(message.awaited && message.actor == at));
    world.unheard[at] = false;
}

fn lose(world: &mut World, at: usize) {
    world
        .net
        .retain(|message| !(message.awaited && message.actor == at));
    failed(&mut world.actors[at]);
}

fn give_up(world: &mut World, at: usize) {
    for message in &mut world.net {
        if message.actor == at {
            message.awaited = false;
        }
    }
    failed(&mut world.actors[at]);
}

fn failed(member: &mut Member) {
    (member.flight, member.asked) = (Flight::None, 0);
    member.handle_failed();
}

/// Living members will find out.
fn forgotten(world: &mut World) {
    for at in 0..ACTORS {
        world.unheard[at] |= world.actors[at].phase == Phase::Member;
    }
}
