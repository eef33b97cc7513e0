//! What each action does.

use super::{
    action::Action,
    history::{self, By, Standing},
    setting::Setting,
    world::{Grant, Link, OVER, Phase, SERVERS, SPARE, Server, Shown, Slot, World},
};

pub(super) fn apply(before: &World, action: Action, setting: &Setting) -> Option<World> {
    let mut world = before.clone();
    match action {
        Action::Tick => tick(&mut world, setting),
        Action::Ask {
            server,
            slot,
            waits,
        } => {
            ask(&mut world, server, slot, waits, setting);
        }
        Action::Again { grant, server } => again(&mut world, grant, server, setting),
        Action::Renew { grant, server } => {
            unacknowledged(&mut world, grant);
            let slot = usize::from(world.grants[grant].slot);
            world.servers[server].data.slots[slot].till = world.now + setting.rules.ttl;
            history::watch(&mut world, server, setting);
        }
        Action::Watch(server) => history::watch(&mut world, server, setting),
        Action::Acknowledged { grant, count } => {
            let grant = &mut world.grants[grant];
            (grant.phase, grant.counted) = match setting.rules.by {
                By::Number => (Phase::Held, 0),
                By::Unmissed | By::Same => (Phase::Counted, count),
            };
        }
        Action::LookAgain { grant, server } => look_again(&mut world, grant, server, setting),
        Action::GiveBack { grant, server } => {
            let slot = usize::from(world.grants[grant].slot);
            world.servers[server].data.slots[slot] = Slot {
                fence: 0,
                till: SPARE,
            };
            world.grants[grant] = ended();
        }
        Action::Copy(replica) => copy(&mut world, replica),
        Action::Promote { replica, noticed } => promote(&mut world, replica, noticed, setting),
        Action::Follow { server, master } => {
            world.left.moves -= 1;
            follow(&mut world, server, master);
        }
        Action::Cut { replica, noticed } => {
            world.left.cuts -= 1;
            cut(&mut world, replica, noticed, setting.rules.ttl);
        }
        Action::Save(server) => {
            let Server { data, id, .. } = world.servers[server];
            world.disk = Some((number(server), data, id));
        }
        Action::Restart { server, from_disk } => restart(&mut world, server, from_disk),
        Action::Notice(replica) => world.servers[replica].shown = None,
    }
    (world != *before).then_some(world)
}

pub(super) fn tick(world: &mut World, setting: &Setting) {
    world.now += 1;
    let (now, ttl) = (world.now, setting.rules.ttl);
    for grant in &mut world.grants {
        if !matches!(grant.phase, Phase::None | Phase::Over) && grant.at + ttl <= now {
            *grant = ended();
        }
    }
    for server in &mut world.servers {
        for slot in &mut server.data.slots {
            if slot.till != SPARE && slot.till <= now {
                *slot = Slot {
                    fence: 0,
                    till: OVER,
                };
            }
        }
        // What is over stays over.
        let past = &mut server.data.past;
        if past.till <= now {
            (past.till, past.vouched) = (0, false);
        }
        if past.alone + ttl <= now {
            past.alone = 0;
        }
        if server.until <= now {
            server.until = 0;
        }
    }
}

/// `acquire.lua`, asked for one slot.
pub(super) fn ask(
    world: &mut World,
    server: usize,
    slot: usize,
    waits: bool,
    setting: &Setting,
) -> bool {
    let record = world.servers[server].data.slots[slot];
    let standing = history::admit(world, server, waits, setting);
    let Standing::Known { need, only_spare } = standing else {
        return false;
    };
    if only_spare && record.till != SPARE {
        return false;
    }
    let unused = |grant: &Grant| grant.phase == Phase::None;
    let grant = world.grants.iter().position(unused);
    let grant = grant.expect("asked only where grants are left");
    world.note_missed(server);
    world.grants[grant].slot = number(slot);
    take_up(world, grant, server, need, setting);
    true
}

/// The same holder asks for what it has: its first answer was lost. Renewals are left out, so a beat prolongs nothing.
fn again(world: &mut World, grant: usize, server: usize, setting: &Setting) {
    let Some(need) = own(world, server, setting) else {
        return;
    };
    let at = world.grants[grant].at;
    take_up(world, grant, server, need, setting);
    if setting.beats {
        world.grants[grant].at = at;
    }
}

/// How many replicas must acknowledge what somebody has.
fn own(world: &mut World, server: usize, setting: &Setting) -> Option<u8> {
    if !setting.rules.compared {
        return history::acknowledgements(world, server, true, setting);
    }
    match history::admit(world, server, true, setting) {
        Standing::Known { need, .. } => Some(need),
        Standing::Suspect => None,
    }
}

/// The same, after replicas have acknowledged it: it takes effect if no more are wanted now. Else it waits again, in raus
/// for all of them, in redbuckets for one more.
fn look_again(world: &mut World, grant: usize, server: usize, setting: &Setting) {
    let Some(need) = own(world, server, setting) else {
        return;
    };
    let Grant { counted, at, .. } = world.grants[grant];
    take_up(world, grant, server, need, setting);
    let is = &mut world.grants[grant];
    if setting.rules.by == By::Unmissed || need <= counted {
        is.phase = Phase::Held;
        if setting.rules.from_first {
            is.at = at;
        }
    } else if setting.beats {
        (is.phase, is.at, is.counted) = (Phase::Counted, at, counted);
    }
}

fn take_up(world: &mut World, grant: usize, server: usize, need: u8, setting: &Setting) {
    let slot = world.grants[grant].slot;
    world.grants[grant] = Grant {
        phase: if need == 0 {
            Phase::Held
        } else {
            Phase::Waiting
        },
        slot,
        at: world.now,
        need,
        counted: 0,
    };
    unacknowledged(world, grant);
    world.servers[server].data.slots[usize::from(slot)] = Slot {
        fence: number(grant + 1),
        till: world.now + setting.rules.ttl,
    };
}

/// Nobody who is gone has acknowledged what is written now.
fn unacknowledged(world: &mut World, grant: usize) {
    for replica in &mut world.servers {
        if let Some(shown) = &mut replica.shown {
            shown.has[grant] = false;
        }
    }
}

pub(super) fn copy(world: &mut World, replica: usize) {
    let master = world.servers[usize::from(world.servers[replica].follows)];
    let replica = &mut world.servers[replica];
    (replica.data, replica.id) = (master.data, master.id);
    (replica.link, replica.good) = (Link::InStep, true);
}

fn promote(world: &mut World, replica: usize, noticed: bool, setting: &Setting) {
    world.left.promotions -= 1;
    let old = usize::from(world.office);
    // Where grants were not acknowledged before, a failover has to be over before the new master is asked.
    if world.servers[old].data.past.acked != 0 {
        world.servers[old].until = world.now + setting.rules.ttl;
    }
    cut(world, replica, noticed, setting.rules.ttl);
    world.ids += 1;
    let id = world.ids;
    let server = &mut world.servers[replica];
    (server.second, server.id) = (server.id, id);
    (server.follows, server.good) = (number(replica), false);
    world.office = number(replica);
}

/// A new process, with what the disk has, or with all that the old one had.
fn restart(world: &mut World, at: usize, from_disk: bool) {
    world.left.restarts -= 1;
    world.ids += 1;
    leave(world, at);
    let (started, id) = (world.now, world.ids);
    let disk = world.disk.filter(|_| from_disk);
    if world.left.restarts == 0 {
        world.disk = None;
    }
    let is_master = world.is_master(at);
    let server = &mut world.servers[at];
    let (_, data, saved) = disk.unwrap_or((0, server.data, server.id));
    let (id, second) = if is_master { (id, saved) } else { (saved, 0) };
    *server = Server {
        data,
        started,
        id,
        second,
        joins: 0,
        link: Link::None,
        good: false,
        ..*server
    };
}

fn cut(world: &mut World, replica: usize, noticed: bool, ttl: u8) {
    let server = world.servers[replica];
    if !noticed && server.link != Link::None {
        let good = server.link == Link::InStep;
        world.servers[replica].shown = Some(Shown {
            master: server.follows,
            good,
            has: std::array::from_fn(|grant| good && world.has(&server, grant, ttl)),
        });
    }
    world.servers[replica].link = Link::None;
}

pub(super) fn follow(world: &mut World, server: usize, master: usize) {
    leave(world, server);
    // Its own replicas are cut off: they follow a master only.
    for replica in 0..SERVERS {
        if usize::from(world.servers[replica].follows) == server {
            world.servers[replica].good = false;
        }
    }
    world.servers[master].joins += 1;
    let server = &mut world.servers[server];
    server.follows = number(master);
    (server.link, server.good, server.until) = (Link::Syncing, false, 0);
}

/// A server has no replicas any more.
fn leave(world: &mut World, server: usize) {
    let left = number(server);
    for replica in &mut world.servers {
        if replica.follows == left {
            replica.link = Link::None;
        }
        if replica.shown.is_some_and(|shown| shown.master == left) {
            replica.shown = None;
        }
    }
}

fn ended() -> Grant {
    Grant {
        phase: Phase::Over,
        ..Grant::default()
    }
}

fn number(index: usize) -> u8 {
    u8::try_from(index).expect("a few of each")
}
