//! Operators drain members, and take it back, while others come and go.

use std::collections::BTreeSet;

use coord_core::store::{Command, Reply};
use proptest::prelude::*;

use super::group::Group;
use crate::{assignment::Assignment, scripts};

/// The first word of the answer.
fn ask(group: &Group, index: usize, drained: bool) -> String {
    let identity = &group.members[index].identity;
    let settle = "1000".to_owned();
    let reply = group.ask(Command::Eval {
        script: &scripts::DRAIN,
        keys: vec![identity.keys.group()],
        args: vec![identity.id.clone(), u8::from(drained).to_string(), settle],
    });
    let word = reply
        .as_array()
        .and_then(|items| items.first().and_then(Reply::as_str));
    word.expect("a word").to_owned()
}

/// Fair among those that are not drained: they own everything, and the others nothing. Members keep on asking for their
/// own weight all the while.
fn check(group: &mut Group, drained: &BTreeSet<String>) {
    let weights: Vec<u32> = group
        .members
        .iter()
        .map(|member| member.identity.weight)
        .collect();
    for member in &mut group.members {
        if drained.contains(&member.identity.id) {
            member.identity.weight = 0;
        }
    }
    group.assert_fair();
    for (member, weight) in group.members.iter_mut().zip(weights) {
        member.identity.weight = weight;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_drained_member_owns_nothing_and_the_others_everything(
        buckets in 1_u32..200,
        contiguous: bool,
        members in 2_usize..7,
        changes in prop::collection::vec((0_u8..6, 0_usize..100), 1..12),
    ) {
        let assignment = if contiguous { Assignment::Contiguous } else { Assignment::Sticky };
        let mut group = Group::new(buckets, assignment);
        for weight in 1..=members {
            group.join(u32::try_from(weight % 3 + 1).expect("small"));
        }
        group.settle();
        let mut drained = BTreeSet::new();
        for (change, which) in changes {
            let index = which % group.members.len();
            let id = group.members[index].identity.id.clone();
            let is_drained = drained.contains(&id);
            let takers = group.members.len() - drained.len();
            match change {
                0 | 1 => {
                    let word = ask(&group, index, true);
                    let is_last = !is_drained && takers == 1;
                    prop_assert_eq!(word, if is_last { "last" } else { "draining" });
                    if !is_last {
                        drained.insert(id);
                    }
                }
                2 => {
                    prop_assert_eq!(ask(&group, index, false), "resumed");
                    drained.remove(&id);
                }
                3 => group.join(2),
                _ if takers == 1 && !is_drained => continue,
                4 => {
                    group.leave(index);
                    drained.remove(&id);
                }
                _ => {
                    group.crash(index);
                    drained.remove(&id);
                }
            }
            group.settle();
            check(&mut group, &drained);
        }
    }
}

#[test]
fn a_drain_moves_what_the_member_owned_and_nothing_else() {
    let mut group = Group::new(120, Assignment::Sticky);
    for _ in 0..4 {
        group.join(1);
    }
    group.settle();
    let before = group.owners();
    let id = group.members[1].identity.id.clone();
    assert_eq!(ask(&group, 1, true), "draining");
    group.settle();
    let after = group.owners();
    let moved: Vec<u32> = before
        .iter()
        .filter(|(bucket, owner)| after.get(*bucket) != Some(*owner))
        .map(|(&bucket, _)| bucket)
        .collect();
    assert_eq!(moved.len(), 30);
    assert!(moved.iter().all(|bucket| before[bucket] == id));
    // Asking again moves nothing; taking it back moves its share and nothing else.
    assert_eq!(ask(&group, 1, true), "draining");
    group.settle();
    assert_eq!(group.owners(), after);
    assert_eq!(ask(&group, 1, false), "resumed");
    group.settle();
    let resumed = group.owners();
    let moved = after
        .iter()
        .filter(|(bucket, owner)| resumed.get(*bucket) != Some(*owner));
    assert_eq!(moved.count(), 30);
    group.assert_fair();
}

#[test]
fn strangers_are_not_drained() {
    let mut group = Group::new(8, Assignment::Sticky);
    group.join(1);
    group.settle();
    group.members[0].identity.id = "nobody".to_owned();
    assert_eq!(ask(&group, 0, true), "not_member");
}
