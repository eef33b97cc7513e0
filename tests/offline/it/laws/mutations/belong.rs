//! Mistakes in who belongs to a group, and holds what.

use super::{Mutation, mutation};

const CREATE: &str = "redbuckets/src/scripts/create.lua";
const TABLE: &str = "redbuckets/src/scripts/table.lua";
const JOIN: &str = "redbuckets/src/scripts/join.lua";
const CLAIM: &str = "redbuckets/src/scripts/claim.lua";
const HAND: &str = "redbuckets/src/scripts/hand.lua";
const LEAVE: &str = "redbuckets/src/scripts/leave.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "another bucket count is accepted",
        (
            CREATE,
            "if group.buckets ~= buckets then return { 'buckets', group.buckets } end",
            "",
        ),
        "a_group_is_what_it_was_made",
    ),
    mutation(
        "another assignment is accepted",
        (
            CREATE,
            "if group.assignment ~= assignment then return { 'assignment', group.assignment } end",
            "",
        ),
        "a_group_is_what_it_was_made",
    ),
    mutation(
        "a foreign table is not noticed",
        (CREATE, "{ base .. 'table:0', 'string' },", ""),
        "a_foreign_key_is_named_and_nothing_is_written",
    ),
    mutation(
        "a group made anew grants at once",
        (
            CREATE,
            "  if past or garbled or lost or 0 < count or terms.expects then\n",
            "  if false then\n",
        ),
        "a_torn_group_is_made_anew_and_grants_nothing_for_one_ttl",
    ),
    mutation(
        "a living id is taken over",
        (JOIN, "    if 0 < left then\n", "    if false then\n"),
        "an_id_is_its_incarnations_while_the_lease_runs",
    ),
    mutation(
        "a process cannot take its own id again",
        (
            JOIN,
            "if value.incarnation ~= previous then",
            "if true then",
        ),
        "an_id_is_its_incarnations_while_the_lease_runs",
    ),
    mutation(
        "a join that was heard twice is another one",
        (
            JOIN,
            "elseif string.match(value.incarnation, ':(.+)$') == incarnation then",
            "elseif false then",
        ),
        "an_id_is_its_incarnations_while_the_lease_runs",
    ),
    mutation(
        "in doubt a lease that looks over is over",
        (
            JOIN,
            "math.max(left, past.wait, clock_wait(over))",
            "math.max(left, clock_wait(over))",
        ),
        "no_lease_is_over_while_the_past_is_in_doubt",
    ),
    mutation(
        "a successor may be born before its predecessor",
        (
            JOIN,
            "math.max(tonumber(string.match(value.incarnation, '^(%d+)')) + 1, now_us)",
            "now_us",
        ),
        "a_successor_gets_what_its_predecessor_had_with_higher_epochs",
    ),
    mutation(
        "a successor keeps its predecessor's epochs",
        (JOIN, "splice(ring_own(number), ring_limbo(number))", ""),
        "a_successor_gets_what_its_predecessor_had_with_higher_epochs",
    ),
    mutation(
        "a successor is drained like its predecessor",
        (
            JOIN,
            "grace, true, false, true",
            "grace, true, value.drained, true",
        ),
        "another_incarnation_is_not_drained",
    ),
    mutation(
        "a group has as many weights as come",
        (
            JOIN,
            "if class_of(weight).members == 0 and MAX_CLASSES <= #group.classes then",
            "if false then",
        ),
        "a_group_has_64_different_weights",
    ),
    mutation(
        "nobody joins a group that has all its weights",
        (
            JOIN,
            "class_of(weight).members == 0 and MAX_CLASSES",
            "MAX_CLASSES",
        ),
        "a_group_has_64_different_weights",
    ),
    mutation(
        "a share begins with the join",
        (
            JOIN,
            "new_member(number, id, token, 0, grace)",
            "new_member(number, id, token, weight, grace, 1000)",
        ),
        "who_only_joined_has_no_share",
    ),
    mutation(
        "a join without a share is waited for",
        (
            TABLE,
            "if weight ~= 0 then membership_changed(settle) end",
            "membership_changed(settle or 1000)",
        ),
        "who_only_joined_delays_nothing",
    ),
    mutation(
        "the end of a membership without a share is waited for",
        (
            TABLE,
            "if value.weight ~= 0 or 0 < value.seq then membership_changed(settle) end",
            "membership_changed(settle)",
        ),
        "who_only_joined_delays_nothing",
    ),
    mutation(
        "a successor is handed buckets that it may never hear of",
        (
            TABLE,
            "local reaped_at = value and 0 < value.seq and",
            "local reaped_at = value and",
        ),
        "a_successor_is_handed_nothing_before_it_speaks",
    ),
    mutation(
        "a hurry wakes nobody",
        (HAND, "if ARGV[20] == '1' then wake_most_loaded() end", ""),
        "a_newcomer_in_a_hurry_wakes_the_others",
    ),
    mutation(
        "a hurry wakes the newcomer itself",
        (HAND, "publish[number] = nil\n", ""),
        "a_newcomer_in_a_hurry_wakes_the_others",
    ),
    mutation(
        "a lower epoch is claimed back",
        (CLAIM, "if epoch < own.epoch or (epoch", "if (epoch"),
        "the_higher_epoch_decides_between_claims",
    ),
    mutation(
        "another's bucket is claimed under the same epoch",
        (
            CLAIM,
            "if epoch < own.epoch or (epoch == own.epoch and owner and own.owner ~= number) then",
            "if epoch < own.epoch then",
        ),
        "the_higher_epoch_decides_between_claims",
    ),
    mutation(
        "who lost a bucket to a claim is not told",
        (
            CLAIM,
            "owner.gen, owner.dirty = '-', true",
            "owner.dirty = true",
        ),
        "the_higher_epoch_decides_between_claims",
    ),
    mutation(
        "a claim ahead of the table raises no doubt",
        (CLAIM, "if own.epoch < epoch then lost_something() end", ""),
        "the_higher_epoch_decides_between_claims",
    ),
    mutation(
        "a claim takes another epoch",
        (
            CLAIM,
            "      append(ring_own(number), run, number, epoch)\n    elseif",
            "      append(ring_own(number), run, number, math.max(epoch, now))\n    elseif",
        ),
        "what_members_hold_outlives_the_store",
    ),
    mutation(
        "what is claimed from another is not counted",
        (
            CLAIM,
            "return owner and former == number and 0 or 1",
            "return 0",
        ),
        "what_is_claimed_from_another_is_counted",
    ),
    mutation(
        "a claim from the future raises no doubt",
        (
            CLAIM,
            "  if first_call and me.seq < heard then lost_something() end\n",
            "",
        ),
        "a_claim_from_the_future_raises_doubt",
    ),
    mutation(
        "a late copy of a claim is executed",
        (
            CLAIM,
            "if me and seq <= me.seq then return { 'stale' } end",
            "",
        ),
        "a_claim_that_was_executed_before_changes_nothing",
    ),
    mutation(
        "an earlier incarnation claims",
        (
            CLAIM,
            "  if is_later(me.incarnation, incarnation) then\n",
            "  if false then\n",
        ),
        "an_id_is_its_incarnations_while_the_lease_runs",
    ),
    mutation(
        "what is not claimed stays the caller's",
        (CLAIM, "splice(ring_own(number), ring_limbo(number))", ""),
        "what_is_not_claimed_is_granted_anew",
    ),
    mutation(
        "another's membership is ended",
        (
            LEAVE,
            "if not me or me.id ~= id or me.incarnation ~= incarnation then",
            "if not me then",
        ),
        "a_leaver_frees_its_own_and_wakes_others",
    ),
    mutation(
        "who leaves for a while loses its buckets",
        (LEAVE, "if keep and 0 < me.grace then", "if false then"),
        "who_leaves_for_a_while_finds_its_buckets_again",
    ),
    mutation(
        "who left for a while is never reaped",
        (
            LEAVE,
            "redis.call('ZADD', base .. 'lease', now + me.grace, number)",
            "redis.call('ZADD', base .. 'lease', now + 60000, number)",
        ),
        "who_leaves_for_a_while_finds_its_buckets_again",
    ),
    mutation(
        "a leaver wakes nobody",
        (LEAVE, "if 0 < group.pool then wake_neediest() end", ""),
        "a_leaver_frees_its_own_and_wakes_others",
    ),
    mutation(
        "any count is enough",
        (
            CLAIM,
            " and counted(number, me.weight) == tonumber(own)",
            "",
        ),
        "a_count_stands_for_no_other_buckets",
    ),
    mutation(
        "a count is enough for a store that is older than an answer",
        (
            CLAIM,
            "not lost and generation and",
            "is_known and generation and",
        ),
        "a_count_is_not_enough_for_a_store_that_has_forgotten_an_answer",
    ),
    mutation(
        "a count hides grants that were never received",
        (CLAIM, " and me.given == tonumber(got)", ""),
        "a_count_stands_for_no_other_buckets",
    ),
    mutation(
        "a count that is enough leaves grants to be received",
        (
            CLAIM,
            "me.acked, me.dirty = seq, group.gen, me.given, true",
            "me.dirty = seq, group.gen, true",
        ),
        "a_count_makes_up_for_a_lost_inbox",
    ),
    mutation(
        "a count is enough for whoever was out of step",
        (
            CLAIM,
            "generation and (me.gen == generation or me.gen == group.gen)",
            "generation",
        ),
        "a_count_stands_for_no_other_buckets",
    ),
    mutation(
        "a count confirms what was not claimed",
        (
            CLAIM,
            "  return in_step and node(ring_limbo(number)).next == ring_limbo(number)\n",
            "  return in_step\n",
        ),
        "a_count_stands_for_no_other_buckets",
    ),
    mutation(
        "a count that was executed and never answered is not believed",
        (CLAIM, " or me.gen == group.gen)", ")"),
        "a_count_is_enough_for_a_store_that_has_forgotten_nothing",
    ),
    mutation(
        "what is yet to be claimed is granted to others",
        (CLAIM, "if not last_call then doubt_lasts(ttl) end", ""),
        "nothing_is_granted_while_a_claim_goes_on",
    ),
    mutation(
        "a claim prolongs no lease",
        (
            CLAIM,
            "  redis.call('ZADD', base .. 'lease', now + ttl + me.grace, number)\n  if first_call",
            "  if first_call",
        ),
        "nothing_is_granted_while_a_claim_goes_on",
    ),
];
