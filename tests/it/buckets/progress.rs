//! Work that hangs: it has to report progress, where that is wanted.

use std::{
    collections::HashSet,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redbuckets::{Bucket, Builder, Event, Instance};

use super::{event, instance_of, join, server, until};

async fn joined(builder: Builder) -> Instance {
    builder.build().expect("valid").join().await.expect("joins")
}

/// Works for ever, and says so.
async fn work(bucket: &Bucket) -> ! {
    loop {
        bucket.report_progress();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_stuck(event: &Event) -> bool {
    matches!(event, Event::Stuck { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_whose_guard_says_nothing_for_too_long_goes_to_another_member() {
    let server = server();
    let watchful = instance_of(&server, 8).progress_timeout(Duration::from_millis(500));
    let owner = joined(watchful).await;
    until("everything is owned", || owner.owned().len() == 8).await;
    let other = join(&server, 8).await;
    until("the other has its share", || other.owned().len() == 4).await;
    let bucket = owner.owned().ids().next().expect("four");
    let guard = owner.enter(bucket).expect("owned");
    let mut events = owner.events();
    event(&mut events, is_stuck).await;
    // It is told, and the bucket goes although it does not end.
    guard.revoked().await;
    until("the other works on it", || {
        let epoch = other.owned().epoch(bucket);
        epoch.is_some_and(|epoch| guard.epoch() < epoch)
    })
    .await;
    until("everybody has its share again", || {
        (owner.owned().len(), other.owned().len()) == (4, 4)
    })
    .await;
    assert!(!guard.is_valid());
    drop(guard);
    owner.leave().await.expect("nobody is at work");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_task_that_hangs_is_aborted_and_followed_by_another() {
    let server = server();
    let watchful = instance_of(&server, 2).progress_timeout(Duration::from_millis(500));
    let owner = joined(watchful).await;
    let epochs = Arc::new(Mutex::new(HashSet::new()));
    let (aborted, works) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
    let run = owner.run_each(|bucket: Bucket| {
        let is_first = epochs.lock().expect("not poisoned").is_empty();
        epochs
            .lock()
            .expect("not poisoned")
            .insert((bucket.id(), bucket.epoch()));
        let ended = Ended(Arc::clone(&aborted));
        let hangs = is_first.then_some(ended);
        works.store(!is_first, Ordering::SeqCst);
        async move {
            match hangs {
                Some(_ended) => pending().await,
                None => work(&bucket).await,
            }
        }
    });
    let look = async {
        until("it is aborted", || aborted.load(Ordering::SeqCst)).await;
        until("its bucket has another task under another epoch", || {
            3 <= epochs.lock().expect("not poisoned").len()
        })
        .await;
    };
    tokio::select! {
        ended = run => panic!("it ends: {ended:?}"),
        () = look => {}
    }
    assert!(works.load(Ordering::SeqCst));
}

/// Says when it is dropped.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
