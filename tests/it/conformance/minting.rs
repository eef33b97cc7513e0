//! IDs minted under leased slots.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use snowflake::{Generator, Id};

use super::space::Space;

const IDS: usize = 500;

pub(super) async fn the_next_holder_mints_above_the_last_one(space: Space) {
    let raus = space.raus(0..=0).build().expect("valid");
    let mut last_ms = 0;
    for _ in 0..3 {
        let machine_id = raus.acquire().await.expect("free");
        let generator = Generator::from_raus(machine_id).await.expect("it fits");
        let ids = mint(&generator).await;
        let layout = generator.layout();
        let first = ids.first().expect("minted").unix_ms(&layout);
        assert!(last_ms < first, "{last_ms} was minted, then {first}");
        last_ms = ids.last().expect("minted").unix_ms(&layout);
        generator.release().await.expect("releases");
        let record = space.record(0).await.expect("it stays");
        assert_eq!(record.horizon, last_ms + 1);
    }
}

pub(super) async fn two_holders_mint_no_id_twice(space: Space) {
    let raus = space.raus(0..=1).build().expect("valid");
    let mut all = BTreeSet::new();
    // In the second round each takes over what one of the first had.
    for _ in 0..2 {
        let holders = join_all((0..2).map(|_| async {
            let machine_id = raus.acquire().await.expect("free");
            Generator::from_raus(machine_id).await.expect("it fits")
        }))
        .await;
        for ids in join_all(holders.iter().map(mint)).await {
            all.extend(ids);
        }
        for generator in holders {
            generator.release().await.expect("releases");
        }
    }
    assert_eq!(all.len(), 4 * IDS);
}

async fn mint(generator: &Generator) -> Vec<Id> {
    let mut ids = Vec::with_capacity(IDS);
    for _ in 0..IDS {
        ids.push(generator.next().await.expect("within the horizon"));
    }
    ids
}
