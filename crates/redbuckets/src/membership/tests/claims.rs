//! What is said to a store that may have forgotten something.

use super::*;
use crate::protocol::{ClaimReply, ClaimRequest, Count};

fn claim(story: &mut Story) -> ClaimRequest {
    match story.member.request(story.now) {
        Request::Claim(claim) => claim,
        Request::Beat(beat) => panic!("{beat:?}"),
    }
}

fn claimed(generation: &str) -> ClaimReply {
    ClaimReply::Claimed {
        number: 1,
        generation: generation.to_owned(),
        rejected: Vec::new(),
        told: Told::default(),
    }
}

/// Six buckets in one run and two by themselves, which came in two grants.
fn scattered(chunk: u32) -> Story {
    let mut story = Story::holding(Limits {
        chunk,
        ..limits(Assignment::Sticky)
    });
    story.told(Beat {
        grants: [grants(7..8), grants(9..10)].concat(),
        received: 2,
        ..beat()
    });
    story.member.handle_beat(story.now, BeatReply::Resync);
    story
}

#[test]
fn how_much_is_held_is_said_before_what() {
    let mut story = scattered(64);
    let first = claim(&mut story);
    let count = Count {
        generation: "7".to_owned(),
        got: 2,
        buckets: 8,
    };
    assert_eq!(first.count, Some(count.clone()));
    assert!(first.claims.is_empty() && first.generation.is_none() && first.last);
    // It may have been executed and never answered.
    story.member.handle_failed();
    assert_eq!(claim(&mut story).count, Some(count));
    let heard = story.member.handle_claim(claimed("8"));
    assert_eq!(heard, Heard::Acknowledged(Duration::ZERO));
    let Request::Beat(beat) = story.member.request(story.now) else {
        panic!("a claim");
    };
    assert_eq!((&*beat.generation, beat.got), ("8", 2));
}

#[test]
fn what_is_held_is_claimed_run_by_run_and_each_claim_counts() {
    let mut story = scattered(2);
    claim(&mut story);
    let heard = story.member.handle_claim(ClaimReply::Piecemeal);
    assert_eq!(heard, Heard::Unfinished);
    let first = claim(&mut story);
    assert_eq!(first.count, None);
    assert_eq!(first.claims, [grants(0..6), grants(7..8)].concat());
    assert!(first.generation.is_none() && !first.last);
    let heard = story.member.handle_claim(claimed("8"));
    assert_eq!(heard, Heard::Acknowledged(Duration::ZERO));
    let second = claim(&mut story);
    assert_eq!(second.claims, grants(9..10));
    assert!(second.generation.as_deref() == Some("8") && second.last);
    story.member.handle_claim(claimed("8"));
    let Request::Beat(beat) = story.member.request(story.now) else {
        panic!("a claim");
    };
    assert_eq!((&*beat.generation, beat.got), ("8", 0));
}

#[test]
fn no_request_says_more_than_1024_buckets() {
    let mut story = Story::new(limits(Assignment::Sticky));
    story.told(Beat {
        grants: grants(0..2_500),
        received: 3,
        ..beat()
    });
    story.member.handle_beat(story.now, BeatReply::Resync);
    claim(&mut story);
    story.member.handle_claim(ClaimReply::Piecemeal);
    for (size, is_last) in [(1_024, false), (1_024, false), (452, true)] {
        let request = claim(&mut story);
        assert_eq!((request.claims.len(), request.last), (size, is_last));
        story.member.handle_claim(claimed("8"));
    }
}
