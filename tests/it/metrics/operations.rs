//! What lies in `ops/`: the dashboard and the alerts ask for metrics that there are.

use std::collections::{BTreeMap, BTreeSet};

use coord_tests::promtool;
use serde_json::Value;

use super::names::{Row, documented};
use crate::tidy;

const DASHBOARD: &str = "ops/grafana/raus-redbuckets.json";
const ALERTS: &str = "ops/prometheus/alerts.yml";

/// Every documented metric.
fn metrics() -> BTreeMap<String, Row> {
    let sections = [
        "Machine IDs",
        "Minting",
        "Buckets",
        "The store",
        "From outside",
    ];
    sections.into_iter().flat_map(documented).collect()
}

/// What a target is told by, beside the labels of the metric; `le` is a histogram's own.
const EVERYWHERE: [&str; 4] = ["instance", "job", "le", "__name__"];

/// The labels that an expression of PromQL selects or groups by.
fn labels_in(expression: &str) -> BTreeSet<String> {
    let selected = between(expression, "{", "}")
        .into_iter()
        .flat_map(|selector| {
            let matchers = selector.split(',').filter(|part| part.contains('='));
            matchers.filter_map(|part| part.split(['=', '!']).next())
        });
    let grouped = ["by (", "on ("].map(|opening| between(expression, opening, ")"));
    let grouped = grouped
        .into_iter()
        .flatten()
        .flat_map(|names| names.split(','));
    selected
        .chain(grouped)
        .map(|name| name.trim().to_owned())
        .collect()
}

/// What lies between these two, each time.
fn between<'a>(text: &'a str, opening: &str, closing: &str) -> Vec<&'a str> {
    let parts = text.split(opening).skip(1);
    parts
        .filter_map(|part| part.split(closing).next())
        .collect()
}

/// The metrics that an expression of PromQL names: whatever looks like one of ours.
fn named(expression: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c| !is_word(c));
    let ours = |word: &&str| {
        let prefixes = ["raus_", "redbuckets_", "snowflake_", "coord_"];
        prefixes.iter().any(|prefix| word.starts_with(prefix))
    };
    words.filter(ours).map(str::to_owned).collect()
}

#[track_caller]
fn assert_known(expression: &str, metrics: &BTreeMap<String, Row>) {
    let names = named(expression);
    assert!(!names.is_empty(), "{expression:?} names no metric of ours");
    let mut labels: BTreeSet<&str> = EVERYWHERE.into();
    for name in names {
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part));
        let of_histogram = whole.and_then(|whole| metrics.get(whole));
        let row = of_histogram.or_else(|| metrics.get(&name));
        let is_known = row.is_some_and(|row| (row.kind == "histogram") == of_histogram.is_some());
        assert!(
            is_known,
            "{expression:?} names {name}, which docs/METRICS.md does not list"
        );
        labels.extend(row.into_iter().flat_map(|row| row.labels.split(", ")));
    }
    for label in labels_in(expression) {
        assert!(
            labels.contains(label.as_str()),
            "{expression:?} asks for a label {label}, which none of its metrics has"
        );
    }
}

#[test]
fn labels_of_an_expression_are_found() {
    let expression = r#"sum by (le, a) (rate(x{b=~"$b",c!="d"}[5m])) / on (e) y"#;
    let expected = ["a", "b", "c", "e", "le"].map(str::to_owned);
    assert_eq!(labels_in(expression), expected.into());
}

fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let items = value[name].as_array();
    items.unwrap_or_else(|| panic!("no list {name:?}"))
}

#[test]
fn the_dashboard_is_one_that_grafana_takes_and_asks_for_metrics_that_there_are() {
    let metrics = metrics();
    let dashboard: Value = serde_json::from_str(&tidy::read(DASHBOARD)).expect("JSON");
    for field in ["title", "uid", "schemaVersion", "time"] {
        assert!(!dashboard[field].is_null(), "no {field}");
    }
    let variables = array(&dashboard["templating"], "list");
    let kinds: BTreeMap<&str, &str> = variables
        .iter()
        .map(|it| {
            (
                it["name"].as_str().expect("a name"),
                it["type"].as_str().expect("a type"),
            )
        })
        .collect();
    let expected = [
        ("datasource", "datasource"),
        ("group", "query"),
        ("namespace", "query"),
    ];
    assert_eq!(kinds, expected.into());
    for variable in variables.iter().filter(|it| it["type"] == "query") {
        assert_known(variable["definition"].as_str().expect("a query"), &metrics);
    }
    let panels = array(&dashboard, "panels");
    let rows: Vec<&str> = panels
        .iter()
        .filter(|panel| panel["type"] == "row")
        .map(|panel| panel["title"].as_str().expect("a title"))
        .collect();
    assert_eq!(rows, ["Leases", "Minting", "Buckets", "Store"]);
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        let id = panel["id"].as_u64().expect("a number");
        assert!(ids.insert(id), "{title}: two panels are {id}");
        let place = &panel["gridPos"];
        let at = |name: &str| place[name].as_u64().unwrap_or_else(|| panic!("{title}"));
        assert!(at("x") + at("w") <= 24, "{title} is wider than a screen");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{title} lies upon another panel");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(panel["description"].is_string(), "{title} explains nothing");
        let targets = array(panel, "targets");
        assert!(!targets.is_empty(), "{title} asks for nothing");
        let letters: BTreeSet<&str> = targets
            .iter()
            .map(|target| target["refId"].as_str().expect("a letter"))
            .collect();
        assert_eq!(letters.len(), targets.len(), "{title}");
        for target in targets {
            let expression = target["expr"].as_str().expect("an expression");
            assert_known(expression, &metrics);
            let grouped = labels_in(expression);
            let legend = target["legendFormat"].as_str().expect("a legend");
            for label in between(legend, "{{", "}}") {
                assert!(grouped.contains(label), "{title}: the legend lacks {label}");
            }
        }
    }
}

#[test]
fn prometheus_understands_what_the_dashboard_asks() {
    let Some(promtool) = promtool::find() else {
        eprintln!("PROMTOOL NOT AVAILABLE: the dashboard's expressions were not parsed");
        return;
    };
    let dashboard: Value = serde_json::from_str(&tidy::read(DASHBOARD)).expect("JSON");
    let targets = array(&dashboard, "panels")
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    // promtool parses expressions in rules. What Grafana fills in is filled in.
    let rules = targets.flatten().enumerate().map(|(at, target)| {
        let expression = target["expr"].as_str().expect("an expression");
        let expression = expression.replace("$__rate_interval", "1m");
        format!(
            "      - {{ record: 'e{at}', expr: {} }}\n",
            Value::from(expression)
        )
    });
    let rules = format!(
        "groups:\n  - name: dashboard\n    rules:\n{}",
        rules.collect::<String>()
    );
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("rules.yml");
    std::fs::write(&path, &rules).expect("it is written");
    let arguments = ["check", "rules", path.to_str().expect("UTF-8")];
    promtool::run(&promtool, "ops", &arguments).unwrap_or_else(|error| panic!("{error:#}"));
    let broken = rules.replacen("sum(", "sum((", 1);
    std::fs::write(&path, broken).expect("it is written");
    assert!(
        promtool::run(&promtool, "ops", &arguments).is_err(),
        "it checks nothing"
    );
}

#[test]
fn the_alerts_ask_for_metrics_that_there_are() {
    let metrics = metrics();
    let text = tidy::read(ALERTS);
    // An expression is on the line of its key, or on the next one where it is folded.
    let mut lines = text.lines().map(str::trim);
    let mut rules = 0;
    while let Some(line) = lines.next() {
        if let Some(expression) = line.strip_prefix("expr: ") {
            let expression = match expression {
                ">-" => lines.next().expect("an expression"),
                expression => expression,
            };
            assert_known(expression, &metrics);
            rules += 1;
        }
    }
    assert_eq!(text.matches("- alert: ").count(), rules);
    assert!(15 <= rules, "only {rules} rules");
}

#[test]
fn the_alerts_load_and_fire_when_they_should() {
    let Some(promtool) = promtool::find() else {
        // Not every machine can have it; the names above are checked all the same.
        eprintln!(
            "PROMTOOL NOT AVAILABLE: the alert rules were not loaded; `cargo xtask setup` says what to install"
        );
        return;
    };
    let folder = "ops/prometheus";
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "alerts_test.yml"],
    ] {
        promtool::run(&promtool, folder, &arguments).unwrap_or_else(|error| panic!("{error:#}"));
    }
}
