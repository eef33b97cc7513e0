//! Whether the store can vouch for its past: `history.lua`, and how acknowledgements help.

use super::{
    rules::{Acks, Heirs, Rules},
    store::{Acquire, Mode, Past, Server, Store},
};

/// What may be granted.
pub(super) enum Standing {
    Known(u8),
    /// Only what is not shown as held may be granted.
    Open,
    Suspect,
    Absent(u8),
}

/// `history_doubt` in `history.lua`.
pub(super) fn doubt(
    store: &mut Store,
    now: u8,
    server: Server,
    numbers: &mut u8,
    rules: &Rules,
    open: bool,
) {
    let past = store.past;
    let till = now + rules.ttl;
    let clears = rules.acks.is_none_or(|acks| acks.doubt_clears);
    let was_acked = past.is_some_and(|past| past.acked);
    let acked = was_acked && (open || !clears);
    let mut flip = past.map_or(0, |past| past.flip);
    if past.is_none() || was_acked && !acked {
        flip = lapse(flip, numbers, rules);
    }
    store.past = Some(Past {
        run: server.run,
        till,
        floor: (till + rules.skew).max(past.map_or(0, |past| past.floor)),
        acked,
        flip,
        open,
    });
}

/// `history_admit` in `history.lua`.
pub(super) fn admit(
    store: &mut Store,
    now: u8,
    server: Server,
    ask: &Acquire,
    numbers: &mut u8,
    rules: &Rules,
) -> Standing {
    let Some(past) = &mut store.past else {
        return admit_absent(store, now, server, ask, numbers, rules);
    };
    if past.run != server.run {
        if !rules.quarantine {
            past.run = server.run;
            return Standing::Known(past.floor);
        }
        let open = rules.acks.is_some_and(|acks| {
            past.acked
                && (past.open || past.till <= now)
                && match acks.heirs {
                    Heirs::Any => true,
                    Heirs::Promoted => server.promoted,
                    Heirs::Direct => server.promoted && server.before == past.run,
                }
        });
        doubt(store, now, server, numbers, rules, open);
        return if open {
            Standing::Open
        } else {
            Standing::Suspect
        };
    }
    if now < past.till {
        return if past.open {
            Standing::Open
        } else {
            Standing::Suspect
        };
    }
    past.open = false;
    Standing::Known(past.floor)
}

fn admit_absent(
    store: &mut Store,
    now: u8,
    server: Server,
    ask: &Acquire,
    numbers: &mut u8,
    rules: &Rules,
) -> Standing {
    match ask.mode {
        Mode::Voice => {
            doubt(store, now, server, numbers, rules, false);
            Standing::Suspect
        }
        Mode::First(token) if store.token == (server.run, token) || !rules.token => {
            store.token = (0, 0);
            let floor = if rules.first_floor {
                now + rules.skew + 1
            } else {
                0
            };
            store.past = Some(Past {
                run: server.run,
                till: 0,
                floor,
                acked: rules.acks.is_some() && ask.acking,
                flip: lapse(0, numbers, rules),
                open: false,
            });
            Standing::Known(floor)
        }
        Mode::Ask | Mode::First(_) => {
            if store.token.1 == 0 || store.token.0 != server.run {
                store.token = (server.run, next(numbers));
            }
            Standing::Absent(store.token.1)
        }
    }
}

/// Who does not wait for replicas says so first, and who does says so again.
pub(super) fn flip(
    store: &mut Store,
    ask: &Acquire,
    numbers: &mut u8,
    rules: &Rules,
) -> Option<u8> {
    let acks: Acks = rules.acks?;
    let past = store.past.as_mut()?;
    if ask.acking {
        past.acked = true;
        return None;
    }
    if !acks.flag {
        return None;
    }
    let confirmed = if acks.flip_numbered {
        ask.armed == past.flip
    } else {
        ask.armed != 0
    };
    if !past.acked && (confirmed || !acks.own_flip) {
        return None;
    }
    if past.acked {
        (past.acked, past.flip) = (false, next(numbers));
    }
    // Without a number there is nothing to wait for.
    (past.flip != 0).then_some(past.flip)
}

/// The number of a past that is not acknowledged although nobody flipped it.
fn lapse(flip: u8, numbers: &mut u8, rules: &Rules) -> u8 {
    match rules.acks {
        Some(acks) if acks.lapses_numbered => next(numbers),
        _ => flip,
    }
}

/// What server time in microseconds is to the scripts: never the same twice, whatever was forgotten.
fn next(numbers: &mut u8) -> u8 {
    *numbers += 1;
    *numbers
}
