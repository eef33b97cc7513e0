//! Which buckets an instance gets.

/// How buckets are chosen when shares change. A property of the group: every instance must say the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Assignment {
    /// Every instance keeps what it has, and only as many buckets move as shares change: the minimum. What it has is a
    /// handful of ranges rather than one.
    #[default]
    Sticky,
    /// Every instance has one range, in the order in which they joined. A change moves about three times as many
    /// buckets, as each range is shifted.
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
