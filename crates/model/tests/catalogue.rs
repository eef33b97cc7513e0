//! Small bounds of every model; the large ones take minutes and are for `cargo run --release -p coord-model`.

use coord_model::{Bounds, Kind, catalogue};

#[track_caller]
fn check(protocol: &str, kinds: &[Kind]) {
    let mut count = 0;
    for entry in catalogue(Bounds::Small) {
        if entry.protocol() != protocol || !kinds.contains(&entry.kind) {
            continue;
        }
        count += 1;
        let findings = entry.check();
        println!("{}: {} states", entry.name, findings.states);
        assert!(
            entry.is_as_expected(&findings),
            "{}: expected {:?} to be refuted, found {:#?}",
            entry.name,
            entry.refuted,
            findings.refuted,
        );
    }
    assert!(
        0 < count,
        "no model of the {protocol} protocol was looked at"
    );
}

#[test]
fn the_lease_protocol_holds() {
    check("lease", &[Kind::Protocol]);
}

#[test]
fn a_lease_protocol_without_one_of_its_rules_is_refuted() {
    check("lease", &[Kind::Mutant]);
}

#[test]
fn the_lease_protocol_has_the_limits_that_are_known_and_their_repairs_hold() {
    check("lease", &[Kind::Limit, Kind::Repair]);
}

#[test]
fn the_bucket_protocol_holds() {
    check("buckets", &[Kind::Protocol]);
}

#[test]
fn a_bucket_protocol_without_one_of_its_rules_is_refuted() {
    check("buckets", &[Kind::Mutant]);
}
