//! What is broken when: a pure function of topology, seed and length.
//!
//! Three lanes run side by side, one fault at a time in each: the servers with the ways to them, the processes of
//! holders, and those of workers. So a client fault meets every server fault sooner or later, and yet most clients are
//! always there, as the promises about servers that forget something presume (docs/FAILURES.md).

mod kind;

use std::fmt;

pub use self::kind::{Kind, Topology};

/// Who is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Servers, and the ways to them.
    Servers,
    /// Processes of holders.
    Holders,
    /// Processes of workers.
    Workers,
}

/// One fault of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its place in the plan, by which histories name it.
    pub number: u32,
    /// Who is broken.
    pub lane: Lane,
    /// When it begins, ms after the begin of the run.
    pub at_ms: u64,
    /// How long it lasts, ms.
    pub lasts_ms: u64,
    /// What is done.
    pub kind: Kind,
    /// Which process, way or direction; whoever applies it takes the remainder.
    pub target: u32,
    /// By how much a clock is stepped or a link delayed, ms; zero for all else.
    pub by_ms: i64,
}

impl Step {
    /// When it ends, ms after the begin of the run.
    #[must_use]
    pub const fn end_ms(&self) -> u64 {
        self.at_ms + self.lasts_ms
    }

    /// By how much it sets a server's clock forward, ms.
    ///
    /// What is granted meanwhile bears tokens of that time. A server that forgets everything before that time has come
    /// gives lower ones, which is no promise broken (docs/FAILURES.md).
    #[must_use]
    pub fn ahead_ms(&self) -> Option<u64> {
        match self.kind {
            Kind::StepServerClock => u64::try_from(self.by_ms).ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, target) = (self.kind.name(), self.target);
        let lasts = self.lasts_ms as f64 / 1_000.0;
        write!(f, "#{} {kind}", self.number)?;
        if self.lane != Lane::Servers || self.kind.is_of_a_way() {
            write!(f, " {target}")?;
        }
        if self.by_ms != 0 {
            write!(f, " by {} ms", self.by_ms)?;
        }
        write!(f, " for {lasts:.1} s")
    }
}

/// How far a plan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// As far as everything is promised.
    Promised,
    /// Two of the limits in docs/FAILURES.md are passed: a server's clock is stepped while clients are silent, and a
    /// server forgets everything before the time that its clock was set to has come.
    Beyond,
}

/// A run's faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// On what.
    pub topology: Topology,
    /// From which seed.
    pub seed: u64,
    /// How long the run is, ms.
    pub lasts_ms: u64,
    /// How far it goes.
    pub bounds: Bounds,
    /// The faults, by their begin.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The plan of `seed` with faults of `kinds`, of which those that `topology` does not have are left out.
    #[must_use]
    pub fn new(
        topology: Topology,
        seed: u64,
        lasts_ms: u64,
        kinds: &[Kind],
        bounds: Bounds,
    ) -> Self {
        Self::with_gap(topology, seed, lasts_ms, kinds, bounds, 0)
    }

    /// The same, where servers are left alone for at least `gap_ms` after each of their faults.
    #[must_use]
    pub fn with_gap(
        topology: Topology,
        seed: u64,
        lasts_ms: u64,
        kinds: &[Kind],
        bounds: Bounds,
        gap_ms: u64,
    ) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut steps: Vec<Step> = Vec::new();
        for lane in [Lane::Servers, Lane::Holders, Lane::Workers] {
            let kinds = kinds.iter().copied();
            let kinds = kinds.filter(|kind| kind.suits(topology, lane)).collect();
            let quiet = quiet_spans(topology, bounds, &steps);
            let filling = Filling {
                topology,
                lane,
                lasts_ms,
                bounds,
                quiet,
                gap_ms: if lane == Lane::Servers { gap_ms } else { 0 },
                deck: Deck::of(kinds),
                ahead_until_ms: 0,
            };
            filling.fill(&mut rng, &mut steps);
        }
        steps.sort_by_key(|step| (step.at_ms, step.lane));
        for (number, step) in (0..).zip(&mut steps) {
            step.number = number;
        }
        Self {
            topology,
            seed,
            lasts_ms,
            bounds,
            steps,
        }
    }

    /// The faults of one lane.
    pub fn lane(&self, lane: Lane) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.lane == lane)
    }
}

/// Every kind comes once before one comes again, so that short runs have many and long ones have all.
struct Deck {
    kinds: Vec<Kind>,
    left: Vec<Kind>,
}

impl Deck {
    const fn of(kinds: Vec<Kind>) -> Self {
        let left = Vec::new();
        Self { kinds, left }
    }

    /// The next one, of those that `suits` if there are any left.
    fn draw(&mut self, rng: &mut fastrand::Rng, suits: impl Fn(Kind) -> bool) -> Option<Kind> {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
            rng.shuffle(&mut self.left);
        }
        let place = self.left.iter().position(|kind| suits(*kind));
        (!self.left.is_empty()).then(|| self.left.remove(place.unwrap_or(0)))
    }
}

/// A lane on its way to be a part of the plan.
struct Filling {
    topology: Topology,
    lane: Lane,
    lasts_ms: u64,
    bounds: Bounds,
    quiet: Vec<(u64, u64)>,
    gap_ms: u64,
    deck: Deck,
    /// When the time to which a server's clock was set forward has come.
    ahead_until_ms: u64,
}

impl Filling {
    fn fill(mut self, rng: &mut fastrand::Rng, steps: &mut Vec<Step>) {
        let mut at_ms = rng.u64(500..1_500);
        loop {
            let is_ahead = at_ms < self.ahead_until_ms;
            let suits = |kind: Kind| !(is_ahead && kind.forgets());
            let Some(kind) = self.deck.draw(rng, suits) else {
                return;
            };
            if !suits(kind) {
                at_ms = self.ahead_until_ms;
            }
            let step = self.place(rng, kind, at_ms);
            let calm_ms = calm_ms(self.topology, self.bounds, kind);
            if self.lasts_ms < step.end_ms() + calm_ms {
                // A shorter one may still fit, but every plan comes to its end.
                if self.lasts_ms < at_ms + SHORTEST_MS {
                    return;
                }
                at_ms += SHORTEST_MS;
                continue;
            }
            if let (Some(ahead_ms), Bounds::Promised) = (step.ahead_ms(), self.bounds) {
                self.ahead_until_ms = self.ahead_until_ms.max(step.end_ms() + ahead_ms);
            }
            at_ms = step.end_ms() + calm_ms + self.gap_ms + rng.u64(lane_gap_ms(self.lane));
            steps.push(step);
        }
    }

    /// A fault at `at_ms`, or later where that is to be quiet.
    fn place(&self, rng: &mut fastrand::Rng, kind: Kind, at_ms: u64) -> Step {
        let mut step = Step {
            number: 0,
            lane: self.lane,
            at_ms: at_ms + calm_ms(self.topology, self.bounds, kind),
            lasts_ms: rng.u64(kind.lasts_ms(self.topology)),
            kind,
            target: rng.u32(0..TARGETS),
            by_ms: kind.by_ms(self.topology, rng),
        };
        let disturbed = |step: &Step| {
            let mut spans = self.quiet.iter();
            let overlap = |(from, to): &&(u64, u64)| step.at_ms < *to && *from < step.end_ms();
            spans.find(overlap).map(|(_, to)| *to)
        };
        while let Some(to) = disturbed(&step) {
            step.at_ms = to;
        }
        step
    }
}

/// A server's clock is stepped only while, and one ttl before and after, no client is silent: what a step may end early
/// is what was not renewed (docs/failures/standalone.md).
const fn calm_ms(topology: Topology, bounds: Bounds, kind: Kind) -> u64 {
    match (kind, bounds) {
        (Kind::StepServerClock, Bounds::Promised) => topology.ttl_ms() + 1_000,
        _ => 0,
    }
}

fn quiet_spans(topology: Topology, bounds: Bounds, steps: &[Step]) -> Vec<(u64, u64)> {
    let steps = steps
        .iter()
        .filter(|step| calm_ms(topology, bounds, step.kind) > 0);
    steps
        .map(|step| {
            let calm = calm_ms(topology, bounds, step.kind);
            (step.at_ms - calm, step.end_ms() + calm)
        })
        .collect()
}

const fn lane_gap_ms(lane: Lane) -> std::ops::Range<u64> {
    match lane {
        Lane::Servers => 1_000..4_000,
        Lane::Holders | Lane::Workers => 500..4_000,
    }
}

const SHORTEST_MS: u64 = 500;
/// Divisible by the numbers of processes, ways and directions that there are.
const TARGETS: u32 = 36;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn topologies() -> impl Strategy<Value = Topology> {
        prop::sample::select(Topology::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn every_fault_is_over_before_the_end_and_lanes_do_one_thing_at_a_time(
            topology in topologies(), seed: u64, lasts_ms in 0_u64..900_000,
        ) {
            let plan = Plan::new(topology, seed, lasts_ms, Kind::ALL, Bounds::Promised);
            for lane in [Lane::Servers, Lane::Holders, Lane::Workers] {
                let mut free_at = 0;
                for step in plan.lane(lane) {
                    prop_assert!(free_at <= step.at_ms && 0 < step.lasts_ms, "{}", step);
                    prop_assert!(step.end_ms() <= lasts_ms, "{} ends after {}", step, lasts_ms);
                    prop_assert!(step.kind.suits(topology, lane), "{}", step);
                    free_at = step.end_ms();
                }
            }
        }

        #[test]
        fn a_seed_is_replayed_identically(topology in topologies(), seed: u64, lasts_ms in 0_u64..300_000) {
            let plan = || Plan::new(topology, seed, lasts_ms, Kind::ALL, Bounds::Promised);
            prop_assert_eq!(plan(), plan());
        }

        #[test]
        fn no_client_is_silent_around_a_step_of_a_servers_clock(topology in topologies(), seed: u64) {
            let plan = Plan::new(topology, seed, 600_000, Kind::ALL, Bounds::Promised);
            let ttl_ms = topology.ttl_ms();
            for step in plan.steps.iter().filter(|step| step.kind == Kind::StepServerClock) {
                for other in plan.steps.iter().filter(|other| other.number != step.number) {
                    let apart = other.end_ms() + ttl_ms <= step.at_ms || step.end_ms() + ttl_ms <= other.at_ms;
                    prop_assert!(apart, "{} and {}", step, other);
                }
            }
        }

        #[test]
        fn nothing_is_forgotten_before_the_time_that_a_servers_clock_was_set_to(
            topology in topologies(), seed: u64,
        ) {
            let plan = Plan::new(topology, seed, 600_000, Kind::ALL, Bounds::Promised);
            for step in &plan.steps {
                let until_ms = step.end_ms() + step.ahead_ms().unwrap_or(0);
                let forgets = |other: &&Step| step.number < other.number && other.kind.forgets();
                for other in plan.steps.iter().filter(forgets) {
                    prop_assert!(step.ahead_ms().is_none() || until_ms <= other.at_ms, "{} and {}", step, other);
                }
            }
        }

        #[test]
        fn a_long_run_has_every_fault_of_its_topology(topology in topologies(), seed: u64) {
            let plan = Plan::new(topology, seed, 600_000, Kind::ALL, Bounds::Promised);
            let lanes = [Lane::Servers, Lane::Holders, Lane::Workers];
            let suits = |kind: &&Kind| lanes.iter().any(|lane| kind.suits(topology, *lane));
            let wanted: BTreeSet<&str> = Kind::ALL.iter().filter(suits).map(|kind| kind.name()).collect();
            let had: BTreeSet<&str> = plan.steps.iter().map(|step| step.kind.name()).collect();
            prop_assert_eq!(had, wanted);
        }
    }

    #[test]
    fn beyond_the_promises_clocks_step_while_clients_are_silent() {
        let plan = Plan::new(Topology::Standalone, 1, 600_000, Kind::ALL, Bounds::Beyond);
        let is_step = |step: &&Step| step.kind == Kind::StepServerClock;
        let meets = |step: &Step| {
            let mut others = plan.steps.iter().filter(|other| other.lane != step.lane);
            others.any(|other| other.at_ms < step.end_ms() && step.at_ms < other.end_ms())
        };
        assert!(plan.steps.iter().filter(is_step).any(meets));
    }

    #[test]
    fn only_the_faults_that_were_asked_for_are_planned() {
        let plan = Plan::new(
            Topology::Standalone,
            1,
            60_000,
            &[Kind::Flush],
            Bounds::Promised,
        );
        assert!(plan.steps.iter().all(|step| step.kind == Kind::Flush));
        assert!(!plan.steps.is_empty());
        assert!(
            Plan::new(Topology::Standalone, 1, 60_000, &[], Bounds::Promised)
                .steps
                .is_empty()
        );
    }
}
