//! How a membership goes on and ends.

use super::*;
use crate::protocol::ClaimReply;

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
        .handle_beat(story.now, BeatReply::Beaten(Box::new(answer)));
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

/// Whoever has something to give back says so at once, and else when it is asked to.
#[test]
fn what_can_be_given_back_is_not_kept_waiting() {
    let soon = |story: &mut Story, answer: Beat| {
        story.member.request(story.now);
        let heard = story
            .member
            .handle_beat(story.now, BeatReply::Beaten(Box::new(answer)));
        let Heard::Acknowledged(again) = heard else {
            panic!("{heard:?}");
        };
        again.is_zero()
    };
    let surplus = || Beat {
        surplus: 1,
        ..beat()
    };
    let mut story = Story::holding(limits(Assignment::Sticky));
    assert!(!soon(&mut story, beat()), "all is well");
    assert!(soon(&mut story, surplus()), "a bucket is to go");
    let mut busy = Story::holding(limits(Assignment::Sticky));
    for bucket in 0..6 {
        busy.member.enter(bucket);
    }
    assert!(!soon(&mut busy, surplus()), "work goes on in it");
    let mut parked = Story::holding(limits(Assignment::Sticky));
    parked.member.end(parked.now, Ending::Park);
    assert!(!soon(&mut parked, surplus()), "it keeps everything");
}

/// It is said twice where an answer was lost, or by a server that lies; work under it goes on counting.
#[test]
fn a_grant_that_is_held_is_not_taken_again() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    story.member.enter(3);
    for epoch in [5, 4] {
        story.told(Beat {
            grants: vec![Grant { bucket: 3, epoch }],
            ..beat()
        });
        let events = story.member.take_events();
        let granted = |event: &Event| matches!(event, Event::Granted { .. });
        assert!(!events.iter().any(granted), "{events:?}");
    }
    assert_eq!(story.member.epoch(3), Some(5));
    story.member.end(story.now, Ending::HandOver);
    assert_eq!(story.told(beat()), [0, 1, 2, 4, 5], "work goes on in 3");
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
                .handle_beat(story.now, BeatReply::Beaten(Box::new(calm())));
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

/// The store counts a member's terms when it looks at everything, and remembers them for two ttls.
#[test]
fn everything_is_looked_at_once_in_half_a_ttl() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    let half = Duration::from_secs(30);
    let mut thorough = |after, answered| {
        story.now = story.now + after;
        let Request::Beat(request) = story.member.request(story.now) else {
            panic!("a claim");
        };
        if answered {
            let answer = BeatReply::Beaten(Box::new(beat()));
            story.member.handle_beat(story.now, answer);
        } else {
            story.member.handle_failed();
        }
        request.thorough
    };
    let short = Duration::from_millis(1);
    assert!(!thorough(half - short, true));
    assert!(thorough(short, false), "half a ttl has passed");
    assert!(
        thorough(Duration::ZERO, true),
        "the last one was not answered"
    );
    assert!(!thorough(half - short, true));
    assert!(thorough(short, true));
}

/// What the store said last goes with each request, for a store that has forgotten it; what it says during a claim
/// proves no loss from before.
#[test]
fn what_the_store_said_is_told_to_it_again() {
    let told = |seconds| Told {
        longest: coord_core::history::Terms::new(
            Duration::from_secs(seconds),
            Duration::ZERO,
            Duration::ZERO,
        ),
        server_ms: 1_000 * seconds,
    };
    let mut story = Story::holding(Limits {
        chunk: 1,
        ..limits(Assignment::Sticky)
    });
    story.told(Beat {
        grants: grants(9..10),
        received: 1,
        told: told(60),
        ..beat()
    });
    let Request::Beat(request) = story.member.request(story.now) else {
        panic!("a claim");
    };
    assert_eq!(request.longest, told(60).longest);
    story.member.handle_beat(story.now, BeatReply::Resync);
    story.member.request(story.now);
    story.member.handle_claim(ClaimReply::Piecemeal);
    for _ in 0..2 {
        let Request::Claim(request) = story.member.request(story.now) else {
            panic!("a beat");
        };
        assert_eq!(request.told, told(60));
        story.member.handle_claim(ClaimReply::Claimed {
            number: 1,
            generation: "8".to_owned(),
            rejected: Vec::new(),
            told: told(70),
        });
    }
    assert_eq!(story.member.told(), told(70));
}

#[test]
fn what_is_held_and_what_goes_is_counted() {
    let mut story = Story::holding(limits(Assignment::Sticky));
    assert_eq!(story.member.counts(), (6, 0));
    story.member.enter(5);
    story.told(Beat {
        surplus: 2,
        ..beat()
    });
    assert_eq!(story.member.counts(), (6, 2));
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

/// Whatever was on its way out when it was lost, or granted anew, is on its way no more.
#[test]
fn what_is_lost_or_granted_anew_is_no_longer_going() {
    let calm = || Beat {
        glance: Some(Glance {
            state: "state".to_owned(),
            record: "i g 1 0 0 1 0 0 id".to_owned(),
        }),
        ..beat()
    };
    for lost in [true, false] {
        let mut story = Story::holding(limits(Assignment::Sticky));
        for bucket in 0..6 {
            story.member.enter(bucket);
        }
        story.told(Beat {
            surplus: 2,
            ..beat()
        });
        let revoked = story.revoked();
        assert_eq!(revoked.len(), 2);
        if lost {
            story.member.lose_all(&LossCause::Expired);
            let events = story.member.take_events();
            let lost = events
                .iter()
                .filter(|event| matches!(event, Event::Lost { epoch: 5, .. }));
            assert_eq!(lost.count(), 6);
            assert_eq!(story.member.held().count(), 0);
        } else {
            let anew = revoked.iter().map(|&bucket| Grant { bucket, epoch: 6 });
            story.told(Beat {
                grants: anew.collect(),
                ..beat()
            });
            assert_eq!(story.member.enter(revoked[0]), Some(6));
        }
        story.told(calm());
        let Request::Beat(request) = story.member.request(story.now) else {
            panic!("a claim");
        };
        assert!(request.glance.is_some(), "nothing is going on");
    }
}
