//! Masters that go on for a moment after one of their replicas was promoted: what a master knows of its replicas, who
//! follows whom, and grants that replicas acknowledge. Three servers, a few grants.

mod action;
mod calm;
mod history;
mod setting;
mod step;
mod world;

use stateright::{Model, Property};

use self::{action::Action, world::World};
pub(crate) use self::{
    history::{By, Rules},
    setting::{Faults, Setting},
};

pub(crate) const ONCE: &str =
    "no slot is granted and acknowledged twice while the first lease runs";
pub(crate) const FREE: &str = "a free slot is granted when the faults have ended";

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
        vec![
            Property::always(ONCE, |_, world: &World| {
                let held: Vec<u8> = world.held().map(|grant| grant.slot).collect();
                (0..held.len()).all(|i| !held[i + 1..].contains(&held[i]))
            }),
            Property::always(FREE, |setting: &Self, world: &World| {
                world.now < setting.end || calm::newcomer_is_granted(world, setting)
            }),
        ]
    }
}
