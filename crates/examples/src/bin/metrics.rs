//! A service that leases a machine ID, mints under it, owns buckets, and tells Prometheus at `/metrics` how that goes.
//!
//! `REDIS_URL=redis://localhost:6379 cargo run -p coord-examples --bin metrics`, then
//! `curl -X POST localhost:3001/orders` and `curl localhost:3001/metrics`. `LISTEN` names another address; without `REDIS_URL`
//! everything happens in this process.

use std::{env, time::Duration};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use raus::Raus;
use redbuckets::{Instance, Redbuckets};
use snowflake::Generator;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3001".to_owned());
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "memory://metrics".to_owned());
    let listener = TcpListener::bind(&listen).await?;
    let service = Service::start(&url, recorder()?).await?;
    println!("http://{}/metrics", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    axum::serve(listener, service.app())
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await?;
    service.stop().await
}

/// Before anything is leased, or what happens first is not counted.
fn recorder() -> anyhow::Result<PrometheusHandle> {
    // With these borders the histograms of all instances of a service can be added up.
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let recorder = PrometheusBuilder::new().set_buckets_for_metric(seconds, raus::BUCKETS)?;
    Ok(recorder.install_recorder()?)
}

#[derive(Clone)]
struct Service {
    ids: Generator,
    buckets: Instance,
    page: PrometheusHandle,
}

impl Service {
    async fn start(url: &str, page: PrometheusHandle) -> anyhow::Result<Self> {
        let mut raus = Raus::builder(url, 0..=1023).label("metrics-example");
        if url.starts_with("memory:") {
            // Nobody else uses such a store, so nobody is listened for.
            raus = raus.discovery(Duration::ZERO);
        }
        let ids = Generator::from_raus(raus.build()?.acquire().await?).await?;
        let buckets = Redbuckets::builder(url, "orders").buckets(64).build()?;
        let buckets = buckets.join().await?;
        Ok(Self { ids, buckets, page })
    }

    fn app(&self) -> Router {
        Router::new()
            .route("/orders", post(create_order))
            .route("/metrics", get(show_metrics))
            .with_state(self.clone())
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.buckets.leave().await?;
        Ok(self.ids.release().await?)
    }
}

async fn create_order(State(service): State<Service>) -> Result<String, (StatusCode, String)> {
    match service.ids.next().await {
        Ok(id) => Ok(format!("{id}\n")),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

async fn show_metrics(State(service): State<Service>) -> String {
    // Exact to the last ID; without it the page lags by up to a second.
    service.ids.publish_metrics();
    service.page.render()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    async fn ask(address: std::net::SocketAddr, request: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await?;
        anyhow::ensure!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        Ok(reply)
    }

    #[tokio::test]
    async fn the_page_shows_what_the_service_did() -> anyhow::Result<()> {
        let service = Service::start("memory://metrics-test", recorder()?).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = service.app();
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        for _ in 0..3 {
            ask(address, "POST /orders").await?;
        }
        let page = ask(address, "GET /metrics").await?;
        for line in [
            "snowflake_ids_minted_total 3",
            r#"raus_leases_held{namespace="raus"} 1"#,
            r#"redbuckets_instances{group="orders"} 1"#,
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line}: {page}");
        }
        server.abort();
        service.stop().await
    }
}
