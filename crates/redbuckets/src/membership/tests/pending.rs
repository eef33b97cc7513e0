//! What waits for replicas, what is asked of them, and what is said of it.

use super::*;

/// What is granted waits for one replica.
fn pending(buckets: std::ops::Range<u32>) -> Beat {
    Beat {
        grants: grants(buckets),
        replicas: Some(1),
        ..beat()
    }
}

/// The next request is acknowledged by `found` replicas and answered so; the shortages that were reported.
fn confirmed(story: &mut Story, found: Option<u32>, beat: Beat) -> Vec<(u32, u32)> {
    story.member.take_events();
    story.member.request(story.now);
    if let Some(found) = found {
        story.member.note_acknowledgements(found);
    }
    story.member.handle_beat(story.now, BeatReply::Beaten(beat));
    let events = story.member.take_events().into_iter();
    let shortages = events.filter_map(|event| match event {
        Event::Unacknowledged { found, wanted } => Some((found, wanted)),
        _ => None,
    });
    shortages.collect()
}

/// Replicas are asked once for all that was granted together, and never by whoever leaves.
#[test]
fn replicas_are_asked_when_all_grants_are_here() {
    let mut story = Story::new(limits(Assignment::Sticky));
    assert_eq!(story.member.acknowledgements(), None, "nothing waits");
    story.told(Beat {
        more: true,
        ..pending(0..2)
    });
    assert_eq!(story.member.acknowledgements(), None, "there is more");
    story.told(pending(2..4));
    assert_eq!(story.member.acknowledgements(), Some(1));
    story.member.end(story.now, Ending::HandOver);
    assert_eq!(story.member.acknowledgements(), None);
}

#[test]
fn a_shortage_is_reported_once_until_it_is_over() {
    let mut story = Story::new(limits(Assignment::Sticky));
    assert_eq!(confirmed(&mut story, None, pending(0..2)), []);
    let calm = || pending(0..0);
    assert_eq!(confirmed(&mut story, Some(0), calm()), [(0, 1)]);
    assert_eq!(confirmed(&mut story, None, calm()), [], "nobody was asked");
    assert_eq!(confirmed(&mut story, Some(0), calm()), [], "it was said");
    // It ends, and in the same answer the next grants begin to wait.
    assert_eq!(confirmed(&mut story, Some(1), calm()), []);
    assert_eq!(confirmed(&mut story, None, pending(2..4)), []);
    assert_eq!(story.member.held().count(), 2);
    assert_eq!(confirmed(&mut story, Some(0), calm()), [(0, 1)], "anew");
    assert_eq!(confirmed(&mut story, Some(1), calm()), []);
    assert_eq!(confirmed(&mut story, None, calm()), []);
    assert_eq!(confirmed(&mut story, None, pending(4..5)), []);
    assert_eq!(confirmed(&mut story, Some(0), calm()), [(0, 1)], "again");
}

#[test]
fn a_shortage_is_over_when_nothing_waits() {
    let mut story = Story::new(limits(Assignment::Sticky));
    confirmed(&mut story, None, pending(0..1));
    assert_eq!(confirmed(&mut story, Some(0), pending(0..0)), [(0, 1)]);
    let surplus = Beat {
        surplus: 1,
        ..pending(0..0)
    };
    story.told(surplus);
    assert_eq!(story.told(pending(0..0)), [0], "it is given back");
    confirmed(&mut story, None, pending(1..2));
    assert_eq!(confirmed(&mut story, Some(0), pending(0..0)), [(0, 1)]);
}

/// What waits is gone with what is held, and the replicas are as few as before.
#[test]
fn a_loss_ends_no_shortage() {
    let mut story = Story::new(limits(Assignment::Sticky));
    confirmed(&mut story, None, pending(0..2));
    assert_eq!(confirmed(&mut story, Some(0), pending(0..0)), [(0, 1)]);
    story.member.lose_all(&LossCause::Expired);
    assert_eq!(story.member.acknowledgements(), None, "nothing waits");
    assert_eq!(confirmed(&mut story, Some(0), pending(2..4)), []);
    assert_eq!(confirmed(&mut story, Some(0), pending(0..0)), []);
}

#[test]
fn replicas_that_are_there_are_not_reported() {
    let mut story = Story::new(limits(Assignment::Sticky));
    confirmed(&mut story, None, pending(0..2));
    assert_eq!(confirmed(&mut story, Some(1), pending(0..0)), []);
    assert_eq!(confirmed(&mut story, None, pending(0..0)), []);
    assert_eq!(story.member.held().count(), 2);
}

/// The number that WAIT tells may be that of others than were wanted, so the server is asked once more.
#[test]
fn what_is_acknowledged_takes_effect_when_no_more_are_wanted_afterwards() {
    let mut story = Story::new(limits(Assignment::Sticky));
    confirmed(&mut story, None, pending(0..2));
    confirmed(&mut story, Some(1), pending(2..4));
    assert_eq!(story.member.held().count(), 0, "not by the number alone");
    assert_eq!(story.member.acknowledgements(), None, "all have it");
    let wanted = |replicas| Beat {
        replicas,
        ..pending(0..0)
    };
    confirmed(&mut story, None, wanted(None));
    assert_eq!(story.member.held().count(), 0, "one is missing");
    confirmed(&mut story, None, wanted(Some(2)));
    assert_eq!(story.member.held().count(), 0, "one has come");
    assert_eq!(story.member.acknowledgements(), Some(2));
    confirmed(&mut story, Some(2), wanted(Some(2)));
    confirmed(&mut story, None, wanted(Some(2)));
    assert_eq!(story.member.held().count(), 4);
}

#[test]
fn who_was_acknowledged_asks_once_more_at_once() {
    let mut story = Story::new(limits(Assignment::Sticky));
    let mut wait = |found: Option<u32>, beat| {
        story.member.request(story.now);
        if let Some(found) = found {
            story.member.note_acknowledgements(found);
        }
        story.member.handle_beat(story.now, BeatReply::Beaten(beat))
    };
    let at_once = Heard::Acknowledged(Duration::ZERO);
    assert_eq!(wait(None, pending(0..2)), at_once, "to be acknowledged");
    assert_ne!(wait(Some(0), pending(0..0)), at_once, "too few");
    assert_eq!(wait(Some(1), pending(0..0)), at_once, "to take effect");
    assert_ne!(wait(None, pending(0..0)), at_once);
}

/// Where the answer to a release says that less is too much, the rest stays.
#[test]
fn what_waits_and_is_not_to_go_after_all_stays() {
    let mut story = Story::new(Limits {
        chunk: 1,
        ..limits(Assignment::Sticky)
    });
    story.told(pending(0..2));
    story.told(Beat {
        surplus: 2,
        ..pending(0..0)
    });
    assert_eq!(story.told(pending(0..0)).len(), 1, "one at a time");
    assert!(story.told(pending(0..0)).is_empty());
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
