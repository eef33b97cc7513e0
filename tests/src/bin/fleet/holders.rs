//! Holders of machine IDs that mint.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use coord_tests::fleet::{Job, Line, now_us};
use raus::{MachineId, Raus};
use snowflake::{Generator, MintError};
use tokio::{sync::watch, task::JoinSet, time::MissedTickBehavior};

use crate::{causes, event, event_of, is_stopped, print};

const TICK: Duration = Duration::from_millis(40);
const IDS_A_TICK: usize = 4;
const TICKS_A_REPORT: u32 = 25;
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) fn start(
    job: &Arc<Job>,
    members: &mut JoinSet<Result<()>>,
    stopped: &watch::Receiver<bool>,
    started: &watch::Sender<u32>,
) -> Result<()> {
    let raus = Raus::builder(&job.url, 0..=job.highest)
        .ttl(Duration::from_millis(job.ttl_ms))
        .heartbeat(Duration::from_millis(job.heartbeat_ms))
        .discovery(Duration::from_millis(job.discovery_ms))
        // The servers of fleets stand alone.
        .failover_bound(Duration::ZERO)
        .acknowledge(job.acknowledge)
        .build()?;
    let raus = Arc::new(raus);
    for who in 0..job.members {
        let (job, raus) = (Arc::clone(job), Arc::clone(&raus));
        members.spawn(run(who, job, raus, stopped.clone(), started.clone()));
    }
    Ok(())
}

async fn run(
    who: u32,
    job: Arc<Job>,
    raus: Arc<Raus>,
    mut stopped: watch::Receiver<bool>,
    started: watch::Sender<u32>,
) -> Result<()> {
    let patience = Duration::from_millis(job.patience_ms);
    let machine_id = tokio::select! {
        machine_id = acquire(who, &raus, patience) => machine_id,
        () = is_stopped(&mut stopped) => return Ok(()),
    };
    let mut events = machine_id.events();
    let reader = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            event_of(who, &event);
        }
    });
    let generator = Generator::from_raus(machine_id.clone()).await?;
    mint(who, &machine_id, &generator, &mut stopped, &started).await;
    drop(machine_id);
    // A server that is gone for good is no error of the holder's; its ttl frees the slot.
    if let Err(error) = generator.release().await {
        event(who, "release_failed", causes(&error));
    }
    reader.await?;
    Ok(())
}

async fn acquire(who: u32, raus: &Raus, patience: Duration) -> MachineId {
    loop {
        let began = now_us();
        match raus.acquire_within(patience).await {
            Ok(machine_id) => {
                let (slot, fence) = (machine_id.id(), machine_id.fence());
                let took_ms = (now_us() - began) / 1_000;
                event(
                    who,
                    "acquired",
                    format!("slot {slot} fence {fence} in {took_ms} ms"),
                );
                return machine_id;
            }
            Err(error) => event(who, "acquire_failed", causes(&error)),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn mint(
    who: u32,
    machine_id: &MachineId,
    generator: &Generator,
    stopped: &mut watch::Receiver<bool>,
    started: &watch::Sender<u32>,
) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_stalled, mut has_minted) = (false, false);
    let mut deadline = machine_id.deadline();
    let mut holding: Option<Holding> = None;
    for tick in 0_u32.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = is_stopped(stopped) => break,
        }
        let (ids, obstacle) = some_ids(generator);
        if !ids.is_empty() {
            print(&Line::Ids {
                at: now_us(),
                who,
                ids,
            });
            if !std::mem::replace(&mut has_minted, true) {
                started.send_modify(|count| *count += 1);
            }
        }
        match (&obstacle, is_stalled) {
            (Some(error), false) => event(who, "stalled", causes(error)),
            (None, true) => event(who, "mints_again", ""),
            _ => {}
        }
        is_stalled = obstacle.is_some();
        let next = machine_id.deadline();
        if std::mem::replace(&mut deadline, next) < next {
            print(&Line::Beat { at: now_us(), who });
        }
        let seen = Holding::look(machine_id);
        holding = Holding::follow(who, holding, seen, tick % TICKS_A_REPORT == 0);
    }
    Holding::follow(who, holding, None, true);
}

/// A few IDs, and what keeps them from being more, other than the clock.
fn some_ids(generator: &Generator) -> (Vec<u64>, Option<MintError>) {
    let mut ids = Vec::with_capacity(IDS_A_TICK);
    while ids.len() < IDS_A_TICK {
        match generator.try_next() {
            Ok(id) => ids.push(id.as_u64()),
            Err(MintError::Wait { .. }) => break,
            Err(error) => return (ids, Some(error)),
        }
    }
    (ids, None)
}

/// A span at both ends of which the holder was told that it holds the slot.
#[derive(Debug, Clone, Copy)]
struct Holding {
    slot: u32,
    fence: u64,
    from: u64,
    to: u64,
}

impl Holding {
    /// Whether the slot is held now. The span of one look is empty or reversed: its begin is the later of two readings
    /// of the clock.
    fn look(machine_id: &MachineId) -> Option<Self> {
        let to = now_us();
        let fence = machine_id.fence();
        let (slot, is_held) = (machine_id.id(), machine_id.is_held());
        // Two grants must not be mixed: a slot that changed in between is looked at again in the next tick.
        let is_whole = machine_id.fence() == fence && machine_id.id() == slot;
        let from = now_us();
        (is_held && is_whole).then_some(Self {
            slot,
            fence,
            from,
            to,
        })
    }

    /// Prolongs a span, or prints it and begins another.
    fn follow(who: u32, before: Option<Self>, seen: Option<Self>, report: bool) -> Option<Self> {
        let goes_on = before
            .zip(seen)
            .filter(|(before, seen)| (before.slot, before.fence) == (seen.slot, seen.fence))
            .map(|(before, seen)| Self {
                to: seen.to,
                ..before
            });
        let done = goes_on.or(before);
        if let Some(span) = done.filter(|span| span.from < span.to && (report || goes_on.is_none()))
        {
            print(&Line::Held {
                who,
                slot: span.slot,
                fence: span.fence,
                from: span.from,
                to: span.to,
            });
        }
        goes_on.or(seen)
    }
}
