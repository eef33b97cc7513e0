//! A set of byte strings with a picked member in constant time.

use std::{collections::HashMap, sync::Arc};

/// Members in an order that depends only on the operations made, so that a simulation replays.
#[derive(Debug, Clone, Default)]
pub(super) struct MemberSet {
    members: Vec<Arc<[u8]>>,
    places: HashMap<Arc<[u8]>, usize>,
}

impl MemberSet {
    /// Adds a member; whether it is new.
    pub(super) fn insert(&mut self, member: &[u8]) -> bool {
        if self.places.contains_key(member) {
            return false;
        }
        let member: Arc<[u8]> = member.into();
        self.places.insert(member.clone(), self.members.len());
        self.members.push(member);
        true
    }

    /// Removes a member; whether it was there.
    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some(place) = self.places.remove(member) else {
            return false;
        };
        self.members.swap_remove(place);
        if let Some(moved) = self.members.get(place) {
            *self
                .places
                .get_mut(moved)
                .expect("every member has its place") = place;
        }
        true
    }

    pub(super) fn contains(&self, member: &[u8]) -> bool {
        self.places.contains_key(member)
    }

    pub(super) fn members(&self) -> &[Arc<[u8]>] {
        &self.members
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stay_findable_while_others_go() {
        let mut set = MemberSet::default();
        for member in 0..100_u8 {
            assert!(set.insert(&[member]));
        }
        assert!(!set.insert(&[7]));
        for member in (0..100_u8).step_by(2) {
            assert!(set.remove(&[member]));
            assert!(!set.remove(&[member]));
        }
        assert_eq!(set.len(), 50);
        assert!((0..100_u8).all(|member| set.contains(&[member]) == (member % 2 == 1)));
    }
}
