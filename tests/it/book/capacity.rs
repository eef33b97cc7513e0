//! What the chapter on capacity says of machine IDs, measured: how many there are, and what holding them costs a server.

use std::{collections::BTreeSet, time::Duration};

use coord_core::clock::{Clock, SystemClock};
use coord_tests::{server::RedisServer, wait};
use raus::{AcquireError, MachineId, Raus};

const PROCESSES: usize = 1_024;

/// All of the default range: who comes next is refused at once, and the server is told of every holder once a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_range_is_held_and_renewed() {
    let server = RedisServer::start().expect("it starts");
    let raus = Raus::builder(&server.url(), 0..=1_023)
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let memory_before = memory(&server);
    let mut holders: Vec<MachineId> = Vec::new();
    for _ in 0..PROCESSES {
        holders.push(raus.acquire_within(LIMIT).await.expect("one is free"));
    }
    let ids: BTreeSet<u32> = holders.iter().map(MachineId::id).collect();
    assert_eq!(ids.len(), PROCESSES);
    let refused = wait::until_async(LIMIT, async || match raus.acquire().await {
        // A machine so busy that the server does not answer in time says nothing about the range.
        Err(AcquireError::Store(_)) => None,
        outcome => outcome.err(),
    })
    .await
    .expect("the range is full");
    assert!(
        matches!(refused, AcquireError::RangeExhausted { held: 1_024, .. }),
        "{refused}"
    );
    let grown = memory(&server) - memory_before;

    let (began, renewals_before, busy_before) =
        (SystemClock.now(), renewals(&server), busy_ms(&server));
    tokio::time::sleep(Duration::from_secs(10)).await;
    // Some heartbeats of each, whatever else the machine does.
    let all = (PROCESSES * 5) as u64;
    let count = wait::until_async(LIMIT, async || {
        Some(renewals(&server) - renewals_before).filter(|count| all <= *count)
    })
    .await
    .expect("they are renewed");
    let busy_ms = busy_ms(&server) - busy_before;
    println!(
        "1,024 machine IDs, heartbeat 1 s: {count} renewals in {:?}, {busy_ms} ms of the server's processor, {} µs each; \
         {grown} bytes, {} a holder",
        SystemClock.now().saturating_since(began),
        busy_ms * 1_000 / count,
        grown / PROCESSES as u64,
    );
    assert!(holders.iter().all(MachineId::is_held));
}

fn memory(server: &RedisServer) -> u64 {
    let info = server.info("memory").expect("it answers");
    info["used_memory"].parse().expect("a number")
}

fn renewals(server: &RedisServer) -> u64 {
    let stats = server.info("commandstats").expect("it answers");
    let fields = stats["cmdstat_evalsha"].split(',');
    let calls = fields.filter_map(|field| field.strip_prefix("calls="));
    calls
        .map(|calls| calls.parse::<u64>().expect("a number"))
        .sum()
}

/// The processor time of the server, which does not count what else the machine does.
fn busy_ms(server: &RedisServer) -> u64 {
    let info = server.info("cpu").expect("it answers");
    let seconds =
        ["used_cpu_user", "used_cpu_sys"].map(|name| info[name].parse::<f64>().expect("a number"));
    Duration::from_secs_f64(seconds.iter().sum()).as_millis() as u64
}

/// For everything that is waited for; nothing takes nearly as long.
const LIMIT: Duration = Duration::from_secs(120);
