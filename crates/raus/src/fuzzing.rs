//! What the fuzz targets call. No part of the API.

use std::{collections::HashSet, time::Duration};

use coord_core::{
    fuzzing::Input,
    history::{Mode, Terms},
    store::Reply,
};
use uuid::Uuid;

use crate::{
    inspect,
    protocol::{self, AcquireReply, Taken},
    search::{Progress, Search, Step},
};

const OFFERED: [u32; 4] = [0, 7, 100, 1_023];

/// Whatever a server answers, nothing is held that the answer does not grant, or that was not asked for.
pub fn reply(reply: &Reply) {
    if let Ok(AcquireReply::Granted { slot, .. }) =
        protocol::parse_acquire(reply, Uuid::nil(), &OFFERED)
    {
        let items = reply.as_array().expect("a grant is a list");
        assert_eq!(items[0].as_str(), Some("granted"));
        assert_eq!(items[1].as_u64(), Some(u64::from(slot.number)));
        assert_eq!(items[2].as_u64(), Some(slot.fence));
        assert!(OFFERED.contains(&slot.number) && slot.fence != 0);
        assert!(slot.floor_ms <= slot.horizon_ms);
    }
    let _ = protocol::parse_renew(reply);
    let _ = protocol::parse_release(reply);
    inspect::fuzz(reply);
}

/// Whatever a server answers to one offer after the other, only the range is offered, and there is an end to it.
pub fn search(data: &[u8]) {
    let mut input = Input::new(data);
    let size = 1 + input.below(256) * 20;
    let preferred = [input.below(256), u32::MAX];
    let mut rng = fastrand::Rng::with_seed(u64::from(input.byte()));
    let skew = Duration::from_secs(10);
    let candidates = 1 + input.below(64) as usize;
    let used = HashSet::from([3]);
    let mut search = Search::new(0..=size - 1, &preferred, used, candidates, skew, &mut rng);
    while !input.is_empty() {
        match search.step() {
            Step::Offer { slots, .. } => {
                assert!(!slots.is_empty() && slots.len() <= 1_024);
                assert!(slots.iter().all(|&slot| slot < size));
                let reply = answer(&mut input, &slots);
                match search.handle_reply(input.number(), reply) {
                    Progress::Continue => {}
                    Progress::Granted { slot, .. } => {
                        assert!(slots.contains(&slot.number));
                        return;
                    }
                    Progress::Garbled(slot) => return assert!(slot < size),
                    Progress::Failed(_) => return,
                }
            }
            Step::Listen { token, .. } => search.handle_heard(if input.byte() < 128 {
                Mode::First { token }
            } else {
                Mode::Voice
            }),
            Step::Wait(_) => {
                input.byte();
                search.handle_waited();
            }
        }
    }
}

fn answer(input: &mut Input<'_>, slots: &[u32]) -> AcquireReply {
    match input.below(8) {
        0 => AcquireReply::Granted {
            slot: protocol::Slot {
                number: slots[input.below(256) as usize % slots.len()],
                holder: Uuid::nil(),
                fence: 1,
                floor_ms: input.number(),
                horizon_ms: u64::MAX,
                server_ms: input.number(),
            },
            longest: Terms::default(),
            layout: String::new(),
            garbled: None,
        },
        1 => AcquireReply::Absent {
            token: String::from_utf8_lossy(input.chunk()).into_owned(),
            is_quiet: input.below(2) == 1,
        },
        2 => AcquireReply::Skew {
            server_ms: input.number(),
        },
        3 => AcquireReply::Ahead { by: input.ms() },
        4 | 5 => AcquireReply::Quarantine { wait: input.ms() },
        _ => AcquireReply::Taken(Taken {
            held: input.number(),
            ahead: input.number(),
            frees_within: (input.below(2) == 1).then(|| input.ms()),
            whole: input.below(8) == 0,
            ahead_by: input.ms(),
            garbled: (input.below(4) == 0).then_some(slots[0]),
        }),
    }
}
