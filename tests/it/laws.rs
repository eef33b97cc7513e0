//! What the scripts promise, script by script, on the embedded store with a clock that is a number. And a measure of how
//! much of that is checked: each mutation, one place of one script changed, has to break the law that is named beside it.
//!
//! The embedded store runs these scripts as servers do (see `differential`); what clients make of the answers is for the
//! conformance suite and the simulations.

mod bench;
mod clocks;
mod garbage;
mod granting;
mod holding;
mod identities;
mod living;
mod members;
mod mutations;
mod operating;
mod past;
mod replicas;
mod sharing;
mod slots;
mod sources;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::{
    bench::{Bench, FAILURE},
    mutations::{Mutation, Survivor},
    sources::{Scripts, Sources},
};

/// One promise.
struct Law {
    name: &'static str,
    holds: fn(Bench),
}

macro_rules! laws {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$(Law { name: stringify!($name), holds: $module::$name }),*]
    };
}

static LAWS: &[Law] = laws![
    granting::a_clock_that_is_off_either_way_is_refused,
    granting::a_hash_of_another_type_is_named_and_kept,
    granting::the_same_holder_is_given_its_grant_again,
    granting::a_slot_is_free_when_its_lock_is_gone_and_its_lease_is_over,
    granting::a_lock_of_another_type_is_held,
    granting::a_far_horizon_is_passed_over_until_it_is_asked_for,
    granting::a_label_finds_the_slot_it_had_unless_that_is_not_free,
    granting::what_nobody_holds_goes_before_the_lease_that_ended_first,
    granting::a_holder_begins_at_the_horizon_of_the_last_one,
    granting::fences_rise_whatever_the_clock_and_the_store_forget,
    granting::a_grant_is_written_where_it_belongs_and_nowhere_else,
    granting::a_horizon_follows_the_holders_clock_within_the_tolerance,
    granting::a_full_range_is_told_with_its_numbers,
    holding::a_renewal_begins_the_ttl_anew_and_raises_the_horizon,
    holding::a_horizon_follows_what_was_minted_and_a_clock_only_so_far,
    holding::a_foreign_lock_is_left_alone,
    holding::a_higher_fence_on_record_ends_a_holding,
    holding::a_deleted_lock_is_put_back,
    holding::a_forgotten_holder_writes_its_record_back_and_raises_doubt,
    holding::an_older_record_gives_way_and_keeps_its_horizon,
    holding::a_late_renewal_brings_nothing_back_that_was_forgotten,
    holding::a_renewal_without_its_hash_changes_nothing,
    holding::a_release_leaves_its_horizon_and_frees_the_slot_at_once,
    holding::a_release_leaves_no_horizon_below_its_floor,
    holding::a_release_lowers_no_horizon_of_another_grant,
    operating::a_revocation_is_of_what_was_read,
    operating::a_revoked_slot_is_kept_until_the_lease_is_over,
    operating::a_slot_revoked_at_once_is_free_above_its_horizon,
    operating::a_revocation_raises_the_fence_whatever_the_clock,
    operating::a_holder_without_a_record_is_revoked_only_at_once,
    operating::what_is_of_another_type_is_not_revoked,
    operating::an_onlooker_sees_what_there_is_and_changes_nothing,
    operating::the_servers_clock_is_told_in_microseconds,
    past::a_first_use_is_claimed_with_the_stores_token,
    past::a_token_of_another_server_claims_nothing,
    past::a_voice_in_an_absent_past_is_a_loss,
    past::another_server_waits_for_the_longest_ttl_it_may_have_granted,
    past::a_clock_set_back_prolongs_no_wait,
    past::replicas_vouch_for_what_was_never_granted,
    past::a_label_has_no_right_to_a_lease_that_may_live,
    past::a_restart_from_disk_is_no_promotion,
    past::a_successor_that_is_younger_than_the_last_grant_proves_nothing,
    past::a_successor_of_another_server_proves_nothing,
    past::a_doubt_is_not_over_because_of_a_failover,
    past::a_past_without_acknowledgements_is_not_vouched_for,
    past::a_grant_takes_effect_when_replicas_have_it,
    past::who_waits_for_nobody_says_so_to_the_replicas,
    past::the_time_of_the_last_grant_is_kept,
    past::a_successor_that_may_have_started_after_the_last_grant_proves_nothing,
    replicas::a_server_without_its_replicas_waits_for_one_ttl,
    replicas::a_server_without_one_of_its_replicas_waits_for_one_ttl,
    replicas::a_replica_heard_of_at_the_turn_of_a_second_is_there,
    replicas::a_replica_in_place_of_another_ends_no_wait,
    replicas::a_replica_that_came_and_went_between_grants_was_there,
    replicas::a_replica_that_came_and_stayed_costs_nothing,
    replicas::another_loss_begins_the_wait_anew,
    replicas::who_wants_more_replicas_than_there_are_notices_a_loss,
    replicas::a_count_of_joins_that_was_set_back_is_a_loss,
    replicas::a_clock_set_back_prolongs_no_wait_for_a_replica,
    replicas::after_a_failover_the_first_replica_is_waited_for,
    replicas::after_a_failover_every_replica_that_ever_came_has_to_be_there,
    replicas::a_renewal_looks_after_replicas_for_those_who_come_later,
    replicas::after_a_doubt_only_later_losses_count,
    replicas::a_server_that_restarted_gives_nothing_again_at_once,
    replicas::a_renewal_does_not_look_before_the_past_was_judged,
    sharing::a_member_alone_is_granted_everything_once,
    sharing::shares_differ_by_one_and_a_newcomer_moves_the_minimum,
    sharing::shares_are_proportional_to_weights,
    sharing::nobody_sheds_before_membership_was_quiet,
    sharing::joins_without_end_delay_nothing_for_ever,
    sharing::a_release_counts_by_owner_and_epoch,
    sharing::nobody_gives_away_more_than_its_surplus,
    sharing::what_is_released_is_handed_over_at_once_and_its_new_owner_woken,
    sharing::an_epoch_rises_whatever_the_clock,
    living::a_grant_stays_in_the_inbox_until_it_was_received,
    living::a_request_that_was_executed_before_changes_nothing,
    living::a_member_that_is_out_of_step_is_told_to_claim,
    living::a_lost_key_of_the_group_is_noticed_by_a_beat,
    living::a_crashed_member_is_reaped_when_its_lease_is_over,
    clocks::nobody_is_taken_for_dead_by_who_was_away_itself,
    clocks::who_stays_away_is_reaped_after_a_third_of_a_ttl,
    clocks::a_step_is_noticed_before_it_ends_a_lease,
    clocks::a_step_ends_no_doubt,
    clocks::a_step_ends_no_lease_while_replicas_vouch_for_the_past,
    clocks::a_silence_of_half_a_ttl_is_passing_time,
    clocks::steps_that_follow_one_another_end_no_lease_that_is_renewed,
    clocks::no_call_counts_for_more_than_a_sixth_of_a_ttl,
    clocks::a_clock_that_never_stops_stepping_keeps_no_dead,
    clocks::a_clock_set_back_during_a_wait_makes_nobody_dead,
    clocks::garbage_in_the_place_of_the_clock_ends_no_lease_and_keeps_no_dead,
    living::a_leaver_frees_its_own_and_wakes_others,
    living::who_leaves_for_a_while_finds_its_buckets_again,
    living::a_number_names_one_member_at_a_time,
    sharing::a_contiguous_group_has_one_range_each,
    living::a_glance_renews_the_lease_where_nothing_has_changed,
    living::a_glance_hides_no_lease_that_is_over,
    sharing::an_onlooker_sees_members_and_owners_and_changes_nothing,
    identities::a_group_is_what_it_was_made,
    identities::a_foreign_key_is_named_and_nothing_is_written,
    identities::an_id_is_its_incarnations_while_the_lease_runs,
    identities::a_successor_gets_what_its_predecessor_had_with_higher_epochs,
    identities::a_newcomer_in_a_hurry_wakes_the_others,
    identities::a_drained_member_gives_everything_away_and_stays,
    identities::another_incarnation_is_not_drained,
    identities::what_members_hold_outlives_the_store,
    identities::the_higher_epoch_decides_between_claims,
    identities::what_is_not_claimed_is_granted_anew,
    identities::a_claim_that_was_executed_before_changes_nothing,
    identities::a_claim_from_the_future_raises_doubt,
    identities::another_server_is_claimed_from_and_grants_nothing_for_one_ttl,
    identities::no_lease_is_over_while_the_past_is_in_doubt,
    identities::a_grant_waits_for_replicas,
    identities::replicas_vouch_for_what_is_free_but_not_for_leases,
    sharing::what_is_free_is_taken_up_to_the_share,
    sharing::a_bucket_of_nobody_is_shown_as_nobodys,
    identities::another_server_keeps_what_is_not_claimed,
    identities::a_drained_member_is_out_of_the_shares_at_once,
    clocks::who_comes_back_late_does_not_reap_itself,
    living::every_beat_begins_the_ttl_anew_with_its_grace,
    identities::a_torn_group_is_made_anew_and_grants_nothing_for_one_ttl,
    past::who_cannot_wait_is_granted_nothing_where_others_wait,
    identities::who_cannot_wait_for_replicas_is_no_member_where_others_wait,
    garbage::a_field_that_is_no_record_is_held_and_named,
    garbage::a_holder_whose_record_is_no_record_is_named,
    garbage::an_empty_lock_is_a_lock,
    garbage::a_past_that_cannot_be_read_is_lost,
    garbage::a_group_whose_numbers_cannot_be_is_made_anew,
    garbage::a_table_that_is_none_of_ours_is_given_up,
    garbage::a_retired_number_that_is_none_of_ours_is_passed_over,
];

#[test]
fn every_law_holds() {
    let scripts = Sources::read().scripts(None);
    let broken: Vec<String> = LAWS
        .iter()
        .filter_map(|law| Some(format!("{}: {}", law.name, broken(law, &scripts)?)))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_mutation_breaks_the_law_beside_it() {
    let sources = Sources::read();
    let mut missed = Vec::new();
    for Mutation {
        change,
        mistake,
        law,
    } in mutations::mutations()
    {
        let law = LAWS.iter().find(|known| known.name == *law);
        let law = law.unwrap_or_else(|| panic!("{mistake}: there is no such law"));
        match broken(law, &sources.scripts(Some(*change))) {
            None => missed.push(format!("{mistake}: {} holds all the same", law.name)),
            Some(panic) if panic.starts_with(FAILURE) => {
                missed.push(format!("{mistake}: that is no script any more, {panic}"));
            }
            Some(_) => {}
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_script_is_mutated() {
    for file in Sources::read().files() {
        let mutated = mutations::mutations().filter(|mutation| mutation.change.file == file);
        assert!(0 < mutated.count(), "no mutation changes {file}");
    }
}

/// What is listed as no mistake must be none, or the list is wrong.
#[test]
fn every_survivor_keeps_all_laws() {
    let sources = Sources::read();
    for Survivor { change, why } in mutations::survivors() {
        let scripts = sources.scripts(Some(*change));
        for law in LAWS {
            let broken = broken(law, &scripts);
            assert_eq!(
                broken, None,
                "{} is broken by {change:?}, of which it is said: {why}",
                law.name
            );
        }
    }
}

/// How the law was broken, where it was.
fn broken(law: &Law, scripts: &Scripts) -> Option<String> {
    let bench = Bench::new(scripts.clone());
    let panic = catch_unwind(AssertUnwindSafe(|| (law.holds)(bench))).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    Some(text.unwrap_or_default())
}
