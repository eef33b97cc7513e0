//! Catches the events that say an advice.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, OnceLock},
};

use coord_core::advice::TARGET;
use coord_tests::server::RedisServer;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, Registry, filter::Targets, layer::Context, layer::SubscriberExt as _,
};

/// One event.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) level: Level,
    fields: BTreeMap<&'static str, String>,
}

impl Said {
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

static SAID: Mutex<Vec<Said>> = Mutex::new(Vec::new());

/// Catches from now on. The heartbeats run on threads of their own, so the whole test program has one subscriber; servers
/// are told apart by their ports.
pub(super) fn catch() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let layer = Catcher.with_filter(Targets::new().with_target(TARGET, Level::INFO));
        tracing::subscriber::set_global_default(Registry::default().with(layer))
            .expect("nobody else sets one");
    });
}

/// What was said of `server` so far, of this kind.
pub(super) fn said(server: &RedisServer, kind: &str) -> Vec<Said> {
    let address = server.addr().to_string();
    let said = SAID.lock().expect("not poisoned");
    said.iter()
        .filter(|said| said.field("server") == address && said.field("advice") == kind)
        .cloned()
        .collect()
}

/// The kinds of what was said of `server` so far.
pub(super) fn kinds(server: &RedisServer) -> Vec<String> {
    let address = server.addr().to_string();
    let said = SAID.lock().expect("not poisoned");
    let of_server = said.iter().filter(|said| said.field("server") == address);
    of_server
        .map(|said| said.field("advice").to_owned())
        .collect()
}

struct Catcher;

impl<S: Subscriber> Layer<S> for Catcher {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        SAID.lock().expect("not poisoned").push(Said {
            level: *event.metadata().level(),
            fields: fields.0,
        });
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
