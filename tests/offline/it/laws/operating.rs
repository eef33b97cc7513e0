//! What operators' scripts promise: `revoke`, `inspect` and `clock`.

use super::{
    bench::Bench,
    slots::{SLOTS, TTL, by, lock, taken},
};

pub(super) fn a_revocation_is_of_what_was_read(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    let before = bench.everything();
    for (holder, fence) in [
        ("b", grant.fence),
        ("", grant.fence),
        ("a", grant.fence - 1),
        ("a", 0),
    ] {
        for at_once in [false, true] {
            assert_eq!(bench.revoke(0, holder, fence, at_once), ["changed"]);
        }
    }
    assert_eq!(bench.revoke(1, "", 0, true), ["free"]);
    assert_eq!(bench.everything(), before);
}

pub(super) fn a_revoked_slot_is_kept_until_the_lease_is_over(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.advance(1_000);
    let reply = bench.revoke(0, "a", grant.fence, false);
    let record = bench.recorded(0);
    assert!(grant.fence < record.fence);
    assert_eq!(reply, ["revoked", &record.fence.to_string(), "9000"]);
    assert_eq!(
        (bench.holder(0), bench.lasts(0)),
        ("revoked".to_owned(), 9_000)
    );
    assert_eq!(
        (record.horizon, record.till),
        (grant.horizon, grant.server + TTL)
    );
    assert_eq!(bench.renew(&grant.renewal("a")), ["lost", "foreign"]);
    assert_eq!(bench.acquire(&by("b"), &[0]), taken(1, 9_000));
    bench.advance(9_000);
    let next = bench.grant(&by("b"), &[0]);
    assert!(record.fence < next.fence);
    assert_eq!(next.floor, grant.horizon);
}

pub(super) fn a_slot_revoked_at_once_is_free_above_its_horizon(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    let reply = bench.revoke(0, "a", grant.fence, true);
    let fence = bench.recorded(0).fence;
    assert_eq!(reply, ["revoked", &fence.to_string(), "0"]);
    assert_eq!(
        (bench.holder(0), bench.recorded(0).till),
        (String::new(), 0)
    );
    assert_eq!(
        bench.renew(&grant.renewal("a"))[..2],
        ["lost", "superseded"]
    );
    let next = bench.grant(&by("b"), &[0]);
    assert!(fence < next.fence, "{fence} {}", next.fence);
    assert_eq!(next.floor, grant.horizon);
}

/// Where the clock was set back, the fence rises all the same.
pub(super) fn a_revocation_raises_the_fence_whatever_the_clock(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.set_clock(bench.now() - 5_000);
    bench.revoke(0, "a", grant.fence, false);
    assert_eq!(bench.recorded(0).fence, grant.fence + 1);
}

pub(super) fn a_holder_without_a_record_is_revoked_only_at_once(bench: Bench) {
    let bench = bench.founded();
    bench.send(&["SET", &lock(0), "go", "PX", "5000"]);
    let before = bench.everything();
    assert_eq!(bench.revoke(0, "go", 0, false), ["unrecorded"]);
    assert_eq!(bench.everything(), before);
    assert_eq!(bench.revoke(0, "go", 0, true), ["revoked", "0", "0"]);
    assert_eq!(bench.holder(0), "");
    assert_eq!(bench.record(0), None);
}

pub(super) fn what_is_of_another_type_is_not_revoked(bench: Bench) {
    let bench = bench.founded();
    bench.send(&["RPUSH", &lock(0), "mine"]);
    let before = bench.everything();
    let (keys, args) = (
        [SLOTS.to_owned(), lock(0)],
        ["0", "", "0", "1"].map(str::to_owned),
    );
    let reply = bench.try_call("revoke", &keys, &args);
    assert_eq!(
        reply,
        Ok(vec!["wrongtype".to_owned(), lock(0), "list".to_owned()])
    );
    assert_eq!(bench.everything(), before);
}

pub(super) fn an_onlooker_sees_what_there_is_and_changes_nothing(bench: Bench) {
    let now = bench.now().to_string();
    let absent = [
        "slots", &now, "absent", "0", "0", "", "", "0", "0 0 0", "0", "1",
    ];
    assert_eq!(bench.inspect(&[0]), absent);
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.grant(&by("b"), &[7]);
    bench.layout("41/10/12");
    bench.set_history(SLOTS, 3, 17);
    bench.send(&["SET", &lock(1), "go"]);
    bench.send(&["RPUSH", &lock(2), "mine"]);
    bench.send(&["HSET", SLOTS, "discovery", "token"]);
    bench.send(&["HSET", SLOTS, "full", "0-0 1"]);
    bench.send(&["DEL", &lock(0)]);
    bench.advance(1_000);
    let (before, now) = (bench.everything(), bench.now().to_string());
    let slots = format!(
        "0 0  0 {} {} 0 9000  1 1 go -1 0 0 0 0  2 1 (a list) -1 0 0 0 0 ",
        grant.fence, grant.horizon
    );
    let reply = bench.inspect(&[0, 1, 2, 3]);
    let longest = "10000 15000 10000";
    let known = [
        "slots", &now, "known", "0", "2", &slots, "41/10/12", "17", longest, "1", "1",
    ];
    assert_eq!(reply, known);
    assert_eq!(bench.everything(), before);
    bench.embedded.set_info_forbidden(true);
    assert_eq!(bench.inspect(&[3])[10], "0", "it does not tell who it is");
}

pub(super) fn the_servers_clock_is_told_in_microseconds(bench: Bench) {
    let reply = bench.call("clock", &[SLOTS.to_owned()], &[]);
    assert_eq!(reply, ["clock", &format!("{}000", bench.now())]);
}
