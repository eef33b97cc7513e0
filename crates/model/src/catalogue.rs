//! Every model that is looked at, and what is expected of it.

mod buckets;
mod lease;

use crate::{
    buckets::Setting as Buckets,
    check::{self, Findings, Until},
    lease::Setting as Lease,
};

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "not published")]
pub enum Bounds {
    /// Seconds.
    Small,
    /// Minutes.
    Large,
}

impl Bounds {
    fn pick<T>(self, small: T, large: T) -> T {
        match self {
            Self::Small => small,
            Self::Large => large,
        }
    }
}

/// Why a model is in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "not published")]
pub enum Kind {
    /// The protocol as it is: everything holds.
    Protocol,
    /// One rule of it is left out: something must not hold, or the model is blind.
    Mutant,
    /// The protocol as it is, in a situation that it does not cover.
    Limit,
    /// A change that covers it.
    Repair,
}

impl Kind {
    /// The word in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Mutant => "mutant",
            Self::Limit => "limit",
            Self::Repair => "repair",
        }
    }
}

/// One model and what is expected of it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Why it is here.
    pub kind: Kind,
    /// What it is about.
    pub name: &'static str,
    /// Its bounds, in words.
    pub bounds: String,
    /// The property that does not hold; `None` where all do.
    pub refuted: Option<&'static str>,
    subject: Subject,
}

#[derive(Debug, Clone)]
enum Subject {
    Lease(Lease),
    Buckets(Buckets),
}

impl Entry {
    fn lease(
        kind: Kind,
        name: &'static str,
        refuted: Option<&'static str>,
        setting: Lease,
    ) -> Self {
        Self {
            kind,
            name,
            bounds: setting.to_string(),
            refuted,
            subject: Subject::Lease(setting),
        }
    }

    fn buckets(
        kind: Kind,
        name: &'static str,
        refuted: Option<&'static str>,
        setting: Buckets,
    ) -> Self {
        Self {
            kind,
            name,
            bounds: setting.to_string(),
            refuted,
            subject: Subject::Buckets(setting),
        }
    }

    /// Which protocol it models.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        match self.subject {
            Subject::Lease(_) => "lease",
            Subject::Buckets(_) => "buckets",
        }
    }

    /// Looks at every state, or at as many as it takes to refute the property that does not hold.
    #[must_use]
    pub fn check(&self) -> Findings {
        let until = self.refuted.map_or(Until::Exhausted, Until::Refuted);
        match &self.subject {
            Subject::Lease(setting) => check::check(setting.clone(), until),
            Subject::Buckets(setting) => check::check(setting.clone(), until),
        }
    }

    /// Whether that is what is expected.
    #[must_use]
    pub fn is_as_expected(&self, findings: &Findings) -> bool {
        match self.refuted {
            Some(property) => findings.refuted.contains_key(property),
            None => findings.refuted.is_empty(),
        }
    }
}

/// Every model, the protocols first.
#[must_use]
pub fn catalogue(bounds: Bounds) -> Vec<Entry> {
    let mut entries = lease::entries(bounds);
    entries.extend(buckets::entries(bounds));
    entries
}
