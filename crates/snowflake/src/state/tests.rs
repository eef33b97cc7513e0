//! What one caller sees of the state machine, step by step.

use super::*;
use crate::{FieldOrder, Layout};

fn granted(layout: Layout) -> State {
    let state = State::new(layout);
    state.publish(state.fields().authority(1, 100));
    state.open_until(9, u64::MAX);
    state
}

#[test]
fn what_is_closed_has_no_next_ticket_and_says_where_it_ended() {
    let state = granted(Layout::TWITTER);
    state.mint(0).expect("granted");
    assert_eq!(state.peek(), Some(Ticket(1)));
    assert_eq!(state.close(), Ticket(1));
    assert_eq!(state.peek(), None);
    assert_eq!(state.close(), Ticket(1));
    assert_eq!(state.passed(), 1, "the mark is no ticket");
}

/// A block is used for as long as its authority is the one that counts.
#[test]
fn an_authority_holds_until_it_is_replaced_or_revoked() {
    let state = granted(Layout::TWITTER);
    let authority = state.authority().expect("granted");
    assert!(state.holds(authority));
    state.publish(state.fields().authority(1, 200));
    assert!(!state.holds(authority), "the horizon was moved");
    state.revoke();
    assert!(!state.holds(Authority::NONE), "nothing is no right");
}

#[test]
fn an_id_in_a_row_is_the_id_of_its_ticket() {
    let swapped = Layout::TWITTER.with_order(FieldOrder::TimestampSequenceMachine);
    for layout in [Layout::TWITTER, swapped, Layout::SONYFLAKE] {
        let state = granted(layout);
        let reserved = state.reserve(0, 3, 3).expect("room");
        let shape = state.fields().shape(reserved.authority);
        let ids = [0, 1, 2].map(|at| shape.id(Ticket(reserved.first.0 + at)));
        for (sequence, id) in (0..).zip(ids) {
            let parts = layout.decode(id);
            assert_eq!(
                (parts.timestamp, parts.machine_id, parts.sequence),
                (0, 1, sequence)
            );
        }
        assert_eq!(ids[1].as_u64() - ids[0].as_u64(), shape.step());
        let parts = layout.decode(state.mint(0).expect("room"));
        assert_eq!((parts.machine_id, parts.sequence), (1, 3));
    }
}

#[test]
fn a_ticket_is_an_id_up_to_the_horizon_and_never_after_the_end() {
    let state = granted(Layout::TWITTER);
    let authority = state.authority().expect("granted");
    let (ticket, id) = state.take(authority);
    assert_eq!(
        (ticket, id),
        (
            Ticket(0),
            Some(Layout::TWITTER.encode(0, 1, 0).expect("fits"))
        )
    );
    state.raise(state.fields().first(100));
    let (ticket, id) = state.take(authority);
    assert_eq!((state.fields().unit(ticket), id), (100, None));
    state.close();
    assert_eq!(state.take(authority).1, None);
}
