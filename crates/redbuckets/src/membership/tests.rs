use super::*;
use crate::protocol::Shortage;

/// A member whose store is made up word by word.
struct Story {
    member: Membership,
    now: Instant,
}

const DRAIN: Duration = Duration::from_secs(10);

fn limits(assignment: Assignment) -> Limits {
    Limits {
        chunk: 64,
        max_moves: 100,
        drain_timeout: DRAIN,
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
        outcomes: Vec::new(),
        free: 0,
        doubt: Duration::ZERO,
        owned: 0,
        glance: None,
        replicas: Some(0),
        shortage: None::<Shortage>,
    }
}

fn grants(buckets: std::ops::Range<u32>) -> Vec<Grant> {
    buckets.map(|bucket| Grant { bucket, epoch: 5 }).collect()
}

impl Story {
    fn new(limits: Limits) -> Self {
        Self {
            member: Membership::new(limits, 1, "7".to_owned()),
            now: Instant::from_boot(Duration::from_secs(100)),
        }
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
        self.member.handle_beat(self.now, BeatReply::Beaten(beat));
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

/// What has not taken effect goes before what somebody works in.
#[test]
fn what_is_pending_is_given_back_first() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    story.told(Beat {
        grants: grants(6..8),
        replicas: Some(1),
        ..beat()
    });
    assert_eq!(
        story.member.held().count(),
        6,
        "nobody has acknowledged them"
    );
    story.told(Beat {
        surplus: 2,
        replicas: Some(1),
        ..beat()
    });
    assert!(story.revoked().is_empty());
    assert_eq!(story.told(beat()), [6, 7]);
    assert_eq!(story.member.held().count(), 6);
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
fn what_is_pending_outside_the_range_is_given_back() {
    let mut story = Story::holding(limits(Assignment::Contiguous));
    let pending = |range| Beat {
        range,
        replicas: Some(1),
        ..beat()
    };
    story.told(Beat {
        grants: grants(6..8),
        ..pending(0..8)
    });
    assert!(story.told(pending(0..8)).is_empty(), "all lie inside");
    story.told(pending(0..7));
    assert_eq!(story.told(pending(0..7)), [7]);
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
    assert!(!story.member.exit(5, 4), "of another grant");
    assert!(!story.member.exit(9, 5), "of another's bucket");
    assert!(!story.member.exit(5, 5), "one is left");
    assert!(story.member.exit(5, 5), "now it may go");
    assert!(!story.member.exit(5, 5), "more than entered");
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
    let mut story = Story::holding(Limits {
        chunk: 4,
        ..limits(Assignment::Sticky)
    });
    story.told(Beat {
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

#[test]
fn what_nobody_lacks_stays() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    story.told(Beat {
        surplus: 1,
        ..beat()
    });
    let revoked = story.revoked();
    let Request::Beat(request) = story.member.request(story.now) else {
        panic!("a claim");
    };
    assert_eq!(request.releases.len(), 1);
    let answer = Beat {
        outcomes: vec![Outcome::Keep],
        ..beat()
    };
    story
        .member
        .handle_beat(story.now, BeatReply::Beaten(answer));
    assert_eq!(story.kept(), revoked);
    assert_eq!(story.member.enter(revoked[0]), Some(5));
}

#[test]
fn whoever_hands_over_has_ended_when_the_store_has_everything() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    story.member.enter(5);
    assert!(!story.member.has_ended());
    story.member.end(story.now, Ending::HandOver);
    assert_eq!(story.told(Beat { owned: 1, ..beat() }), [0, 1, 2, 3, 4]);
    assert!(!story.member.has_ended());
    story.member.exit(5, 5);
    assert_eq!(story.told(Beat { owned: 2, ..beat() }), [5]);
    assert!(!story.member.has_ended(), "the table gives it two yet");
    story.told(beat());
    assert!(story.member.has_ended());
    story.member.request(story.now);
    story.member.handle_beat(story.now, BeatReply::Resync);
    assert!(!story.member.has_ended(), "what the store has is not known");
    assert_eq!(
        story.member.end(story.now, Ending::Park),
        Ending::HandOver,
        "it does not change its mind"
    );
}

#[test]
fn what_is_pending_is_handed_over_at_once_and_parked_like_the_rest() {
    for (ending, released) in [
        (Ending::HandOver, vec![6, 7, 0, 1, 2, 3, 4, 5]),
        (Ending::Park, vec![]),
    ] {
        let mut story = Story::holding(limits(Assignment::Sticky));
        story.told(Beat {
            grants: grants(6..8),
            replicas: Some(1),
            ..beat()
        });
        story.member.end(story.now, ending);
        assert_eq!(story.told(beat()), released, "{ending:?}");
    }
}

#[test]
fn a_grant_is_known_by_its_epoch() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    assert_eq!(
        (story.member.epoch(5), story.member.epoch(9)),
        (Some(5), None)
    );
    assert_eq!(story.member.phase(5, 5), Some(Phase::Active));
    assert_eq!(story.member.phase(5, 4), None, "it is over");
    assert_eq!(story.member.phase(9, 5), None);
    story.told(Beat {
        surplus: 6,
        ..beat()
    });
    assert!(matches!(
        story.member.phase(5, 5),
        Some(Phase::Revoking { .. })
    ));
}

#[test]
fn whoever_parks_keeps_everything_and_has_ended_when_work_has() {
    let mut story = Story::holding(Limits {
        max_moves: 1,
        ..limits(Assignment::Sticky)
    });
    story.member.enter(5);
    assert_eq!(story.member.end(story.now, Ending::Park), Ending::Park);
    assert_eq!(story.revoked().len(), 6, "nothing may be entered any more");
    assert!(!story.member.has_ended());
    story.member.exit(5, 5);
    assert!(story.member.has_ended());
    assert!(story.told(beat()).is_empty());
}

/// Nothing changed where nothing was to be said; whatever may have changed is asked for in full.
#[test]
fn a_glance_is_for_those_with_whom_all_is_well() {
    let glance = Some(Glance {
        state: "state".to_owned(),
        record: "i g 1 0 0 1 0 0 id".to_owned(),
    });
    let calm = || Beat {
        glance: glance.clone(),
        ..beat()
    };
    let glances = |story: &mut Story| match story.member.request(story.now) {
        Request::Beat(request) => request.glance.is_some(),
        Request::Claim(_) => panic!("a claim"),
    };
    let mut story = Story::holding(limits(Assignment::Sticky));
    story.told(calm());
    assert!(glances(&mut story));
    assert!(!glances(&mut story), "the last one was not answered");
    story.told(Beat {
        doubt: Duration::from_secs(1),
        ..calm()
    });
    assert!(!glances(&mut story), "the past is in doubt");
    story.told(Beat {
        surplus: 1,
        ..calm()
    });
    assert!(!glances(&mut story), "a bucket is to go");
    let mut busy = Story::holding(limits(Assignment::Sticky));
    for bucket in 0..6 {
        busy.member.enter(bucket);
    }
    busy.told(Beat {
        surplus: 1,
        ..calm()
    });
    assert!(
        !glances(&mut busy),
        "a bucket is to go when work in it ends"
    );
    let mut leaver = Story::new(limits(Assignment::Sticky));
    leaver.told(calm());
    leaver.member.end(leaver.now, Ending::HandOver);
    assert!(!glances(&mut leaver), "it is on its way out");
    let mut story = Story::holding(limits(Assignment::Sticky));
    let looks: Vec<bool> = (0..16)
        .map(|_| {
            let looks = glances(&mut story);
            story
                .member
                .handle_beat(story.now, BeatReply::Beaten(calm()));
            looks
        })
        .collect();
    // The first was answered without one.
    assert_eq!(
        looks.iter().filter(|it| !**it).count(),
        3,
        "every eighth: {looks:?}"
    );
}

#[test]
fn a_rebalance_is_told_when_it_is_over_with_what_it_moved() {
    let mut story = Story::new(limits(Assignment::Sticky));
    story.told(Beat {
        grants: grants(0..6),
        quota: 4,
        surplus: 2,
        owned: 6,
        ..beat()
    });
    assert!(
        !story
            .member
            .take_events()
            .iter()
            .any(|event| matches!(event, Event::Rebalanced { .. }))
    );
    story.now = story.now + Duration::from_secs(2);
    story.told(Beat { quota: 4, ..beat() });
    let told = story.member.take_events();
    let Some(Event::Rebalanced {
        members,
        quota,
        moved,
        took,
    }) = told.last()
    else {
        panic!("{told:?}");
    };
    assert_eq!((*members, *quota, *moved), (2, 4, 8), "six came, two went");
    assert_eq!(*took, Duration::from_secs(2));
}
