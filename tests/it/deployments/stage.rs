//! What the rows have in common: a fleet that is watched through a fault, and the verdict.

use std::{collections::BTreeMap, thread, time::Duration};

use coord_tests::{
    cluster::Cluster,
    mixed_fleet::{self, Fleet, Log, Plan},
    server::RedisServer,
    wait,
};

use super::{FLEET, PATIENCE};

/// How soon everybody has to be well again on a busy machine; what was measured on a quiet one stands in
/// `docs/FAILURES.md`.
const HEALED_WITHIN: Duration = Duration::from_secs(5);

/// Twenty holders and eight workers.
pub(super) struct Stage {
    pub(super) plan: Plan,
    fleet: Fleet,
    began_us: u64,
}

impl Stage {
    /// Starts `plan` and waits until everybody has what it wants.
    pub(super) fn set(plan: Plan) -> Self {
        let name = plan.group.clone();
        let fleet = plan.start(FLEET, &name).unwrap();
        fleet.wait_steady(PATIENCE).unwrap();
        Self {
            plan,
            fleet,
            began_us: mixed_fleet::now_us(),
        }
    }

    /// Everybody renews after `writable_us`, and soon. Says how long it took the last one.
    #[track_caller]
    fn assert_healed(&self, writable_us: u64) -> Duration {
        let renewed = self.fleet.wait_renewed(writable_us, PATIENCE).unwrap();
        let latest = renewed.values().max().copied().unwrap();
        let took = Duration::from_micros(latest - writable_us);
        let mut all: Vec<u64> = renewed
            .values()
            .map(|at| (at - writable_us) / 1_000)
            .collect();
        all.sort_unstable();
        println!("{}: healed after ms: {all:?}", self.plan.group);
        assert!(took < HEALED_WITHIN, "the last one renewed after {took:?}");
        took
    }

    /// Fails over by `order` while looking for the first of `replicas` that takes writes; everybody is well again soon
    /// after.
    pub(super) fn assert_heals(&self, replicas: &[&RedisServer], order: impl FnOnce() + Send) {
        let writable_us = thread::scope(|scope| {
            scope.spawn(order);
            writable_us(replicas, &self.plan.group)
        });
        self.assert_healed(writable_us);
    }

    /// Ends everybody and checks the promises, and that nobody lost anything.
    #[track_caller]
    pub(super) fn end(self) -> Verdict {
        let began_us = self.began_us;
        let log = self.end_after_losses();
        let lost: Vec<_> = log
            .lines
            .iter()
            .filter(|line| line.what == "lost" && began_us <= line.at_us)
            .collect();
        assert!(lost.is_empty(), "{} losses: {:?}", lost.len(), lost[0]);
        Verdict {
            events: log.events(began_us),
        }
    }

    /// Ends everybody and checks the promises.
    #[track_caller]
    pub(super) fn end_after_losses(self) -> Log {
        let name = &self.plan.group;
        let log = self.fleet.finish(PATIENCE).unwrap();
        let (minted, visits) = log.assert_promises().unwrap();
        println!(
            "{name}: {minted} IDs, {visits} visits, minted nothing for {:?} at most; events: {:?}",
            log.longest_silence(self.began_us),
            log.events(self.began_us)
        );
        log
    }
}

/// What was seen on a stage.
pub(super) struct Verdict {
    events: BTreeMap<String, usize>,
}

impl Verdict {
    /// Nobody noticed anything.
    #[track_caller]
    pub(super) fn assert_undisturbed(&self) {
        let disturbed = [
            "RenewalFailed",
            "BeatFailed",
            "AtRisk",
            "Lost",
            "Reasserted",
        ];
        let seen = self
            .events
            .keys()
            .any(|event| disturbed.contains(&event.as_str()));
        assert!(!seen, "{:?}", self.events);
    }
}

/// Waits until one of `servers` takes writes to the hash slot of `name`, and says when it did (boot time, µs).
pub(super) fn writable_us(servers: &[&RedisServer], name: &str) -> u64 {
    let key = format!("{{{name}}}:probe");
    let write = |server: &&RedisServer| server.cli(&["SET", &key, "1", "PX", "100"]).is_ok();
    let writable = wait::until(PATIENCE, || servers.iter().any(write).then_some(()));
    writable.unwrap();
    mixed_fleet::now_us()
}

/// Lets the processes under test run; nothing is asserted about how long it takes.
pub(super) fn pass(time: Duration) {
    let _ = wait::until(time, || None::<()>);
}

/// Two names whose hash slots lie on different masters.
pub(super) fn names_on_two_masters(cluster: &Cluster) -> [String; 2] {
    let port = |name: &str| {
        let master = cluster.master_of(Cluster::slot_of(name)).unwrap();
        master.port()
    };
    let first = "ours".to_owned();
    let mut others = (0..).map(|number| format!("other{number}"));
    let other = others.find(|other| port(other) != port(&first)).unwrap();
    [first, other]
}
