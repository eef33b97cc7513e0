//! What no caller can bring about from outside.

use std::sync::Arc;

use super::*;
use crate::{Clock, ClockMode, Layout, SequenceStart, grants::Span};

const NOW: u64 = 1_800_000_000_000;

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Default)]
struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn boot(&self) -> Duration {
        self.wall()
    }
}

/// What a child process finds after a fork: everything as it was, but for its own process ID.
#[test]
fn a_forked_child_refuses_to_mint() {
    let mut inner = Inner::new(
        State::new(Layout::TWITTER),
        Source::new(ClockMode::Coarse),
        Starts::new(SequenceStart::Zero),
        Duration::ZERO,
        Guards::default(),
    );
    inner.owner += 1;
    inner.grant(Span::new(1, 0, u64::MAX), None).expect("fits");
    for _ in 0..3 {
        match inner.try_next() {
            Err(MintError::Forked { owner, pid }) => assert_eq!(owner, pid + 1),
            other => panic!("{other:?}"),
        }
        assert!(matches!(inner.reserve(1, 1), Err(MintError::Forked { .. })));
    }
    inner.extend(None, u64::MAX);
    assert!(inner.try_next().is_err(), "nothing revives it");
}

/// A disk that is full or gone ends minting where a restart could begin, not before.
#[test]
fn what_was_stored_holds_where_the_file_can_be_written_no_more() {
    for borrow_ms in [0, 100] {
        let directory = tempfile::tempdir().expect("a place for files");
        let path = directory.path().join("horizon");
        let window = Duration::from_secs(1);
        let (file, stored_ms) =
            HorizonFile::open(&path, &Layout::TWITTER, 1, window, NOW).expect("new");
        assert_eq!(stored_ms, None);
        let clock = ManualClock::default();
        clock.set(NOW);
        let inner = Inner::new(
            State::new(Layout::TWITTER),
            Source::new(ClockMode::Custom(Arc::new(clock.clone()))),
            Starts::new(SequenceStart::Zero),
            Duration::from_millis(borrow_ms),
            Guards {
                claim: None,
                file: Some(file),
            },
        );
        inner.grant(Span::new(1, NOW, NOW), None).expect("fits");
        inner.try_next().expect("a horizon was stored before");
        let file = inner.guards.file.as_ref().expect("it has one");
        file.make_unwritable();
        // The horizon stored is that of the first call, later by what may be borrowed, which counts against it as well.
        let last_ms = NOW + 1_000 - 1;
        for now_ms in [NOW + 600, last_ms] {
            clock.set(now_ms);
            let id = inner.try_next().expect("below what was stored");
            assert_eq!(id.unix_ms(&Layout::TWITTER), now_ms);
        }
        clock.set(last_ms + 1);
        for _ in 0..3 {
            let error = inner.try_next().expect_err("beyond what was stored");
            assert!(matches!(error, MintError::HorizonFile(_)), "{error:?}");
        }
    }
}
