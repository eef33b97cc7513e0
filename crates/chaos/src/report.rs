//! One HTML file that a person can read: what was broken when, who held what, how much was checked, and the verdict.

mod timeline;

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    availability::{self, Recovery},
    check::Verdict,
    history::{Grant, History, Kind, What},
    plan::{self, Bounds, Plan, Step},
};

/// Everything a report tells.
#[derive(Debug)]
pub struct Account<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// When the run began, µs.
    pub began: u64,
    /// When it ended, µs.
    pub ended: u64,
    /// What was in fact broken, and when.
    pub faults: Vec<Fault<'a>>,
    /// The histories of all clients.
    pub histories: &'a [History],
    /// What the checker says.
    pub verdict: &'a Verdict,
    /// What else went wrong, such as a secret in a log.
    pub problems: &'a [String],
    /// How to run it again.
    pub replay: String,
}

/// A fault of the plan that was applied.
#[derive(Debug, Clone, Copy)]
pub struct Fault<'a> {
    /// What was planned.
    pub step: &'a Step,
    /// When it began, µs.
    pub from: u64,
    /// When everything it broke worked again, µs.
    pub to: u64,
}

impl<'a> Account<'a> {
    /// The faults that the nemesis has recorded.
    #[must_use]
    pub fn faults_of(plan: &'a Plan, nemesis: &History, ended: u64) -> Vec<Fault<'a>> {
        let mut open: BTreeMap<u32, u64> = BTreeMap::new();
        let mut faults = Vec::new();
        for record in &nemesis.records {
            match record.what {
                What::FaultBegan(number) => {
                    open.insert(number, record.at);
                }
                What::FaultEnded(number) => {
                    let from = open.remove(&number).unwrap_or(record.at);
                    faults.extend(fault(plan, number, from, record.at));
                }
                _ => {}
            }
        }
        let unhealed = open.into_iter();
        faults.extend(unhealed.filter_map(|(number, from)| fault(plan, number, from, ended)));
        faults.sort_by_key(|fault| fault.from);
        faults
    }

    /// How often each kind of fault was applied.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for fault in &self.faults {
            *counts.entry(fault.step.kind.name()).or_default() += 1;
        }
        counts
    }

    /// How often clients told each event.
    #[must_use]
    pub fn events(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        let records = self.histories.iter().flat_map(|history| &history.records);
        for record in records {
            if let What::Said(text) = &record.what {
                let end = text.find(|c: char| !c.is_alphanumeric());
                let name = &text[..end.unwrap_or(text.len())];
                *counts.entry(name).or_default() += 1;
            }
        }
        counts
    }

    /// How soon everything worked after the faults of each kind, in words, with the goal where there is one; the first row
    /// says what stands in the columns.
    #[must_use]
    pub fn recoveries(&self) -> Vec<[String; 7]> {
        let topology = self.plan.topology;
        let felt_us = |kind| availability::felt_us(kind, topology);
        let holdings = &self.verdict.holdings;
        let recoveries = availability::recoveries(self.histories, holdings, &self.faults, felt_us);
        let rows = recoveries.iter();
        let rows = rows.map(|(kind, recovery)| self.told(*kind, recovery));
        std::iter::once(RECOVERY.map(str::to_owned))
            .chain(rows)
            .collect()
    }

    fn told(&self, kind: plan::Kind, recovery: &Recovery) -> [String; 7] {
        let seconds = |us: Option<u64>| {
            us.map_or_else(|| "–".to_owned(), |us| format!("{:.1}", us as f64 / 1e6))
        };
        let goal = availability::goal_us(kind, self.plan.topology);
        let within = goal.map_or_else(
            || "–".to_owned(),
            |goal| {
                let within = recovery.took.iter().filter(|took| **took <= goal).count();
                format!(
                    "{within} of {} in {}",
                    recovery.took.len(),
                    seconds(Some(goal))
                )
            },
        );
        [
            kind.name().to_owned(),
            recovery.took.len().to_string(),
            seconds(recovery.percentile(50)),
            seconds(recovery.percentile(99)),
            seconds(recovery.percentile(100)),
            within,
            recovery.unknown.to_string(),
        ]
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.verdict.violations.is_empty() && self.problems.is_empty()
    }

    /// The report.
    #[must_use]
    pub fn html(&self) -> String {
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>{title}</title>\n\
             <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n",
            title = escaped(&format!(
                "Chaos run: {}, seed {}",
                self.plan.topology.name(),
                self.plan.seed
            ))
        );
        self.tell_verdict(&mut page);
        page += "<h2>Timeline</h2>\n<p>Every row is one slot or bucket; a bar is one grant, in the colour of its \
                 client, from its completion to its end or last deadline. A white gap is nobody's. Shaded columns are \
                 faults. Point at anything to read what it is.</p>\n";
        timeline::draw(self, &mut page);
        self.tell_faults(&mut page);
        self.tell_recoveries(&mut page);
        table(&mut page, "What clients were told", &self.events());
        page += "</body></html>\n";
        page
    }

    fn tell_verdict(&self, page: &mut String) {
        let (class, word) = match (self.is_good(), self.plan.bounds) {
            (true, _) => ("good", "Every promise was kept."),
            (false, Bounds::Promised) => ("bad", "A promise was broken, or the run failed."),
            (false, Bounds::Beyond) => (
                "bad",
                "This run went beyond what is promised, and shows it.",
            ),
        };
        let _ = writeln!(page, "<p class=\"{class}\">{word}</p>");
        for problem in self.problems {
            let _ = writeln!(page, "<p class=\"bad\">{}</p>", escaped(problem));
        }
        let figures = self.verdict.figures;
        let rows = [
            ("length, s", (self.ended - self.began) / 1_000_000),
            ("faults", self.faults.len() as u64),
            (
                "client processes, restarts included",
                figures.processes as u64,
            ),
            ("IDs minted, all different", figures.ids),
            ("runs they were recorded as", figures.runs as u64),
            ("grants of slots", figures.slot_grants as u64),
            ("grants of buckets", figures.bucket_grants as u64),
            (
                "grants that their clients found lost",
                figures.losses as u64,
            ),
            ("requests refused or not answered", figures.refusals as u64),
            ("violations", self.verdict.violations.len() as u64),
        ];
        *page += "<table>\n";
        for (name, number) in rows {
            let _ = writeln!(page, "<tr><th>{name}</th><td>{}</td></tr>", grouped(number));
        }
        *page += "</table>\n";
        let replay = escaped(&self.replay);
        let _ = writeln!(page, "<p>Run it again: <code>{replay}</code></p>");
        if !self.verdict.violations.is_empty() {
            *page += "<h2>Violations</h2>\n<ol>\n";
            for violation in self.verdict.violations.iter().take(VIOLATIONS_SHOWN) {
                let _ = writeln!(page, "<li>{}</li>", escaped(&violation.to_string()));
            }
            *page += "</ol>\n";
        }
    }

    fn tell_faults(&self, page: &mut String) {
        table(page, "Faults", &self.counts());
        *page += "<details><summary>Each of them</summary><table>\n";
        for fault in &self.faults {
            let (from, to) = (self.seconds(fault.from), self.seconds(fault.to));
            let text = escaped(&fault.step.to_string());
            let _ = writeln!(
                page,
                "<tr><td>{from:.1} s</td><td>{to:.1} s</td><td>{text}</td></tr>"
            );
        }
        *page += "</table></details>\n";
    }

    fn tell_recoveries(&self, page: &mut String) {
        *page += "<h2>How soon everything worked again</h2>\n<p>From the end of a fault until every bucket had an owner and \
                  no holder waited; seconds. Where the servers were broken again before that, it is unknown.</p>\n<table>\n";
        for row in self.recoveries() {
            let cells: String = row
                .map(|cell| format!("<td>{}</td>", escaped(&cell)))
                .concat();
            let _ = writeln!(page, "<tr>{cells}</tr>");
        }
        *page += "</table>\n";
    }

    fn seconds(&self, at: u64) -> f64 {
        at.saturating_sub(self.began) as f64 / 1e6
    }
}

fn fault(plan: &Plan, number: u32, from: u64, to: u64) -> Option<Fault<'_>> {
    let mut steps = plan.steps.iter();
    let step = steps.find(|step| step.number == number)?;
    Some(Fault { step, from, to })
}

fn table(page: &mut String, title: &str, counts: &BTreeMap<&str, usize>) {
    let _ = writeln!(page, "<h2>{title}</h2>\n<table>");
    for (name, count) in counts {
        let count = grouped(*count as u64);
        let _ = writeln!(page, "<tr><th>{}</th><td>{count}</td></tr>", escaped(name));
    }
    *page += "</table>\n";
}

/// With commas.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

const fn noun(grant: &Grant) -> &'static str {
    match grant.kind {
        Kind::Slot => "slot",
        Kind::Bucket => "bucket",
    }
}

const RECOVERY: [&str; 7] = ["fault", "known", "p50", "p99", "worst", "goal", "unknown"];
const VIOLATIONS_SHOWN: usize = 100;
const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#222}\
    table{border-collapse:collapse;margin:1em 0}th{text-align:left;font-weight:normal}\
    th,td{padding:2px 12px 2px 0;border-bottom:1px solid #ddd}td{text-align:right}\
    details td{text-align:left}.good,.bad{font-size:1.2em;font-weight:bold}.good{color:#197a33}.bad{color:#b3161d}\
    .picture{overflow-x:auto;border:1px solid #ccc}svg text{font:10px system-ui,sans-serif;fill:#333}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check,
        history::{End, Record},
        plan::{self, Bounds, Topology},
    };

    #[test]
    fn a_report_shows_who_held_what_what_was_broken_and_what_is_wrong() {
        let plan = Plan::new(
            Topology::Standalone,
            3,
            60_000,
            plan::Kind::ALL,
            Bounds::Promised,
        );
        let grant = |fence| Grant {
            kind: Kind::Slot,
            number: 5,
            fence,
        };
        let record = |at, what| Record {
            at,
            member: 0,
            what,
        };
        let history = |name: &str, fence| History {
            name: name.to_owned(),
            records: vec![
                record(
                    1_000_000,
                    What::Granted {
                        grant: grant(fence),
                        asked: 900_000,
                    },
                ),
                record(
                    1_000_001,
                    What::Until {
                        kind: Kind::Slot,
                        deadline: 9_000_000,
                    },
                ),
                record(2_000_000, What::Said("Stalled <here>".to_owned())),
                record(
                    5_000_000,
                    What::Ended {
                        grant: grant(fence),
                        how: End::Lost,
                    },
                ),
            ],
        };
        let histories = [history("h0-1", 1), history("h1-1", 2)];
        let nemesis = History {
            name: "nemesis".to_owned(),
            records: vec![
                record(2_000_000, What::FaultBegan(0)),
                record(3_000_000, What::FaultEnded(0)),
                record(4_000_000, What::FaultBegan(1)),
            ],
        };
        let verdict = check::check(&histories);
        let account = Account {
            plan: &plan,
            began: 0,
            ended: 10_000_000,
            faults: Account::faults_of(&plan, &nemesis, 10_000_000),
            histories: &histories,
            verdict: &verdict,
            problems: &["a secret & more".to_owned()],
            replay: "cargo xtask chaos".to_owned(),
        };
        assert_eq!(
            account.faults[1].to, 10_000_000,
            "what never ended is shown to the end"
        );
        let html = account.html();
        let first = plan.steps[0].to_string();
        for text in [
            "slot 5",
            "h1-1/0",
            "both valid at once",
            "a secret &amp; more",
            "Stalled",
            &first,
        ] {
            assert!(html.contains(text), "{text:?} is missing");
        }
        assert!(
            !html.contains("<here>") && !html.contains("http"),
            "nothing from elsewhere"
        );
        assert!(!account.is_good());
    }

    #[test]
    fn numbers_are_grouped() {
        let grouped = [0, 999, 1_000, 123_456_789].map(grouped);
        assert_eq!(grouped, ["0", "999", "1,000", "123,456,789"]);
    }
}
