//! Failovers that lose what the old master had acknowledged.

use std::time::Duration;

use coord_tests::{
    mixed_fleet::{self, Fleet, Log, Plan},
    proxy::{Direction, Proxy},
    sentinels::Sentinels,
    server::RedisServer,
    wait,
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
        is_acknowledged: false,
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

#[test]
fn grants_that_replicas_acknowledge_are_not_lost_and_nobody_waits() {
    let group = Sentinels::builder().start().unwrap();
    let plan = plan(&group.url());
    let stage = Stage::set(plan.clone());
    let mut early = None;
    group
        .failover_without(|_| {
            let fleet = four_of(&plan).start(FLEET, "early")?;
            pass(Duration::from_secs(2));
            let granted = fleet.log()?.granted();
            assert!(
                granted.is_empty(),
                "granted without a replica's word: {granted:?}"
            );
            early = Some(fleet);
            Ok(())
        })
        .unwrap();
    group.master().unwrap().wait_replicas(1, PATIENCE).unwrap();
    let asked_us = mixed_fleet::now_us();
    let newcomers = four_of(&plan).start(FLEET, "newcomer").unwrap();
    let (_, last) = waited(&newcomers, asked_us);
    assert!(last < TTL / 2, "granted after {last:?}");
    end(stage, vec![early.unwrap(), newcomers]);
}

#[test]
fn a_grant_that_never_reached_the_replica_did_not_take_effect() {
    let master = RedisServer::start().unwrap();
    let link = Proxy::in_front_of(&master).unwrap();
    let replica = || {
        let replica = RedisServer::builder().replica_through(&master, &link);
        let replica = replica.start().unwrap();
        replica.wait_caught_up(&master, PATIENCE).unwrap();
        replica
    };
    let (next, other) = (replica(), replica());
    let address = Proxy::in_front_of(&master).unwrap();
    let plan = plan(&address.url());
    // A replica vouches for what is younger than itself, as far as its uptime in whole seconds tells. When that was is
    // noted with the first grant, and not again within the next seconds.
    pass(Duration::from_secs(2));
    let stage = Stage::set(plan.clone());
    next.wait_caught_up(&master, PATIENCE).unwrap();
    link.hold(Direction::ToClient).unwrap();
    let newcomers = four_of(&plan).start(FLEET, "newcomer").unwrap();
    pass(Duration::from_secs(3));
    let granted = newcomers.log().unwrap().granted();
    assert!(
        granted.is_empty(),
        "granted without a replica's word: {granted:?}"
    );
    // From here on nobody reaches the old master, which would tell newcomers to wait for one ttl: it has no replica.
    address.cut().unwrap();
    next.promote().unwrap();
    let port = next.port().to_string();
    other.cli(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
    next.wait_replicas(1, PATIENCE).unwrap();
    let asked_us = mixed_fleet::now_us();
    address.redirect(&next).unwrap();
    address.resume().unwrap();
    let (_, last) = waited(&newcomers, asked_us);
    assert!(last < TTL / 2, "granted after {last:?}");
    end(stage, vec![newcomers]);
}

/// Found by `cargo xtask chaos --topology sentinel --seed 15`: of two replicas one was promoted, the other went on
/// acknowledging what the old master granted, and the new one granted the same slots again. Two minted the same IDs.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_replica_acknowledges_after_one_was_promoted_is_not_granted() {
    const TTL: Duration = Duration::from_secs(3);
    let master = RedisServer::start().unwrap();
    let replica = || {
        let replica = RedisServer::builder().replica_of(&master).start().unwrap();
        replica.wait_caught_up(&master, PATIENCE).unwrap();
        replica
    };
    let (next, other) = (replica(), replica());
    let raus = ::raus::Raus::builder(&format!("{}?ns={NAME}", master.url()), 0..=9)
        .ttl(TTL)
        .heartbeat(TTL / 10)
        .discovery(Duration::ZERO)
        .build()
        .unwrap();
    let machine_id = raus.acquire_within(PATIENCE).await.unwrap();
    next.promote().unwrap();
    let gone = || (!master.info("replication").ok()?.contains_key("slave1")).then_some(());
    wait::until(PATIENCE, gone).unwrap();
    other.wait_caught_up(&master, PATIENCE).unwrap();
    let asked = mixed_fleet::now_us();
    let second = raus.acquire_within(PATIENCE).await.unwrap();
    let waited = Duration::from_micros(mixed_fleet::now_us() - asked);
    assert!(TTL * 9 / 10 < waited, "granted after {waited:?}");
    assert!(machine_id.is_held() && second.id() != machine_id.id());
}
