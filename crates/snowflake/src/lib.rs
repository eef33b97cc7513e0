//! Mints unique 64-bit IDs that sort by time, from a machine ID that is leased or assigned.
//!
//! The entry point is [`Generator`]; an [`Id`] is taken apart by its [`Layout`]. Without the feature `std` the crate is
//! `no_std` and offers [`Layout`] and [`Id`] with its encodings alone.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod id;
mod layout;
mod text;

#[cfg(feature = "chrono")]
mod chrono;
#[cfg(feature = "jiff")]
mod jiff;
#[cfg(feature = "postgres-types")]
mod postgres;
#[cfg(feature = "sqlx")]
mod sqlx;
#[cfg(feature = "serde")]
pub mod string;

#[cfg(feature = "std")]
mod builder;
#[cfg(feature = "std")]
mod clock;
#[cfg(feature = "std")]
mod ending;
#[cfg(feature = "std")]
mod error;
#[cfg(feature = "std")]
mod fork;
#[cfg(feature = "std")]
mod generator;
#[cfg(feature = "std")]
mod grants;
#[cfg(feature = "std")]
mod horizon_file;
#[cfg(feature = "std")]
mod inner;
#[cfg(feature = "raus")]
mod leased;
#[cfg(feature = "std")]
mod local;
#[cfg(feature = "std")]
mod metrics;
#[cfg(feature = "std")]
mod next;
#[cfg(feature = "std")]
mod pool;
#[cfg(feature = "std")]
mod published;
#[cfg(feature = "std")]
mod range;
#[cfg(feature = "std")]
mod registry;
#[cfg(feature = "std")]
mod reservation;
#[cfg(feature = "std")]
mod roster;
#[cfg(feature = "std")]
mod sequence;
#[cfg(feature = "std")]
mod state;
#[cfg(feature = "std")]
mod sync;
#[cfg(feature = "std")]
mod timeline;
#[cfg(feature = "std")]
mod timer;

pub use id::{Id, ParseIdError, SignedIdError};
pub use layout::{FieldOrder, Layout, LayoutError, Parts};
pub use text::IdText;

#[cfg(feature = "std")]
pub use {
    builder::{BuildError, Builder},
    clock::{Clock, ClockMode},
    error::{GrantError, MintError, Reason},
    generator::Generator,
    horizon_file::HorizonFileError,
    local::Local,
    metrics::Metrics,
    next::Next,
    pool::Pool,
    range::IdRange,
    reservation::Reservation,
    sequence::SequenceStart,
};

#[cfg(feature = "metrics")]
pub use published::{GAUGES, METRICS, describe_metrics};
