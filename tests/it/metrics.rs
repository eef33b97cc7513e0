//! What programs and operators see of leases and buckets: metrics, traces, dashboards and alerts.

mod leases;
pub(crate) mod names;
mod operations;
mod owners;
mod spans;

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use coord_tests::server::RedisServer;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// What an application would serve at `/metrics`. All tests of this process share it, so each has names of its own.
fn exported() -> Exported {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let handle = HANDLE.get_or_init(|| {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), raus::BUCKETS)
            .expect("there are some")
            .install_recorder()
            .expect("nothing else in this process installs one")
    });
    Exported::parse(&handle.render())
}

/// The samples of one page: each series as the page writes it, labels in the order of the tables.
#[derive(Debug)]
pub(crate) struct Exported {
    samples: BTreeMap<String, f64>,
    pub(crate) names: BTreeMap<String, String>,
}

impl Exported {
    pub(crate) fn parse(page: &str) -> Self {
        let mut exported = Self {
            samples: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        for line in page.lines().filter(|line| !line.is_empty()) {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').expect("a name and a kind");
                exported.names.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').expect("a series and its value");
                let value = value.parse().expect("a number");
                exported.samples.insert(series.to_owned(), value);
            }
        }
        exported
    }

    /// The value of one series, such as `raus_leases_held{namespace="x"}`.
    pub(crate) fn get(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// The sum over every series that begins like this and has this label.
    pub(crate) fn sum(&self, name: &str, label: &str) -> f64 {
        let wanted = |series: &str| {
            let own = series.strip_prefix(name);
            own.is_some_and(|rest| rest.starts_with('{') && rest.contains(label))
        };
        let series = self.samples.iter().filter(|(series, _)| wanted(series));
        series.map(|(_, value)| value).sum()
    }
}

/// Waits until a series has this value, within 20 s.
async fn until_exported(series: &str, value: f64) {
    let mut last = None;
    for _ in 0..400 {
        last = exported().get(series);
        if last.is_some_and(|found| (found - value).abs() < 1e-9) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{series} is {last:?}, not {value}");
}

#[track_caller]
fn assert_exported(series: &str, value: f64) {
    let page = exported();
    let found = page.get(series);
    assert!(
        found.is_some_and(|found| (found - value).abs() < 1e-9),
        "{series} is {found:?}, not {value}"
    );
}

fn started() -> RedisServer {
    RedisServer::start().expect("redis-server starts")
}
