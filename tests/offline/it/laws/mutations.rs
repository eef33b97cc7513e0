//! Deliberate mistakes in the scripts, and what was found to be none.

mod acquire;
mod beat;
mod belong;
mod clock;
mod doubts;
mod garbage;
mod history;
mod identity;
mod keep;
mod operate;
mod operators;
mod range;
mod release;
mod share;
mod trial;
mod watch;

use super::sources::Change;

/// A mistake, and the law that must break.
pub(super) struct Mutation {
    pub(super) change: Change,
    /// What the script then does.
    pub(super) mistake: &'static str,
    pub(super) law: &'static str,
}

/// A change that no law can notice.
pub(super) struct Survivor {
    pub(super) change: Change,
    pub(super) why: &'static str,
}

pub(super) fn mutations() -> impl Iterator<Item = &'static Mutation> {
    let lists = [
        acquire::MUTATIONS,
        range::MUTATIONS,
        keep::MUTATIONS,
        release::MUTATIONS,
        operate::MUTATIONS,
        operators::MUTATIONS,
        history::MUTATIONS,
        identity::MUTATIONS,
        share::MUTATIONS,
        trial::MUTATIONS,
        belong::MUTATIONS,
        garbage::MUTATIONS,
        beat::MUTATIONS,
        clock::MUTATIONS,
        doubts::MUTATIONS,
        watch::MUTATIONS,
    ];
    lists.into_iter().flatten()
}

pub(super) fn survivors() -> impl Iterator<Item = &'static Survivor> {
    let lists = [
        acquire::SURVIVORS,
        keep::SURVIVORS,
        release::SURVIVORS,
        history::SURVIVORS,
        share::SURVIVORS,
    ];
    lists.into_iter().flatten()
}

/// The place is a file, what stands there, and what stands there instead.
const fn mutation(
    mistake: &'static str,
    (file, find, replace): (&'static str, &'static str, &'static str),
    law: &'static str,
) -> Mutation {
    Mutation {
        change: Change {
            file,
            find,
            replace,
        },
        mistake,
        law,
    }
}

const fn survivor(
    why: &'static str,
    (file, find, replace): (&'static str, &'static str, &'static str),
) -> Survivor {
    Survivor {
        change: Change {
            file,
            find,
            replace,
        },
        why,
    }
}
