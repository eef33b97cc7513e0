//! The generators, each made the way its documentation says.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use ferroid::{
    generator::AtomicSnowflakeGenerator,
    id::SnowflakeTwitterId,
    time::{MonotonicClock, TWITTER_EPOCH},
};
use snowdon::{ClassicLayout, Epoch, MachineId};
use snowflake::{ClockMode, Generator, Layout};

pub(crate) type Ferroid = AtomicSnowflakeGenerator<SnowflakeTwitterId, MonotonicClock>;

pub(crate) type Snowdon = snowdon::Generator<ClassicLayout<Twitter>, Twitter>;

/// Machine 1 since Twitter's epoch.
#[derive(Debug)]
pub(crate) struct Twitter;

impl Epoch for Twitter {
    fn millis_since_unix() -> u64 {
        1_288_834_974_657
    }
}

impl MachineId for Twitter {
    fn machine_id() -> u64 {
        1
    }
}

pub(crate) fn ferroid() -> Ferroid {
    Ferroid::new(1, MonotonicClock::with_epoch(TWITTER_EPOCH))
}

pub(crate) fn snowflake_me() -> anyhow::Result<snowflake_me::Snowflake> {
    snowflake_me::Snowflake::builder()
        .machine_id(&|| Ok(1))
        .data_center_id(&|| Ok(1))
        .finalize()
        .map_err(|error| anyhow::anyhow!("snowflake_me: {error}"))
}

pub(crate) fn snowid() -> anyhow::Result<snowid::SnowID> {
    snowid::SnowID::new(1).map_err(|error| anyhow::anyhow!("snowid: {error}"))
}

/// Ours, under a lease that ends in an hour: the horizon is checked for every ID.
pub(crate) fn leased(layout: Layout, clock: ClockMode) -> anyhow::Result<Generator> {
    let generator = Generator::builder()
        .layout(layout)
        .clock(clock)
        .reserved()?;
    let now = ferroid::time::TimeSource::<u64>::current_millis(&MonotonicClock::<1>::default());
    let horizon = Duration::from_millis(now) + Duration::from_secs(3_600);
    generator
        .reservation()
        .grant(1, 0, u64::try_from(horizon.as_millis())?, None)?;
    Ok(generator)
}

/// A counter on a line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counter(pub(crate) std::sync::atomic::AtomicU64);

pub(crate) fn counter() -> Arc<Counter> {
    Arc::default()
}

pub(crate) const fn block() -> NonZeroU32 {
    NonZeroU32::new(256).expect("not zero")
}
