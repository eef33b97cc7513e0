//! What the tests share: real servers, a proxy that breaks connections, programs as processes, and the checkers
//! that judge what those processes did.
//!
//! Start at [`server::RedisServer`]. Everything listens on loopback only, waits with a bound, and ends its own
//! child processes when it is dropped. A test that lacks what it needs fails and says how to get it; none is skipped.

pub mod buckets;
pub mod clock;
pub mod cluster;
mod examples;
pub mod fleet;
pub mod history;
pub mod ids;
pub mod mixed_fleet;
pub mod port;
pub mod postgres;
pub mod process;
pub mod program;
pub mod promtool;
pub mod proxy;
pub mod sentinels;
pub mod server;
pub mod tls;
pub mod wait;

/// What the READMEs show compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/CONNECTIONS.md")]
#[doc = include_str!("../../crates/raus/README.md")]
#[doc = include_str!("../../crates/redbuckets/README.md")]
#[doc = include_str!("../../crates/snowflake/README.md")]
mod readme {}

/// What the guides show compiles and runs.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../docs/book/src/quick-start.md")]
    mod quick_start {}
    #[doc = include_str!("../../docs/book/src/ranges-and-layouts.md")]
    mod ranges_and_layouts {}
    #[doc = include_str!("../../docs/book/src/from-go-raus.md")]
    mod from_go_raus {}
    #[doc = include_str!("../../docs/book/src/from-go-redbuckets.md")]
    mod from_go_redbuckets {}
    #[doc = include_str!("../../docs/book/src/from-worker-ids.md")]
    mod from_worker_ids {}
    #[doc = include_str!("../../docs/book/src/from-java.md")]
    mod from_java {}
    #[doc = include_str!("../../docs/book/src/ttl-and-heartbeat.md")]
    mod ttl_and_heartbeat {}
    #[doc = include_str!("../../docs/book/src/fencing.md")]
    mod fencing {}
    #[doc = include_str!("../../docs/book/src/faq.md")]
    mod faq {}
}
