//! What the store keeps of a slot, as text in a hash.

use std::fmt;

/// One field of `<namespace>:slots`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The slot's fence.
    pub fence: u64,
    /// Milliseconds that no ID of a later holder may be minted in.
    pub horizon: u64,
    /// The first millisecond in which its holder may mint.
    pub floor: u64,
    /// When the lease is over, in milliseconds by the server's clock.
    pub till: u64,
    /// The nonces of the last renewals.
    pub chain: String,
    /// Who holds it, for people.
    pub label: String,
}

impl Record {
    /// `None` where the text is no record.
    pub fn parsed(text: &str) -> Option<Self> {
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
