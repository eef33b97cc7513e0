//! One client of a server that sends too much, with what becomes of it and the most memory that it took: one JSON line.
//! `tests/it/hostile/floods.rs` starts it and judges.

use std::{error::Error, fs, time::Duration};

use anyhow::{Context, Result, bail};
use coord_core::{
    endpoint::Endpoint,
    store::{Command, Store, StoreError, redis},
    tls::Tls,
};
use serde_json::json;

/// Far longer than anything here takes: what ends an operation is the limit, not this.
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, roots, what, ms] = arguments.as_slice() else {
        bail!(
            "four arguments: a URL, a file of root certificates or -, what to do, and for how many milliseconds"
        );
    };
    let endpoint = Endpoint::parse(url)?;
    let tls = match roots.as_str() {
        "-" => None,
        path => Some(Tls::new().root_certificates(fs::read(path)?)),
    };
    let store = redis::open(&endpoint, tls.as_ref())?;
    let patience = Duration::from_millis(ms.parse()?);
    let (outcome, messages) = match what.as_str() {
        "ask" => (ask(&*store, 1, WITHIN).await, 0),
        "ask-many" => (ask(&*store, 200, WITHIN).await, 0),
        "ask-briefly" => (ask(&*store, 1, patience).await, 0),
        "confirm" => (confirm(&*store).await, 0),
        "describe" => (store.describe("k", WITHIN).await.map(drop), 0),
        "listen" => listen(&*store, patience).await,
        // A connection that is open and that nobody uses.
        "idle" => {
            let outcome = ask(&*store, 1, WITHIN).await;
            tokio::time::sleep(patience).await;
            (outcome, 0)
        }
        other => bail!("cannot {other}"),
    };
    let line = json!({
        "event": "end",
        "outcome": outcome.err().map_or_else(|| "ok".to_owned(), |error| causes(&error)),
        "messages": messages,
        "peak_rss": peak_rss()?,
    });
    println!("{line}");
    Ok(())
}

async fn ask(store: &dyn Store, count: usize, within: Duration) -> Result<(), StoreError> {
    let outcomes = store.pipeline(&vec![publish(); count], within).await;
    let failure = outcomes.into_iter().find_map(Result::err);
    failure.map_or(Ok(()), Err)
}

async fn confirm(store: &dyn Store) -> Result<(), StoreError> {
    let (replies, _) = store.confirm(&[publish()], 1, WITHIN).await?;
    let failure = replies.into_iter().find_map(Result::err);
    failure.map_or(Ok(()), Err)
}

/// Reads for as long as there is patience: how that ended, and how many messages came.
async fn listen(store: &dyn Store, patience: Duration) -> (Result<(), StoreError>, u64) {
    let mut subscription = match store.subscribe("c", WITHIN).await {
        Ok(subscription) => subscription,
        Err(error) => return (Err(error), 0),
    };
    let mut messages = 0;
    let reading = async {
        while subscription.next().await.is_some() {
            messages += 1;
        }
    };
    let ended = tokio::time::timeout(patience, reading).await;
    let ended = ended.map(|()| StoreError::Unexpected {
        operation: "listen",
        reply: "the end of the subscription".to_owned(),
    });
    (ended.map_or(Ok(()), Err), messages)
}

fn publish() -> Command {
    Command::Publish {
        channel: "c".to_owned(),
        payload: "p".to_owned(),
    }
}

fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The most memory that this process has held so far, in bytes.
fn peak_rss() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmHWM")?.parse::<u64>()? * 1_024)
}
