//! Leases one machine ID per process from Redis, and never gives it to two.
//!
//! [`Raus`] is the door: it says which range on which server. [`Raus::acquire`] gives a [`MachineId`], which is
//! renewed on a thread of its own until it is released or dropped.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use raus::Raus;
//!
//! // In production "redis://user:password@host:6379?ns=orders". This store lives in the process and is its own first
//! // user, so nobody is listened for.
//! let raus = Raus::builder("memory://docs", 0..=1023)
//!     .label("payments-7f9c")
//!     .discovery(Duration::ZERO)
//!     .build()?;
//! let machine_id = raus.acquire().await?;
//! assert!(machine_id.is_held());
//! println!("machine {} with fencing token {}", machine_id.id(), machine_id.fence());
//! machine_id.release().await?;
//! # Ok(()) }
//! ```
//!
//! # What to use it for
//!
//! - **Snowflake IDs**: `snowflake::Generator::from_raus(machine_id).await`. Uniqueness then rests on a horizon stored in Redis,
//!   not on timing: each renewal reserves the timestamps that may be minted, and the next holder of the slot begins after
//!   them. A generator of your own does the same through [`Minter`].
//! - **Any other number of one's own** (a backend number, a shard): ask [`MachineId::is_held`] before every use, await
//!   [`MachineId::lost`] beside the work, and let the resource check [`MachineId::fence`].
//!
//! # A slot's life
//!
//! | time since the last acknowledged renewal was *sent* | what happens |
//! | --- | --- |
//! | up to 1 s (`heartbeat`) | the next renewal is sent, with those of all other leases on that server |
//! | from a failure on | [`Event::RenewalFailed`]; tried again after 50 ms, then up to twice a second |
//! | 2/3 of the ttl | [`Event::AtRisk`] |
//! | 11/13 of the ttl - 2 ms | [`Event::Lost`]; `is_held()` is false. A generator mints on up to its horizon |
//! | the ttl (60 s) | Redis gives the slot to whoever asks |
//!
//! A slot that turns out to be another's is lost at once. With [`Builder::reacquire`] another one is leased by itself, and
//! [`Event::Reacquired`] says which.
//!
//! # Where it runs
//!
//! Everything but the calls you await runs on one background thread for each server ([`Placement::OwnThread`]), so a
//! blocked runtime loses no lease. Tests with paused time put it on their own runtime instead
//! ([`Placement::Runtime`]) and give it Tokio's clock ([`Builder::clock`] with [`TokioClock`]).
//!
//! # What the server should be like
//!
//! Before its first machine ID on a server a process asks that server about itself, in one round trip. A server that may evict
//! anything (`maxmemory-policy allkeys-*` under a memory limit) is refused, unless [`Builder::allow_eviction`] says
//! otherwise. Whatever else endangers leases ([`Advice`] lists it) is said once, as a `tracing` event of the target
//! `coord_core::advice`; [`Raus::describe`] returns it at any time. A user with ACL rights needs `+info +config|get` for
//! that. Without `+info` nobody would see that the server has forgotten something, so it is refused unless
//! [`Builder::allow_unverified_history`] says otherwise; what else it may not ask is said too, and goes unchecked.
//!
//! # The Go original
//!
//! Processes of fujiwara/raus may share the namespace: same lock keys, same values, same broadcast. They take no slot of
//! ours and we none of theirs. They bring no horizon, so against them IDs are as unique as theirs were before.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod acquire;
mod builder;
mod chain;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod inspect;
mod keys;
mod machine_id;
mod metrics;
mod minter;
mod protocol;
mod raus;
mod renewal;
mod scripts;
mod search;
mod spans;
mod supervisor;
mod tenure;

pub use coord_core::{
    advice::{Advice, DescribeError, EvictingServer, Report},
    clock::{Clock, Instant, SystemClock, TokioClock},
    endpoint::EndpointError,
    history::Terms,
    lease::TimingError,
    namespace::NamespaceError,
    spawn::{Placement, Spawn},
    store::{Failover, ServerInfo, Store, StoreError, Unchecked, redis::Connection},
};

#[cfg(feature = "metrics")]
pub use coord_core::metrics::{BUCKETS, METRICS as STORE_METRICS, Metric, MetricKind};
#[cfg(feature = "tls")]
pub use coord_core::tls::Tls;

#[cfg(feature = "metrics")]
pub use crate::metrics::{METRICS, describe_metrics};

pub use crate::{
    builder::Builder,
    error::{AcquireError, AttachError, ConfigError, ReleaseError},
    event::{Event, Events, Loss, LossCause},
    machine_id::MachineId,
    minter::{Grant, Minter},
    raus::Raus,
};
