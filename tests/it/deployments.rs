//! Clusters and Sentinel groups under fleets: masters that die, hang or hand over, slots that move, sentinels that hang.
//! Every ID and every visit of a bucket is recorded and judged.

mod bounds;
mod cluster;
mod errors;
mod losses;
mod migration;
mod sentinel;
mod smoke;
mod stage;
mod wakes;

use std::time::Duration;

/// The program that the fleets run.
const FLEET: &str = env!("CARGO_BIN_EXE_mixed_fleet");
/// For what has to happen but may take long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
