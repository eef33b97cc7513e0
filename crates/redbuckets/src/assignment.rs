//! Which buckets an instance gets.

/// How buckets are chosen when shares change. A property of the group: every instance must say the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Assignment {
    /// Every instance keeps what it has, and only as many buckets move as shares change: the minimum. What it has is a
    /// handful of ranges rather than one.
    #[default]
    Sticky,
    /// Every instance has one range, in the order in which they joined.
    ///
    /// Each range is shifted by a change, so every join, leave and crash moves between a quarter and a half of *all* buckets,
    /// however many instances there are: half where the first or the last one comes or goes, which every newcomer to a
    /// growing group does, a quarter where it is one in the middle. Of N instances after a join that is up to N/2 times the
    /// minimum, which [`Sticky`](Self::Sticky) moves. Take it for a handful of instances that want to scan ranges; not where
    /// instances come and go often, or where a bucket that moves costs much (caches to fill, long drains).
    Contiguous,
}

impl Assignment {
    pub(crate) const fn letter(self) -> &'static str {
        match self {
            Self::Sticky => "s",
            Self::Contiguous => "c",
        }
    }

    pub(crate) fn of_letter(letter: &str) -> Option<Self> {
        match letter {
            "s" => Some(Self::Sticky),
            "c" => Some(Self::Contiguous),
            _ => None,
        }
    }
}
