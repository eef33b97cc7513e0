//! Traces: the names of spans and fields are what operators search for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use raus::{Placement, Raus};
use redbuckets::Redbuckets;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer, Registry, filter::LevelFilter, layer::Context, layer::SubscriberExt as _,
    registry::LookupSpan,
};

use super::started;
use crate::tidy;

type Fields = BTreeMap<&'static str, String>;

/// Keeps every span of our crates that was closed.
#[derive(Clone, Default)]
struct Catcher(Arc<Mutex<Vec<(&'static str, Fields)>>>);

struct Recorder<'a>(&'a mut Fields);

impl Visit for Recorder<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Catcher {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Recorder(&mut fields));
        let span = context.span(id).expect("it was just made");
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("it is open");
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(&mut Recorder(fields));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is being closed");
        let fields = span.extensions_mut().remove::<Fields>();
        let closed = (span.name(), fields.unwrap_or_default());
        self.0.lock().expect("no panic").push(closed);
    }
}

impl Catcher {
    /// The first closed span of this name with this outcome.
    #[track_caller]
    fn find(&self, name: &str, outcome: &str) -> Fields {
        let closed = self.0.lock().expect("no panic");
        let found = closed.iter().find(|(closed, fields)| {
            *closed == name && fields.get("outcome").is_some_and(|it| it == outcome)
        });
        let found = found.map(|(_, fields)| fields.clone());
        found.unwrap_or_else(|| panic!("no {name} with outcome {outcome}: {closed:?}"))
    }
}

/// The names and fields that docs/METRICS.md lists.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = tidy::read("docs/METRICS.md");
    let (_, rest) = text.split_once("\n## Traces\n").expect("the section");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let fields = cells[2].split(',').map(|it| it.trim().replace('`', ""));
        (cells[0].replace('`', ""), fields.collect())
    })
    .collect()
}

// One thread, so that one subscriber sees everything and nothing of other tests.
#[tokio::test(flavor = "current_thread")]
async fn every_documented_span_is_there_with_its_fields_and_no_secret() {
    // With one subscriber in the process, a span that another thread makes first is judged by that thread's, which has none,
    // and stays off. With two, all are asked.
    let _other = tracing::Dispatch::new(Registry::default());
    let catcher = Catcher::default();
    let layer = catcher.clone().with_filter(LevelFilter::DEBUG);
    let _guard = tracing::subscriber::set_default(Registry::default().with(layer));
    let server = started();
    server
        .cli(&[
            "ACL", "SETUSER", "tracer", "on", ">s3cr3t", "~*", "&*", "+@all",
        ])
        .expect("it answers");
    let url = server.url_for("tracer", "s3cr3t");
    let here = || Placement::Runtime(tokio::runtime::Handle::current());
    let raus = Raus::builder(&format!("{url}?ns=traced"), 0..=0)
        .discovery(Duration::ZERO)
        .heartbeat(Duration::from_millis(50))
        .reacquire(true)
        .placement(here())
        .build()
        .expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let first_fence = machine_id.fence().to_string();
    assert!(raus.acquire().await.is_err(), "it is taken");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut events = machine_id.events();
    let inspector = raus.inspector().expect("a heartbeat");
    let slot = inspector.read_slot(0).await.expect("it answers");
    let slot = slot.expect("it is held");
    inspector.revoke_at_once(&slot).await.expect("it answers");
    crate::raus::event(&mut events, |event| {
        matches!(event, raus::Event::Reacquired { .. })
    })
    .await;
    machine_id.release().await.expect("it answers");
    let buckets = Redbuckets::builder(&url, "traced")
        .buckets(4)
        .instance_id("tracing-1")
        .period(Duration::from_millis(50))
        .placement(here())
        .build()
        .expect("valid");
    let instance = buckets.join().await.expect("it joins");
    let mut events = instance.events();
    while let Some(event) = events.next().await {
        if matches!(event, redbuckets::Event::Granted { .. }) {
            break;
        }
    }
    // Alone, it has nobody to give its buckets to.
    let drained = tokio::time::timeout(Duration::from_secs(20), instance.drain()).await;
    drained.expect("in time").expect("nothing holds it up");
    instance.leave().await.expect("it answers");

    let acquired = catcher.find("raus.acquire", "granted");
    assert_eq!(
        (acquired["namespace"].as_str(), acquired["id"].as_str()),
        ("traced", "0")
    );
    assert_eq!(acquired["fence"], first_fence);
    catcher.find("raus.acquire", "range_exhausted");
    assert_eq!(
        catcher.find("raus.renew", "acknowledged")["fence"],
        first_fence
    );
    catcher.find("raus.renew", "lost");
    assert_eq!(catcher.find("raus.reacquire", "granted")["lost"], "0");
    catcher.find("raus.release", "confirmed");
    let joined = catcher.find("redbuckets.join", "joined");
    assert_eq!(
        (joined["group"].as_str(), joined["instance"].as_str()),
        ("traced", "tracing-1")
    );
    catcher.find("redbuckets.beat", "acknowledged");
    catcher.find("redbuckets.drain", "done");
    catcher.find("redbuckets.leave", "done");

    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, fields) in catcher.0.lock().expect("no panic").iter() {
        assert!(
            !fields.values().any(|value| value.contains("s3cr3t")),
            "{name}: {fields:?}"
        );
        if name.starts_with("raus.") || name.starts_with("redbuckets.") {
            let names = fields.keys().map(|&field| field.to_owned());
            seen.entry((*name).to_owned()).or_default().extend(names);
        }
    }
    assert_eq!(seen, documented());
}
