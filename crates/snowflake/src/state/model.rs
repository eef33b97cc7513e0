//! Every interleaving of the state machine's steps, by loom.

use loom::{
    sync::{Arc, atomic::AtomicU64},
    thread,
};

use super::{State, Ticket};
use crate::{Id, Layout};

type Model = State<AtomicU64>;

/// Runs `model` under every schedule with at most three preemptions, which bounds the search and is where bugs of this
/// kind show.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Two sequence numbers a unit, so that few steps cross units.
fn layout() -> Layout {
    Layout::new(20, 4, 1).expect("25 bits")
}

/// Mints under machine 1 from `floor` below `horizon`, with the window wide open.
fn granted(floor: u64, horizon: u64) -> Arc<Model> {
    let state = Model::new(layout());
    grant(&state, 1, floor, horizon);
    Arc::new(state)
}

fn grant(state: &Model, machine_id: u32, floor: u64, horizon: u64) {
    state.raise(state.fields().first(floor));
    state.publish(state.fields().authority(machine_id, horizon));
    state.open_until(1_000, u64::MAX);
}

/// Checks that each ID has a timestamp that was granted to its machine, and that no two are equal.
fn check(mut ids: Vec<Id>, granted: &[(u32, std::ops::Range<u64>)]) {
    for &id in &ids {
        let parts = layout().decode(id);
        let allowed = granted.iter().any(|(machine_id, span)| {
            *machine_id == parts.machine_id && span.contains(&parts.timestamp)
        });
        assert!(allowed, "{parts:?} was granted to nobody");
    }
    let minted = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), minted, "an ID was minted twice");
}

fn mint(state: &Model, times: usize) -> Vec<Id> {
    (0..times).filter_map(|_| state.mint(0).ok()).collect()
}

#[test]
fn two_minters_share_no_id() {
    explore(|| {
        let state = granted(3, 100);
        let other = Arc::clone(&state);
        let minter = thread::spawn(move || mint(&other, 2));
        let mut ids = mint(&state, 2);
        ids.extend(minter.join().expect("no panic"));
        assert_eq!(ids.len(), 4);
        check(ids, &[(1, 3..100)]);
    });
}

#[test]
fn each_minter_sees_rising_ids() {
    explore(|| {
        let state = granted(3, 100);
        let other = Arc::clone(&state);
        let minter = thread::spawn(move || mint(&other, 2));
        state.raise(Ticket(20));
        let ids = mint(&state, 2);
        assert!(ids.is_sorted());
        assert!(minter.join().expect("no panic").is_sorted());
    });
}

#[test]
fn a_takeover_of_another_machine_id_mixes_nothing() {
    explore(|| {
        // The first grant ends at 5; the second begins at 4, ahead of where the counter is.
        let state = granted(3, 5);
        let other = Arc::clone(&state);
        let minter = thread::spawn(move || mint(&other, 2));
        state.revoke();
        grant(&state, 2, 4, 6);
        let mut ids = mint(&state, 1);
        ids.extend(minter.join().expect("no panic"));
        check(ids, &[(1, 3..5), (2, 4..6)]);
    });
}

#[test]
fn a_loss_and_regain_of_the_same_machine_id_leaves_the_gap_alone() {
    explore(|| {
        // Between 4 and 7 the machine ID belongs to somebody else.
        let state = granted(3, 4);
        let other = Arc::clone(&state);
        let minter = thread::spawn(move || mint(&other, 3));
        state.revoke();
        grant(&state, 1, 7, 9);
        let ids = minter.join().expect("no panic");
        check(ids, &[(1, 3..4), (1, 7..9)]);
    });
}

#[test]
fn a_raised_horizon_lets_nothing_past_it() {
    explore(|| {
        let state = granted(3, 4);
        state.raise(Ticket(7));
        let other = Arc::clone(&state);
        let minter = thread::spawn(move || mint(&other, 4));
        let extended = state.fields().authority(1, 5);
        state.publish(extended);
        let ids = minter.join().expect("no panic");
        check(ids, &[(1, 3..5)]);
    });
}

#[test]
fn a_batch_shares_no_id_with_single_ones() {
    explore(|| {
        let state = granted(3, 100);
        let other = Arc::clone(&state);
        let minter = thread::spawn(move || mint(&other, 2));
        let reserved = state.reserve(0, 3, 3);
        let mut ids = minter.join().expect("no panic");
        if let Some(reserved) = reserved {
            let first = reserved.first.0;
            let shape = state.fields().shape(reserved.authority);
            ids.extend((first..first + reserved.count).map(|ticket| shape.id(Ticket(ticket))));
        }
        check(ids, &[(1, 3..100)]);
    });
}

#[test]
fn a_batch_across_a_takeover_mixes_nothing() {
    explore(|| {
        let state = granted(3, 5);
        let other = Arc::clone(&state);
        let minter = thread::spawn(move || other.reserve(0, 1, 4));
        state.revoke();
        grant(&state, 2, 4, 6);
        let mut ids = mint(&state, 1);
        if let Some(reserved) = minter.join().expect("no panic") {
            let first = reserved.first.0;
            let shape = state.fields().shape(reserved.authority);
            ids.extend((first..first + reserved.count).map(|ticket| shape.id(Ticket(ticket))));
        }
        check(ids, &[(1, 3..5), (2, 4..6)]);
    });
}

#[test]
fn a_queued_ticket_keeps_the_machine_id_it_was_taken_under() {
    explore(|| {
        let state = granted(3, 5);
        let other = Arc::clone(&state);
        let minter = thread::spawn(move || {
            let authority = other.authority()?;
            other.take(authority).1
        });
        state.revoke();
        grant(&state, 2, 4, 6);
        let mut ids = mint(&state, 1);
        ids.extend(minter.join().expect("no panic"));
        check(ids, &[(1, 3..5), (2, 4..6)]);
    });
}

#[test]
fn nothing_is_minted_beyond_what_closing_reported() {
    explore(|| {
        let state = granted(3, 100);
        let (first, second) = (Arc::clone(&state), Arc::clone(&state));
        let minters = [
            thread::spawn(move || mint(&first, 2)),
            thread::spawn(move || {
                let reserved = second.reserve(0, 1, 1);
                let id = reserved.map(|it| second.fields().shape(it.authority).id(it.first));
                id.into_iter().collect()
            }),
        ];
        let end = state.close();
        assert!(state.mint(0).is_err());
        for minter in minters {
            for id in minter.join().expect("no panic") {
                let parts = layout().decode(id);
                assert!(parts.timestamp << 1 | parts.sequence < end.0);
            }
        }
        assert!(state.mint(0).is_err() && state.reserve(0, 1, 1).is_none());
    });
}

/// The model can fail: with the machine ID read after the ticket was taken, it finds an ID that was granted to nobody.
#[test]
#[should_panic(expected = "was granted to nobody")]
fn reading_the_authority_late_is_caught() {
    explore(|| {
        let state = granted(3, 5);
        let other = Arc::clone(&state);
        let minter = thread::spawn(move || {
            let early = other.authority()?;
            let (ticket, _) = other.take(early);
            let late = other.authority()?;
            other.id(ticket, late)
        });
        state.revoke();
        grant(&state, 2, 4, 6);
        let ids = minter.join().expect("no panic").into_iter().collect();
        check(ids, &[(1, 3..5), (2, 4..6)]);
    });
}
