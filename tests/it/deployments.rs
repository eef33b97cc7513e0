//! Clusters and Sentinel groups under fleets: masters that die, hang or hand over, slots that move, sentinels that hang.
//! Every ID and every visit of a bucket is recorded and judged.

mod bounds;
mod cluster;
mod errors;
mod handovers;
mod losses;
mod migration;
mod sentinel;
mod smoke;
mod stage;
mod stand_ins;
mod wakes;

use std::time::Duration;

/// The program that the fleets run.
const FLEET: &str = env!("CARGO_BIN_EXE_mixed_fleet");
/// For what has to happen but may take long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Tests that are one case each, on one version of the server.
macro_rules! on_versions {
    ($($name:ident: $version:ident $case:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                $case(coord_tests::server::Version::$version).await;
            }
        )*
    };
}

use on_versions;
