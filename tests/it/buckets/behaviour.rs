//! Tasks in buckets, and readers while the server hangs.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use redbuckets::{Bucket, Event, Instance};

use super::{event, instance_of, join, server, until};

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
                .await
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
    let ended = tasks.await.expect("ends with the membership");
    ended.expect("ran alone");
    until("the newcomer has everything", || {
        newcomer.owned().len() == 4
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

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_for_good_is_not_waited_for() {
    let server = server();
    let other = join(&server, 8).await;
    let leaver = async |for_good: bool| -> Instance {
        let grace = Duration::from_secs(600);
        let group = instance_of(&server, 8)
            .instance_id("pod-0")
            .rejoin_grace(grace);
        let leaver = group.build().expect("valid").join().await.expect("joins");
        until("it has its share", || leaver.owned().len() == 4).await;
        let second = leaver.clone();
        let left = match for_good {
            true => leaver.leave_for_good().await,
            false => leaver.leave().await,
        };
        left.expect("leaves");
        second
    };
    leaver(false).await;
    assert_eq!(other.owned().len(), 4, "it is waited for");
    leaver(true).await;
    until("the other has everything", || other.owned().len() == 8).await;
}
