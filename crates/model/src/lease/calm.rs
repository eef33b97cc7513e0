//! What happens when the faults have ended.

use super::{
    setting::Setting,
    store::{self, Acquire, Mode, Reply},
    world::World,
};

/// Whether a newcomer is granted a slot within bounded time once every holder has stopped and nothing fails any more: a
/// ttl for leases that run, the discovery where nothing is known, and a ttl of doubt.
pub(crate) fn newcomer_is_granted(world: &World, setting: &Setting) -> bool {
    let rules = &setting.rules;
    let (mut now, mut store, mut numbers) = (world.now, world.store, world.numbers);
    let limit = now + 2 * rules.ttl + rules.discovery + 1;
    let (mut mode, mut armed) = (Mode::Ask, 0);
    while now <= limit {
        // A few questions in one tick: a token, a flip, a grant.
        for _ in 0..3 {
            let ask = Acquire {
                holder: u8::MAX,
                first: 0,
                wall: now,
                mode,
                acking: false,
                armed,
            };
            let server = world.server;
            match store::acquire(
                &mut store,
                now,
                server,
                &ask,
                setting.slots,
                &mut numbers,
                rules,
            ) {
                Reply::Granted { .. } => return true,
                Reply::Flipped(flip) => armed = flip,
                Reply::Absent(token) if mode == Mode::Ask => {
                    mode = Mode::First(token);
                    now += rules.discovery;
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
