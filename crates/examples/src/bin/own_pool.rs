//! A program that has a pool already: machine IDs are leased by way of the same pool that it caches with.
//!
//! `cargo run -p coord-examples --bin own_pool -- --redis redis://localhost:6379`

use clap::Parser;
use deadpool_redis::redis::AsyncCommands as _;
use raus::Raus;
use snowflake::Generator;

/// Mints three orders and caches them.
#[derive(Parser)]
struct Options {
    /// The server of the pool.
    #[arg(long, env = "REDIS_URL")]
    redis: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let manager = deadpool_redis::Manager::new(options.redis)?;
    let pool = deadpool_redis::Pool::builder(manager).max_size(4).build()?;

    // The pool is asked how to connect, and for nothing else: renewals never wait for one of its connections.
    let raus = Raus::with_connection(pool.clone(), "own-pool", 0..=1023).build()?;
    let ids = Generator::from_raus(raus.acquire().await?).await?;
    let mut connection = pool.get().await?;
    for item in ["tea", "milk", "sugar"] {
        let id = ids.next().await?;
        let () = connection.set_ex(format!("order:{id}"), item, 60).await?;
        println!("order:{id} {item}");
    }
    ids.release().await?;
    Ok(())
}
