//! The lease protocol of raus: one store, a few holders, one or two slots.

mod action;
mod calm;
mod history;
mod rules;
mod servers;
mod setting;
mod step;
mod store;
mod world;

use stateright::{Model, Property};

use self::{action::Action, world::World};
pub(crate) use self::{
    rules::{Acks, Heirs, Rules},
    setting::{Clocks, Identity, Setting},
    world::Faults,
};

pub(crate) const TWICE: &str = "no timestamp is minted twice under a slot";
pub(crate) const EXCLUSIVE: &str = "no two holders of a slot are valid at once";
pub(crate) const FENCES: &str = "fences rise in the order of the grants that took effect";
pub(crate) const GRANTED: &str = "a newcomer is granted a slot when the faults have ended";

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
                world.now < setting.end || calm::newcomer_is_granted(world, setting)
            }),
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
    let valid = |actor: &usize| world.is_valid(*actor, &setting.rules);
    let holders: Vec<u8> = (0..setting.actors)
        .filter(valid)
        .map(|actor| world.actors[actor].grant.slot)
        .collect();
    (0..holders.len()).all(|i| !holders[i + 1..].contains(&holders[i]))
}
