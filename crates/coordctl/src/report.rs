//! Observes a namespace or a group and writes one HTML page about it, which needs nothing beside itself.

mod changes;
mod page;
mod svg;

use std::{fs::OpenOptions, path::Path, process::ExitCode, time::Duration};

use coord_core::clock::{Clock, SystemClock};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::changes::{Change, Snapshot};
use crate::{
    buckets::group,
    cli::{Global, GroupOptions, ReportOptions},
    doctor::{self, Latency, Sample},
    failure::Failure,
    id::list,
    output,
};

/// What was observed.
#[derive(Debug)]
struct Observed {
    title: String,
    last: Snapshot,
    changes: Vec<Change>,
    /// How many changes there were beyond those kept.
    dropped: usize,
    samples: Vec<Sample>,
    lasted: Duration,
    looks: u32,
}

pub(crate) async fn run(global: &Global, options: &ReportOptions) -> Result<ExitCode, Failure> {
    if global.json && options.output.is_none() {
        return Err(Failure::Usage(
            "--json tells about the page, so the page needs another place: give --output FILE"
                .to_owned(),
        ));
    }
    let source = Source::new(global, options)?;
    if let Some(path) = &options.output {
        check_writable(path)?;
    }
    let observed = observe(&source, options.lasting, options.interval).await?;
    let page = page::render(&observed, SystemClock.wall_ms());
    let Some(path) = &options.output else {
        output::line(page.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::write(path, page)
        .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    if global.json {
        output::json(&json!({
            "report": path,
            "looks": observed.looks,
            "changes": observed.changes.len() + observed.dropped,
            "latency": Latency::of(&observed.samples).json(),
        }))?;
    } else {
        let changes = (observed.changes.len() + observed.dropped) as u64;
        let seen = output::count(changes, "change");
        output::line(&format!("{}: {seen} seen", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether there can be a file: asked before half a minute is spent. What stands in it stays until there is a report.
fn check_writable(path: &Path) -> Result<(), Failure> {
    let was_there = path.exists();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    if !was_there {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// What is observed; the namespace is asked for round trips in either case.
struct Source {
    title: String,
    ids: list::Reader,
    group: Option<group::Reader>,
}

impl Source {
    fn new(global: &Global, options: &ReportOptions) -> Result<Self, Failure> {
        let ids = list::Reader::new(global, &options.range.range)?;
        let group = options.group.as_ref().map(|name| {
            let options = GroupOptions {
                group: name.clone(),
                prefix: options.prefix.clone(),
            };
            group::Reader::new(global, &options)
        });
        let title = match &options.group {
            Some(group) => format!("group {group}"),
            None => {
                let range = ids.inspector().range();
                format!(
                    "namespace {}, machine IDs {}-{}",
                    ids.name(),
                    range.start(),
                    range.end()
                )
            }
        };
        Ok(Self {
            title,
            ids,
            group: group.transpose()?,
        })
    }

    async fn look(&self) -> Result<Snapshot, Failure> {
        Ok(match &self.group {
            Some(group) => Snapshot::Group(group.read().await?),
            None => Snapshot::Namespace(self.ids.read().await?),
        })
    }
}

/// Looks again and again, until the time is over or somebody has seen enough; a server that fails meanwhile is part of the report.
async fn observe(
    source: &Source,
    lasting: Duration,
    interval: Duration,
) -> Result<Observed, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let began = SystemClock.now();
    let mut observed = Observed {
        title: source.title.clone(),
        last: source.look().await?,
        changes: Vec::new(),
        dropped: 0,
        samples: vec![doctor::ping(source.ids.inspector()).await?],
        lasted: Duration::ZERO,
        looks: 1,
    };
    while SystemClock.now() < began + lasting {
        let left = (began + lasting).saturating_since(SystemClock.now());
        tokio::select! {
            () = tokio::time::sleep(interval.min(left)) => {}
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
        let looked = async {
            let sample = doctor::ping(source.ids.inspector()).await?;
            Ok::<_, Failure>((sample, source.look().await?))
        };
        let at = SystemClock.now().saturating_since(began);
        match looked.await {
            Ok((sample, snapshot)) => observed.add(at, sample, snapshot),
            Err(error) => observed.keep(vec![Change::trouble(
                at,
                error.message().unwrap_or_default(),
            )]),
        }
    }
    observed.lasted = SystemClock.now().saturating_since(began);
    Ok(observed)
}

impl Observed {
    fn add(&mut self, at: Duration, sample: Sample, snapshot: Snapshot) {
        self.looks += 1;
        let is_room = self.samples.len() < SAMPLES_KEPT;
        self.samples.extend(Some(sample).filter(|_| is_room));
        let changes = changes::between(at, &self.last, &snapshot);
        self.keep(changes);
        self.last = snapshot;
    }

    fn keep(&mut self, changes: Vec<Change>) {
        for change in changes {
            if self.changes.len() < CHANGES_KEPT {
                self.changes.push(change);
            } else {
                self.dropped += 1;
            }
        }
    }
}

const SAMPLES_KEPT: usize = 100_000;
const CHANGES_KEPT: usize = 2_000;
