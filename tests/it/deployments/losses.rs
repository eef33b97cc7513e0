//! Failovers that lose what the old master had acknowledged.

use std::time::Duration;

use coord_tests::{
    mixed_fleet::{self, Fleet, Log, Plan},
    sentinels::Sentinels,
};

use super::{
    FLEET, PATIENCE,
    stage::{Stage, pass},
};

const NAME: &str = "ours";
/// Longer than a failover, so that what happens before it is over happens because nobody waits for it.
const TTL: Duration = Duration::from_secs(10);

fn plan(url: &str) -> Plan {
    Plan {
        ttl: TTL,
        ..Plan::new(url, NAME)
    }
}

fn four_of(plan: &Plan) -> Plan {
    Plan {
        processes: 1,
        holders: 4,
        workers: 1,
        ..plan.clone()
    }
}

/// How long `newcomers`, asked at `asked_us`, waited for their grants: the first and the last of them.
fn waited(newcomers: &Fleet, asked_us: u64) -> (Duration, Duration) {
    newcomers.wait_served(PATIENCE).unwrap();
    let log = newcomers.log().unwrap();
    let granted = log.lines.iter().filter(|line| line.what == "acquired");
    let granted: Vec<u64> = granted.map(|line| line.at_us).collect();
    let after = |at: Option<&u64>| Duration::from_micros(at.unwrap() - asked_us);
    let waited = (after(granted.first()), after(granted.last()));
    println!("newcomers waited from {:?} to {:?}", waited.0, waited.1);
    waited
}

fn end(stage: Stage, fleets: Vec<Fleet>) {
    let mut logs: Vec<Log> = fleets
        .into_iter()
        .map(|fleet| fleet.finish(PATIENCE).unwrap())
        .collect();
    logs.push(stage.end_after_losses());
    let (minted, _) = Log::merged(logs).assert_promises().unwrap();
    assert!(1_000 < minted, "only {minted} IDs");
}

#[test]
fn lost_grants_that_nobody_acknowledged_are_waited_for() {
    let group = Sentinels::builder().start().unwrap();
    let plan = Plan {
        // Four are free: the very slots whose grants are lost.
        highest: 23,
        ..plan(&group.url())
    };
    let stage = Stage::set(plan.clone());
    let mut forgotten = None;
    group
        .failover_without(|_| {
            let fleet = four_of(&plan).start(FLEET, "forgotten")?;
            fleet.wait_served(PATIENCE)?;
            // Time for buckets to be handed over to them.
            pass(Duration::from_secs(2));
            // Nor can they put back what was lost.
            fleet.stop()?;
            forgotten = Some(fleet);
            Ok(())
        })
        .unwrap();
    let forgotten = forgotten.unwrap();
    let asked_us = mixed_fleet::now_us();
    let newcomers = four_of(&plan).start(FLEET, "newcomer").unwrap();
    let (first, _) = waited(&newcomers, asked_us);
    assert!(TTL * 9 / 10 < first, "granted after {first:?}");
    forgotten.cont().unwrap();
    pass(Duration::from_secs(2));
    end(stage, vec![forgotten, newcomers]);
}
