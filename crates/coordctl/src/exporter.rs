//! Looks at a namespace and at groups again and again, and serves what was seen to Prometheus.
//!
//! How often the server is asked depends on `--interval` alone, not on who reads the page.

mod http;
mod look;
mod page;
mod series;

use std::{
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use self::{http::Shown, look::Observer};
use crate::{
    cli::{ExporterOptions, Global},
    failure::{self, Failure},
    output,
};

pub(crate) async fn run(global: &Global, options: &ExporterOptions) -> Result<ExitCode, Failure> {
    let mut observer = Observer::new(global, options)?;
    let counted = recorder()?
        .install_recorder()
        .map_err(|error| Failure::Failed(failure::causes(&error)))?;
    series::begin();
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        let listen = options.listen;
        Failure::Failed(format!(
            "cannot listen on {listen}: {error}; choose another address with --listen"
        ))
    })?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shown: Shown = Arc::new(Mutex::new(String::new()));
    // Whoever reads the page first is not to find it empty.
    look(&mut observer, &shown).await;
    say_where(global, &listener)?;
    let looking = async {
        loop {
            tokio::time::sleep(options.interval).await;
            look(&mut observer, &shown).await;
            counted.run_upkeep();
        }
    };
    let page = {
        let (shown, counted) = (Arc::clone(&shown), counted.clone());
        move || format!("{}{}", http::read(&shown), counted.render())
    };
    tokio::select! {
        () = looking => {}
        () = http::serve(listener, page) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn look(observer: &mut Observer, shown: &Shown) {
    let page = observer.look().await;
    *shown
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = page;
}

fn say_where(global: &Global, listener: &TcpListener) -> Result<(), Failure> {
    let url = format!("http://{}/metrics", listener.local_addr()?);
    if global.json {
        output::json(&json!({ "listening": url }))
    } else {
        output::line(&format!("listening on {url}"))
    }
}

/// A recorder whose histograms can be added up.
fn recorder() -> Result<PrometheusBuilder, Failure> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, raus::BUCKETS)
        .map_err(|error: BuildError| Failure::Failed(failure::causes(&error)))
}

/// In seconds, as Prometheus wants everything.
const fn seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}
