use super::*;

#[test]
fn a_process_knows_the_incarnations_that_were_its_own() {
    let uuid = Uuid::from_u128;
    let identity = Identity {
        keys: Keys::new("test", "group").expect("valid"),
        id: "id".to_owned(),
        incarnation: uuid(3),
        earlier: vec![uuid(1), uuid(2)],
        token: String::new(),
        buckets: 8,
        assignment: Assignment::Sticky,
        weight: 1,
        timing: Timing::new(Duration::from_secs(10), Duration::from_secs(1)).expect("valid"),
        grace: Duration::ZERO,
        settle: Duration::ZERO,
        discovery: Duration::ZERO,
        policy: Policy::new(Terms::default()),
        acknowledge: 0,
        told: Told::default(),
    };
    let own = |number| identity.is_own(&format!("1700000000000000:{}", uuid(number)));
    assert!(own(1) && own(2));
    assert!(!own(4), "another process's");
    assert!(!identity.is_own(&uuid(1).to_string()), "no token");
    assert!(!identity.is_own(""));
}
