//! Drives one large group, or many groups, on one server and prints what that costs the server, as the rows of a Markdown
//! table.
//!
//! Every instance of one group is a real one, with its own heartbeat and subscription; the process and its two connections
//! for scripts are shared. The instances of many groups are those of one process: one heartbeat keeps all of them. The
//! server should be one of its own: its statistics are reset and its slow log is used.
//!
//! ```console
//! $ cargo run --release -p redbuckets --example load -- --redis redis://localhost:6379 --buckets 1048576 --instances 1000
//! $ cargo run --release -p redbuckets --example load -- --redis redis://localhost:6379 --groups 5000 --instances 1 \
//!       --buckets 16 --fault "kill -STOP $PID; sleep 5; kill -CONT $PID"
//! ```

#[path = "../../raus/examples/common/failure.rs"]
mod failure;

use std::{
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use coord_core::{endpoint::Endpoint, store};
use redbuckets::{
    Clock, ConfigError, Event, Instance, Placement, Redbuckets, Store, StoreError, SystemClock,
};
use redis::{Connection, RedisResult};
use tokio::runtime::{Builder, Runtime};

type Error = Box<dyn std::error::Error>;

/// Drives one large group on one server and prints what that costs the server.
#[derive(Parser)]
struct Options {
    /// The server: redis://host:port.
    #[arg(long)]
    redis: String,
    /// How many groups.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    groups: u32,
    /// How many buckets a group has.
    #[arg(long, default_value_t = 1 << 20)]
    buckets: u32,
    /// How many instances a group has.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    instances: u32,
    /// How many runs of buckets one call grants or takes.
    #[arg(long, default_value_t = 64)]
    chunk: u32,
    /// For how long the idle group is measured, in s.
    #[arg(long, default_value_t = 10)]
    idle_s: u64,
    /// What is done to the server, by a shell, while instances idle; may be said several times.
    #[arg(long)]
    fault: Vec<String>,
    /// The lease of an instance, in ms.
    #[arg(long, default_value_t = 10_000)]
    ttl_ms: u64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell("load", &*error),
    }
}

struct Load<'a> {
    options: &'a Options,
    runtime: Runtime,
    server: Connection,
    clock: SystemClock,
    store: Arc<dyn Store>,
    instances: Vec<Instance>,
    /// How many buckets were lost that nobody gave away.
    lost: Arc<AtomicUsize>,
}

/// Asks the server about itself, so that one that is not there, and options that cannot be, are told of first.
fn check(options: &Options) -> Result<(), Error> {
    let group = Redbuckets::builder(&options.redis, "load")
        .buckets(options.buckets)
        .chunk(options.chunk)
        .ttl(Duration::from_millis(options.ttl_ms))
        .build()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(group.describe())?;
    Ok(())
}

fn run(options: &Options) -> Result<(), Error> {
    check(options)?;
    let server = redis::Client::open(options.redis.as_str())?.get_connection()?;
    let mut load = Load {
        options,
        runtime: Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?,
        server,
        clock: SystemClock,
        store: store::redis::open(&Endpoint::parse(&options.redis)?, None)?,
        instances: Vec::new(),
        lost: Arc::default(),
    };
    println!(
        "{} groups of {} buckets and {} instances, chunk {}, ttl {} ms, {}",
        options.groups,
        options.buckets,
        options.instances,
        options.chunk,
        options.ttl_ms,
        load.version()?
    );
    println!("| phase | took, ms | moved | scripts | µs per script | longest script, µs |");
    println!("| --- | --- | --- | --- | --- | --- |");
    load.phase("first start → every bucket owned", Load::start)?;
    load.phase("until balanced", Load::balance)?;
    load.phase("idle", |load| {
        std::thread::sleep(Duration::from_secs(load.options.idle_s));
        Ok(())
    })?;
    for fault in &options.fault {
        load.phase(fault, |load| load.endure(fault))?;
    }
    if options.groups == 1 {
        load.change()?;
    }
    println!("{} buckets were lost", load.lost.load(Ordering::Relaxed));
    Ok(())
}

impl Load<'_> {
    fn phase(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        redis::cmd("CONFIG")
            .arg("RESETSTAT")
            .exec(&mut self.server)?;
        redis::cmd("SLOWLOG").arg("RESET").exec(&mut self.server)?;
        redis::cmd("CONFIG")
            .arg(&["SET", "slowlog-log-slower-than", "200"])
            .exec(&mut self.server)?;
        redis::cmd("CONFIG")
            .arg(&["SET", "slowlog-max-len", "100000"])
            .exec(&mut self.server)?;
        let before: Vec<(u32, u64)> = self.grants();
        let began = self.clock.now();
        work(self)?;
        let took = self.clock.now().saturating_since(began);
        let after = self.grants();
        let moved = after
            .iter()
            .filter(|grant| before.binary_search(grant).is_err())
            .count();
        let (calls, each) = self.scripts()?;
        let longest = self.longest()?;
        println!(
            "| {name} | {} | {moved} | {calls} | {each:.1} | {longest} |",
            took.as_millis()
        );
        Ok(())
    }

    /// One comes, one goes, one crashes.
    fn change(&mut self) -> Result<(), Error> {
        self.phase("one joins → balanced", |load| {
            load.join(1)?;
            load.balance()
        })?;
        self.phase("one leaves → balanced", |load| {
            let instance = load.instances.pop().ok_or("no instance is left")?;
            load.runtime.block_on(instance.leave())?;
            load.balance()
        })?;
        let crash = self.prepare_crash()?;
        self.phase("one crashes → balanced", |load| {
            crash.shutdown_background();
            let still = |load: &Load<'_>| load.owned() < load.options.buckets as usize;
            load.wait_for(still)?;
            load.balance()
        })?;
        let bytes = self.table_bytes()?;
        #[expect(clippy::cast_precision_loss, reason = "bytes of a table fit 53 bits")]
        let each = bytes as f64 / f64::from(self.options.buckets);
        println!("table: {bytes} bytes, {each:.2} a bucket");
        Ok(())
    }

    /// Does something to the server, and waits until every instance was heard again.
    fn endure(&mut self, fault: &str) -> Result<(), Error> {
        let status = Command::new("sh").args(["-c", fault]).status()?;
        if !status.success() {
            return Err(format!("{fault:?}: {status}").into());
        }
        let over = self.clock.now();
        let is_heard = |instance: &Instance| {
            let heard = instance.last_registration();
            instance.is_member() && heard.is_some_and(|heard| over < heard)
        };
        self.wait_for(|load| !load.instances.iter().all(is_heard))?;
        let took = self.clock.now().saturating_since(over);
        println!(
            "{} ms after it all were heard; {} buckets lost so far",
            took.as_millis(),
            self.lost.load(Ordering::Relaxed)
        );
        self.reconnect()?;
        self.wait_for(|load| load.owned() < load.all_buckets())
    }

    /// The server may be another process now.
    fn reconnect(&mut self) -> Result<(), Error> {
        self.server = redis::Client::open(self.options.redis.as_str())?.get_connection()?;
        Ok(())
    }

    fn join(&mut self, count: u32) -> Result<(), Error> {
        let handle = self.runtime.handle().clone();
        let at_once = if self.options.groups == 1 {
            count as usize
        } else {
            Self::AT_ONCE
        };
        let turn = Arc::new(tokio::sync::Semaphore::new(at_once));
        let joins: Vec<_> = (0..self.options.groups * count)
            .map(|index| {
                let buckets = if self.options.groups == 1 {
                    self.builder(Placement::Runtime(handle.clone())).build()?
                } else {
                    let group = format!("load-{}", index % self.options.groups);
                    let builder = Redbuckets::builder(&self.options.redis, &group);
                    // Nobody else is in them, so nobody is listened for.
                    self.tuned(builder).discovery(Duration::ZERO).build()?
                };
                let turn = Arc::clone(&turn);
                Ok(handle.spawn(async move {
                    let _turn = turn.acquire().await;
                    buckets.join().await
                }))
            })
            .collect::<Result<_, Error>>()?;
        for join in joins {
            let instance = self.runtime.block_on(join)??;
            let (mut events, lost) = (instance.events(), Arc::clone(&self.lost));
            handle.spawn(async move {
                while let Some(event) = events.next().await {
                    let is_loss = matches!(event, Event::Lost { .. });
                    lost.fetch_add(usize::from(is_loss), Ordering::Relaxed);
                }
            });
            self.instances.push(instance);
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Error> {
        self.join(self.options.instances)?;
        self.wait_for(|load| load.owned() < load.all_buckets())
    }

    fn all_buckets(&self) -> usize {
        self.options.groups as usize * self.options.buckets as usize
    }

    fn balance(&mut self) -> Result<(), Error> {
        if self.options.groups != 1 {
            return self.wait_for(|load| load.owned() < load.all_buckets());
        }
        self.wait_for(|load| {
            let mut counts: Vec<usize> = load.instances.iter().map(|i| i.owned().len()).collect();
            counts.sort_unstable();
            let spread = counts.last().copied().unwrap_or(0) - counts.first().copied().unwrap_or(0);
            1 < spread || load.owned() < load.options.buckets as usize
        })
    }

    /// Puts one instance on a runtime of its own, which can be torn down under it.
    fn prepare_crash(&mut self) -> Result<Runtime, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let placement = Placement::Runtime(runtime.handle().clone());
        let buckets = self.builder(placement).build()?;
        self.instances.push(runtime.block_on(buckets.join())?);
        self.balance()?;
        // Its handle goes with the runtime: a dropped one would leave.
        let crashing = self.instances.pop().ok_or("it was just pushed")?;
        std::mem::forget(crashing);
        Ok(runtime)
    }

    fn builder(&self, placement: Placement) -> redbuckets::Builder {
        let builder = Redbuckets::with_store(Arc::clone(&self.store), "load");
        self.tuned(builder)
            .clock(Arc::new(self.clock))
            .placement(placement)
    }

    fn tuned(&self, builder: redbuckets::Builder) -> redbuckets::Builder {
        builder
            .buckets(self.options.buckets)
            .chunk(self.options.chunk)
            .ttl(Duration::from_millis(self.options.ttl_ms))
            .register_timeout(Duration::from_secs(60))
            .max_moves(4_096)
    }

    /// How many groups are joined at once.
    const AT_ONCE: usize = 64;

    fn wait_for(&mut self, unmet: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let give_up_at = self.clock.now() + Duration::from_secs(300);
        while unmet(self) {
            if give_up_at < self.clock.now() {
                return Err("not reached within 300 s".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn owned(&self) -> usize {
        self.instances.iter().map(|i| i.owned().len()).sum()
    }

    fn grants(&self) -> Vec<(u32, u64)> {
        let mut grants: Vec<(u32, u64)> = self
            .instances
            .iter()
            .flat_map(|instance| {
                let owned = instance.owned();
                owned
                    .ids()
                    .map(|id| (id, owned.epoch(id).unwrap_or(0)))
                    .collect::<Vec<_>>()
            })
            .collect();
        grants.sort_unstable();
        grants
    }

    fn scripts(&mut self) -> Result<(u64, f64), Error> {
        let stats: String = redis::cmd("INFO")
            .arg("commandstats")
            .query(&mut self.server)?;
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_evalsha:"))
            .unwrap_or("calls=0,usec=0");
        let field = |name: &str| {
            line.split(',')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                .and_then(|value| value.parse::<u32>().ok())
                .unwrap_or(0)
        };
        let (calls, usec) = (field("calls"), field("usec"));
        Ok((u64::from(calls), f64::from(usec) / f64::from(calls.max(1))))
    }

    fn longest(&mut self) -> Result<String, Error> {
        let entries: Vec<redis::Value> = redis::cmd("SLOWLOG")
            .arg("GET")
            .arg(100_000)
            .query(&mut self.server)?;
        let mut scripts: Vec<u64> = entries
            .iter()
            .filter_map(|entry| {
                let redis::Value::Array(fields) = entry else {
                    return None;
                };
                let command: Vec<Vec<u8>> = redis::from_redis_value_ref(fields.get(3)?).ok()?;
                let is_script = command.first()?.to_ascii_uppercase().starts_with(b"EVAL");
                let micros = redis::from_redis_value_ref(fields.get(2)?).ok()?;
                is_script.then_some(micros)
            })
            .collect();
        scripts.sort_unstable();
        let above = scripts.iter().filter(|&&micros| 1_000 < micros).count();
        Ok(match scripts.last() {
            None => "≤ 200".to_owned(),
            Some(longest) => format!("{longest} ({above} above 1,000)"),
        })
    }

    fn table_bytes(&mut self) -> RedisResult<u64> {
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg("red-buckets:{load}:table:*")
            .query(&mut self.server)?;
        let mut sum = 0;
        for key in keys {
            sum += redis::cmd("MEMORY")
                .arg("USAGE")
                .arg(key)
                .query::<u64>(&mut self.server)?;
        }
        Ok(sum)
    }

    fn version(&mut self) -> RedisResult<String> {
        let info: String = redis::cmd("INFO").arg("server").query(&mut self.server)?;
        let version = info
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"));
        Ok(format!("Redis {}", version.unwrap_or("?")))
    }
}
