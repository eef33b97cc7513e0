//! A web service whose processes lease their machine IDs: start as many as you like, each order gets an ID of its own.
//!
//! ```console
//! $ cargo run -p coord-examples --bin axum_service -- --redis redis://localhost:6379
//! $ curl -X POST localhost:3000/orders
//! ```
//!
//! A load balancer asks `/readyz`: 200 while IDs can be minted, 503 while the lease is lost. On SIGTERM or Ctrl-C it answers what
//! it has begun, then gives the machine ID back, so that the next process need not wait for the ttl.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use clap::Parser;
use raus::Raus;
use serde::Serialize;
use snowflake::{Generator, Id};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// Gives each order an ID.
#[derive(Parser)]
struct Options {
    /// Where machine IDs are leased.
    #[arg(long, env = "REDIS_URL", default_value = "memory://")]
    redis: String,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

#[derive(Serialize)]
struct Order {
    /// As a string: JavaScript's numbers end at 53 bits.
    #[serde(with = "snowflake::string")]
    id: Id,
    machine_id: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let raus = Raus::builder(&options.redis, 0..=1023)
        .label("axum_service")
        .build()?;
    // A full range, or a Redis that is still starting, may pass.
    let machine_id = raus.acquire_within(Duration::from_secs(30)).await?;
    println!("machine {}", machine_id.id());
    let ids = Generator::from_raus(machine_id).await?;

    let app = Router::new()
        .route("/orders", post(create_order))
        .route("/readyz", get(readyz))
        .with_state(ids.clone());
    let listener = TcpListener::bind(options.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await?;
    ids.release().await?;
    println!("released");
    Ok(())
}

async fn create_order(
    State(ids): State<Generator>,
) -> Result<(StatusCode, Json<Order>), (StatusCode, String)> {
    // Half a second may pass until a lease that was lost is had again; clients may try again after that.
    match ids.next_within(Duration::from_millis(500)).await {
        Ok(id) => {
            let machine_id = id.machine_id(&ids.layout());
            Ok((StatusCode::CREATED, Json(Order { id, machine_id })))
        }
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

/// Who can mint is ready. An ID more or less is nothing: there are 4,096 in a millisecond.
async fn readyz(State(ids): State<Generator>) -> StatusCode {
    match ids.next_within(Duration::from_millis(100)).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
