//! The lease protocol of raus: one store, a few holders, one or two slots.

mod action;
mod calm;
mod chain;
mod history;
mod holder;
mod rules;
mod servers;
mod setting;
mod step;
mod store;
mod world;

use stateright::{Model, Property};

use self::{action::Action, world::World};
pub(crate) use self::{
    rules::{Acknowledge, Identity, Rules},
    setting::{Clocks, Newcomers, Record, SHORT, Setting},
    world::Faults,
};

pub(crate) const TWICE: &str = "no timestamp is minted twice under a slot";
pub(crate) const EXCLUSIVE: &str = "no two holders of a slot are valid at once";
pub(crate) const FENCES: &str = "fences rise in the order of the grants that took effect";
pub(crate) const GRANTED: &str = "a newcomer is granted a slot when the faults have ended";
pub(crate) const SOON: &str =
    "a newcomer does not wait for a quarantine that a renewal began long ago";
pub(crate) const STEADY: &str = "no quarantine begins on a server that was never away";
pub(crate) const TOLD: &str = "a holder and its clone are both told within one renewal of each";
pub(crate) const TRUE_CLONES: &str = "nobody is told of a clone that has none";

impl Model for Setting {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        action::enumerate(world, self, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        step::apply(world, action, self)
    }

    fn format_action(&self, action: &Action) -> String {
        action.to_string()
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all = vec![
            Property::always(TWICE, |_, world: &World| !world.seen.twice),
            Property::always(EXCLUSIVE, is_exclusive),
            Property::always(FENCES, |_, world: &World| !world.seen.fell),
            Property::always(GRANTED, |setting: &Self, world: &World| {
                world.now < setting.end() || calm::newcomer_is_granted(world, setting)
            }),
            Property::always(SOON, |setting: &Self, world: &World| {
                let (renewed, past) = (world.seen.renewed, world.store.past);
                let lasts = setting.longest() + setting.rules.bound;
                let is_known =
                    || past.is_some_and(|past| past.till == 0 && past.run == world.server);
                renewed == 0 || world.now < renewed + lasts || is_known()
            }),
            Property::always(STEADY, |_, world: &World| {
                world.store.past.is_none_or(|past| past.till == 0)
            }),
            Property::always(TOLD, |_, world: &World| !world.seen.untold),
            Property::always(TRUE_CLONES, |_, world: &World| !world.seen.mistaken),
        ];
        let is_claimed = |property: &Property<Self>| self.claims.contains(&property.name);
        all.into_iter().filter(is_claimed).collect()
    }

    /// A horizon that rises without bound, by a clock that runs away, is looked at no further.
    fn within_boundary(&self, world: &World) -> bool {
        world.store.slots.iter().all(|slot| slot.horizon < 60)
    }
}

fn is_exclusive(setting: &Setting, world: &World) -> bool {
    let valid = |actor: &usize| world.is_valid(*actor, setting);
    let holders: Vec<u8> = (0..setting.actors)
        .filter(valid)
        .map(|actor| world.actors[actor].grant.slot)
        .collect();
    (0..holders.len()).all(|i| !holders[i + 1..].contains(&holders[i]))
}
