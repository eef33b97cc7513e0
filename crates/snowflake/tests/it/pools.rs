//! What keeps the generators of a pool apart.

use std::{collections::HashSet, sync::Arc};

use snowflake::{BuildError, ClockMode, Generator, GrantError, Layout, MintError};

use crate::clock::{ManualClock, generator, ms};

const NOW: u64 = 1_800_000_000_000;

fn members<const N: usize>(clock: &ManualClock) -> [Generator; N] {
    std::array::from_fn(|_| {
        Generator::builder()
            .clock(ClockMode::Custom(Arc::new(clock.clone())))
            .reserved()
            .expect("sound")
    })
}

fn grant(member: &Generator, machine_id: u32, floor_ms: u64) -> Result<(), GrantError> {
    let door = member.reservation();
    door.grant(machine_id, floor_ms, floor_ms + 1_000, None)
}

fn lose(member: &Generator) {
    let reason = Arc::new(std::io::Error::other("lost"));
    member.reservation().revoke(reason, NOW);
}

#[test]
fn members_with_one_machine_id_are_refused() {
    let clock = ManualClock::at(NOW);
    let [first, second] = members(&clock);
    grant(&first, 3, NOW).expect("fits");
    second
        .reservation()
        .grant(3, NOW, NOW + 1_000, Some(ms(5)))
        .expect("not in a pool yet");
    for pair in [
        [first.clone(), second.clone()],
        [generator(&clock, 3), second.clone()],
    ] {
        let error = Generator::from_pool(pair).expect_err("equal");
        assert!(matches!(error, BuildError::PoolMachineId { machine_id: 3 }));
    }
    // What was refused binds nobody.
    grant(&second, 4, NOW).expect("fits");
    grant(&second, 3, NOW).expect("no pool");
}

#[test]
fn a_clone_in_a_pool_is_no_second_member() {
    let clock = ManualClock::at(NOW);
    let member = generator(&clock, 3);
    let pool = Generator::from_pool([member.clone(), member]).expect("one counter");
    let ids: HashSet<_> = std::iter::from_fn(|| pool.try_next().ok()).collect();
    assert_eq!(ids.len(), 4_096);
}

#[test]
fn a_later_grant_of_anothers_machine_id_mints_nothing_until_the_next() {
    let clock = ManualClock::at(NOW);
    let [first, second, outside] = members(&clock);
    grant(&first, 3, NOW).expect("fits");
    let pool = Generator::from_pool([first.clone(), second.clone()]).expect("one is vacant");
    let error = grant(&second, 3, NOW);
    assert_eq!(error, Err(GrantError::SharedMachineId { machine_id: 3 }));
    second.reservation().extend(NOW + 60_000);
    assert!(matches!(
        second.try_next(),
        Err(MintError::SharedMachineId { machine_id: 3 })
    ));
    let ids: HashSet<_> = std::iter::from_fn(|| pool.try_next().ok()).collect();
    assert_eq!(ids.len(), 4_096, "the first mints on");
    grant(&second, 4, NOW).expect("its own");
    assert!(second.try_next().is_ok());
    assert!(grant(&first, 4, NOW).is_err(), "the other way round");
    grant(&outside, 4, NOW).expect("another space of IDs");
    drop(pool);
    grant(&first, 4, NOW).expect("the pool is gone");
}

/// What a member minted before it lost its machine ID, or may mint by a call that is on its way, lies below its horizon.
#[test]
fn a_machine_id_changes_hands_above_all_that_was_minted_under_it() {
    let clock = ManualClock::at(NOW);
    let [first, second] = members(&clock);
    grant(&first, 3, NOW).expect("fits");
    let _pool = Generator::from_pool([first.clone(), second.clone()]).expect("one is vacant");
    first.reservation().extend(NOW + 2_000);
    lose(&first);
    assert!(grant(&second, 3, NOW + 1_999).is_err());
    grant(&second, 3, NOW + 2_000).expect("above");
    lose(&second);
    // Its own past is no hindrance; that of the other one is.
    grant(&second, 3, NOW + 2_000).expect("its own");
    let _ = second.reservation().close();
    assert!(grant(&first, 3, NOW + 2_999).is_err());
    grant(&first, 3, NOW + 3_000).expect("above");
}

#[test]
fn a_generator_can_be_in_two_pools() {
    let clock = ManualClock::at(NOW);
    let [shared, left, right] = members(&clock);
    let pools = [&left, &right]
        .map(|it| Generator::from_pool([shared.clone(), it.clone()]).expect("vacant"));
    grant(&left, 1, NOW).expect("fits");
    grant(&right, 1, NOW).expect("not in one pool");
    assert!(grant(&shared, 1, NOW).is_err());
    grant(&right, 2, NOW).expect("fits");
    assert!(grant(&shared, 1, NOW).is_err(), "the left one has it");
    grant(&shared, 3, NOW).expect("fits");
    for pool in pools {
        assert_eq!(pool.layout(), Layout::TWITTER);
        assert!(pool.try_next().is_ok());
    }
}

#[cfg(feature = "raus")]
#[tokio::test]
async fn leases_of_two_namespaces_are_told_apart() {
    let mut generators = Vec::new();
    for namespace in ["memory://pool-a", "memory://pool-b"] {
        let raus = raus::Raus::builder(namespace, 7..=7)
            .discovery(std::time::Duration::ZERO)
            .build()
            .expect("sound");
        let machine_id = raus.acquire().await.expect("free");
        generators.push(Generator::from_raus(machine_id).await.expect("fits"));
    }
    let error = Generator::from_pool(generators).expect_err("both have 7");
    assert!(matches!(error, BuildError::PoolMachineId { machine_id: 7 }));
}
