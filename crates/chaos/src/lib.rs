//! Faults on real servers under real clients, recorded, and judged from the records alone.
//!
//! [`plan`] says what is broken when, [`nemesis`] breaks it, [`client`] are the programs under test, [`history`] is what
//! everybody records, [`check`] judges it, [`availability`] says how soon everything
//! worked again, [`report`] shows it. [`run::Run`] is one run from begin to end.

#![expect(
    clippy::exhaustive_enums,
    reason = "nobody outside this package matches on them, and it wants to match on all"
)]

pub mod availability;
pub mod check;
pub mod client;
pub mod history;
pub mod nemesis;
pub mod plan;
pub mod report;
pub mod run;
pub mod secrets;
