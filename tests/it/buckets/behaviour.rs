//! Joining, leaving, guards and tasks.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use redbuckets::{Bucket, BucketState, Event};

use super::{event, instance_of, is_balanced, join, owners, server, until};

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_together_share_at_once() {
    let server = server();
    let mut instances = Vec::new();
    for _ in 0..8 {
        instances.push(join(&server, 256).await);
    }
    until("all buckets are shared", || is_balanced(&instances, 256)).await;
    // Nothing was granted before everybody was there, so nothing had to move.
    let first = owners(&instances);
    let newcomer = join(&server, 256).await;
    instances.push(newcomer);
    until("the newcomer has its share", || {
        is_balanced(&instances, 256)
    })
    .await;
    let moved = owners(&instances);
    let moved = first
        .iter()
        .filter(|(bucket, owner)| moved[bucket] != **owner);
    assert_eq!(moved.count(), 28);
    let leaver = instances.remove(0);
    leaver.leave().await.expect("leaves");
    until("the others own everything", || is_balanced(&instances, 256)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_delays_the_handover_past_the_drain_timeout() {
    let server = server();
    let group = instance_of(&server, 2)
        .drain_timeout(Duration::from_millis(300))
        .build()
        .expect("valid");
    let owner = group.join().await.expect("joins");
    until("everything is owned", || owner.owned().len() == 2).await;
    let guards: Vec<_> = (0..2).filter_map(|bucket| owner.enter(bucket)).collect();
    let mut events = owner.events();
    let newcomer = group.join().await.expect("joins");
    let overdue = event(&mut events, |event| {
        matches!(event, Event::Revoking { overdue: true, .. })
    });
    let Event::Revoking { bucket, epoch, .. } = overdue.await else {
        unreachable!("that is what was waited for");
    };
    assert_eq!(owner.state(bucket), BucketState::Revoking);
    assert!(owner.enter(bucket).is_none(), "nobody new may enter");
    assert!(newcomer.enter(bucket).is_none(), "it is not handed over");
    let guard = guards.iter().find(|guard| guard.bucket() == bucket);
    guard.expect("it was entered").revoked().await;
    drop(guards);
    until("the newcomer has it", || newcomer.owned().contains(bucket)).await;
    assert!(epoch < newcomer.owned().epoch(bucket).expect("it is owned"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_task_runs_per_bucket_and_a_panic_restarts_it() {
    let server = server();
    let owner = join(&server, 4).await;
    let (starts, running) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let tasks = {
        let (owner, starts, running) = (owner.clone(), Arc::clone(&starts), Arc::clone(&running));
        tokio::spawn(async move {
            owner
                .run_each(|bucket: Bucket| {
                    let first = starts.fetch_add(1, Ordering::SeqCst) == 0;
                    let running = Arc::clone(&running);
                    async move {
                        assert!(!first, "the first task fails");
                        running.lock().expect("not poisoned").push(bucket.id());
                        std::future::pending::<()>().await;
                    }
                })
                .await;
        })
    };
    let all = || {
        let mut running = running.lock().expect("not poisoned").clone();
        running.sort_unstable();
        running == [0, 1, 2, 3]
    };
    until("every bucket has a task", all).await;
    assert_eq!(starts.load(Ordering::SeqCst), 5);
    assert_eq!(owner.owned().len(), 4);
    // Tasks are cancelled and awaited before their buckets go.
    let newcomer = join(&server, 4).await;
    until("the newcomer has its share", || newcomer.owned().len() == 2).await;
    owner.leave().await.expect("leaves");
    tasks.await.expect("ends with the membership");
    until("the newcomer has everything", || {
        newcomer.owned().len() == 4
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_gives_everything_away_and_stays_a_member() {
    let server = server();
    let instances = [join(&server, 64).await, join(&server, 64).await];
    until("all buckets are shared", || is_balanced(&instances, 64)).await;
    instances[0].drain().await.expect("drains");
    assert!(instances[0].owned().is_empty() && instances[0].is_member());
    until("the other has everything", || {
        instances[1].owned().len() == 64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_never_blocks_a_reader() {
    let server = server();
    let owner = join(&server, 16).await;
    until("everything is owned", || owner.owned().len() == 16).await;
    server.stop().expect("stops");
    let mut events = owner.events();
    event(&mut events, |event| matches!(event, Event::AtRisk { .. })).await;
    assert_eq!(owner.owned().len(), 16);
    event(&mut events, |event| matches!(event, Event::Lost { .. })).await;
    assert!(owner.enter(0).is_none() && owner.owned().is_empty());
    server.cont().expect("goes on");
    until("everything is owned again", || owner.owned().len() == 16).await;
}
