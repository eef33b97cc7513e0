//! What the scripts promise, script by script, on the embedded store with a clock that is a number. And a measure of how
//! much of that is checked: each mutation, one place of one script changed, has to break the law that is named beside it.
//!
//! The embedded store runs these scripts as servers do (see `differential`); what clients make of the answers is for the
//! conformance suite and the simulations.

mod bench;
mod chains;
mod claims;
mod clocks;
mod doubts;
mod garbage;
mod granting;
mod holding;
mod identities;
mod living;
mod members;
mod mutations;
mod operating;
mod operators;
mod past;
mod quarantines;
mod ranges;
mod releasing;
mod sharing;
mod slots;
mod sources;
mod trials;

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
    granting::a_grant_is_given_again_to_its_number_alone,
    granting::a_full_range_is_told_with_its_numbers,
    granting::the_lenient_accept_what_right_clocks_may_have_left,
    granting::a_floor_that_is_too_far_ahead_is_told,
    granting::a_grant_tells_the_layout_on_record,
    granting::a_server_that_restarted_gives_nothing_again_at_once,
    ranges::the_next_expiry_is_the_earliest_of_records_and_locks,
    ranges::a_full_range_is_found_once_for_all_who_wait,
    ranges::who_may_have_a_grant_looks_for_it_in_a_full_range,
    ranges::a_range_is_full_only_if_all_of_it_was_offered_and_is_held,
    ranges::a_slot_that_is_given_back_ends_what_is_said_of_its_range,
    ranges::what_is_said_of_a_range_holds_for_one_ttl_at_most,
    ranges::a_clock_set_back_keeps_no_slot_for_longer_than_a_ttl,
    ranges::no_lease_is_cut_because_others_are_shorter,
    ranges::a_clock_set_back_in_a_quarantine_keeps_no_slot_either,
    holding::a_renewal_begins_the_ttl_anew_and_raises_the_horizon,
    holding::a_horizon_follows_what_was_minted_and_a_clock_only_so_far,
    holding::a_foreign_lock_is_left_alone,
    holding::a_higher_fence_on_record_ends_a_holding,
    holding::a_deleted_lock_is_put_back,
    holding::a_forgotten_holder_writes_its_record_back_and_raises_doubt,
    holding::an_older_record_gives_way_and_keeps_its_horizon,
    holding::a_late_renewal_brings_nothing_back_that_was_forgotten,
    holding::a_renewal_without_its_hash_changes_nothing,
    holding::a_holder_that_is_succeeded_after_a_loss_leaves_its_horizon,
    holding::a_holder_whose_successor_begins_too_low_tells_of_the_loss,
    holding::a_layout_is_kept_by_those_who_use_it,
    releasing::a_release_leaves_its_horizon_and_frees_the_slot_at_once,
    releasing::a_release_leaves_no_horizon_below_its_floor,
    releasing::a_release_lowers_no_horizon_of_another_grant,
    releasing::who_does_not_know_what_it_minted_lowers_no_horizon,
    releasing::a_forgotten_grant_is_given_back_with_its_horizon,
    releasing::a_release_lowers_no_horizon_after_a_rewind,
    releasing::a_late_release_brings_nothing_back_that_was_forgotten,
    releasing::a_release_wakes_those_who_wait_for_a_slot,
    chains::a_renewal_that_knows_the_last_one_continues_the_chain,
    chains::a_renewal_that_comes_late_changes_nothing,
    chains::a_slot_that_was_given_back_is_not_locked_by_a_late_renewal,
    chains::a_holder_and_its_clone_both_lose_the_lease,
    chains::a_clone_is_not_taken_for_a_rewind,
    chains::a_message_from_before_the_lease_poisons_nothing,
    chains::a_clone_gives_nothing_back,
    operating::a_revocation_is_of_what_was_read,
    operating::a_revoked_slot_is_kept_until_the_lease_is_over,
    operating::a_slot_revoked_at_once_is_free_above_its_horizon,
    operating::a_revocation_raises_the_fence_whatever_the_clock,
    operating::a_holder_without_a_record_is_revoked_only_at_once,
    operating::what_is_of_another_type_is_not_revoked,
    operating::an_onlooker_sees_what_there_is_and_changes_nothing,
    operating::the_servers_clock_is_told_in_microseconds,
    operators::a_first_use_is_declared_once,
    operators::a_use_is_not_the_first_if_slots_are_on_record,
    operators::a_page_shows_records_and_what_is_none,
    operators::what_lies_too_far_ahead_is_repaired_as_it_was_read,
    operators::the_floor_of_a_quarantine_is_not_too_far_ahead,
    operators::what_is_held_keeps_its_horizon,
    operators::a_layout_is_changed_if_nobody_holds_a_slot,
    operators::what_is_imported_is_granted_after_a_quarantine_and_above_its_horizon,
    past::a_first_use_is_claimed_with_the_stores_token,
    past::a_token_of_another_server_claims_nothing,
    past::a_token_does_not_outlive_a_loss,
    past::a_voice_in_an_absent_past_is_a_loss,
    past::an_absent_past_is_a_loss_if_one_is_expected,
    past::a_past_that_nobody_was_seen_in_for_a_ttl_is_listened_to,
    past::a_voice_in_a_quiet_past_is_a_loss,
    past::a_token_is_of_one_silence,
    past::a_past_with_a_holder_is_not_quiet,
    past::a_server_that_begins_a_backlog_is_the_same,
    past::a_server_that_was_a_replica_meanwhile_is_another,
    past::a_server_that_does_not_tell_its_identity_is_used_if_that_is_allowed,
    past::what_a_newer_version_wrote_is_left_alone,
    quarantines::another_server_waits_for_the_longest_terms_in_use,
    quarantines::a_quarantine_begins_with_the_first_renewal_that_sees_another_server,
    quarantines::a_renewal_looks_whatever_the_clock,
    quarantines::what_holders_know_of_others_outlives_the_store,
    quarantines::what_holders_know_of_others_outlives_a_rewind,
    quarantines::what_holders_know_of_others_prolongs_a_quarantine,
    quarantines::a_ttl_that_nobody_uses_is_forgotten_after_two_windows,
    quarantines::an_onlooker_sees_the_longest_terms_as_the_next_grant_finds_them,
    quarantines::a_ttl_that_is_used_again_is_kept,
    quarantines::no_ttl_is_forgotten_in_a_quarantine,
    quarantines::a_loss_ends_no_window,
    quarantines::a_clock_set_back_forgets_no_ttl,
    quarantines::a_clock_set_back_prolongs_no_quarantine,
    quarantines::an_onlooker_sees_what_is_left_of_a_quarantine,
    quarantines::a_loss_from_before_a_quarantine_begins_no_other,
    quarantines::a_loss_after_a_quarantine_begins_another,
    quarantines::a_holder_that_misses_what_it_was_answered_begins_a_quarantine,
    quarantines::a_loss_on_another_server_begins_another_quarantine,
    quarantines::a_second_quarantine_lowers_no_floor,
    quarantines::a_server_that_hides_in_a_loss_is_known_later,
    sharing::a_member_alone_is_granted_everything_once,
    sharing::shares_differ_by_one_and_a_newcomer_moves_the_minimum,
    sharing::shares_are_proportional_to_weights,
    sharing::nobody_sheds_before_membership_was_quiet,
    sharing::joins_without_end_delay_nothing_for_ever,
    sharing::a_release_counts_by_owner_and_epoch,
    sharing::nobody_gives_away_more_than_its_surplus,
    sharing::what_failed_goes_to_another_whoever_lacks,
    sharing::what_failed_comes_back_under_a_higher_epoch_where_nobody_else_is,
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
    identities::who_has_gone_is_given_up_and_who_lives_is_not,
    identities::draining_who_has_left_for_a_while_gives_it_up,
    identities::what_members_hold_outlives_the_store,
    identities::the_higher_epoch_decides_between_claims,
    identities::what_is_not_claimed_is_granted_anew,
    identities::a_claim_that_was_executed_before_changes_nothing,
    identities::a_claim_from_the_future_raises_doubt,
    identities::another_server_is_claimed_from_and_grants_nothing_for_one_ttl,
    identities::no_lease_is_over_while_the_past_is_in_doubt,
    sharing::what_is_free_is_taken_up_to_the_share,
    sharing::a_bucket_of_nobody_is_shown_as_nobodys,
    identities::another_server_keeps_what_is_not_claimed,
    identities::a_drained_member_is_out_of_the_shares_at_once,
    clocks::who_comes_back_late_does_not_reap_itself,
    living::every_beat_begins_the_ttl_anew_with_its_grace,
    identities::a_torn_group_is_made_anew_and_grants_nothing_for_one_ttl,
    garbage::a_field_that_is_no_record_is_held_and_named,
    garbage::a_holder_whose_record_is_no_record_is_named,
    garbage::an_empty_lock_is_a_lock,
    garbage::a_past_that_cannot_be_read_is_lost,
    garbage::a_group_whose_numbers_cannot_be_is_made_anew,
    garbage::a_table_that_is_none_of_ours_is_given_up,
    garbage::a_retired_number_that_is_none_of_ours_is_passed_over,
    doubts::a_claim_brings_the_longest_terms_back,
    doubts::a_later_claim_brings_longer_terms,
    doubts::one_loss_begins_one_quarantine,
    doubts::a_member_without_a_bucket_proves_a_loss,
    doubts::everybody_hears_of_a_doubt,
    doubts::a_ttl_is_remembered_while_a_lease_lasts,
    doubts::a_silent_group_listens,
    doubts::an_old_copy_is_claimed_from_while_it_listens,
    doubts::a_clock_set_back_prolongs_no_discovery,
    doubts::a_record_that_is_expected_and_absent_was_lost,
    doubts::a_group_that_somebody_knows_of_was_lost,
    doubts::who_makes_a_group_wakes_the_members_of_a_lost_one,
    doubts::a_newer_group_is_left_alone,
    doubts::a_quarantine_begins_with_a_beat,
    sharing::a_group_has_64_different_weights,
    trials::who_comes_after_a_series_of_deaths_has_no_share_before_it_has_lived,
    trials::one_that_dies_young_is_forgiven,
    trials::many_that_die_together_are_no_series,
    trials::who_lived_for_long_is_no_sign,
    trials::who_leaves_for_a_while_is_no_sign,
    trials::a_trial_is_longer_where_it_was_survived_in_vain,
    trials::those_that_had_a_share_before_make_a_trial_no_longer,
    trials::a_trial_goes_on_while_they_die_in_it_and_grows_no_longer,
    trials::a_series_of_deaths_is_forgotten,
    trials::who_is_alone_waits_for_no_trial,
    trials::what_stands_in_the_place_of_a_trial_holds_nobody_up_for_long,
    trials::a_successor_on_trial_keeps_nothing_of_what_the_dead_had,
    sharing::who_only_joined_has_no_share,
    sharing::who_only_joined_delays_nothing,
    sharing::a_successor_is_handed_nothing_before_it_speaks,
    living::numbers_are_used_again,
    clocks::a_clock_set_back_keeps_nothing_of_the_dead,
    clocks::a_clock_set_back_ends_no_lease,
    clocks::a_clock_set_back_keeps_nobody_waiting_for_its_share,
    clocks::a_clock_set_back_keeps_no_id,
    clocks::a_time_that_cannot_be_ends_no_grace,
    claims::a_count_is_enough_for_a_store_that_has_forgotten_nothing,
    claims::a_count_stands_for_no_other_buckets,
    claims::a_count_is_not_enough_for_a_store_that_has_forgotten_an_answer,
    claims::a_count_makes_up_for_a_lost_inbox,
    claims::what_is_claimed_from_another_is_counted,
    claims::nothing_is_granted_while_a_claim_goes_on,
    claims::a_run_is_what_its_buckets_are,
    claims::what_nobody_claims_is_found_without_a_pause,
    claims::an_epoch_rises_in_every_bucket_of_a_run,
    claims::what_is_given_back_twice_in_one_call_is_given_up,
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

/// `COORD_CASES` picks the mutations beside laws with this in their names.
#[test]
fn every_mutation_breaks_the_law_beside_it() {
    let sources = Sources::read();
    let mut missed = Vec::new();
    let wanted = std::env::var("COORD_CASES").unwrap_or_default();
    for Mutation {
        change,
        mistake,
        law,
    } in mutations::mutations()
    {
        if !law.contains(&wanted) {
            continue;
        }
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
