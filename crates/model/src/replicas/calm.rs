//! What happens when the faults have ended.

use super::{
    setting::Setting,
    step,
    world::{GRANTS, Grant, Link, SERVERS, World},
};

/// Whether a newcomer is granted a free slot within bounded time once everybody follows the master in office and nothing
/// fails any more: a ttl for leases that run or a doubt, and one for a replica that was missed.
pub(crate) fn newcomer_is_granted(world: &World, setting: &Setting) -> bool {
    let mut world = world.clone();
    let office = usize::from(world.office);
    world.grants = [Grant::default(); GRANTS];
    for server in (0..SERVERS).filter(|&server| server != office) {
        world.servers[server].shown = None;
        if usize::from(world.servers[server].follows) != office
            || world.servers[server].link == Link::None
        {
            step::follow(&mut world, server, office);
        }
        step::copy(&mut world, server);
    }
    let limit = world.now + 2 * setting.rules.ttl;
    while world.now <= limit {
        for slot in 0..setting.slots {
            let is_free = world.servers[office].data.slots[slot].till <= world.now;
            if is_free && step::ask(&mut world, office, slot, true, setting) {
                return true;
            }
        }
        step::tick(&mut world, setting);
    }
    false
}
