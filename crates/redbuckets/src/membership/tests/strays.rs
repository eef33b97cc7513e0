//! Work that goes on although its grant is over.

use super::*;

fn all_lost(story: &mut Story) {
    story.member.lose_all(&LossCause::Expired);
    story.member.take_events();
}

#[test]
fn work_counts_until_it_ends_whatever_became_of_its_grant() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    for bucket in [2, 2, 3] {
        story.member.enter(bucket);
    }
    assert_eq!(story.member.is_at_work(), (true, false));
    all_lost(&mut story);
    assert_eq!(story.member.is_at_work(), (false, true));
    assert_eq!(story.member.busy(), [2, 3]);
    story.member.end(story.now, Ending::HandOver);
    assert!(!story.member.has_ended());
    assert!(!story.member.exit(2, 5).last, "one is left");
    let last = Exit {
        last: true,
        stray: true,
        releasable: false,
    };
    assert_eq!(story.member.exit(2, 5), last);
    assert_eq!(
        story.member.exit(2, 5),
        Exit::default(),
        "more than entered"
    );
    assert_eq!(story.member.exit(3, 5), last);
    assert!(story.member.has_ended());
}

#[test]
fn the_next_membership_knows_of_work_under_the_one_before() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    story.member.enter(2);
    all_lost(&mut story);
    let mut next = Story::new(limits(Assignment::Sticky));
    next.member.inherit(&mut story.member);
    next.told(Beat {
        grants: (0..6).map(|bucket| Grant { bucket, epoch: 6 }).collect(),
        ..beat()
    });
    assert_eq!(next.member.enter_alone(2), None, "somebody is there");
    assert_eq!(next.member.enter_alone(3), Some(6));
    assert_eq!(next.member.enter_alone(3), None, "now somebody is");
    assert!(next.member.exit(2, 5).last);
    assert_eq!(next.member.enter_alone(2), Some(6));
}

#[test]
fn a_grant_that_comes_again_has_its_work_again() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    story.member.enter(2);
    all_lost(&mut story);
    story.told(Beat {
        grants: grants(0..6),
        ..beat()
    });
    assert_eq!(story.member.is_at_work(), (true, false));
    story.told(Beat {
        grants: vec![Grant {
            bucket: 2,
            epoch: 6,
        }],
        ..beat()
    });
    assert_eq!(story.member.is_at_work(), (false, true), "it is of another");
}

#[test]
fn more_work_joins_what_goes_on_and_nothing_else() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    let of = |epoch| Grant { bucket: 2, epoch };
    assert!(!story.member.enter_too(of(5)), "nobody is there");
    story.member.enter(2);
    assert!(story.member.enter_too(of(5)) && !story.member.enter_too(of(4)));
    all_lost(&mut story);
    assert!(story.member.enter_too(of(5)), "it goes on all the same");
    for is_last in [false, false, true] {
        assert_eq!(story.member.exit(2, 5).last, is_last);
    }
    assert!(!story.member.enter_too(of(5)), "nobody is there any more");
}

#[test]
fn whoever_leaves_tells_everybody_at_once() {
    let mut story = Story::holding(Limits {
        max_moves: 2,
        ..limits(Assignment::Sticky)
    });
    story.member.end(story.now, Ending::HandOver);
    assert_eq!(story.revoked().len(), 6);
}

#[test]
fn work_that_does_not_get_on_loses_its_bucket_and_nobody_elses() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    let of = |bucket, epoch| Grant { bucket, epoch };
    story.member.enter(2);
    story.member.fail(of(2, 4));
    story.member.fail(of(3, 5));
    story.member.fail(of(9, 5));
    assert!(story.member.take_events().is_empty());
    story.member.fail(of(2, 5));
    let events = story.member.take_events();
    assert!(
        matches!(
            events[..],
            [Event::Stuck {
                bucket: 2,
                epoch: 5
            }]
        ),
        "{events:?}"
    );
    assert_eq!(story.member.enter(2), None, "it is to go");
    let Request::Beat(request) = story.member.request(story.now) else {
        panic!("a claim");
    };
    assert_eq!(request.releases, [of(2, 5)]);
    assert!(request.failed.contains(&2));
    let answer = Beat {
        outcomes: vec![Outcome::Gone],
        ..beat()
    };
    story
        .member
        .handle_beat(story.now, BeatReply::Beaten(Box::new(answer)));
    assert_eq!(story.member.busy(), [2]);
    assert_eq!(story.member.is_at_work(), (false, true));
    let Request::Beat(request) = story.member.request(story.now) else {
        panic!("a claim");
    };
    assert!(request.releases.is_empty() && request.failed.is_empty());
}
