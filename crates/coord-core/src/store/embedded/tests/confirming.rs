//! Writes that replicas acknowledge.

use super::*;

#[tokio::test]
async fn all_writes_are_acknowledged_at_once_and_one_that_fails_fails_alone() {
    let engine = engine();
    let store = engine.client();
    let increment = "return redis.call('INCR', KEYS[1])";
    let mut writes = eval(increment, &["a"], &[]);
    writes.extend(eval("return redis.call('NONSENSE')", &[], &[]));
    writes.extend(eval(increment, &["a"], &[]));
    for (replicas, held_back, expected) in [(0, false, 0), (2, true, 0), (2, false, 2)] {
        engine.set_replicas(replicas, held_back);
        let (replies, found) = store.confirm(&writes, 1, WITHIN).await.expect("answered");
        assert_eq!(found, expected, "{replicas} {held_back}");
        let is_ok: Vec<bool> = replies.iter().map(Result::is_ok).collect();
        assert_eq!(is_ok, [true, false, true]);
    }
    assert_eq!(engine.get("a").as_deref(), Some(&b"6"[..]));
    let (_, found) = store
        .confirm(&writes[1..2], 1, WITHIN)
        .await
        .expect("answered");
    assert_eq!(found, 0, "nothing was written");
}

#[tokio::test]
async fn a_server_that_is_not_there_acknowledges_nothing() {
    let engine = engine();
    engine.set_available(false);
    let writes = eval("return 1", &[], &[]);
    let outcome = engine.client().confirm(&writes, 1, WITHIN).await;
    let error = outcome.expect_err("nobody is there");
    assert!(matches!(error, StoreError::Connect { .. }), "{error:?}");
}
