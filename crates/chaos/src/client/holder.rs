//! A holder: leases a machine ID, mints, gives it back now and then.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use coord_core::clock::Instant;
use raus::{MachineId, Raus};
use snowflake::{Generator, Id, MintError};
use tokio::time::MissedTickBehavior;

use super::{DISCOVERY, FAILOVER_BOUND, Job, Member, PATIENCE, PAUSE, TICK, causes};
use crate::{
    history::{End, Grant, Kind, Record, What, now_us, us},
    nemesis::NAME,
};

pub(super) async fn run(job: Arc<Job>, mut member: Member) -> Result<()> {
    let mut rng = job.rng(member.number);
    let raus = Raus::builder(&format!("{}?ns={NAME}", job.url), 0..=job.highest)
        .ttl(job.ttl_of(member.number))
        .heartbeat(job.heartbeat_of(member.number))
        .discovery(DISCOVERY)
        .failover_bound(FAILOVER_BOUND)
        .release_timeout(Duration::from_secs(5))
        .build()?;
    tracing::info!(?raus, "a holder begins");
    let mut turn = 0;
    while !*member.stopped.borrow() {
        member.record(What::Asked(Kind::Slot));
        let asked = now_us();
        let mut stopping = member.clone();
        let acquired = tokio::select! {
            acquired = raus.acquire_within(PATIENCE) => acquired,
            () = stopping.is_stopped() => break,
        };
        match acquired {
            Ok(machine_id) => {
                let lasts = Duration::from_millis(rng.u64(4_000..40_000));
                // Some holders stay for good: what a long lease goes through differs from many short ones.
                let lasts = if member.number == 0 {
                    Duration::MAX
                } else {
                    lasts
                };
                hold(&job, &mut member, machine_id, asked, lasts).await?;
            }
            Err(error) => {
                member.record(What::Refused(Kind::Slot));
                member.record(What::Said(format!("AcquireFailed {}", causes(&error))));
                tokio::time::sleep(PAUSE).await;
            }
        }
        turn += 1;
    }
    tracing::info!(turn, "a holder ends");
    Ok(())
}

async fn hold(
    job: &Job,
    member: &mut Member,
    machine_id: MachineId,
    asked: u64,
    lasts: Duration,
) -> Result<()> {
    let mut events = machine_id.events();
    let reader = member.clone();
    let reader = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            reader.say(&event);
        }
    });
    let mut tenure = Tenure::begin(member.clone(), asked);
    tenure.look(&machine_id);
    let generator = Generator::from_raus(machine_id.clone()).await?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = tokio::time::sleep(lasts.min(LONG));
    tokio::pin!(end);
    let mut is_stalled = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = &mut end => break,
            () = member.is_stopped() => break,
        }
        let (runs, obstacle) = mint(&generator, job.ids_a_tick);
        // The generator may have got another machine ID meanwhile, which has to be on record before its IDs.
        tenure.look(&machine_id);
        member.recorder.record_all(&runs.records(member.number));
        match (&obstacle, is_stalled) {
            (Some(error), false) => member.record(What::Said(format!("Stalled {}", causes(error)))),
            (None, true) => member.record(What::Said("MintsAgain".to_owned())),
            _ => {}
        }
        is_stalled = obstacle.is_some();
    }
    tenure.end(End::Released);
    drop(machine_id);
    if let Err(error) = generator.release().await {
        member.record(What::Said(format!("ReleaseFailed {}", causes(&error))));
    }
    reader.await?;
    Ok(())
}

/// Mints in every way there is. Returns what kept it from more, other than the clock.
fn mint(generator: &Generator, count: u32) -> (Runs, Option<MintError>) {
    let mut runs = Runs::default();
    let mut obstacle = None;
    for _ in 0..2 {
        match generator.try_next() {
            Ok(id) => runs.add(id),
            Err(MintError::Wait { .. }) => {}
            Err(error) => obstacle = Some(error),
        }
    }
    match generator.reserve(count) {
        Ok(range) => range.for_each(|id| runs.add(id)),
        Err(MintError::Wait { .. }) => {}
        Err(error) => obstacle = Some(error),
    }
    let mut several = vec![Id::from_u64(0); 4];
    if let Ok(filled) = generator.try_fill(&mut several) {
        several.into_iter().take(filled).for_each(|id| runs.add(id));
    }
    (runs, obstacle)
}

/// IDs as runs of consecutive ones.
#[derive(Default)]
struct Runs(Vec<(u64, u32)>);

impl Runs {
    fn add(&mut self, id: Id) {
        let id = id.as_u64();
        match self.0.last_mut() {
            Some((first, count)) if *first + u64::from(*count) == id => *count += 1,
            _ => self.0.push((id, 1)),
        }
    }

    fn records(&self, member: u32) -> Vec<Record> {
        let at = now_us();
        let record = |&(first, count): &(u64, u32)| Record {
            at,
            member,
            what: What::Ids { first, count },
        };
        self.0.iter().map(record).collect()
    }
}

/// What a holder knows of its machine ID, recorded whenever it changes.
struct Tenure {
    member: Member,
    asked: u64,
    open: Option<Grant>,
    latest: Option<Grant>,
    deadline: Instant,
}

impl Tenure {
    fn begin(member: Member, asked: u64) -> Self {
        Self {
            member,
            asked,
            open: None,
            latest: None,
            deadline: Instant::from_boot(Duration::ZERO),
        }
    }

    fn look(&mut self, machine_id: &MachineId) {
        let fence = machine_id.fence();
        let (number, deadline) = (machine_id.id(), machine_id.deadline());
        let is_held = machine_id.is_held();
        // Two grants must not be mixed; a fence never comes back.
        if machine_id.fence() != fence {
            return;
        }
        let seen = Grant {
            kind: Kind::Slot,
            number,
            fence,
        };
        if self.open.is_some_and(|open| open != seen) {
            self.end(End::Lost);
        }
        if self.latest != Some(seen) {
            (self.open, self.latest) = (Some(seen), Some(seen));
            self.deadline = Instant::from_boot(Duration::ZERO);
            self.member.record(What::Granted {
                grant: seen,
                asked: self.asked,
            });
        }
        if !is_held {
            // Recorded all the same: something may have been minted under it.
            self.end(End::Lost);
        }
        if self.open.is_some() && self.deadline < deadline {
            self.deadline = deadline;
            self.member.record(What::Until {
                kind: Kind::Slot,
                deadline: us(deadline),
            });
        }
    }

    fn end(&mut self, how: End) {
        if let Some(grant) = self.open.take() {
            self.member.record(What::Ended { grant, how });
        }
    }
}

const LONG: Duration = Duration::from_secs(86_400);
