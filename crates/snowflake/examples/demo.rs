//! The first minute with this project: three services lease machine IDs and mint; one is killed, another takes its
//! machine ID over, and no ID exists twice. Runs on the embedded store, or on your Redis with `--redis URL`.

#[path = "../../raus/examples/common/failure.rs"]
mod failure;

use std::{collections::HashSet, process::ExitCode, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use raus::{ConfigError, MachineId, Placement, Raus, StoreError};
use snowflake::{Generator, Id};
use tokio::runtime::Runtime;

/// Shows machine IDs being leased, used, lost and taken over.
#[derive(Parser)]
struct Options {
    /// Where to lease from: redis://… or memory://….
    #[arg(long, default_value = "memory://demo?ns=raus-demo")]
    redis: String,
}

/// So short that the demonstration need not wait long for the killed service's lease to end.
const TTL: Duration = Duration::from_millis(1_500);
const HEARTBEAT: Duration = Duration::from_millis(300);
const DISCOVERY: Duration = Duration::from_millis(1_100);

/// A service as it would run in a process of its own: its own runtime, connections and heartbeats.
struct Service {
    name: &'static str,
    runtime: Runtime,
    generator: Generator,
}

impl Service {
    fn start(name: &'static str, url: &str, patience: Duration) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let raus = Raus::builder(url, 0..=2)
            .ttl(TTL)
            .heartbeat(HEARTBEAT)
            .discovery(DISCOVERY)
            .label(name)
            .placement(Placement::Runtime(runtime.handle().clone()))
            .build()?;
        let machine_id = runtime
            .block_on(raus.acquire_within(patience))
            .with_context(|| format!("{name} finds no machine ID"))?;
        let generator = runtime.block_on(Generator::from_raus(machine_id))?;
        Ok(Self {
            name,
            runtime,
            generator,
        })
    }

    fn machine_id(&self) -> &MachineId {
        self.generator.machine_id().expect("it was leased above")
    }

    fn mint(&self, count: usize) -> Result<Vec<Id>> {
        let ids = (0..count).map(|_| self.generator.next_blocking());
        Ok(ids.collect::<Result<_, _>>()?)
    }

    fn introduce(&self) {
        println!(
            "  {:<9} holds machine ID {}   (fencing token {})",
            self.name,
            self.machine_id().id(),
            self.machine_id().fence()
        );
    }

    fn show(&self, id: Id) {
        let parts = self.generator.layout().decode(id);
        println!(
            "  {:<9} {id}  =  {} ms since 1970 + machine {} + sequence {}",
            self.name, parts.unix_ms, parts.machine_id, parts.sequence
        );
    }

    /// As `kill -9` does it: nothing is released, nothing is said.
    fn kill(self) {
        self.runtime.shutdown_background();
    }

    fn stop(self) -> Result<()> {
        Ok(self.runtime.block_on(self.generator.release())?)
    }
}

fn main() -> ExitCode {
    match run(&with_namespace(Options::parse().redis)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell("demo", error.as_ref()),
    }
}

fn run(url: &str) -> Result<()> {
    check_server(url)?;
    let mut seen = HashSet::new();
    let mut minted = 0;
    let mut check = |ids: &[Id]| -> Result<()> {
        minted += ids.len();
        for id in ids {
            ensure!(seen.insert(*id), "{id} was minted twice");
        }
        Ok(())
    };

    println!("Three services start at once; each leases a machine ID out of 0..=2:");
    let patience = Duration::from_secs(20);
    let services = std::thread::scope(|scope| {
        let starting = ["payments", "orders", "mail"]
            .map(|name| scope.spawn(move || Service::start(name, url, patience)));
        starting
            .into_iter()
            .map(|service| service.join().expect("no service panics"))
            .collect::<Result<Vec<_>>>()
    })?;
    services.iter().for_each(Service::introduce);

    println!("\nEach mints 10,000 IDs; the last one of each, taken apart:");
    for service in &services {
        let ids = service.mint(10_000)?;
        check(&ids)?;
        service.show(ids[ids.len() - 1]);
    }

    let mut services = services.into_iter();
    let victim = services.next().expect("three were started");
    let (lost, old_fence) = (victim.machine_id().id(), victim.machine_id().fence());
    println!(
        "\n{} is killed. Its machine ID {lost} stays reserved until its lease of {TTL:?} is over;",
        victim.name
    );
    victim.kill();
    let heir = Service::start("billing", url, patience)?;
    println!("then a fourth service gets it, with a higher fencing token:");
    heir.introduce();
    ensure!(heir.machine_id().id() == lost && old_fence < heir.machine_id().fence());
    let ids = heir.mint(10_000)?;
    check(&ids)?;
    heir.show(ids[0]);

    for service in services.chain([heir]) {
        service.stop()?;
    }
    println!("\n{minted} IDs, no two equal. Every machine ID was given back.");
    Ok(())
}

/// Asks the server about itself, so that one that is not there is told of before anything is shown.
fn check_server(url: &str) -> Result<()> {
    let raus = Raus::new(url, 0..=2)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(raus.describe())?;
    Ok(())
}

/// The demonstration keeps out of everybody else's namespace.
fn with_namespace(url: String) -> String {
    if url.contains("ns=") {
        return url;
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}ns=raus-demo")
}
