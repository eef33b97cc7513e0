//! What it costs to follow all that a server sends: the same requests by connections of our own, where that is done, and by
//! those of a client that was brought, where it is not, in turn.
//!
//! `cargo run --release --package coord-tests --bin intake`

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use coord_core::{
    clock::{Clock, SystemClock},
    endpoint::Endpoint,
    store::{
        Command, Script, Store,
        redis::{self, Connection},
    },
};
use coord_tests::server::RedisServer;

/// As many arguments and answers as a renewal has.
static BEAT: Script = Script::new(
    "beat",
    &[
        "redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)",
        "return {'renewed', ARGV[2], ARGV[3], 60000, 7, 'until'}",
    ],
);

/// As large as a thousand slots that are inspected.
static INSPECT: Script = Script::new(
    "inspect",
    &[
        "local slots = {}",
        "for i = 1, 1024 do slots[i] = {i, '1', KEYS[1], 60000, ARGV[2], ARGV[3], '0', 60000, ARGV[1]} end",
        "return {'slots', slots}",
    ],
);

const ROUNDS: usize = 400;

fn command(script: &'static Script, number: usize) -> Command {
    let args = [
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "1763900000000123",
        "1763900060000",
        "a label of some length",
        "60000",
        "1",
        "0",
        "10000",
    ];
    Command::Eval {
        script,
        keys: vec![format!("ns:id:{number}")],
        args: args.map(str::to_owned).to_vec(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let server = RedisServer::start()?;
    let followed = redis::open(&Endpoint::parse(&server.url())?, None)?;
    let client = ::redis::Client::open(server.url())?;
    let unfollowed = Connection::from(client).open()?;
    println!("| requests | followed, us | not followed, us | ratio | median ratio |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for (what, script, count) in [
        ("1 heartbeat", &BEAT, 1),
        ("100 heartbeats", &BEAT, 100),
        ("1,000 heartbeats", &BEAT, 1_000),
        ("1,024 slots inspected", &INSPECT, 1),
    ] {
        let commands: Vec<Command> = (0..count).map(|number| command(script, number)).collect();
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            // Whoever comes second has it a little easier.
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for which in order {
                let store = [&followed, &unfollowed][which];
                times[which].push(once(store, &commands).await?);
            }
        }
        times.iter_mut().for_each(|times| times.sort());
        let us = |which: usize, index: usize| times[which][index].as_secs_f64() * 1e6;
        let ratio = |index| us(0, index) / us(1, index);
        println!(
            "| {what} | {:.1} | {:.1} | {:.3} | {:.3} |",
            us(0, 0),
            us(1, 0),
            ratio(0),
            ratio(ROUNDS / 2)
        );
    }
    Ok(())
}

async fn once(store: &Arc<dyn Store>, commands: &[Command]) -> Result<Duration> {
    let begin = SystemClock.now();
    let outcomes = store.pipeline(commands, Duration::from_secs(10)).await;
    let took = SystemClock.now().saturating_since(begin);
    let failure = outcomes.into_iter().find_map(Result::err);
    failure.map_or(Ok(took), Err).context("answered")
}
