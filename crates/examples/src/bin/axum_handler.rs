//! A web service that gives each order an ID: one generator, shared by all handlers.
//!
//! `cargo run -p coord-examples --bin axum_handler`, then `curl -X POST localhost:3000/orders`.

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde::Serialize;
use snowflake::{Generator, Id};

#[derive(Serialize)]
struct Order {
    /// As a string: JavaScript's numbers end at 53 bits.
    #[serde(with = "snowflake::string")]
    id: Id,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let app = app(Generator::with_machine_id(1)?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}

/// The generator is cheap to clone, and its clones share one counter: it is the state as it is.
fn app(ids: Generator) -> Router {
    Router::new()
        .route("/orders", post(create_order))
        .with_state(ids)
}

async fn create_order(
    State(ids): State<Generator>,
) -> Result<(StatusCode, Json<Order>), (StatusCode, String)> {
    // Waits only if thousands of IDs were minted within this very millisecond.
    match ids.next().await {
        Ok(id) => Ok((StatusCode::CREATED, Json(Order { id }))),
        // Such as a lease that is lost for now: clients may try again.
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn every_order_gets_an_id_of_its_own() -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let generator = Generator::builder().unguarded().machine_id(1)?;
        let server = tokio::spawn(async move { axum::serve(listener, app(generator)).await });
        let mut bodies = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await?;
            let request = "POST /orders HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await?;
            assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
            let (_, body) = reply.split_once("\r\n\r\n").expect("a body follows");
            bodies.push(body.to_owned());
        }
        server.abort();
        assert!(bodies[0] < bodies[1] && bodies[1] < bodies[2], "{bodies:?}");
        Ok(())
    }
}
