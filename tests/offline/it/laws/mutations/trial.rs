//! Mistakes in what newcomers wait for after members died young.

use super::{Mutation, mutation};

const GROUP: &str = "redbuckets/src/scripts/group.lua";
const TABLE: &str = "redbuckets/src/scripts/table.lua";
const JOIN: &str = "redbuckets/src/scripts/join.lua";
const BEAT: &str = "redbuckets/src/scripts/beat.lua";
const HAND: &str = "redbuckets/src/scripts/hand.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "nobody waits for a share",
        (BEAT, "if me.drained or waits then", "if me.drained then"),
        "who_comes_after_a_series_of_deaths_has_no_share_before_it_has_lived",
    ),
    mutation(
        "nobody who dies is noticed",
        (
            HAND,
            "  if gone then died(gone, tonumber(first_lease[2]) - gone.grace) end\n",
            "",
        ),
        "who_comes_after_a_series_of_deaths_has_no_share_before_it_has_lived",
    ),
    mutation(
        "a successor's predecessor did not die",
        (JOIN, "    died(value, over)\n", ""),
        "a_successor_on_trial_keeps_nothing_of_what_the_dead_had",
    ),
    mutation(
        "a successor keeps its share on trial",
        (JOIN, " and 0 < trial() then", " and false then"),
        "a_successor_on_trial_keeps_nothing_of_what_the_dead_had",
    ),
    mutation(
        "the first death is one too many",
        (
            TABLE,
            "if before ~= 0 and before < came then",
            "if before < came then",
        ),
        "one_that_dies_young_is_forgiven",
    ),
    mutation(
        "those that die together are a series",
        (
            TABLE,
            "if before ~= 0 and before < came then",
            "if before ~= 0 then",
        ),
        "many_that_die_together_are_no_series",
    ),
    mutation(
        "every death is a young one",
        (
            TABLE,
            "  if YOUNG * math.max(ttl, ms) < last_seen - came then return end\n",
            "",
        ),
        "who_lived_for_long_is_no_sign",
    ),
    mutation(
        "who has left for a while died",
        (
            TABLE,
            "  if string.sub(value.incarnation, -2) == ':-' then return end\n",
            "",
        ),
        "who_leaves_for_a_while_is_no_sign",
    ),
    mutation(
        "a trial is always as long",
        (TABLE, "math.min(2 * ms, MOST_TRIAL * ttl)", "ttl"),
        "a_trial_is_longer_where_it_was_survived_in_vain",
    ),
    mutation(
        "who had a share before there was a trial makes it longer",
        (TABLE, "elseif came + ms <= last_seen then", "else"),
        "those_that_had_a_share_before_make_a_trial_no_longer",
    ),
    mutation(
        "a series of deaths is remembered for ever",
        (
            GROUP,
            "if now < died or died + REMEMBERED * math.max(ttl, ms) < now then",
            "if now < died then",
        ),
        "a_series_of_deaths_is_forgotten",
    ),
    mutation(
        "a death in the future counts",
        (GROUP, "if now < died or died +", "if died +"),
        "what_stands_in_the_place_of_a_trial_holds_nobody_up_for_long",
    ),
    mutation(
        "a trial lasts as long as anybody has written",
        (GROUP, "  ms = math.min(ms, MOST_TRIAL * ttl)\n", ""),
        "what_stands_in_the_place_of_a_trial_holds_nobody_up_for_long",
    ),
    mutation(
        "who is alone waits",
        (
            GROUP,
            "  if group.weight == 0 then return false end\n  local came",
            "  local came",
        ),
        "who_is_alone_waits_for_no_trial",
    ),
];
