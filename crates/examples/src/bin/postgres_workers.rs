//! A fleet of workers on PostgreSQL: each bucket of jobs has one worker at a time, and what a worker writes counts only
//! while nobody has taken the bucket after it.
//!
//! ```console
//! $ export REDIS_URL=redis://localhost:6379 DATABASE_URL=postgres://postgres@localhost/postgres
//! $ cargo run -p coord-examples --bin postgres_workers -- produce --count 1000
//! $ cargo run -p coord-examples --bin postgres_workers -- work &   # as many as you like
//! ```
//!
//! A lease alone cannot keep a worker that was paused from writing when it wakes up: between its last look at the clock
//! and the arrival of the write anything may have happened. So the database remembers the highest epoch of each bucket,
//! and refuses what comes under a lower one.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use deadpool_postgres::{Manager, Pool};
use raus::Raus;
use redbuckets::{Bucket, Redbuckets};
use snowflake::{Generator, Id};
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::NoTls;

/// Produces jobs, or works on them.
#[derive(Parser)]
struct Options {
    /// Where machine IDs are leased and buckets shared.
    #[arg(long, env = "REDIS_URL")]
    redis: String,
    /// Where the jobs are.
    #[arg(long, env = "DATABASE_URL")]
    database: String,
    /// How many buckets; the same for everybody.
    #[arg(long, default_value_t = 32)]
    buckets: u32,
    /// How long a worker that is not heard of keeps its buckets, in ms.
    #[arg(long, default_value_t = 10_000)]
    ttl_ms: u64,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Adds jobs.
    Produce {
        /// How many.
        #[arg(long, default_value_t = 1_000)]
        count: u32,
    },
    /// Works until SIGTERM or Ctrl-C.
    Work {
        /// What these jobs are recorded under.
        #[arg(long, default_value = "worker")]
        name: String,
        /// How long a job takes, in ms.
        #[arg(long, default_value_t = 5)]
        job_ms: u64,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let config = options.database.parse().context("--database")?;
    let database = Pool::builder(Manager::new(config, NoTls))
        .max_size(8)
        .build()?;
    database.get().await?.batch_execute(SCHEMA).await?;
    match &options.task {
        Task::Produce { count } => produce(&options, &database, *count).await,
        Task::Work { name, job_ms } => {
            let job = Duration::from_millis(*job_ms);
            work(&options, &database, name, job).await
        }
    }
}

/// Everybody makes the tables; the lock keeps two from making them at once.
const SCHEMA: &str = "
    BEGIN;
    SELECT pg_advisory_xact_lock(7);
    CREATE TABLE IF NOT EXISTS jobs (id BIGINT PRIMARY KEY, bucket INT NOT NULL);
    CREATE INDEX IF NOT EXISTS jobs_of_bucket ON jobs (bucket, id);
    CREATE TABLE IF NOT EXISTS owners (bucket INT PRIMARY KEY, epoch BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS done (job BIGINT NOT NULL, bucket INT NOT NULL, epoch BIGINT NOT NULL, worker TEXT NOT NULL,
        place BIGSERIAL);
    CREATE INDEX IF NOT EXISTS done_of_bucket ON done (bucket, job);
    COMMIT;";

/// Jobs get unique keys without asking the database; a hash spreads them over the buckets.
async fn produce(options: &Options, database: &Pool, count: u32) -> anyhow::Result<()> {
    let raus = Raus::new(&options.redis, 0..=1023)?;
    let ids = Generator::from_raus(raus.acquire().await?).await?;
    let client = database.get().await?;
    let insert = client.prepare_cached("INSERT INTO jobs (id, bucket) VALUES ($1, $2)");
    let insert = insert.await?;
    for _ in 0..count {
        let id = ids.next().await?;
        client
            .execute(&insert, &[&id, &bucket_of(id, options.buckets)?])
            .await?;
    }
    ids.release().await?;
    println!("produced {count}");
    Ok(())
}

fn bucket_of(id: Id, buckets: u32) -> anyhow::Result<i32> {
    // Fibonacci hashing: the low bits of an ID are its sequence, and mostly 0.
    let hash = id.as_u64().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    Ok(i32::try_from(hash % u64::from(buckets))?)
}

async fn work(options: &Options, database: &Pool, name: &str, job: Duration) -> anyhow::Result<()> {
    let ttl = Duration::from_millis(options.ttl_ms);
    let group = Redbuckets::builder(&options.redis, "postgres-workers")
        .buckets(options.buckets)
        .ttl(ttl)
        .period(ttl / 10)
        .build()?;
    let instance = group.join().await?;
    println!("working");
    let task = |bucket: Bucket| {
        let (database, name) = (database.clone(), name.to_owned());
        // An error is told as an event, and the task begins anew after a pause.
        async move { work_on(&bucket, &database, &name, job).await }
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        ended = instance.run_each(task) => ended?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    instance.leave().await?;
    println!("left");
    Ok(())
}

/// Aborted at an await when the bucket is to be given away: it does not ask to be told.
async fn work_on(
    bucket: &Bucket,
    database: &Pool,
    name: &str,
    job: Duration,
) -> anyhow::Result<()> {
    let number = i32::try_from(bucket.id())?;
    let epoch = i64::try_from(bucket.epoch())?;
    let client = database.get().await?;
    let raised = client.execute(RAISE, &[&number, &epoch]).await?;
    ensure!(raised == 1, "a later owner of bucket {number} was here");
    drop(client);
    loop {
        let client = database.get().await?;
        let Some(next) = client.query_opt(NEXT, &[&number]).await? else {
            drop(client);
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        drop(client);
        tokio::time::sleep(job).await; // the work
        let id: i64 = next.get(0);
        let client = database.get().await?;
        let written = client
            .execute(RECORD, &[&id, &number, &epoch, &name])
            .await?;
        ensure!(
            written == 1,
            "fenced: a later owner of bucket {number} has begun"
        );
    }
}

/// From here on nothing is written under a lower epoch.
const RAISE: &str = "
    INSERT INTO owners (bucket, epoch) VALUES ($1, $2)
    ON CONFLICT (bucket) DO UPDATE SET epoch = excluded.epoch WHERE owners.epoch <= excluded.epoch";

const NEXT: &str = "
    SELECT id FROM jobs WHERE bucket = $1
    AND id > coalesce((SELECT max(job) FROM done WHERE bucket = $1), 0) ORDER BY id LIMIT 1";

/// The row lock holds off a later owner until this is committed, and this waits for one that was first.
const RECORD: &str = "
    WITH fence AS (SELECT bucket, epoch FROM owners WHERE bucket = $2 AND epoch = $3 FOR SHARE)
    INSERT INTO done (job, bucket, epoch, worker) SELECT $1, bucket, epoch, $4 FROM fence";
