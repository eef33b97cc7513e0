//! Members of a group that work in all of their buckets at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Result;
use coord_tests::fleet::{Job, Line, now_us};
use redbuckets::{BucketGuard, Instance, Redbuckets};
use tokio::{sync::watch, task::JoinSet};

use crate::{causes, event, event_of, is_stopped, print};

/// How long work in a bucket takes; a bucket that is to be given away waits for its end.
const WORK: Duration = Duration::from_millis(80);
const ROUNDS_A_REPORT: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// By bucket and epoch: the span at both ends of which a guard was valid.
type Spans = HashMap<(u32, u64), (u64, u64)>;

pub(crate) fn start(
    job: &Arc<Job>,
    members: &mut JoinSet<Result<()>>,
    stopped: &watch::Receiver<bool>,
    started: &watch::Sender<u32>,
) -> Result<()> {
    let owned = Arc::new(Mutex::new(vec![0; job.members as usize]));
    for who in 0..job.members {
        let buckets = Redbuckets::builder(&job.url, "fleet")
            .buckets(job.buckets)
            .instance_id(format!("{}.{who}", job.name))
            .ttl(Duration::from_millis(job.ttl_ms))
            .period(Duration::from_millis(job.heartbeat_ms))
            .failover_bound(Duration::ZERO)
            .acknowledge(job.acknowledge)
            .settle(Duration::from_millis(500))
            .build()?;
        let worker = Worker {
            who,
            owned: Arc::clone(&owned),
            started: started.clone(),
        };
        members.spawn(worker.run(buckets, stopped.clone()));
    }
    Ok(())
}

struct Worker {
    who: u32,
    owned: Arc<Mutex<Vec<u32>>>,
    started: watch::Sender<u32>,
}

impl Worker {
    async fn run(self, buckets: Redbuckets, mut stopped: watch::Receiver<bool>) -> Result<()> {
        let who = self.who;
        let instance = tokio::select! {
            instance = join(who, &buckets) => instance,
            () = is_stopped(&mut stopped) => return Ok(()),
        };
        let mut events = instance.events();
        let reader = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                event_of(who, &event);
            }
        });
        self.work(&instance, &mut stopped).await;
        if let Err(error) = instance.leave().await {
            event(who, "leave_failed", causes(&error));
        }
        reader.await?;
        Ok(())
    }

    async fn work(&self, instance: &Instance, stopped: &mut watch::Receiver<bool>) {
        let mut spans = Spans::new();
        let mut last_beat = instance.last_registration();
        let mut has_worked = false;
        for round in 1_u32.. {
            let guards = enter_all(instance);
            self.say_owned(guards.len());
            if !guards.is_empty() && !std::mem::replace(&mut has_worked, true) {
                self.started.send_modify(|count| *count += 1);
            }
            tokio::select! {
                () = tokio::time::sleep(WORK) => {}
                () = is_stopped(stopped) => break,
            }
            for (guard, from) in guards {
                let to = now_us();
                if guard.is_valid() && from < to {
                    let span = spans.entry((guard.bucket(), guard.epoch()));
                    span.or_insert((from, to)).1 = to;
                }
            }
            let beat = instance.last_registration();
            if std::mem::replace(&mut last_beat, beat) < beat {
                print(&Line::Beat {
                    at: now_us(),
                    who: self.who,
                });
            }
            if round % ROUNDS_A_REPORT == 0 {
                self.report(&mut spans);
            }
        }
        self.report(&mut spans);
        self.say_owned(0);
    }

    fn report(&self, spans: &mut Spans) {
        let visits = spans
            .drain()
            .map(|((bucket, epoch), (from, to))| [u64::from(bucket), epoch, from, to])
            .collect();
        print(&Line::Visits {
            who: self.who,
            visits,
        });
    }

    fn say_owned(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let mut owned = self.owned.lock().expect("no holder of this lock panics");
        let own = &mut owned[self.who as usize];
        if std::mem::replace(own, count) != count {
            print(&Line::Owned {
                at: now_us(),
                owned: owned.clone(),
            });
        }
    }
}

async fn join(who: u32, buckets: &Redbuckets) -> Instance {
    loop {
        match buckets.join().await {
            Ok(instance) => return instance,
            Err(error) => event(who, "join_failed", causes(&error)),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Guards of every bucket that may be entered, each with a time after it was.
fn enter_all(instance: &Instance) -> Vec<(BucketGuard, u64)> {
    let owned = instance.owned();
    let entered = owned.ids().filter_map(|bucket| instance.enter(bucket));
    entered.map(|guard| (guard, now_us())).collect()
}
