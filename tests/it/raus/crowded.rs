//! A full range with as many who wait as there are holders: the server hardly notices, and nobody loses anything.

use std::{fmt, time::Duration};

use ::raus::{AcquireError, Event, Events, MachineId, Raus};
use coord_tests::server::RedisServer;
use futures_util::future::join_all;

use super::{acquire_all, client, server};

const SLOTS: usize = 1_024;
/// That wait, each for 128 slots.
const PROCESSES: usize = 8;
const TTL: Duration = Duration::from_secs(10);
const LASTS: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_who_wait_cost_a_thousand_holders_nothing() {
    let server = server();
    let held = acquire_all(&of_a_process(&server), SLOTS).await;
    let mut events: Vec<Events> = held.iter().map(MachineId::events).collect();
    let alone = usage(&server).await;
    let waiting: Vec<Raus> = (0..PROCESSES).map(|_| of_a_process(&server)).collect();
    let waits = (0..SLOTS).map(|at| waiting[at % PROCESSES].acquire_within(LASTS + TTL));
    let watch = async {
        // All ask at once at first.
        tokio::time::sleep(TTL / 2).await;
        usage(&server).await
    };
    let (crowded, outcomes) = tokio::join!(watch, join_all(waits));
    println!("nobody waits: {alone}\n1,024 wait:   {crowded}");

    for outcome in outcomes {
        let error = outcome.expect_err("the range is full");
        let is_full = matches!(error, AcquireError::RangeExhausted { held: 1_024, .. });
        assert!(is_full, "{error:?}");
    }
    assert!(held.iter().all(MachineId::is_held));
    drop(held);
    for events in &mut events {
        while let Some(event) = events.next().await {
            assert!(matches!(event, Event::Released { .. }), "{event:?}");
        }
    }
    // Each asks once for each end of a lease that it may hope for, which is about once a ttl.
    let most = 3 * SLOTS as u64 * LASTS.as_secs() / TTL.as_secs();
    assert!(crowded.scripts <= alone.scripts + most, "{crowded}");
    // Each process has one for commands and one for all its news, and had one that looked at the server.
    let most = 3 * (1 + PROCESSES as u64) + 1;
    assert!(crowded.connections <= most, "{crowded}");
}

fn of_a_process(server: &RedisServer) -> Raus {
    let raus = client(server, 0..=1_023).ttl(TTL);
    raus.build().expect("valid")
}

/// What a server did in [`LASTS`].
struct Usage {
    /// In seconds.
    processor: f64,
    scripts: u64,
    connections: u64,
}

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            scripts,
            connections,
        } = self;
        let share = processor / LASTS.as_secs_f64() * 100.0;
        write!(
            formatter,
            "{share:.2} % of a processor, {scripts} scripts in {LASTS:?}, {connections} connections"
        )
    }
}

async fn usage(server: &RedisServer) -> Usage {
    let scripts = || {
        let calls = server.commandstats().expect("answers");
        calls.get("evalsha").copied().unwrap_or(0)
    };
    let processor =
        || info::<f64>(server, "cpu", "used_cpu_user") + info::<f64>(server, "cpu", "used_cpu_sys");
    let before = (processor(), scripts());
    tokio::time::sleep(LASTS).await;
    Usage {
        processor: processor() - before.0,
        scripts: scripts() - before.1,
        connections: info(server, "clients", "connected_clients"),
    }
}

fn info<T: std::str::FromStr<Err: fmt::Debug>>(
    server: &RedisServer,
    section: &str,
    field: &str,
) -> T {
    server.info(section).expect("answers")[field]
        .parse()
        .expect("a number")
}
