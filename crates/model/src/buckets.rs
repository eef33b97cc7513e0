//! The protocol of redbuckets: one store, a few instances, two or three buckets.

mod action;
mod calm;
mod member;
mod rules;
mod scripts;
mod setting;
mod step;
mod store;
mod world;

use stateright::{Model, Property};

use self::{action::Action, world::World};
pub(crate) use self::{
    rules::Rules,
    setting::{Faults, Setting},
};

pub(crate) const EXCLUSIVE: &str = "no bucket has two owners that may work in it";
pub(crate) const EPOCHS: &str = "epochs rise in the order in which owners begin";
pub(crate) const OWNED: &str = "every bucket is owned when the faults have ended";

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
            Property::always(EXCLUSIVE, |setting: &Self, world: &World| {
                (0..usize::from(setting.buckets))
                    .all(|bucket| world.workers(bucket, setting).len() < 2)
            }),
            Property::always(EPOCHS, |_, world: &World| !world.fell),
            Property::always(OWNED, |setting: &Self, world: &World| {
                let is_over = world.now == setting.end && world.net.is_empty();
                !is_over || calm::every_bucket_is_owned(world, setting)
            }),
        ]
    }
}
