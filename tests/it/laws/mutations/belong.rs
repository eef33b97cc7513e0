//! Mistakes in who belongs to a group, and holds what.

use super::{Mutation, mutation};

const CREATE: &str = "redbuckets/src/scripts/create.lua";
const JOIN: &str = "redbuckets/src/scripts/join.lua";
const CLAIM: &str = "redbuckets/src/scripts/claim.lua";
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
            "weight, grace, true, false, true",
            "weight, grace, true, value.drained, true",
        ),
        "another_incarnation_is_not_drained",
    ),
    mutation(
        "a hurry wakes nobody",
        (
            JOIN,
            "for _, other in ipairs(most_loaded) do publish[other] = true end",
            "",
        ),
        "a_newcomer_in_a_hurry_wakes_the_others",
    ),
    mutation(
        "a hurry wakes the newcomer itself",
        (JOIN, "publish[tostring(number)] = nil", ""),
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
            "own.owner, own.epoch = number, epoch",
            "own.owner, own.epoch = number, math.max(epoch, now)",
        ),
        "what_members_hold_outlives_the_store",
    ),
    mutation(
        "a claim from the future raises no doubt",
        (CLAIM, "if me.seq < heard then lost_something() end", ""),
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
        (LEAVE, "do publish[needy] = true end", "do end"),
        "a_leaver_frees_its_own_and_wakes_others",
    ),
];
