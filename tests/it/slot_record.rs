//! What the store keeps of a slot, as text in a hash.

use std::fmt;

/// One field of `<namespace>:slots`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) fence: u64,
    pub(crate) horizon: u64,
    pub(crate) floor: u64,
    pub(crate) till: u64,
    pub(crate) chain: String,
    pub(crate) label: String,
}

impl Record {
    /// `None` where the text is no record.
    pub(crate) fn parsed(text: &str) -> Option<Self> {
        let mut fields = text.splitn(6, ' ');
        let mut number = || fields.next()?.parse().ok();
        let (fence, horizon, floor, till) = (number()?, number()?, number()?, number()?);
        Some(Self {
            fence,
            horizon,
            floor,
            till,
            chain: fields.next()?.to_owned(),
            label: fields.next()?.to_owned(),
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fence,
            horizon,
            floor,
            till,
            chain,
            label,
        } = self;
        write!(f, "{fence} {horizon} {floor} {till} {chain} {label}")
    }
}
