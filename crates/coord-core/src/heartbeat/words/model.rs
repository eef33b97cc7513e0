//! Every interleaving of the driver with others, by loom.

use std::sync::atomic::Ordering;

use loom::{
    model,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    thread,
};

use super::{Deadline, Request, Word};

word!(AtomicU64);

#[test]
fn a_revoked_lease_is_never_extended() {
    model(|| {
        let deadline = Arc::new(Deadline::<AtomicU64>::until(100));
        let driver = Arc::clone(&deadline);
        let driver = thread::spawn(move || {
            driver.extend(200);
            driver.extend(300);
        });
        deadline.revoke();
        assert_eq!(deadline.ns(), 0);
        driver.join().expect("no panic");
        assert_eq!(deadline.ns(), 0);
    });
}

#[test]
fn who_has_heard_of_a_loss_reads_no_deadline() {
    model(|| {
        let deadline = Arc::new(Deadline::<AtomicU64>::until(100));
        let told = Arc::new(AtomicBool::new(false));
        let (driver, tells) = (Arc::clone(&deadline), Arc::clone(&told));
        let driver = thread::spawn(move || {
            driver.extend(200);
            driver.revoke();
            tells.store(true, Ordering::Release);
        });
        if told.load(Ordering::Acquire) {
            assert_eq!(deadline.ns(), 0);
        }
        driver.join().expect("no panic");
    });
}

#[test]
fn a_reader_sees_deadlines_in_their_order() {
    model(|| {
        let deadline = Arc::new(Deadline::<AtomicU64>::until(100));
        let driver = Arc::clone(&deadline);
        let driver = thread::spawn(move || {
            driver.extend(200);
            driver.extend(300);
        });
        let first = deadline.ns();
        assert!(first <= deadline.ns());
        driver.join().expect("no panic");
        assert_eq!(deadline.ns(), 300);
    });
}

/// What the asker did before is in the heartbeat that takes the request, or in one that is still to come.
fn check_request(take: impl Fn(&Request<AtomicU64>) + Copy + Send + Sync + 'static) {
    model(move || {
        let request = Arc::new(Request::<AtomicU64>::new());
        let done = Arc::new(AtomicU64::new(0));
        let (asks, does) = (Arc::clone(&request), Arc::clone(&done));
        let asker = thread::spawn(move || {
            does.store(1, Ordering::Relaxed);
            assert!(asks.raise(), "nobody else asks");
        });
        take(&request);
        let seen = done.load(Ordering::Relaxed) == 1;
        asker.join().expect("no panic");
        assert!(seen || request.is_raised(), "the request was lost");
    });
}

#[test]
fn a_request_is_taken_with_what_it_is_for() {
    check_request(Request::take);
}

/// The model can fail: a request that is wiped away unread may be lost.
#[test]
#[should_panic(expected = "the request was lost")]
fn wiping_a_request_away_is_caught() {
    check_request(|request| request.0.store(0, Ordering::Release));
}

#[test]
fn of_two_who_ask_one_wakes_the_driver() {
    model(|| {
        let request = Arc::new(Request::<AtomicU64>::new());
        let other = Arc::clone(&request);
        let other = thread::spawn(move || other.raise());
        let first = request.raise();
        assert!(first ^ other.join().expect("no panic"));
        request.take();
        assert!(!request.is_raised());
    });
}
