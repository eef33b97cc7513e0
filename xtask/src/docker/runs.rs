//! What the images have to do, done.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{APP, COORDCTL, bases::Bases, engine::Engine};
use crate::cargo::Call;

/// Runs the example on every deployment, and then what has to fail.
pub(super) fn check_all(engine: &Engine, bases: &Bases) -> Result<()> {
    for deployment in ["standalone", "cluster", "sentinel"] {
        up(engine, bases, deployment, "--through-faults", 0)?;
    }
    // A mistake in the configuration, which the example has to find.
    up(engine, bases, "standalone", "--two-namespaces", 1)?;
    probes(engine, bases)?;
    without_redis(engine, bases)
}

pub(super) fn report_size(engine: &Engine) -> Result<()> {
    let bytes = engine
        .docker("image inspect --format {{.Size}}")
        .arg(COORDCTL)
        .output()?;
    let bytes: f64 = bytes.trim().parse()?;
    println!("the image {COORDCTL} has {:.1} MB", bytes / 1e6);
    let user = engine
        .docker("image inspect --format {{.Config.User}}")
        .arg(COORDCTL)
        .output()?;
    ensure!(user.trim() == "65532:65532", "it runs as {user:?}");
    Ok(())
}

/// Prints how long it took.
pub(super) fn timed<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = now();
    let done = run();
    println!("{what}: {:.1} s", (now() - started).as_secs_f64());
    done
}

fn up(engine: &Engine, bases: &Bases, deployment: &str, option: &str, code: i32) -> Result<()> {
    let call = engine.compose(deployment, "up --exit-code-from app");
    let call = bases.on(call).env("E2E_OPTION", option);
    let ended = timed(&format!("{deployment} {option}"), || call.code());
    down(engine, bases, deployment)?;
    ensure!(ended? == Some(code), "`{call}` has to end with {code}");
    println!("{deployment} {option}: ended with {code}, as it has to");
    Ok(())
}

fn down(engine: &Engine, bases: &Bases, deployment: &str) -> Result<()> {
    let call = engine.compose(deployment, "down --volumes --remove-orphans");
    bases.on(call).run()
}

/// The tool as the Kubernetes manifests run it: without rights, without a file system to write to, asked by probes.
fn probes(engine: &Engine, bases: &Bases) -> Result<()> {
    let up = engine.compose("standalone", "up --detach redis");
    bases.on(up).run()?;
    let probed = probe(engine);
    // Where it was not started there is nothing to remove.
    let _ = engine.docker("rm --force raus-probed").output();
    down(engine, bases, "standalone")?;
    probed
}

fn probe(engine: &Engine) -> Result<()> {
    let run = engine.docker(
        "run --detach --name raus-probed --network standalone_default --env REDIS_URL=redis://redis:6379 --read-only \
         --tmpfs /run/coordctl --cap-drop ALL --security-opt no-new-privileges",
    );
    let run = run.arg(COORDCTL);
    words(
        run,
        "id exec --status-file /run/coordctl/lease -- /coordctl id watch --json",
    )
    .output()?;
    let ready = engine.docker("exec raus-probed /coordctl id status /run/coordctl/lease");
    let is_ready = (0..60).any(|_| {
        thread::sleep(Duration::from_millis(500));
        ready.code().is_ok_and(|code| code == Some(0))
    });
    ensure!(is_ready, "`{ready}` does not come to end with 0");
    println!("probes: `{ready}` ended with 0");
    let pause = engine.docker("exec raus-probed /coordctl id list --json");
    ensure!(
        pause.output()?.contains("\"held\":1"),
        "nobody holds a machine ID"
    );
    engine.docker("stop raus-probed").output()?;
    let list =
        engine.docker("run --rm --network standalone_default --env REDIS_URL=redis://redis:6379");
    let list = words(list.arg(COORDCTL), "id list --json").output()?;
    ensure!(list.contains("\"held\":0"), "it was not given back: {list}");
    println!("probes: the machine ID was given back when the container was stopped");
    Ok(())
}

/// The example where no server is.
fn without_redis(engine: &Engine, bases: &Bases) -> Result<()> {
    let call = bases.on(engine.compose("standalone", "run --rm -T --no-deps app"));
    let ended = timed("without Redis", || call.code());
    down(engine, bases, "standalone")?;
    let code = ended?;
    ensure!(
        code == Some(3),
        "without Redis {APP} ended with {code:?}, it has to with 3"
    );
    println!("without Redis: ended with 3, as it has to");
    Ok(())
}

fn words(call: Call, line: &str) -> Call {
    line.split_whitespace()
        .fold(call, |call, word| call.arg(word))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a report of how long steps took needs no lease's clock, and xtask stays small"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}
