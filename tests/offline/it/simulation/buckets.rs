//! Buckets: members that work in them, and what must hold of them: at any time no two may act in one bucket and epochs
//! only rise; once the faults have ended every bucket has an owner, shares are fair, nothing stirs, and a change moves the
//! least that it must.

mod ledger;
mod process;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use coord_core::clock::{Clock as _, Instant};
use coord_offline::shares::{self, Share};
use redbuckets::Event;

use self::{
    ledger::{Holding, Holdings, Ledger},
    process::{Process, Setup},
};
use super::{
    amnesty,
    coverage::{Window, Windows},
    plan::{Group, Number},
    stage::Stage,
    subject::{Change, Subject},
};

/// Of any scene.
const LONGEST_TTL: Duration = Duration::from_secs(6);

pub(super) struct Buckets {
    group: Group,
    ledger: Ledger,
    processes: BTreeMap<Number, Process>,
    /// What every process started with.
    setups: BTreeMap<Number, Setup>,
    /// They leave and are then gone.
    leaving: BTreeMap<Number, (Instant, Process)>,
    /// Those that start because of what happened, and not because the plan says so, are counted from here.
    next_unplanned: Number,
    /// Nothing may stir.
    is_quiet: bool,
    /// Which process owned each bucket before a change.
    before: BTreeMap<u32, Number>,
    losses: u64,
    moves: u64,
}

impl Buckets {
    pub(super) fn new(group: Group) -> Self {
        Self {
            group,
            ledger: Ledger::default(),
            processes: BTreeMap::new(),
            setups: BTreeMap::new(),
            leaving: BTreeMap::new(),
            next_unplanned: 1_000,
            is_quiet: false,
            before: BTreeMap::new(),
            losses: 0,
            moves: 0,
        }
    }

    fn start_with(&mut self, stage: &mut Stage, number: Number, again: Option<Number>) {
        // Only a stable id is the same again, and only where its process was told to end.
        let again = again.filter(|again| !self.processes.contains_key(again));
        let setup = again.and_then(|again| self.setups.get(&again).cloned());
        let setup = setup.filter(|setup| setup.id.is_some());
        let process = Process::start(stage, number, setup, &self.group);
        self.setups.insert(number, process.setup.clone());
        self.processes.insert(number, process);
    }

    fn start_unplanned(&mut self, stage: &mut Stage, again: Option<Number>) {
        let number = self.next_unplanned;
        self.next_unplanned += 1;
        stage.log(number, || "starts".to_owned());
        self.start_with(stage, number, again);
    }

    fn process(&self, number: Number) -> Option<&Process> {
        let leaving = || self.leaving.get(&number).map(|(_, process)| process);
        self.processes.get(&number).or_else(leaving)
    }

    fn weight(&self) -> u32 {
        let processes = self.processes.values();
        processes.map(|process| process.setup.weight).sum()
    }

    /// Which process owns each bucket; `None` unless every bucket has an owner, everybody has its share, and nothing is
    /// about to move: ranges that change places may look like those that stay, for a moment (seed 157517).
    fn balanced(&self) -> Option<BTreeMap<u32, Number>> {
        let weights = self.weight();
        let mut owners = BTreeMap::new();
        for (&number, process) in &self.processes {
            let (buckets, _) = process.share().filter(|_| !process.gives_away())?;
            let share = f64::from(self.group.buckets) * f64::from(process.setup.weight)
                / f64::from(weights);
            let own = u32::try_from(buckets.len()).ok()?;
            if 1.0 <= (f64::from(own) - share).abs() {
                return None;
            }
            let is_range = buckets.windows(2).all(|pair| pair[0] + 1 == pair[1]);
            if self.group.contiguous && !is_range {
                return None;
            }
            owners.extend(buckets.into_iter().map(|bucket| (bucket, number)));
        }
        (owners.len() == self.group.buckets as usize).then_some(owners)
    }

    /// The least number of buckets that have to move for everybody to have its share.
    fn least_moves(&self) -> usize {
        let owned = |(&number, process): (&Number, &Process)| {
            let own = self.before.values().filter(|&&owner| owner == number);
            (process.setup.weight, own.count())
        };
        let members: Vec<Share> = self.processes.iter().map(owned).collect();
        shares::least_moves(self.group.buckets, &members)
    }

    /// Hears what the members say. One that was fenced, by a process with its id that was long paused, ends and is
    /// started again.
    fn listen(&mut self, stage: &mut Stage) {
        let mut fenced = Vec::new();
        for (&number, process) in &mut self.processes {
            for event in process.news() {
                if matches!(event, Event::Fenced { .. }) {
                    fenced.push(number);
                }
                let is_restless = matches!(
                    event,
                    Event::Granted { .. } | Event::Revoking { .. } | Event::Lost { .. }
                );
                if self.is_quiet && is_restless {
                    stage.record.fail(format!(
                        "#{number} is restless in a settled group: {event:?}"
                    ));
                }
                stage.log(number, || format!("{event:?}"));
            }
        }
        for number in fenced {
            self.kill(stage, number);
            self.start_unplanned(stage, Some(number));
        }
    }
}

impl Subject for Buckets {
    fn start(&mut self, stage: &mut Stage, number: Number, again: Option<Number>) {
        self.start_with(stage, number, again);
    }

    fn act(&mut self, stage: &mut Stage, number: Number) {
        let shell = stage.shells.get_mut(&number).expect("it is there");
        if let Some(process) = self.processes.get_mut(&number) {
            process.work(&mut shell.rng);
        }
    }

    fn leave(&mut self, stage: &mut Stage, number: Number) {
        if let Some(mut process) = self.processes.remove(&number) {
            process.leave();
            // What it may be doing until then is looked at to the end.
            let until = stage.now() + Duration::from_secs(20);
            self.leaving.insert(number, (until, process));
        }
    }

    fn kill(&mut self, stage: &mut Stage, number: Number) {
        let leaving = || self.leaving.remove(&number).map(|(_, process)| process);
        if let Some(mut process) = self.processes.remove(&number).or_else(leaving) {
            process.kill();
            stage.shells.remove(&number);
        }
    }

    fn windows(&self, stage: &Stage, number: Number) -> Windows {
        let Some(process) = self.process(number) else {
            return Windows::NONE;
        };
        let left = process
            .deadline()
            .map(|deadline| deadline.saturating_since(stage.now()));
        let ttl = stage.shells[&number].options.ttl;
        let is_last_fifth = left.is_some_and(|left| !left.is_zero() && left < ttl / 5);
        Windows::NONE
            .with(Window::LastFifth, is_last_fifth)
            .with(Window::Overdue, left.is_some_and(|left| left.is_zero()))
            .with(Window::HandOver, process.gives_away())
    }

    /// Where discovery is shorter than the ttl, what is promised rests on one living owner that is heard within it.
    fn witness(&mut self, stage: &Stage) -> Option<Option<Number>> {
        if self.group.long_discovery || stage.scene.expects {
            return Some(None);
        }
        let witness = self.processes.iter_mut().find_map(|(&number, process)| {
            // One whose heartbeat has just been lost would be late.
            let is_heard = stage.shells[&number].gate.is_running() && process.is_heard();
            (is_heard && !process.holdings(stage).all.is_empty()).then_some(number)
        });
        witness.map(Some)
    }

    fn forgotten(&mut self, stage: &mut Stage) {
        // Whoever was leapt over has its buckets again, where what another was granted of them is lost: nobody tells that one
        // before its lease ends.
        let Some(leap) = stage
            .leaps
            .first()
            .filter(|_| stage.lost_at == Some(stage.now()))
        else {
            return;
        };
        let since_leap = stage.now().saturating_since(leap.at);
        let leapt_ms = (stage.clock.wall() - since_leap).as_millis();
        let mut granted = self.holdings(stage);
        granted.retain(|&(.., epoch)| leapt_ms <= u128::from(epoch));
        stage.amnesty.forgive(granted);
        self.ledger.forget();
    }

    /// A step that cannot be the time for which nobody was heard.
    fn notices_leap(&self, by: Duration) -> bool {
        LONGEST_TTL / 2 < by
    }

    fn holdings(&mut self, stage: &Stage) -> HashSet<amnesty::Holding> {
        let leaving = self.leaving.values_mut().map(|(_, process)| process);
        let all = self.processes.values_mut().chain(leaving);
        let mut held = HashSet::new();
        for Holdings { number, all, .. } in all.map(|process| process.holdings(stage)) {
            held.extend(all.iter().map(|one| (number, one.bucket, one.epoch)));
        }
        held
    }

    fn pardon(&mut self, stage: &mut Stage) {
        let now = stage.now();
        let shells = &stage.shells;
        let heard =
            |number: Number, _: &HashSet<amnesty::Holding>| shells.get(&number)?.wire.heard();
        stage.amnesty.note(stage.record.take_granted());
        stage.amnesty.look(now, heard);
    }

    fn check(&mut self, stage: &mut Stage) {
        let now = stage.now();
        let gone = |(until, _): &(Instant, Process)| *until <= now;
        if self.leaving.values().any(gone) {
            let numbers: Vec<Number> = self.leaving.keys().copied().collect();
            for number in numbers {
                if gone(&self.leaving[&number]) {
                    self.leaving.remove(&number);
                    stage.shells.remove(&number);
                }
            }
        }
        let leaving = self.leaving.values_mut().map(|(_, process)| process);
        let mut all: Vec<Holdings> = self
            .processes
            .values_mut()
            .chain(leaving)
            .map(|process| process.holdings(stage))
            .collect();
        for holdings in &mut all {
            let number = holdings.number;
            let counts = |one: &Holding| !stage.amnesty.forgives((number, one.bucket, one.epoch));
            holdings.all.retain(counts);
        }
        self.ledger.check(&stage.record, &all);
        let lost = self.processes.values().filter(|process| process.is_lost());
        self.losses += lost.count() as u64;
        self.listen(stage);
    }

    fn end_faults(&mut self, stage: &mut Stage) {
        while self.processes.len() < 2 {
            self.start_unplanned(stage, None);
        }
    }

    fn is_settled(&mut self, stage: &mut Stage) -> bool {
        // With few buckets, somebody who still waits for a share has what it should.
        self.balanced().is_some() && stage.recorded_weight() == Some(self.weight())
    }

    fn shares(&self, _stage: &Stage) -> String {
        let shares: Vec<_> = self
            .processes
            .iter()
            .map(|(number, process)| (number, process.setup.weight, process.share()))
            .collect();
        format!("{shares:?}")
    }

    fn has_epilogue(&self) -> bool {
        self.group.epilogue
    }

    fn set_quiet(&mut self, is_quiet: bool) {
        self.is_quiet = is_quiet;
    }

    fn change(&mut self, stage: &mut Stage, change: Change) -> bool {
        self.before = self.balanced().unwrap_or_default();
        let numbers: Vec<Number> = self.processes.keys().copied().collect();
        match change {
            Change::Join => self.start_unplanned(stage, None),
            _ if numbers.len() < 2 => return false,
            Change::Leave | Change::Crash => {
                let number = *stage.rng.choice(&numbers).expect("at least two");
                stage.log(number, || format!("{change:?}"));
                if matches!(change, Change::Leave) {
                    self.leave(stage, number);
                } else {
                    self.kill(stage, number);
                }
            }
        }
        true
    }

    fn judge_change(&mut self, stage: &mut Stage, change: Change) {
        let Some(after) = self.balanced() else { return };
        if self.group.contiguous {
            return;
        }
        let moved = self
            .before
            .iter()
            .filter(|(bucket, owner)| after.get(*bucket) != Some(*owner));
        let moved = moved.count();
        let least = self.least_moves();
        self.moves += moved as u64;
        if moved != least {
            stage.record.fail(format!(
                "{moved} buckets moved on a {change:?}, {least} had to"
            ));
        }
    }

    fn totals(&self) -> (u64, u64) {
        (self.losses, self.moves)
    }
}
