//! The harness itself: what it starts, breaks and judges must be what it says.

mod checkers;
mod clusters;
mod processes;
mod proxies;
mod sentinels;
mod servers;
mod tls;
mod versions;
