//! Decisions of one member, whose store is made up answer by answer.

mod claims;
mod course;
mod strays;

use super::{work::Exit, *};

/// A member whose store is made up word by word.
struct Story {
    member: Membership,
    now: Instant,
}

const DRAIN: Duration = Duration::from_secs(10);

fn limits(assignment: Assignment) -> Limits {
    Limits {
        ttl: Duration::from_secs(60),
        chunk: 64,
        max_moves: 100,
        drain_timeout: DRAIN,
        progress_timeout: None,
        forced: false,
        assignment,
        load: None,
    }
}

fn beat() -> Beat {
    Beat {
        version: 1,
        members: 2,
        quota: 0,
        surplus: 0,
        again: Duration::from_secs(1),
        more: false,
        range: 0..0,
        grants: Vec::new(),
        received: 0,
        staying: Vec::new(),
        outcomes: Vec::new(),
        free: 0,
        doubt: Duration::ZERO,
        owned: 0,
        glance: None,
        told: Told::default(),
    }
}

fn grants(buckets: std::ops::Range<u32>) -> Vec<Grant> {
    buckets.map(|bucket| Grant { bucket, epoch: 5 }).collect()
}

impl Story {
    fn new(limits: Limits) -> Self {
        let now = Instant::from_boot(Duration::from_secs(100));
        let member = Membership::new(limits, now, 1, "7".to_owned(), Told::default());
        Self { member, now }
    }

    /// Holds buckets 0 to 5.
    fn holding(limits: Limits) -> Self {
        let mut story = Self::new(limits);
        story.told(Beat {
            grants: grants(0..6),
            range: 0..6,
            ..beat()
        });
        story.member.take_events();
        assert!(story.member.held().all(|(_, active)| active));
        story
    }

    /// The next request is answered so; what the request gave back.
    fn told(&mut self, mut beat: Beat) -> Vec<u32> {
        let Request::Beat(request) = self.member.request(self.now) else {
            panic!("a claim");
        };
        beat.outcomes.resize(request.releases.len(), Outcome::Gone);
        self.member
            .handle_beat(self.now, BeatReply::Beaten(Box::new(beat)));
        request.releases.iter().map(|grant| grant.bucket).collect()
    }

    /// Buckets that are to go, as events say; the others' events are dropped.
    fn revoked(&mut self) -> Vec<u32> {
        let events = self.member.take_events().into_iter();
        let revoked = events.filter_map(|event| match event {
            Event::Revoking {
                bucket,
                overdue: false,
                ..
            } => Some(bucket),
            _ => None,
        });
        revoked.collect()
    }

    fn kept(&mut self) -> Vec<u32> {
        let events = self.member.take_events().into_iter();
        let kept = events.filter_map(|event| match event {
            Event::Kept { bucket, .. } => Some(bucket),
            _ => None,
        });
        kept.collect()
    }
}

#[test]
fn no_more_buckets_go_at_a_time_than_may() {
    let mut story = Story::holding(Limits {
        max_moves: 2,
        ..limits(Assignment::Sticky)
    });
    story.told(Beat {
        surplus: 5,
        ..beat()
    });
    assert_eq!(story.revoked().len(), 2);
    assert_eq!(
        story
            .told(Beat {
                surplus: 3,
                ..beat()
            })
            .len(),
        2
    );
    assert_eq!(story.revoked().len(), 2, "and then the next");
    assert_eq!(story.member.held().count(), 4);
}

#[test]
fn a_smaller_surplus_lets_those_stay_that_work_goes_on_in() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    for bucket in 0..6 {
        for _ in 0..=bucket {
            assert_eq!(story.member.enter(bucket), Some(5));
        }
    }
    story.told(Beat {
        surplus: 3,
        ..beat()
    });
    let mut revoked = story.revoked();
    revoked.sort_unstable();
    assert_eq!(revoked.len(), 3);
    assert!(
        story
            .told(Beat {
                surplus: 3,
                ..beat()
            })
            .is_empty(),
        "nothing is free of work"
    );
    assert!(story.kept().is_empty() && story.revoked().is_empty());
    story.told(Beat {
        surplus: 1,
        ..beat()
    });
    let mut kept = story.kept();
    kept.sort_unstable();
    assert_eq!(
        kept,
        revoked[1..],
        "the one with the least work goes on going"
    );
}

#[test]
fn a_range_decides_what_goes_and_what_stays_after_all() {
    let mut story = Story::holding(limits(Assignment::Contiguous));
    for bucket in 3..6 {
        story.member.enter(bucket);
    }
    let range = |range| Beat { range, ..beat() };
    story.told(range(0..3));
    assert_eq!(story.revoked(), [3, 4, 5]);
    story.told(range(0..3));
    assert!(story.kept().is_empty(), "they lie outside as before");
    story.told(range(0..5));
    assert_eq!(story.kept(), [3, 4]);
    story.told(range(0..5));
    assert!(story.kept().is_empty() && story.revoked().is_empty());
}

#[test]
fn ranges_move_no_more_at_a_time_than_may() {
    let mut story = Story::holding(Limits {
        max_moves: 2,
        ..limits(Assignment::Contiguous)
    });
    story.told(Beat {
        range: 5..6,
        ..beat()
    });
    assert_eq!(story.revoked(), [0, 1]);
}

#[test]
fn work_enters_what_is_active_and_keeps_it() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    assert_eq!(story.member.enter(9), None, "it is another's");
    assert_eq!(
        (story.member.enter(5), story.member.enter(5)),
        (Some(5), Some(5))
    );
    assert_eq!(story.member.busy(), [5]);
    story.told(Beat {
        surplus: 6,
        ..beat()
    });
    assert_eq!(story.member.enter(5), None, "it is to go");
    assert!(story.member.held().all(|(_, active)| !active));
    assert_eq!(
        story.told(Beat {
            surplus: 1,
            ..beat()
        }),
        [0, 1, 2, 3, 4]
    );
    assert!(!story.member.exit(5, 4).releasable, "of another grant");
    assert!(!story.member.exit(9, 5).releasable, "of another's bucket");
    assert!(!story.member.exit(5, 5).releasable, "one is left");
    assert!(story.member.exit(5, 5).releasable, "now it may go");
    assert!(!story.member.exit(5, 5).releasable, "more than entered");
    assert_eq!(story.told(beat()), [5]);
    assert_eq!(story.member.held().count(), 0);
}

#[test]
fn work_that_takes_too_long_is_told_once_and_loses_its_bucket_where_that_is_wanted() {
    for forced in [false, true] {
        let mut story = Story::holding(Limits {
            forced,
            ..limits(Assignment::Sticky)
        });
        story.member.enter(5);
        story.told(Beat {
            surplus: 6,
            ..beat()
        });
        story.told(Beat {
            surplus: 1,
            ..beat()
        });
        story.member.take_events();
        let due = story.now + DRAIN;
        assert_eq!(story.member.mark_overdue(story.now), Some(due));
        story.now = due;
        assert_eq!(story.member.mark_overdue(due), None);
        let events = story.member.take_events();
        assert!(
            matches!(
                events[..],
                [Event::Revoking {
                    bucket: 5,
                    overdue: true,
                    ..
                }]
            ),
            "{events:?}"
        );
        assert_eq!(story.member.mark_overdue(due + DRAIN), None, "once");
        assert!(story.member.take_events().is_empty());
        let released = story.told(Beat {
            surplus: 1,
            ..beat()
        });
        assert_eq!(released, if forced { vec![5] } else { vec![] });
    }
}

#[test]
fn a_request_gives_back_no_more_than_a_call_may_carry() {
    let mut story = Story::new(Limits {
        chunk: 4,
        ..limits(Assignment::Sticky)
    });
    let apart = (0..6).flat_map(|run| grants(2 * run..2 * run + 1));
    story.told(Beat {
        grants: apart.collect(),
        surplus: 6,
        ..beat()
    });
    assert_eq!(
        story
            .told(Beat {
                surplus: 2,
                ..beat()
            })
            .len(),
        4
    );
    assert_eq!(story.told(beat()).len(), 2);
}
