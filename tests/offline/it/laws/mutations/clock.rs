//! Mistakes in what is made of a server's clock that is set forward.

use super::{Mutation, mutation};

const GLANCE: &str = "redbuckets/src/scripts/glance.lua";
const BEAT: &str = "redbuckets/src/scripts/beat.lua";
const GROUP: &str = "redbuckets/src/scripts/group.lua";
const HAND: &str = "redbuckets/src/scripts/hand.lua";
const JOIN: &str = "redbuckets/src/scripts/join.lua";
const TABLE: &str = "redbuckets/src/scripts/table.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "a clock that was set forward ends leases that live",
        (
            GROUP,
            "return wait.ripe < over and wait.left or 0",
            "return 0",
        ),
        "nobody_is_taken_for_dead_by_who_was_away_itself",
    ),
    mutation(
        "whoever was away itself reaps others",
        (
            HAND,
            "if known and held_back() == 0 and next_expiry == 0 and",
            "if known and",
        ),
        "nobody_is_taken_for_dead_by_who_was_away_itself",
    ),
    mutation(
        "a newcomer believes a clock that was set forward",
        (
            JOIN,
            "math.max(left, past.wait, clock_wait(over))",
            "math.max(left, past.wait)",
        ),
        "a_successor_gets_what_its_predecessor_had_with_higher_epochs",
    ),
    mutation(
        "a step that leaves time to the leases is not noticed",
        (GLANCE, "0 <= since and since <= ARGV[8] / 2", "true"),
        "a_step_is_noticed_before_it_ends_a_lease",
    ),
    mutation(
        "half a ttl of silence is a step",
        (
            GROUP,
            "heard and ttl / 2 < since",
            "heard and ttl / 2 <= since",
        ),
        "a_silence_of_half_a_ttl_is_passing_time",
    ),
    mutation(
        "a glance is not noted",
        (
            GLANCE,
            "if ARGV[8] / 12 <= since then redis.call('HSET', KEYS[1], 'heard', now) end",
            "",
        ),
        "a_glance_hides_no_lease_that_is_over",
    ),
    mutation(
        "a beat is not noted",
        (
            GROUP,
            "elseif waited or since < 0 or ttl / 12 <= since then",
            "elseif waited then",
        ),
        "a_silence_of_half_a_ttl_is_passing_time",
    ),
    mutation(
        "a step during a wait counts as time",
        (
            GROUP,
            "elseif stepped and wait.steps < MOST_STEPS then",
            "elseif false then",
        ),
        "steps_that_follow_one_another_end_no_lease_that_is_renewed",
    ),
    mutation(
        "no wait follows one with steps in it",
        (
            GROUP,
            "if wait.left <= 0 and 0 < wait.steps then",
            "if false then",
        ),
        "steps_that_follow_one_another_end_no_lease_that_is_renewed",
    ),
    mutation(
        "a step that looks like time ends a wait",
        (GROUP, "math.min(since, math.ceil(ttl / 6))", "since"),
        "no_call_counts_for_more_than_a_sixth_of_a_ttl",
    ),
    mutation(
        "a clock that never stops stepping keeps the dead for ever",
        (
            GROUP,
            "elseif stepped and wait.steps < MOST_STEPS then",
            "elseif stepped then",
        ),
        "a_clock_that_never_stops_stepping_keeps_no_dead",
    ),
    mutation(
        "who is dead is waited for again",
        (
            GROUP,
            "wait.left, wait.steps, wait.mark, wait.ripe = third, 0, now, wait.mark",
            "wait.left, wait.steps, wait.mark, wait.ripe = third, 0, now, 0",
        ),
        "a_clock_that_never_stops_stepping_keeps_no_dead",
    ),
    mutation(
        "a wait that began before the clock was set back makes the living dead",
        (
            GROUP,
            "math.min(tonumber(mark or nil) or 0, now)",
            "(tonumber(mark or nil) or 0)",
        ),
        "a_clock_set_back_during_a_wait_makes_nobody_dead",
    ),
    mutation(
        "garbage is waited for",
        (
            GROUP,
            "math.min(tonumber(left or nil) or 0, third)",
            "(tonumber(left or nil) or 0)",
        ),
        "garbage_in_the_place_of_the_clock_ends_no_lease_and_keeps_no_dead",
    ),
    mutation(
        "a step ends a doubt",
        (
            TABLE,
            "local left = math.max(0, group.doubt_till - now, stepped)",
            "local left = math.max(0, group.doubt_till - now)",
        ),
        "a_step_ends_no_doubt",
    ),
    mutation(
        "what the dead were given lasts until the clock is there again",
        (GROUP, "  if 0 < wait.back then times_back(ttl) end\n", ""),
        "a_clock_set_back_keeps_nothing_of_the_dead",
    ),
    mutation(
        "an id is kept until the clock is there again",
        (
            GROUP,
            "      redis.call('ZADD', base .. 'lease', unpack(cut))\n",
            "",
        ),
        "a_clock_set_back_keeps_no_id",
    ),
    mutation(
        "a grace is cut together with the lease",
        (
            GROUP,
            "digits(math.max(till - wait.back, soonest)), leases[i]",
            "digits(soonest), leases[i]",
        ),
        "a_clock_set_back_ends_no_lease",
    ),
    mutation(
        "a time that cannot be ends leases",
        (
            GROUP,
            "digits(math.max(till - wait.back, soonest)), leases[i]",
            "digits(till - wait.back), leases[i]",
        ),
        "a_time_that_cannot_be_ends_no_grace",
    ),
    mutation(
        "whoever lacks buckets waits until the clock is there again",
        (
            GROUP,
            "group.settle_at, group.unsettled = math.max(0, group.settle_at - wait.back), math.max(0, group.unsettled - wait.back)",
            "",
        ),
        "a_clock_set_back_keeps_nobody_waiting_for_its_share",
    ),
    mutation(
        "an idle member overlooks that the clock was set back",
        (BEAT, "and wait.back == 0 and", "and"),
        "a_clock_set_back_keeps_nobody_waiting_for_its_share",
    ),
];
