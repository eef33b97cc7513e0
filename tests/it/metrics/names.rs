//! The names of metrics are what dashboards and alerts are built on: documentation and code list the same ones.

use std::collections::BTreeMap;

use raus::Metric;

use crate::tidy;

/// A row of a table in docs/METRICS.md, without its name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) kind: String,
    pub(crate) labels: String,
    description: String,
}

/// The metrics that one section of docs/METRICS.md lists.
pub(crate) fn documented(section: &str) -> BTreeMap<String, Row> {
    let text = tidy::read("docs/METRICS.md");
    let heading = format!("\n## {section}\n");
    let (_, rest) = text
        .split_once(&heading)
        .unwrap_or_else(|| panic!("docs/METRICS.md has no section {section:?}"));
    let section = rest.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, description] = cells[..] else {
            panic!("not four columns: {line}")
        };
        let row = Row {
            kind: kind.to_owned(),
            labels: labels.replace('`', ""),
            description: description.to_owned(),
        };
        (name.trim_matches('`').to_owned(), row)
    })
    .collect()
}

fn listed(metrics: &[Metric]) -> BTreeMap<String, Row> {
    let row = |metric: &Metric| Row {
        kind: metric.kind.as_str().to_owned(),
        labels: metric.labels.join(", "),
        description: metric.description.to_owned(),
    };
    let rows = metrics
        .iter()
        .map(|metric| (metric.name.to_owned(), row(metric)));
    rows.collect()
}

#[test]
fn documentation_and_code_list_the_same_metrics() {
    assert_eq!(documented("Machine IDs"), listed(raus::METRICS));
    assert_eq!(documented("Buckets"), listed(redbuckets::METRICS));
    assert_eq!(documented("The store"), listed(raus::STORE_METRICS));
    let rows = |metrics: &[(&str, &str)], kind: &str, labels: &str| -> Vec<_> {
        let row = |&(name, description): &(&str, &str)| {
            let row = Row {
                kind: kind.to_owned(),
                labels: labels.to_owned(),
                description: description.to_owned(),
            };
            (name.to_owned(), row)
        };
        metrics.iter().map(row).collect()
    };
    let counters = rows(snowflake::METRICS, "counter", "");
    let gauges = rows(snowflake::GAUGES, "gauge", "layout");
    let minting = counters.into_iter().chain(gauges).collect();
    assert_eq!(documented("Minting"), minting);
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    let metrics = [raus::METRICS, redbuckets::METRICS, raus::STORE_METRICS].concat();
    for metric in metrics {
        let name = metric.name;
        let legal = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(name.chars().all(legal), "{name}");
        let ends = match metric.kind.as_str() {
            "counter" => name.ends_with("_total"),
            "histogram" => name.ends_with("_seconds"),
            _ => !name.ends_with("_total"),
        };
        assert!(ends, "{name} is a {}", metric.kind.as_str());
        assert!(metric.description.ends_with('.'), "{name}");
        for label in metric.labels {
            assert!(
                !["id", "instance", "holder", "bucket", "fence"].contains(label),
                "{name} has a label without bounds: {label}"
            );
        }
    }
}
