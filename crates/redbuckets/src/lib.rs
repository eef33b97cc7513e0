//! Shares buckets among the instances of a service: every bucket has exactly one owner, and when instances join, leave
//! or crash only the buckets move that must.
//!
//! [`Redbuckets`] is the door: it says which group on which server. [`Redbuckets::join`] gives an [`Instance`], which
//! heartbeats by itself until it leaves or is dropped. [`Instance::enter`] begins work in a bucket,
//! [`Instance::run_each`] keeps one task per owned bucket.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use redbuckets::{Event, Redbuckets};
//!
//! // `memory://` runs the same protocol inside this process; use redis://localhost:6379 in earnest.
//! let buckets = Redbuckets::builder("memory://front-page", "orders").buckets(16).build()?;
//! let instance = buckets.join().await?;
//! let mut events = instance.events();
//! while let Some(event) = events.next().await {
//!     if let Event::Granted { bucket, .. } = event
//!         && let Some(guard) = instance.enter(bucket)
//!     {
//!         println!("work on bucket {} with fencing token {}", guard.bucket(), guard.epoch());
//!         break;
//!     }
//! }
//! instance.leave().await?;
//! # Ok(()) }
//! ```
//!
//! # What is promised
//!
//! - **At most one live owner per bucket.** An owner stops at its deadline, which it counts from the moment it *sent* its
//!   last acknowledged heartbeat; the server counts the same ttl from the moment it executed it, hence later. Only then
//!   is the bucket anybody else's. Clocks of clients never count, only the server's.
//! - **Every grant carries an epoch**, a fencing token that rises with every owner of the bucket.
//! - **A change moves the minimum** ([`Assignment::Sticky`]): joining N members costs the newcomer's share and nothing
//!   else; shares differ by at most one bucket, or by less than one from what a [weight](Builder::weight) says.
//! - **What the server may have forgotten is treated as forgotten.** After a failover, a restart or a flush nothing free
//!   is granted for the longest [`ttl`](Builder::ttl) in the group and the longest
//!   [`failover_bound`](Builder::failover_bound), while living owners put back what they hold.
//!
//! Not promised: that the lease of an owner that cannot be heard outlasts a step of the server's clock; that an *emptied*
//! store waits for an owner which it cannot reach for longer than [`discovery`](Builder::discovery), unless another owner
//! is heard in time; that work inside a guard stops by itself at the deadline. The epoch covers what you write to all the
//! same.
//!
//! # The timeline of a handover
//!
//! 1. Membership changes. Buckets of a member that crashed (at the end of its lease) or left are granted at once, to
//!    whoever lacks most.
//! 2. Once membership has been quiet for [`settle`](Builder::settle), members above their share learn by how much. Each
//!    chooses which buckets to give away: [`Event::Revoking`]. Nobody enters those any more.
//! 3. When the last [`BucketGuard`] of such a bucket is dropped, the bucket is released with its epoch, and the same
//!    script grants it to the member that lacks most, which is woken: [`Event::Released`] there, [`Event::Granted`] here,
//!    milliseconds apart. There is no free state in between.
//! 4. Where work goes on past [`drain_timeout`](Builder::drain_timeout) the owner keeps the bucket and says so:
//!    [`Event::Revoking`] with `overdue`. [`force_handover`](Builder::force_handover) changes that.
//!
//! # The epoch as a fencing token
//!
//! A process may be paused between a check and a write, so let the write itself check. Keep the highest epoch that was
//! seen beside what the bucket protects, and accept nothing lower:
//!
//! ```sql
//! UPDATE orders SET state = 'shipped', epoch = $1 WHERE id = $2 AND bucket = $3 AND epoch <= $1
//! ```
//!
//! No row updated means that a later owner has been there: stop working on the bucket.
//!
//! # Sticky or contiguous
//!
//! [`Assignment::Sticky`] moves the minimum and leaves every instance with a handful of ranges, which
//! [`Owned::ranges`] gives for `WHERE bucket BETWEEN a AND b`. [`Assignment::Contiguous`] gives every instance exactly one
//! range, and every change moves up to half of all buckets, so it is for a handful of instances. All instances of a group must agree.
//!
//! # Sizing ttl and period
//!
//! A crash leaves buckets without an owner for one [`ttl`](Builder::ttl); an instance that cannot reach the server
//! for as long loses everything. The [`period`](Builder::period) costs one script of some ten microseconds per
//! instance; a ttl holds at least three. An instance that dies soon after it came costs its share each time, for a ttl. So
//! where one dies within three ttls that came after another had done so, whoever comes next to living instances has no share
//! before it has lived for a ttl; for two, four, and up to ten where those die as well. Eight ttls without such a death end
//! that. With replicas, let the ttl exceed the time that a failover takes by two
//! periods, or every failover stops all work. With [`rejoin_grace`](Builder::rejoin_grace) and a stable
//! [`instance_id`](Builder::instance_id) a restart that takes less than the grace moves nothing.
//!
//! # What the server should be like
//!
//! Before its first membership on a server a process asks that server about itself, in one round trip. A server that may evict
//! anything (`maxmemory-policy allkeys-*` under a memory limit) is refused, unless [`Builder::allow_eviction`] says
//! otherwise. Whatever else endangers leases ([`Advice`] lists it) is said once, as a `tracing` event of the target
//! `coord_core::advice`; [`Redbuckets::describe`] returns it at any time. A user with ACL rights needs `+info +config|get` for
//! that. Without `+info` nobody would see that the server has forgotten something, so it is refused unless
//! [`Builder::allow_unverified_history`] says otherwise; what else it may not ask is said too, and goes unchecked.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod assignment;
mod bucket_set;
mod builder;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod glance;
mod guard;
pub mod inspect;
mod instance;
mod join;
mod keys;
mod membership;
mod metrics;
mod owned;
mod protocol;
mod redbuckets;
mod renewal;
mod run_each;
mod scripts;
mod shared;
mod shed;
mod spans;
mod supervisor;
#[cfg(test)]
mod tests;

pub use coord_core::{
    advice::{Advice, DescribeError, EvictingServer, Report},
    clock::{Clock, Instant, SystemClock, TokioClock},
    endpoint::EndpointError,
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
    assignment::Assignment,
    bucket_set::BucketSet,
    builder::Builder,
    error::{ConfigError, JoinError, LeaveError, RunError},
    event::{Event, Events, LossCause},
    guard::{Bucket, BucketGuard},
    instance::{BucketState, Instance},
    owned::Owned,
    redbuckets::Redbuckets,
    run_each::TaskOutcome,
};
