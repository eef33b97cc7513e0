//! Looks at every reachable state of one model.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    hash::Hash,
    time::{Duration, Instant},
};

use stateright::{Checker, HasDiscoveries, Model};

/// What a search found.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Different states that were reached.
    pub states: usize,
    /// The most steps from the beginning, the first state included.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// For each property that does not hold, what leads to a state that contradicts it.
    pub refuted: BTreeMap<&'static str, Vec<String>>,
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Every state was seen.
    Exhausted,
    /// One property was refuted; a shortest way there is found first.
    Refuted(&'static str),
}

pub(crate) fn check<M>(model: M, until: Until) -> Findings
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let started = clock();
    let finish = match until {
        Until::Exhausted => HasDiscoveries::AnyFailures,
        Until::Refuted(property) => HasDiscoveries::AnyOf(std::iter::once(property).collect()),
    };
    let checker = model.checker().finish_when(finish).spawn_bfs().join();
    let refuted = checker
        .discoveries()
        .into_iter()
        .map(|(name, path)| {
            let steps = path.into_actions();
            let steps = steps
                .iter()
                .map(|step| checker.model().format_action(step))
                .collect();
            (name, steps)
        })
        .collect();
    Findings {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: started.elapsed(),
        refuted,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "reports how long a search took; nothing depends on it"
)]
fn clock() -> Instant {
    Instant::now()
}
