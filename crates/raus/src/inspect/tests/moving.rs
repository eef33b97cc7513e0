//! A namespace that is taken to another server.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_imported_namespace_forgets_nothing_and_grants_nothing_at_first() {
    let (server, inspector) = Server::begun().await;
    let now = server.now_ms();
    for slot in 0..2_500 {
        server.leave(slot, now + u64::from(slot), 0);
    }
    server.leave(7, now + 15_000, now + 5_000);
    server.command(&["HSET", "ns:slots", "layout", "41/10/12"]);
    server.set_floor(now + 17_000);
    let export = inspector.export().await.expect("it answers");
    assert_eq!(
        (export.slots.len(), export.layout.as_str()),
        (2_500, "41/10/12")
    );
    assert_eq!(
        (export.floor_ms, export.longest_ttl_ms),
        (now + 17_000, 10_000)
    );

    let target = Server::new();
    let other = target
        .builder("{other}")
        .ttl(Duration::from_secs(3))
        .build()
        .expect("valid");
    let mover = other.inspector().expect("a place to run");
    let imported = mover.import(&export).await.expect("it is empty");
    assert_eq!(
        (imported.slots, imported.quarantine),
        (2_500, TTL),
        "the longest ttl of the export"
    );
    let read = mover.read().await.expect("it answers");
    assert!(
        matches!(
            read.history,
            History::Quarantine {
                has_begun: true,
                ..
            }
        ),
        "{read:?}"
    );
    assert_eq!((read.recorded, read.layout.as_str()), (2_500, "41/10/12"));
    assert_eq!(read.longest.ttl_ms, 10_000);
    let floor = target.now_ms() + 20_000;
    assert!(
        export.floor_ms <= read.floor_ms && read.floor_ms <= floor,
        "{read:?}"
    );
    for (slot, from) in read.slots.iter().zip(&export.slots) {
        assert_eq!(
            (slot.fence, slot.horizon_ms, slot.label.as_str()),
            (7, from.horizon_ms, "gone")
        );
        assert_eq!((slot.lease_left, &slot.lock), (Duration::ZERO, &None));
    }
    let held = other
        .acquire_within(Duration::from_secs(60))
        .await
        .expect("after the quarantine");
    let slot = mover
        .read_slot(held.id())
        .await
        .expect("it answers")
        .expect("on record");
    assert!(7 < slot.fence && read.floor_ms <= slot.floor_ms, "{slot:?}");
}

#[tokio::test(start_paused = true)]
async fn an_import_mixes_nothing_up_and_can_be_repeated() {
    let (server, inspector) = Server::begun().await;
    for slot in 0..4 {
        server.leave(slot, 100, 0);
    }
    let export = inspector.export().await.expect("it answers");
    let target = Server::new();
    let mover = target.inspector();
    // As if it had been interrupted.
    let mut half = export.clone();
    half.slots.truncate(2);
    mover.import(&half).await.expect("it is empty");
    let done = mover.import(&export).await.expect("it is the same one");
    assert_eq!(done.slots, 4);
    mover.import(&export).await.expect("again");
    // A holder of before that was pointed here has put itself back, and stays.
    target.command(&["HSET", "ns:slots", "2", "7 900 5 99999999999999 1 me"]);
    mover.import(&export).await.expect("still the same grants");
    let slot = mover
        .read_slot(2)
        .await
        .expect("it answers")
        .expect("on record");
    assert_eq!((slot.horizon_ms, slot.label.as_str()), (900, "me"));
    assert!(!slot.lease_left.is_zero());
    for record in ["8 900 5 0 - other", "nonsense"] {
        target.command(&["HSET", "ns:slots", "2", record]);
        let refused = mover.import(&export).await;
        let slots = vec![2];
        assert!(
            matches!(&refused, Err(ImportError::Occupied { slots: found }) if *found == slots),
            "{refused:?}"
        );
    }
    target.command(&["HDEL", "ns:slots", "2"]);
    target.command(&["HSET", "ns:slots", "layout", "41/8/14"]);
    let mut laid = export.clone();
    laid.layout = "41/10/12".to_owned();
    let refused = mover.import(&laid).await;
    assert!(
        matches!(refused, Err(ImportError::Layout { .. })),
        "{refused:?}"
    );
    target.command(&["HSET", "ns:slots", "8", "7 900 5 0 - other"]);
    let refused = mover.import(&export).await;
    assert!(
        matches!(refused, Err(ImportError::Occupied { .. })),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_export_that_cannot_be_is_refused() {
    let (server, inspector) = Server::begun().await;
    server.leave(1, 100, 0);
    server.leave(2, 100, 0);
    let export = inspector.export().await.expect("it answers");
    let changes: [fn(&mut Export); 7] = [
        |export| export.version = 2,
        |export| export.longest_ttl_ms = u64::MAX,
        |export| export.floor_ms = u64::MAX,
        |export| export.slots[0].fence = 0,
        |export| export.slots[1].horizon_ms = u64::MAX,
        |export| export.slots[1].id = 1,
        |export| export.slots[0].label = "\n".to_owned(),
    ];
    let target = Server::new();
    for (at, change) in changes.into_iter().enumerate() {
        let mut wrong = export.clone();
        change(&mut wrong);
        let refused = target.inspector().import(&wrong).await;
        assert!(
            matches!(refused, Err(ImportError::Unusable(_))),
            "{at}: {refused:?}"
        );
    }
    assert!(target.engine.keys().is_empty());
    server.command(&["HSET", "ns:slots", "1", "nonsense"]);
    let refused = inspector.export().await;
    assert!(
        matches!(refused, Err(InspectError::Garbled { .. })),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_newer_version_wrote_is_left_alone() {
    let server = Server::new();
    server.command(&["HSET", "ns:slots", "history", "2 whatever"]);
    let inspector = server.inspector();
    let newer = |error: &InspectError| matches!(error, InspectError::NewerVersion { version: 2 });
    assert!(inspector.init().await.is_err_and(|error| newer(&error)));
    assert!(
        inspector
            .plan_repair()
            .await
            .is_err_and(|error| newer(&error))
    );
    assert!(
        inspector
            .set_layout("x")
            .await
            .is_err_and(|error| newer(&error))
    );
    assert!(inspector.export().await.is_err_and(|error| newer(&error)));
}

#[cfg(feature = "serde")]
#[tokio::test(start_paused = true)]
async fn an_export_survives_json() {
    let (server, inspector) = Server::begun().await;
    server.leave(1, 100, 0);
    let export = inspector.export().await.expect("it answers");
    let text = serde_json::to_string(&export).expect("it can be written");
    assert_eq!(
        serde_json::from_str::<Export>(&text).expect("it can be read"),
        export
    );
}
