//! Shares buckets among the instances of a service, exactly one owner each.

mod assignment;
mod error;
mod event;
mod guard;
mod instance;
mod join;
mod keys;
mod membership;
mod owned;
mod protocol;
mod redbuckets;
mod renewal;
mod run_each;
mod scripts;
mod shared;
mod shed;
mod supervisor;

pub use coord_core::{
    clock::{Clock, Instant, SystemClock, TokioClock},
    endpoint::EndpointError,
    lease::TimingError,
    namespace::NamespaceError,
    spawn::{Placement, Spawn},
    store::{Store, StoreError},
};

pub use crate::{
    assignment::Assignment,
    error::{ConfigError, JoinError, LeaveError},
    event::{Event, Events, LossCause},
    guard::{Bucket, BucketGuard},
    instance::{BucketState, Instance},
    owned::Owned,
    redbuckets::{Builder, Redbuckets},
    run_each::TaskOutcome,
};
