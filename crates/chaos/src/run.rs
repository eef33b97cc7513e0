//! One run from begin to end.

mod steady;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    check::{self, Verdict},
    client::Role,
    history::{History, Recorder, now_us},
    nemesis::{self, Clients, Load, Stage},
    plan::Plan,
    report::Account,
    secrets,
};

/// What to run.
#[derive(Debug, Clone)]
pub struct Run {
    /// What is broken when.
    pub plan: Plan,
    /// How many clients there are.
    pub load: Load,
    /// The program `coord-chaos`, which is also the clients'.
    pub program: PathBuf,
    /// Where reports, and what failed runs recorded, are kept.
    pub target: PathBuf,
    /// Whether histories and logs of a run without fault are kept too.
    pub keep: bool,
    /// How to run it again.
    pub replay: String,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Whether every promise was kept and nothing else went wrong.
    pub is_good: bool,
    /// The report.
    pub report: PathBuf,
    /// Histories and logs, where they were kept.
    pub kept: Option<PathBuf>,
    /// What was found, in a few lines.
    pub summary: String,
}

impl Run {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// When servers or clients do not start, or something cannot be written. What goes wrong later is in the outcome.
    pub fn execute(&self) -> Result<Outcome> {
        let name = format!("{}-{}", self.plan.topology.name(), self.plan.seed);
        let directory = self.target.join(&name);
        if directory.exists() {
            fs::remove_dir_all(&directory).context("removing an earlier run of this seed")?;
        }
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let password = password(self.plan.seed);
        let began = now_us();
        let problems = match self.play(&directory, &password) {
            Ok(()) => Vec::new(),
            Err(error) => vec![format!("{error:#}")],
        };
        let mut outcome = self.judge(&directory, &password, problems, began)?;
        if outcome.is_good && !self.keep {
            fs::remove_dir_all(&directory)?;
        } else {
            outcome.kept = Some(directory);
        }
        Ok(outcome)
    }

    fn play(&self, directory: &Path, password: &str) -> Result<()> {
        let plan = &self.plan;
        // What is recommended and what is not, by turns.
        let min_replicas = plan.seed % 2 == 1;
        let stage = Stage::start(plan.topology, password, min_replicas)?;
        let played = self.play_on(&stage, directory);
        for (name, log) in stage.logs() {
            fs::write(directory.join(name).with_extension("log"), log)?;
        }
        played
    }

    fn play_on(&self, stage: &Stage, directory: &Path) -> Result<()> {
        let plan = &self.plan;
        let recorder = Recorder::create(directory, NEMESIS)?;
        let clients = |role| {
            let (program, directory) = (self.program.clone(), directory.to_owned());
            let ttl_ms = plan.topology.ttl_ms();
            let urls = stage.urls();
            Clients::start(role, self.load, ttl_ms, plan.seed, program, directory, urls)
        };
        let (mut holders, mut workers) = (clients(Role::Holders)?, clients(Role::Workers)?);
        steady::wait(directory, &self.load, &holders, &workers, STEADY_WITHIN)
            .context("before the first fault")?;
        nemesis::run(plan, stage, &mut holders, &mut workers, &recorder)?;
        steady::wait(directory, &self.load, &holders, &workers, STEADY_WITHIN)
            .context("after the last fault")?;
        let (holders, workers) = (holders.finish_all(), workers.finish_all());
        holders.and(workers)
    }

    fn judge(
        &self,
        directory: &Path,
        password: &str,
        mut problems: Vec<String>,
        began: u64,
    ) -> Result<Outcome> {
        let ended = now_us();
        let histories = History::read_all(directory)?;
        let (nemesis, clients): (Vec<_>, Vec<_>) =
            histories.into_iter().partition(|it| it.name == NEMESIS);
        let verdict = check::check(&clients);
        if verdict.figures.ids == 0 {
            problems.push("nothing was minted: nothing was tested".to_owned());
        }
        if problems.iter().any(|problem| problem.contains(password)) {
            problems.push("the servers' password was in an error".to_owned());
        }
        for problem in &mut problems {
            *problem = problem.replace(password, "(the password)");
        }
        for path in secrets::files_with(directory, password)? {
            problems.push(format!("the servers' password is in {}", path.display()));
        }
        let faults = nemesis
            .first()
            .map(|nemesis| Account::faults_of(&self.plan, nemesis, ended));
        let mut account = Account {
            plan: &self.plan,
            began,
            ended,
            faults: faults.unwrap_or_default(),
            histories: &clients,
            verdict: &verdict,
            problems: &problems,
            replay: self.replay.clone(),
        };
        let mut html = account.html();
        let mut leaked = problems.clone();
        if html.contains(password) {
            html = html.replace(password, "(the password)");
            leaked.push("the servers' password was in the report".to_owned());
            account.problems = &leaked;
        }
        let name = format!("{}-{}.html", self.plan.topology.name(), self.plan.seed);
        let report = self.target.join(name);
        fs::write(&report, html).with_context(|| report.display().to_string())?;
        Ok(Outcome {
            is_good: account.is_good(),
            kept: None,
            summary: summary(&account, &verdict),
            report,
        })
    }
}

fn summary(account: &Account<'_>, verdict: &Verdict) -> String {
    let figures = verdict.figures;
    let mut lines = vec![
        format!("{} faults: {:?}", account.faults.len(), account.counts()),
        format!("{figures:?}"),
        format!("told: {:?}", account.events()),
    ];
    lines.push("how soon everything worked again, s:".to_owned());
    for row in account.recoveries() {
        let [fault, rest @ ..] = row;
        lines.push(format!(
            "  {fault:<18} {}",
            rest.map(|cell| format!("{cell:>8}")).join(" ")
        ));
    }
    lines.extend(account.problems.iter().cloned());
    let violations = verdict.violations.iter().take(VIOLATIONS_SHOWN);
    lines.extend(violations.map(|violation| format!("violation: {violation}")));
    lines.push(format!("{} violations", verdict.violations.len()));
    lines.join("\n")
}

/// The servers' password: of the seed, so that a replay is one, and long enough to be in a file only by a mistake.
#[must_use]
pub fn password(seed: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(!seed);
    let letters: String = (0..24).map(|_| rng.alphanumeric()).collect();
    format!("pass-{letters}")
}

const NEMESIS: &str = "nemesis";
const STEADY_WITHIN: Duration = Duration::from_secs(90);
const VIOLATIONS_SHOWN: usize = 10;
