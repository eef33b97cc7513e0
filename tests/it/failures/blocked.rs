//! The user's own runtime stands still.

use coord_tests::fleet::Block;

use super::*;

const BLOCKED: Duration = Duration::from_secs(30);

#[test]
fn a_runtime_that_is_blocked_for_30_s_loses_no_lease() {
    let row = "the user's runtime blocked for 30 s";
    let server = RedisServer::start().expect("starts");
    let mut load = Load::on(server.url());
    let block = Some(Block {
        after_ms: 2_000,
        for_ms: u64::try_from(BLOCKED.as_millis()).expect("fits"),
    });
    (load.holders.block, load.workers.block) = (block, block);
    let fleet = fleet(&load);
    let began = now_us();
    pause(BLOCKED + Duration::from_secs(6));
    wait_working(&fleet);
    let end = now_us();
    let record = finish(fleet);

    tell(row, &record, (began, end));
    record.check();
    let blocked: Vec<_> = record.events_of("blocked", (0, end)).collect();
    assert_eq!(blocked.len(), 8, "every process was blocked");
    for kind in [
        "lost",
        "atrisk",
        "renewalfailed",
        "beatfailed",
        "reasserted",
        "stalled",
    ] {
        assert_none(
            &record,
            kind,
            (began, end),
            "heartbeats have a thread of their own",
        );
    }
    let first = blocked
        .iter()
        .map(|event| event.at_us)
        .min()
        .expect("there are some");
    let span = (first + 2 * SECOND_US, first + 20 * SECOND_US);
    let silent = record.longest_silence(span, |_| true);
    assert!(
        Duration::from_secs(17) < silent,
        "nobody mints in a blocked runtime, but {silent:?}"
    );
    let holders: std::collections::BTreeSet<&str> = record
        .holdings
        .iter()
        .map(|holding| holding.who.as_str())
        .collect();
    assert_eq!(
        holders.len(),
        record.holdings.len(),
        "each holder had one grant throughout"
    );
}
