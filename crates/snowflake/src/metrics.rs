//! What a generator did.

/// Totals since the generator was made. They cost nothing per ID: the slow path keeps them, and what was minted follows
/// from the counter itself. Taken while others mint, they are near the truth; taken at rest, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// IDs handed out, reserved ones included.
    pub minted: u64,
    /// How often a caller was told to wait, or waited.
    pub waited: u64,
    /// How often minting was refused: no right to mint, at its horizon, closed.
    pub refused: u64,
    /// How often the slow path found timestamps ahead of the wall clock: borrowed from the future, or going on after
    /// the clock was stepped back.
    pub borrowed: u64,
    /// How often the wall clock was seen to step by more than 20 ms, forwards or back.
    pub clock_steps: u64,
}
