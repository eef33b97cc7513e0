//! Mistakes in a heartbeat of a group.

use super::{Mutation, mutation};

const GLANCE: &str = "redbuckets/src/scripts/glance.lua";
const BEAT: &str = "redbuckets/src/scripts/beat.lua";
const DRAIN: &str = "redbuckets/src/scripts/drain.lua";
const HAND: &str = "redbuckets/src/scripts/hand.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "a glance does not look at the group",
        (GLANCE, "known[1] == ARGV[13] and", ""),
        "a_glance_renews_the_lease_where_nothing_has_changed",
    ),
    mutation(
        "a glance does not look at the member's record",
        (
            GLANCE,
            " and redis.call('HGET', base .. 'members', number) == ARGV[14] then",
            " then",
        ),
        "a_glance_renews_the_lease_where_nothing_has_changed",
    ),
    mutation(
        "a glance hides leases that are over",
        (GLANCE, "if 0 < left and 0 <= since", "if 0 <= since"),
        "a_glance_hides_no_lease_that_is_over",
    ),
    mutation(
        "a glance renews nothing",
        (
            GLANCE,
            "redis.call('ZADD', base .. 'lease', now + ARGV[16], number)",
            "",
        ),
        "a_glance_renews_the_lease_where_nothing_has_changed",
    ),
    mutation(
        "a glance does not count as a request",
        (
            GLANCE,
            "redis.call('HSET', base .. 'members', number, ARGV[15])",
            "",
        ),
        "a_glance_renews_the_lease_where_nothing_has_changed",
    ),
    mutation(
        "a beat does not look at the id",
        (
            BEAT,
            "if not me or me.id ~= id then return { 'resync' } end",
            "if not me then return { 'resync' } end",
        ),
        "a_member_that_is_out_of_step_is_told_to_claim",
    ),
    mutation(
        "an earlier incarnation goes on",
        (
            BEAT,
            "if me.incarnation ~= incarnation then",
            "if false then",
        ),
        "an_id_is_its_incarnations_while_the_lease_runs",
    ),
    mutation(
        "a late copy of a request is executed",
        (BEAT, "if seq <= me.seq then return { 'stale' } end", ""),
        "a_request_that_was_executed_before_changes_nothing",
    ),
    mutation(
        "a request is executed twice",
        (BEAT, "if seq <= me.seq then", "if seq < me.seq then"),
        "a_request_that_was_executed_before_changes_nothing",
    ),
    mutation(
        "the caller's generation is not looked at",
        (
            BEAT,
            "me.gen == group.gen and gen == group.gen and",
            "me.gen == group.gen and",
        ),
        "a_member_that_is_out_of_step_is_told_to_claim",
    ),
    mutation(
        "a member that lost buckets to a claim goes on",
        (
            BEAT,
            "me.gen == group.gen and gen == group.gen and",
            "gen == group.gen and",
        ),
        "the_higher_epoch_decides_between_claims",
    ),
    mutation(
        "an answer that the store knows nothing of goes unnoticed",
        (BEAT, "heard <= me.seq and ", ""),
        "a_member_that_is_out_of_step_is_told_to_claim",
    ),
    mutation(
        "a receipt for what was never given is accepted",
        (BEAT, " and got <= me.given\n", "\n"),
        "a_member_that_is_out_of_step_is_told_to_claim",
    ),
    mutation(
        "a receipt is taken back",
        (BEAT, "me.acked <= got and ", ""),
        "a_member_that_is_out_of_step_is_told_to_claim",
    ),
    mutation(
        "a lost inbox goes unnoticed",
        (
            BEAT,
            "local delivered = me.acked == me.given or redis.call('LLEN', inbox) == me.given - me.acked",
            "local delivered = true",
        ),
        "a_lost_key_of_the_group_is_noticed_by_a_beat",
    ),
    mutation(
        "a drained member keeps its share",
        (
            BEAT,
            "if me.drained or waits then weight",
            "if waits then weight",
        ),
        "a_drained_member_gives_everything_away_and_stays",
    ),
    mutation(
        "shedding does not wait for quiet",
        (
            BEAT,
            "elseif known and settled and not contiguous then",
            "elseif known and not contiguous then",
        ),
        "nobody_sheds_before_membership_was_quiet",
    ),
    mutation(
        "an idle member's lease does not run anew",
        (
            BEAT,
            "  redis.call('ZADD', base .. 'lease', now + ttl + me.grace, number)\n  if me.acked < got then",
            "  if me.acked < got then",
        ),
        "every_beat_begins_the_ttl_anew_with_its_grace",
    ),
    mutation(
        "an idle member's receipt empties nothing",
        (BEAT, "redis.call('LPOP', inbox, got - me.acked)", ""),
        "a_member_alone_is_granted_everything_once",
    ),
    mutation(
        "an idle member reaps nobody",
        (
            BEAT,
            " and 0 < next_expiry and (free == 0",
            " and (free == 0",
        ),
        "a_crashed_member_is_reaped_when_its_lease_is_over",
    ),
    mutation(
        "leases end while renewals may be lost",
        (
            HAND,
            "if known and held_back() == 0 and",
            "if held_back() == 0 and",
        ),
        "no_lease_is_over_while_the_past_is_in_doubt",
    ),
    mutation(
        "what is free is granted in doubt",
        (HAND, "if known and 0 < free then", "if 0 < free then"),
        "what_members_hold_outlives_the_store",
    ),
    mutation(
        "what is not claimed is granted in doubt",
        (
            HAND,
            "if (known or weight == 0) and node(limbo)",
            "if node(limbo)",
        ),
        "another_server_keeps_what_is_not_claimed",
    ),
    mutation(
        "a lease does not run anew",
        (
            HAND,
            "redis.call('ZADD', base .. 'lease', now + ttl + me.grace, number)",
            "",
        ),
        "every_beat_begins_the_ttl_anew_with_its_grace",
    ),
    mutation(
        "a grace is not given",
        (HAND, "now + ttl + me.grace, number)", "now + ttl, number)"),
        "every_beat_begins_the_ttl_anew_with_its_grace",
    ),
    mutation(
        "a receipt empties nothing",
        (HAND, "redis.call('LPOP', inbox, got - me.acked)", ""),
        "a_grant_stays_in_the_inbox_until_it_was_received",
    ),
    mutation(
        "a release counts whoever owns the bucket",
        (
            HAND,
            "if own.owner ~= number or digits(own.epoch) ~= epoch then",
            "if digits(own.epoch) ~= epoch then",
        ),
        "a_release_counts_by_owner_and_epoch",
    ),
    mutation(
        "a release counts under any epoch",
        (
            HAND,
            "if own.owner ~= number or digits(own.epoch) ~= epoch then",
            "if own.owner ~= number then",
        ),
        "a_release_counts_by_owner_and_epoch",
    ),
    mutation(
        "a member may give away more than its surplus",
        (HAND, "elseif allowed <= size or", "elseif"),
        "nobody_gives_away_more_than_its_surplus",
    ),
    mutation(
        "whose lease runs is given up",
        (DRAIN, "if now < till then", "if false then"),
        "who_has_gone_is_given_up_and_who_lives_is_not",
    ),
    mutation(
        "who was given up is waited for",
        (
            DRAIN,
            "  redis.call('ZADD', base .. 'lease', till, number)\n  value.grace",
            "  value.grace",
        ),
        "who_has_gone_is_given_up_and_who_lives_is_not",
    ),
    mutation(
        "who was given up has its grace when it is given up again",
        (
            DRAIN,
            "value.grace, value.dirty = 0, true",
            "value.dirty = true",
        ),
        "who_has_gone_is_given_up_and_who_lives_is_not",
    ),
    mutation(
        "who left for a while is asked to drain",
        (
            DRAIN,
            "if evict or (wanted and string.match(value.incarnation, ':%-$')) then",
            "if evict then",
        ),
        "draining_who_has_left_for_a_while_gives_it_up",
    ),
    mutation(
        "what failed is kept where nobody lacks it",
        (HAND, "elseif mark == '!' then", "elseif false then"),
        "what_failed_goes_to_another_whoever_lacks",
    ),
    mutation(
        "what failed under another grant counts",
        (
            HAND,
            "if own.owner ~= number or digits(own.epoch) ~= epoch then",
            "if mark ~= '!' and (own.owner ~= number or digits(own.epoch) ~= epoch) then",
        ),
        "what_failed_goes_to_another_whoever_lacks",
    ),
    mutation(
        "what failed goes to whoever has least, the caller as well",
        (
            HAND,
            "if other ~= number and is_live(other) then",
            "if is_live(other) then",
        ),
        "what_failed_goes_to_another_whoever_lacks",
    ),
    mutation(
        "what failed counts as the caller's all the same",
        (
            HAND,
            "  if best == number then return end\n  count = count - 1\n",
            "  if best == number then return end\n",
        ),
        "what_failed_goes_to_another_whoever_lacks",
    ),
    mutation(
        "nobody is woken for what failed elsewhere",
        (HAND, "  publish[best] = true\n", "\n"),
        "what_failed_goes_to_another_whoever_lacks",
    ),
    mutation(
        "what failed counts twice where nobody else is",
        (HAND, "  if best == number then return end\n", "\n"),
        "what_failed_comes_back_under_a_higher_epoch_where_nobody_else_is",
    ),
    mutation(
        "what was released is nobody's until the next beat",
        (HAND, "    if needy then\n", "    if false then\n"),
        "what_is_released_is_handed_over_at_once_and_its_new_owner_woken",
    ),
    mutation(
        "whoever is given something is not woken",
        (HAND, "      publish[needy] = true\n", "\n"),
        "what_is_released_is_handed_over_at_once_and_its_new_owner_woken",
    ),
    mutation(
        "more is taken than the share",
        (
            HAND,
            "take_free(math.min(share - count, MOST - progress), chunk)",
            "take_free(MOST - progress, chunk)",
        ),
        "what_is_free_is_taken_up_to_the_share",
    ),
    mutation(
        "a changed weight changes nothing",
        (
            HAND,
            "  me.weight = weight\n  enter_class(number, weight, count)",
            "  enter_class(number, me.weight, count)",
        ),
        "shares_are_proportional_to_weights",
    ),
];
