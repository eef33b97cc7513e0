use std::time::Duration;

use coord_tests::{
    postgres::Postgres,
    program::{Program, Running},
    server::RedisServer,
    wait,
};
use tokio_postgres::{Client, NoTls};

use super::{PATIENCE, program, redis};

const JOBS: i64 = 600;
const TTL: Duration = Duration::from_secs(2);

fn workers(redis: &RedisServer, database: &Postgres) -> Program {
    program(env!("CARGO_BIN_EXE_postgres_workers"), redis)
        .env("DATABASE_URL", database.url())
        .args(["--ttl-ms", &TTL.as_millis().to_string()])
}

fn worker(redis: &RedisServer, database: &Postgres, name: &str) -> anyhow::Result<Running> {
    let run = workers(redis, database)
        .args(["work", "--name", name])
        .spawn()?;
    run.wait_for_line(PATIENCE, |line| line == "working")?;
    Ok(run)
}

async fn connect(database: &Postgres) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(&database.url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn number(client: &Client, query: &str) -> anyhow::Result<i64> {
    Ok(client.query_one(query, &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_is_done_once_whoever_is_killed_or_paused() -> anyhow::Result<()> {
    let (redis, database) = (redis(), Postgres::start()?);
    let count = JOBS.to_string();
    let mut producer = workers(&redis, &database)
        .args(["produce", "--count", &count])
        .spawn()?;
    let produced = producer.wait(PATIENCE)?;
    assert!(produced.success(), "{}", producer.stderr());

    let mut doomed = worker(&redis, &database, "doomed")?;
    let paused = worker(&redis, &database, "paused")?;
    let mut polite = worker(&redis, &database, "polite")?;
    let client = connect(&database).await?;
    let done = "SELECT count(*) FROM done";
    let some = wait::until_async(PATIENCE, async || {
        let all = number(&client, "SELECT count(DISTINCT worker) FROM done").await;
        all.is_ok_and(|workers| workers == 3).then_some(())
    });
    some.await.expect("all of them work");

    paused.process().stop()?;
    doomed.kill()?;
    let rest = wait::until_async(PATIENCE, async || {
        number(&client, done)
            .await
            .is_ok_and(|done| done == JOBS)
            .then_some(())
    });
    rest.await
        .expect("the others' buckets are taken over after a ttl");
    paused.process().cont()?;
    tokio::time::sleep(TTL).await;

    polite.process().terminate()?;
    assert!(polite.wait(PATIENCE)?.success(), "{}", polite.stderr());
    assert_eq!(number(&client, done).await?, JOBS);
    assert_eq!(
        number(&client, "SELECT count(DISTINCT job) FROM done").await?,
        JOBS
    );
    let fallen = "SELECT count(*) FROM (SELECT epoch < lag(epoch) OVER (PARTITION BY bucket ORDER BY place) AS fell
        FROM done) AS steps WHERE fell";
    assert_eq!(number(&client, fallen).await?, 0, "epochs only rise");
    Ok(())
}

/// What the statement is for: a worker that wakes up in the middle of a job finds its bucket taken over.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_up_late_writes_nothing() -> anyhow::Result<()> {
    let (redis, database) = (redis(), Postgres::start()?);
    let mut producer = workers(&redis, &database)
        .args(["produce", "--count", "64"])
        .spawn()?;
    assert!(producer.wait(PATIENCE)?.success(), "{}", producer.stderr());
    let run = workers(&redis, &database)
        .args(["work", "--job-ms", "3000"])
        .spawn()?;
    run.wait_for_line(PATIENCE, |line| line == "working")?;
    let client = connect(&database).await?;
    let owners = "SELECT count(*) FROM owners";
    let begun = wait::until_async(PATIENCE, async || {
        number(&client, owners)
            .await
            .is_ok_and(|owners| 0 < owners)
            .then_some(())
    });
    begun.await.expect("it begins");
    run.process().stop()?;
    // As another worker does when it takes the buckets over.
    client
        .execute("UPDATE owners SET epoch = epoch + 1", &[])
        .await?;
    let before = number(&client, "SELECT count(*) FROM done").await?;
    tokio::time::sleep(TTL * 2).await;
    run.process().cont()?;
    tokio::time::sleep(TTL).await;
    assert_eq!(
        number(
            &client,
            "SELECT count(*) FROM done WHERE epoch < (SELECT epoch FROM owners \
        WHERE owners.bucket = done.bucket)"
        )
        .await?,
        before
    );
    Ok(())
}
