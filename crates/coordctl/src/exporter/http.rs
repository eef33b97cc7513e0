//! The few requests that there are.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

/// What was seen at the last look, as text for Prometheus.
pub(super) type Shown = Arc<Mutex<String>>;

/// The page is replaced as a whole, so a panic elsewhere leaves it valid.
pub(super) fn read(shown: &Shown) -> String {
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    shown.clone()
}

/// Answers requests for ever; `page` makes what `/metrics` shows.
pub(super) async fn serve(
    listener: TcpListener,
    page: impl Fn() -> String + Clone + Send + Sync + 'static,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Such as too many open files: not for ever, and no reason to spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let page = page.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = answer(&request, &page);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // Whoever is too slow, or goes away, asks again.
            let _ = tokio::time::timeout(PATIENCE, connection).await;
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, page: &impl Fn() -> String) -> Response<Full<Bytes>> {
    let text = |status, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(TEXT));
        response
    };
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => text(StatusCode::OK, page()),
        (&Method::GET | &Method::HEAD, "/healthz") => text(StatusCode::OK, "ok\n".to_owned()),
        (&Method::GET | &Method::HEAD, _) => text(
            StatusCode::NOT_FOUND,
            "there are /metrics and /healthz\n".to_owned(),
        ),
        _ => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
            response
                .headers_mut()
                .insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            response
        }
    }
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How many readers there are at once.
const CONNECTIONS: usize = 32;
/// How long one of them may take.
const PATIENCE: Duration = Duration::from_secs(10);
