//! What scripts promise that operators use to declare, repair and move namespaces.

use super::{
    bench::Bench,
    past::FLOOR,
    slots::{QUARANTINE, Record, SKEW, SLOTS, TTL, by, former, lock, quarantine},
};

const TERMS: &str = "10000 15000 10000 0 0 0 -";

impl Bench {
    fn operate(&self, script: &str, slots: &[u32], args: &[&str]) -> Vec<String> {
        let locks = slots.iter().map(|&slot| lock(slot));
        let keys: Vec<String> = std::iter::once(SLOTS.to_owned()).chain(locks).collect();
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        self.call(script, &keys, &args)
    }

    fn init(&self, mode: &str) -> Vec<String> {
        self.operate("init", &[], &[TERMS, mode])
    }

    fn page(&self) -> Vec<String> {
        self.operate("page", &[], &["0", "10", TERMS])
    }

    /// Repairs slot 0 and the floor, both as read.
    fn repair(&self, changes: &str, floor: &str, fence: u64, horizon: u64) -> Vec<String> {
        let (fence, horizon) = (fence.to_string(), horizon.to_string());
        let args = [changes, TERMS, floor, "0", &fence, &horizon];
        self.operate("repair", &[0], &args)[3..].to_vec()
    }

    fn relayout(&self, before: &str, layout: &str, recorded: &str) -> Vec<String> {
        let args = [before, layout, recorded, "0", "1"];
        self.operate("relayout", &[0, 1], &args)
    }

    /// Imports slot 3, which was held, and nothing else.
    fn import(&self, recorded: &str, layout: &str, horizon: u64) -> Vec<String> {
        let (floor, horizon) = ((self.now() + 99_000).to_string(), horizon.to_string());
        let known = "10000 15000 10000 60000 0 0 -";
        let slot = ["3", "70", &horizon, "5", "1", "me"];
        let args = [&[known, recorded, &floor, layout], &slot[..]].concat();
        self.operate("import", &[], &args)
    }
}

pub(super) fn a_first_use_is_declared_once(bench: Bench) {
    let absent = bench.init("ask");
    assert_eq!(absent[0], "absent");
    assert_eq!(bench.init(&format!("first:{}", absent[1])), ["created"]);
    let before = bench.everything();
    assert_eq!(bench.init("ask"), ["exists", "known", "0"]);
    assert_eq!(bench.init("voice"), ["exists", "known", "0"]);
    assert_eq!(bench.everything(), before);
    assert_eq!(bench.grant(&by("a"), &[0]).floor, 0);
}

pub(super) fn a_use_is_not_the_first_if_slots_are_on_record(bench: Bench) {
    bench.set_past(4, 0);
    assert_eq!(bench.init("ask"), ["lost", "25000"]);
    assert_eq!(bench.acquire(&by("a"), &[0]), quarantine(QUARANTINE));
    let bench = Bench::new(bench.scripts());
    assert_eq!(bench.init("voice"), ["lost", "25000"]);
}

pub(super) fn a_page_shows_records_and_what_is_none(bench: Bench) {
    let bench = bench.founded();
    bench.layout("41/10/12");
    bench.set_record(0, &former(7, 9));
    bench.send(&["HSET", SLOTS, "1", "garbage"]);
    let before = bench.everything();
    let (now, limit) = (bench.now(), bench.now() + TTL + SKEW);
    let longest = "10000 15000 10000";
    let (now, limit) = (now.to_string(), limit.to_string());
    assert_eq!(
        bench.page(),
        [
            "page",
            "0",
            &now,
            &limit,
            "0",
            longest,
            "41/10/12",
            "2",
            "0 5 7 0 9 ",
            "1"
        ]
    );
    assert_eq!(bench.everything(), before);
}

pub(super) fn what_lies_too_far_ahead_is_repaired_as_it_was_read(bench: Bench) {
    let bench = bench.founded();
    let limit = bench.now() + TTL + SKEW;
    let (floor, horizon) = ((limit + 1).to_string(), limit + 2);
    bench.set_history(SLOTS, FLOOR, &floor);
    bench.set_record(
        0,
        &Record {
            floor: limit + 1,
            ..former(horizon, 0)
        },
    );
    let before = bench.everything();
    assert_eq!(bench.repair("0", &floor, 5, horizon), ["reset", "0 reset"]);
    assert_eq!(bench.repair("1", "1", 5, limit), ["changed", "0 changed"]);
    assert_eq!(bench.repair("1", "", 4, horizon), ["fine", "0 changed"]);
    assert_eq!(bench.everything(), before);
    bench.send(&["HSET", SLOTS, "full", "0-0 1"]);
    assert_eq!(bench.repair("1", &floor, 5, horizon), ["reset", "0 reset"]);
    assert_eq!(bench.history(SLOTS)[FLOOR], limit.to_string());
    let record = bench.recorded(0);
    assert_eq!((record.horizon, record.floor), (limit, limit));
    assert_eq!(bench.text(&["HGET", SLOTS, "full"]), "");
    let limit = limit.to_string();
    assert_eq!(
        bench.repair("1", &limit, 5, record.horizon),
        ["fine", "0 fine"]
    );
}

pub(super) fn the_floor_of_a_quarantine_is_not_too_far_ahead(bench: Bench) {
    let bench = bench.founded();
    bench.set_past(0, 0);
    bench.embedded.restart();
    bench.acquire(&by("a"), &[1]);
    let floor = bench.history(SLOTS)[FLOOR].clone();
    assert_eq!(bench.repair("1", &floor, 5, 0), ["fine", "0 fine"]);
}

pub(super) fn what_is_held_keeps_its_horizon(bench: Bench) {
    let bench = bench.founded();
    let horizon = bench.now() + 99_000_000;
    bench.set_record(0, &former(horizon, bench.now() + TTL));
    assert_eq!(bench.repair("1", "", 5, horizon)[1], "0 held");
    bench.set_record(0, &former(horizon, 0));
    bench.send(&["SET", &lock(0), "go", "PX", "99000"]);
    assert_eq!(bench.repair("1", "", 5, horizon)[1], "0 held");
    assert_eq!(bench.lasts(0), 99_000);
    bench.set_record(0, &former(horizon, bench.now() + TTL + 1));
    assert_eq!(bench.repair("1", "", 5, horizon)[1], "0 cut");
    let cut = former(horizon, bench.now() + TTL);
    assert_eq!((bench.recorded(0), bench.lasts(0)), (cut, 10_000));
}

pub(super) fn a_layout_is_changed_if_nobody_holds_a_slot(bench: Bench) {
    let bench = bench.founded();
    assert_eq!(bench.relayout("", "x", "0"), ["layout", "x"]);
    bench.set_past(0, bench.now());
    let before = bench.everything();
    assert_eq!(bench.relayout("", "y", "1"), ["changed"]);
    assert_eq!(bench.relayout("x", "y", "0"), ["changed"]);
    assert_eq!(bench.relayout("x", "", "1"), ["layout", "x"], "it is asked");
    assert_eq!(bench.everything(), before);
    bench.set_past(0, bench.now() + 1);
    assert_eq!(bench.relayout("x", "y", "1"), ["held", "0"]);
    bench.send(&["HSET", SLOTS, "0", "garbage"]);
    assert_eq!(bench.relayout("x", "y", "1"), ["held", "0"]);
    bench.set_past(0, 0);
    bench.send(&["SET", &lock(1), "go"]);
    assert_eq!(bench.relayout("x", "y", "1"), ["held", "1"]);
    bench.send(&["DEL", &lock(1)]);
    assert_eq!(bench.relayout("x", "y", "1"), ["layout", "y"]);
}

pub(super) fn what_is_imported_is_granted_after_a_quarantine_and_above_its_horizon(bench: Bench) {
    let horizon = bench.now() + 77_000;
    assert_eq!(bench.import("1", "x", horizon), ["changed"]);
    assert_eq!(bench.import("0", "x", horizon), ["imported", "75000", "1"]);
    let record = bench.recorded(3);
    assert_eq!(
        (record.fence, record.horizon, record.floor),
        (70, horizon, 5)
    );
    assert_eq!((record.till, &*record.label), (bench.now(), "me"));
    assert_eq!(
        bench.history(SLOTS)[FLOOR],
        (bench.now() + 99_000).to_string()
    );
    assert_eq!(bench.text(&["HGET", SLOTS, "layout"]), "x");
    assert_eq!(bench.acquire(&by("a"), &[0]), quarantine(75_000));
    assert_eq!(bench.import("1", "y", horizon), ["layout", "x"]);
    assert_eq!(bench.import("1", "x", horizon - 5)[0], "imported");
    assert_eq!(bench.recorded(3), record, "nothing falls");
    bench.set_record(3, &former(0, 0));
    let before = bench.everything();
    assert_eq!(bench.import("1", "x", horizon), ["taken", "3"]);
    bench.send(&["HSET", SLOTS, "history", "2 whatever"]);
    assert_eq!(bench.import("1", "x", horizon), ["newer", "2"]);
    assert_eq!(bench.page(), ["newer", "2"]);
    assert_eq!(bench.init("ask"), ["newer", "2"]);
    assert_eq!(bench.relayout("x", "y", "1"), ["newer", "2"]);
    assert_ne!(bench.everything(), before);
}
