//! A worker: a member of a group that works in every bucket it owns, leaves now and then, and joins again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use coord_core::clock::Instant;
use redbuckets::{BucketGuard, Instance, Owned, Redbuckets};
use tokio::time::MissedTickBehavior;

use super::{DISCOVERY, FAILOVER_BOUND, Job, Member, PATIENCE, PAUSE, TICK, causes, tasks};
use crate::{
    history::{End, Grant, Kind, Record, What, now_us, us},
    nemesis::NAME,
};

pub(super) async fn run(job: Arc<Job>, mut member: Member) -> Result<()> {
    let mut rng = job.rng(member.number);
    let buckets = Redbuckets::builder(&job.url, NAME)
        .buckets(job.buckets)
        .ttl(job.ttl_of(member.number))
        .period(job.heartbeat_of(member.number))
        .settle(Duration::from_millis(rng.u64(100..=500)))
        .weight(rng.u32(1..=2))
        .discovery(DISCOVERY)
        .failover_bound(FAILOVER_BOUND)
        .register_timeout(PATIENCE)
        .leave_timeout(Duration::from_secs(5))
        .build()?;
    tracing::info!(?buckets, "a worker begins");
    while !*member.stopped.borrow() {
        member.record(What::Asked(Kind::Bucket));
        let mut stopping = member.clone();
        let joined = tokio::select! {
            joined = buckets.join() => joined,
            () = stopping.is_stopped() => break,
        };
        match joined {
            Ok(instance) => {
                let lasts = Duration::from_millis(rng.u64(8_000..60_000));
                share(&mut member, instance, lasts, rng.fork()).await?;
            }
            Err(error) => {
                member.record(What::Refused(Kind::Bucket));
                member.record(What::Said(format!("JoinFailed {}", causes(&error))));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    Ok(())
}

async fn share(
    member: &mut Member,
    instance: Instance,
    lasts: Duration,
    mut rng: fastrand::Rng,
) -> Result<()> {
    let mut events = instance.events();
    let reader = member.clone();
    let reader = tokio::spawn(async move {
        use redbuckets::Event;
        while let Some(event) = events.next().await {
            // One for each bucket; what comes of them is recorded as grants.
            let is_of_a_bucket = matches!(
                event,
                Event::Granted { .. }
                    | Event::Revoking { .. }
                    | Event::Released { .. }
                    | Event::Kept { .. }
                    | Event::Lost { .. }
            );
            if !is_of_a_bucket {
                reader.say(&event);
            }
        }
    });
    match rng.bool() {
        true => hold(member, &instance, lasts, rng).await,
        false => tasks::work(member, &instance, lasts, rng).await,
    }
    if let Err(error) = instance.leave().await {
        member.record(What::Said(format!("LeaveFailed {}", causes(&error))));
    }
    reader.await?;
    Ok(())
}

/// Holds a guard of every bucket for as long as `lasts`, or until the process is to end.
async fn hold(member: &mut Member, instance: &Instance, lasts: Duration, rng: fastrand::Rng) {
    let mut desk = Desk {
        member: member.clone(),
        rng,
        work: BTreeMap::new(),
        asked: now_us(),
        deadline: Instant::from_boot(Duration::ZERO),
    };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = tokio::time::sleep(lasts);
    tokio::pin!(end);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = &mut end => break,
            () = member.is_stopped() => break,
        }
        desk.look(instance);
    }
    desk.close();
}

/// The work under way: a guard for each bucket, held until the end of its grant is recorded. While there is a guard the
/// bucket is not handed over, so no later grant can precede that record.
struct Desk {
    member: Member,
    rng: fastrand::Rng,
    work: BTreeMap<u32, Work>,
    asked: u64,
    deadline: Instant,
}

struct Work {
    guard: BucketGuard,
    /// When it will be finished, where the bucket is to be given away.
    until: Option<u64>,
}

impl Desk {
    fn look(&mut self, instance: &Instance) {
        // Read first: a guard that is valid afterwards was valid then, and this is its deadline.
        let deadline = instance.deadline();
        let owned = instance.owned();
        let (ended, mut records) = self.end_what_is_over(&owned);
        let entered = owned.ids().filter_map(|bucket| {
            let is_new = !self.work.contains_key(&bucket) || ended.contains(&bucket);
            if is_new { instance.enter(bucket) } else { None }
        });
        let entered: Vec<BucketGuard> = entered.collect();
        records.extend(entered.iter().map(|guard| What::Granted {
            grant: grant(guard),
            asked: self.asked,
        }));
        if self.deadline < deadline {
            records.push(What::Until {
                kind: Kind::Bucket,
                deadline: us(deadline),
            });
        }
        self.deadline = deadline;
        self.record(records);
        self.work.retain(|bucket, _| !ended.contains(bucket));
        for guard in entered {
            let work = Work { guard, until: None };
            self.work.insert(work.guard.bucket(), work);
        }
    }

    /// What was lost, and what was to be given away and is finished.
    fn end_what_is_over(&mut self, owned: &Owned) -> (BTreeSet<u32>, Vec<What>) {
        let (mut ended, mut records) = (BTreeSet::new(), Vec::new());
        for (bucket, work) in &mut self.work {
            let is_valid = work.guard.is_valid();
            let is_wanted = owned.epoch(*bucket) != Some(work.guard.epoch());
            work.until = match (is_wanted, work.until) {
                (false, _) => None,
                (true, Some(until)) => Some(until),
                (true, None) => Some(now_us() + self.rng.u64(..DRAIN_US)),
            };
            if !is_valid || work.until.is_some_and(|until| until <= now_us()) {
                let how = if is_valid { End::Released } else { End::Lost };
                records.push(What::Ended {
                    grant: grant(&work.guard),
                    how,
                });
                ended.insert(*bucket);
            }
        }
        (ended, records)
    }

    fn close(&mut self) {
        let ended = self.work.values().map(|work| What::Ended {
            grant: grant(&work.guard),
            how: if work.guard.is_valid() {
                End::Released
            } else {
                End::Lost
            },
        });
        self.record(ended.collect());
        self.work.clear();
    }

    fn record(&self, records: Vec<What>) {
        let (at, member) = (now_us(), self.member.number);
        let records = records.into_iter();
        let records: Vec<Record> = records.map(|what| Record { at, member, what }).collect();
        if !records.is_empty() {
            self.member.recorder.record_all(&records);
        }
    }
}

fn grant(guard: &BucketGuard) -> Grant {
    Grant {
        kind: Kind::Bucket,
        number: guard.bucket(),
        fence: guard.epoch(),
    }
}

/// How long work goes on in a bucket that is to be given away, at most.
pub(super) const DRAIN_US: u64 = 1_000_000;
