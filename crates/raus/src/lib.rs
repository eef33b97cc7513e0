//! Leases one machine ID per process from Redis, and never gives it to two.
//!
//! [`Raus`] is the door: it says which range on which server. [`Raus::acquire`] gives a [`MachineId`], which is
//! renewed on a thread of its own until it is released or dropped.

mod acquire;
mod error;
mod event;
mod keys;
mod machine_id;
mod minter;
mod protocol;
mod raus;
mod renewal;
mod scripts;
mod search;
mod supervisor;
mod tenure;

pub use coord_core::{
    clock::{Clock, Instant, SystemClock, TokioClock},
    endpoint::EndpointError,
    lease::TimingError,
    namespace::NamespaceError,
    spawn::{Placement, Spawn},
    store::{Store, StoreError},
};

pub use crate::{
    error::{AcquireError, AttachError, ConfigError, ReleaseError},
    event::{Event, Events, Loss, LossCause},
    machine_id::MachineId,
    minter::{Grant, Minter},
    raus::{Builder, Raus},
};
