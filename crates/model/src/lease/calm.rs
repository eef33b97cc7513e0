//! What happens when the faults have ended.

use super::{
    servers,
    setting::{SHORT, Setting},
    store::{self, Acquire, Mode, Reply, Terms},
    world::World,
};

/// Whether a newcomer is granted a slot within bounded time once every holder has stopped and nothing fails any more: the
/// longest ttl for leases that run, the discovery, and a quarantine.
pub(crate) fn newcomer_is_granted(world: &World, setting: &Setting) -> bool {
    let rules = &setting.rules;
    let limit = world.now + 2 * setting.longest() + rules.bound + rules.discovery + 1;
    let (mut now, mut store, mut numbers) = (world.now, world.store, world.numbers);
    let mut mode = Mode::Ask;
    while now <= limit {
        for _ in 0..2 {
            let ask = Acquire {
                holder: u8::MAX,
                terms: Terms {
                    ttl: SHORT,
                    known: 0,
                    expects: setting.expects,
                },
                first: 0,
                wall: now,
                mode,
                number: 0,
            };
            let mut cx = servers::context(now, world.server, &mut numbers, setting);
            match store::acquire(&mut store, &ask, &mut cx) {
                Reply::Granted { .. } => return true,
                Reply::Listen(token) if mode == Mode::Ask => {
                    mode = Mode::First(token);
                    now += setting.rules.discovery;
                    store::tick(&mut store, now);
                }
                _ => {}
            }
        }
        now += 1;
        store::tick(&mut store, now);
    }
    false
}
