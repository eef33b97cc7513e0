//! Looking for switches while a store is used.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{Answer, Inner, Node, Whose, ask::ask};
use crate::store::redis::dial::Dial;

/// The tasks that look for switches; they end when this is dropped.
#[derive(Default)]
pub(super) struct Watch {
    tasks: Mutex<JoinSet<()>>,
}

impl Watch {
    /// How often the master's address is checked though nothing suggests a change.
    const CHECK_INTERVAL: Duration = Duration::from_secs(1);
    const SWITCH_CHANNEL: &str = "+switch-master";

    /// Starts them where they do not run: at first use, and again where their runtime was shut down.
    pub(super) fn ensure(&self, inner: &Arc<Inner>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if !tasks.is_empty() {
            return;
        }
        for sentinel in &inner.sentinels {
            tasks.spawn(listen(Arc::clone(inner), Arc::clone(sentinel)));
        }
        tasks.spawn(check_for_ever(Arc::clone(inner)));
    }
}

/// One sentinel a time, the next one where it does not answer; all of them are asked where something is suspected.
async fn check_for_ever(inner: Arc<Inner>) {
    let mut turn = 0;
    loop {
        tokio::time::sleep(jittered(Watch::CHECK_INTERVAL)).await;
        for _ in 0..inner.sentinels.len() {
            let sentinel = &inner.sentinels[turn % inner.sentinels.len()];
            turn += 1;
            if check(&inner, Arc::clone(sentinel)).await {
                break;
            }
        }
    }
}

/// Asks `sentinel`, and says whether it answered.
async fn check(inner: &Inner, sentinel: Arc<Node>) -> bool {
    let asked = inner.clock.now();
    match ask(sentinel, inner.master_name.clone()).await {
        Ok(master) => {
            let answer = Answer {
                master,
                asked,
                whose: Whose::One,
            };
            if let Err(error) = inner.take(answer) {
                tracing::debug!(%error, "the new master cannot be used");
            }
            true
        }
        Err(error) => {
            tracing::debug!(%error, "a sentinel did not name the master");
            false
        }
    }
}

/// Subscribes to one sentinel's announcements, for ever; each one is a reason to ask it.
async fn listen(inner: Arc<Inner>, sentinel: Arc<Node>) {
    const FIRST_PAUSE: Duration = Duration::from_millis(500);
    const MAX_PAUSE: Duration = Duration::from_secs(10);
    let mut pause = FIRST_PAUSE;
    loop {
        let subscribed = sentinel
            .subscribe(Watch::SWITCH_CHANNEL, Dial::CONNECT_TIMEOUT)
            .await;
        match subscribed {
            Ok(mut announcements) => {
                pause = FIRST_PAUSE;
                while announcements.next().await.is_some() {
                    check(&inner, Arc::clone(&sentinel)).await;
                }
            }
            Err(error) => tracing::debug!(%error, "not subscribed to a sentinel"),
        }
        tokio::time::sleep(jittered(pause)).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Shortened by up to a third: what broke for many at once is not made anew by all of them at once.
fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 - fastrand::f64() / 3.0)
}
