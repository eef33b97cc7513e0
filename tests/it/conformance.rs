//! Every behaviour of the two protocols, as one table of cases that runs on everything that is supported: the embedded
//! store, every server version, clusters, and both versions of the servers' own protocol.
//!
//! What is here holds everywhere. What concerns one kind of deployment (failovers, broken connections, memory limits)
//! or the client alone is tested elsewhere, on one server. To run some cases only, put a part of their names into
//! `COORD_CASES`.

mod acquiring;
mod contending;
mod forgetting;
mod handing_over;
mod joining;
mod keeping;
mod meddling;
mod minting;
mod past;
mod reasserting;
mod releasing;
mod sharing;
mod space;
mod target;
mod wiretap;

use std::{future::Future, pin::Pin, rc::Rc, time::Duration};

use coord_core::endpoint::Protocol::{Resp2, Resp3};
use coord_tests::server::Version::{Redis6_2, Redis7_0, Redis8_2, Valkey8_1, Valkey9_1};
use tokio::{sync::Semaphore, task::LocalSet};

use self::{
    space::Space,
    target::{Deployment, Target},
};

/// One behaviour.
struct Case {
    name: &'static str,
    run: fn(Space) -> Pin<Box<dyn Future<Output = ()>>>,
}

macro_rules! cases {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$(Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |space| Box::pin($module::$name(space)),
        }),*]
    };
}

/// What holds everywhere.
static CASES: &[Case] = cases![
    // Machine IDs.
    acquiring::the_first_use_is_granted_after_silence,
    acquiring::a_claim_of_first_use_is_void_without_its_token,
    acquiring::any_voice_means_that_the_past_was_lost,
    acquiring::keys_and_values_are_those_of_the_go_original,
    acquiring::heartbeats_are_announced_as_by_the_go_original,
    acquiring::fences_rise_from_holder_to_holder,
    acquiring::the_same_label_gets_the_same_slot_again,
    acquiring::a_clock_one_minute_off_is_refused_and_nothing_written,
    acquiring::a_horizon_far_ahead_is_passed_over_while_another_slot_is_free,
    contending::sixteen_clients_at_once_get_distinct_slots,
    contending::a_full_range_is_an_error_with_its_numbers,
    contending::a_full_range_is_waited_for_when_the_caller_has_time,
    contending::one_call_when_nothing_is_held,
    contending::one_call_when_900_of_1024_are_held,
    contending::two_calls_find_the_one_free_slot_of_1024,
    contending::an_expired_slot_becomes_available_and_its_fence_rises,
    contending::a_lost_answer_is_asked_for_again_and_gets_the_same_grant,
    contending::an_acquisition_executed_late_costs_one_ttl_and_nothing_else,
    contending::a_lock_of_another_type_is_a_slot_that_is_held,
    contending::a_record_of_another_type_is_named_and_kept,
    keeping::a_renewal_raises_the_horizon_and_starts_the_ttl_anew,
    keeping::a_deleted_lock_is_put_back_with_its_fence,
    keeping::a_deleted_lock_frees_nothing,
    keeping::a_foreign_value_is_lost_at_once_and_never_touched,
    keeping::a_lock_of_another_type_is_lost_at_once_and_never_touched,
    keeping::a_slot_granted_to_another_meanwhile_is_not_put_back,
    keeping::a_record_of_another_type_is_never_touched,
    keeping::a_lost_lease_is_replaced,
    meddling::an_overwritten_record_counts_as_held_and_is_named,
    meddling::a_holder_puts_its_overwritten_record_right,
    meddling::an_overwritten_record_and_a_deleted_lock_free_nothing,
    meddling::an_overwritten_history_is_a_lost_one,
    meddling::a_lock_without_a_ttl_is_held_until_it_is_removed,
    meddling::fences_rise_from_the_highest_that_can_be_written,
    meddling::garbage_on_the_channel_delays_a_first_use_and_nothing_else,
    releasing::a_release_frees_the_slot_and_leaves_its_record,
    releasing::the_last_handle_releases_in_the_background,
    releasing::a_release_executed_late_does_not_touch_the_successor,
    releasing::a_renewal_executed_late_does_not_touch_the_successor,
    minting::the_next_holder_mints_above_the_last_one,
    minting::two_holders_mint_no_id_twice,
    past::a_deleted_record_is_put_back_and_newcomers_wait_one_ttl,
    past::a_deleted_namespace_is_put_right_by_its_holders,
    past::another_server_grants_nothing_for_one_ttl_but_renews,
    past::more_replicas_than_there_are_cannot_acknowledge,
    // Buckets.
    sharing::one_instance_alone_owns_everything,
    sharing::members_share_fairly_and_a_newcomer_moves_the_minimum,
    sharing::shares_are_proportional_to_weights,
    sharing::a_contiguous_group_has_one_range_each,
    sharing::epochs_rise_bucket_by_bucket,
    sharing::a_join_is_noticed_long_before_the_period_is_over,
    handing_over::a_leaver_hands_everything_over,
    handing_over::a_crashed_member_is_replaced_after_its_deadline,
    handing_over::a_guard_delays_the_handover_past_the_drain_timeout,
    handing_over::draining_gives_everything_away_and_stays_a_member,
    joining::another_bucket_count_is_refused_with_both_numbers,
    joining::another_assignment_is_refused_with_both,
    joining::a_living_id_is_a_duplicate,
    joining::a_later_incarnation_fences_the_earlier_one,
    joining::a_restart_with_a_stable_id_moves_nothing,
    joining::a_foreign_key_is_named_and_left_alone,
    joining::who_never_hears_that_it_joined_is_given_nothing,
    joining::numbers_of_members_that_left_are_used_again,
    reasserting::a_deleted_membership_is_claimed_again,
    reasserting::a_deleted_group_is_put_right_by_its_members,
    reasserting::any_one_lost_key_costs_nobody_a_bucket,
    reasserting::a_lost_inbox_is_granted_anew,
    reasserting::another_server_grants_nothing_for_one_ttl_but_keeps,
];

/// What the embedded store has no counterpart for: the servers' cache of scripts.
static CASES_OF_SERVERS: &[Case] = cases![
    forgetting::machine_ids_survive_a_flush_of_the_scripts,
    forgetting::buckets_survive_a_flush_of_the_scripts,
];

#[test]
fn embedded() {
    run(Target::Embedded);
}

#[test]
fn redis_6_2_14_resp2() {
    run(Target::Standalone(Redis6_2, Resp2));
}

#[test]
fn redis_6_2_14_resp3() {
    run(Target::Standalone(Redis6_2, Resp3));
}

#[test]
fn redis_7_0_15_resp2() {
    run(Target::Standalone(Redis7_0, Resp2));
}

#[test]
fn redis_7_0_15_resp3() {
    run(Target::Standalone(Redis7_0, Resp3));
}

#[test]
fn redis_8_2_3_resp2() {
    run(Target::Standalone(Redis8_2, Resp2));
}

#[test]
fn redis_8_2_3_resp3() {
    run(Target::Standalone(Redis8_2, Resp3));
}

#[test]
fn valkey_8_1_8_resp2() {
    run(Target::Standalone(Valkey8_1, Resp2));
}

#[test]
fn valkey_8_1_8_resp3() {
    run(Target::Standalone(Valkey8_1, Resp3));
}

#[test]
fn valkey_9_1_2_resp2() {
    run(Target::Standalone(Valkey9_1, Resp2));
}

#[test]
fn valkey_9_1_2_resp3() {
    run(Target::Standalone(Valkey9_1, Resp3));
}

#[test]
fn cluster_of_redis_7_0_15_resp2() {
    run(Target::Cluster(Redis7_0, Resp2));
}

#[test]
fn cluster_of_redis_7_0_15_resp3() {
    run(Target::Cluster(Redis7_0, Resp3));
}

#[test]
fn cluster_of_valkey_9_1_2_resp2() {
    run(Target::Cluster(Valkey9_1, Resp2));
}

#[test]
fn cluster_of_valkey_9_1_2_resp3() {
    run(Target::Cluster(Valkey9_1, Resp3));
}

/// Runs the cases of `target`, many at once, each in a space of its own.
fn run(target: Target) {
    let cases = cases_of(target);
    let deployment = Deployment::start(target);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // The cases wait on this thread, their clients work on the others.
    let failures = LocalSet::new().block_on(&runtime, async {
        let mut running = Vec::new();
        let places = Rc::new(Semaphore::new(AT_ONCE));
        for case in &cases {
            let space = deployment.space(case.name).await;
            let (run, places) = (case.run, Rc::clone(&places));
            let bounded = async move {
                let _place = places.acquire().await;
                tokio::time::timeout(CASE_LIMIT, run(space)).await
            };
            running.push((case.name, tokio::task::spawn_local(bounded)));
        }
        let mut failures = Vec::new();
        for (name, case) in running {
            match case.await {
                Ok(Ok(())) => {}
                Ok(Err(_elapsed)) => failures.push(format!("{name}: over {CASE_LIMIT:?}")),
                Err(error) => failures.push(format!("{name}: {}", message(error))),
            }
        }
        failures
    });
    runtime.shutdown_background();
    assert!(
        failures.is_empty(),
        "{target}: {} of {} cases failed:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

fn cases_of(target: Target) -> Vec<&'static Case> {
    let of_servers = match target {
        Target::Embedded => &[],
        Target::Standalone(..) | Target::Cluster(..) => CASES_OF_SERVERS,
    };
    let wanted = std::env::var("COORD_CASES").unwrap_or_default();
    let cases = CASES.iter().chain(of_servers);
    let cases: Vec<_> = cases.filter(|case| case.name.contains(&wanted)).collect();
    assert!(!cases.is_empty(), "no case of {target} is named {wanted:?}");
    cases
}

/// What a case said when it panicked.
fn message(error: tokio::task::JoinError) -> String {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

/// Most cases wait for most of their time; more at once would keep two processors so busy that clients miss their limits.
const AT_ONCE: usize = 20;
/// Longer than anything that a case waits for.
const CASE_LIMIT: Duration = Duration::from_secs(90);
