//! Mistakes in how a slot is granted.

use super::{Mutation, Survivor, mutation, survivor};

const ACQUIRE: &str = "raus/src/scripts/acquire.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "a wrong clock is not refused",
        (
            ACQUIRE,
            "if math.abs(wall - now) > skew then return { 'skew', digits(now) } end",
            "",
        ),
        "a_clock_that_is_off_either_way_is_refused",
    ),
    mutation(
        "a clock that runs behind is not refused",
        (ACQUIRE, "math.abs(wall - now) > skew", "wall - now > skew"),
        "a_clock_that_is_off_either_way_is_refused",
    ),
    mutation(
        "a clock is refused at the tolerance itself",
        (
            ACQUIRE,
            "math.abs(wall - now) > skew",
            "math.abs(wall - now) >= skew",
        ),
        "a_clock_that_is_off_either_way_is_refused",
    ),
    mutation(
        "an acquisition does not validate the hash",
        (ACQUIRE, "if refused then return refused end", ""),
        "a_hash_of_another_type_is_named_and_kept",
    ),
    mutation(
        "a grant that is given again keeps the old ttl",
        (ACQUIRE, "redis.call('PEXPIRE', KEYS[1 + i], ttl)", ""),
        "the_same_holder_is_given_its_grant_again",
    ),
    mutation(
        "a grant leaves no lease on record",
        (ACQUIRE, "  till = now + ttl,", "  till = 0,"),
        "a_slot_is_free_when_its_lock_is_gone_and_its_lease_is_over",
    ),
    mutation(
        "a label is not looked for",
        (
            ACQUIRE,
            "if not chosen and record.label == label",
            "if false and record.label == label",
        ),
        "a_label_finds_the_slot_it_had_unless_that_is_not_free",
    ),
    mutation(
        "a label takes its slot while the lease runs",
        (
            ACQUIRE,
            "record.label == label and record.till <= now and",
            "record.label == label and",
        ),
        "a_label_finds_the_slot_it_had_unless_that_is_not_free",
    ),
    mutation(
        "a label takes its slot whatever its horizon",
        (ACQUIRE, " and record.horizon <= now + skew then", " then"),
        "a_label_finds_the_slot_it_had_unless_that_is_not_free",
    ),
    mutation(
        "the lease that ended last goes first",
        (
            ACQUIRE,
            "record.till < record_of(best).till",
            "record.till > record_of(best).till",
        ),
        "what_nobody_holds_goes_before_the_lease_that_ended_first",
    ),
    mutation(
        "the horizon is ignored",
        (ACQUIRE, "math.max(old.horizon, past.floor)", "past.floor"),
        "a_holder_begins_at_the_horizon_of_the_last_one",
    ),
    mutation(
        "the floor of a doubt is ignored",
        (ACQUIRE, "math.max(old.horizon, past.floor)", "old.horizon"),
        "a_voice_in_an_absent_past_is_a_loss",
    ),
    mutation(
        "a fence follows the clock alone",
        (ACQUIRE, "math.max(old.fence + 1, now_us)", "now_us"),
        "fences_rise_whatever_the_clock_and_the_store_forget",
    ),
    mutation(
        "a fence follows the record alone",
        (ACQUIRE, "math.max(old.fence + 1, now_us)", "old.fence + 1"),
        "fences_rise_whatever_the_clock_and_the_store_forget",
    ),
    mutation(
        "a fence stays",
        (
            ACQUIRE,
            "math.max(old.fence + 1, now_us)",
            "math.max(old.fence, now_us)",
        ),
        "fences_rise_whatever_the_clock_and_the_store_forget",
    ),
    mutation(
        "a lock has no ttl",
        (ACQUIRE, "holder, 'NX', 'PX', ttl)", "holder, 'NX')"),
        "a_grant_is_written_where_it_belongs_and_nowhere_else",
    ),
    mutation(
        "the lock of another slot is written",
        (
            ACQUIRE,
            "redis.call('SET', KEYS[1 + chosen]",
            "redis.call('SET', KEYS[1 + count]",
        ),
        "a_grant_is_written_where_it_belongs_and_nowhere_else",
    ),
    mutation(
        "the record of another slot is written",
        (
            ACQUIRE,
            "redis.call('HSET', slots, ARGV[FIRST + chosen]",
            "redis.call('HSET', slots, ARGV[FIRST + 1]",
        ),
        "a_grant_is_written_where_it_belongs_and_nowhere_else",
    ),
    mutation(
        "a grant reserves no time",
        (
            ACQUIRE,
            "horizon = first_horizon(now, wall, skew, floor, ttl),",
            "horizon = floor,",
        ),
        "a_grant_is_written_where_it_belongs_and_nowhere_else",
    ),
    mutation(
        "a holder that asks again is a stranger",
        (
            ACQUIRE,
            "if record and chain_head(record.chain) == number then",
            "if false then",
        ),
        "the_same_holder_is_given_its_grant_again",
    ),
    mutation(
        "a grant is given again to a clone",
        (
            ACQUIRE,
            "if record and chain_head(record.chain) == number then",
            "if record then",
        ),
        "a_grant_is_given_again_to_its_number_alone",
    ),
    mutation(
        "a grant that is given again keeps the old lease on record",
        (
            ACQUIRE,
            "record.till, record.chain = now + ttl, number\n",
            "\n",
        ),
        "the_same_holder_is_given_its_grant_again",
    ),
    mutation(
        "what is asked for again is given whatever became of the server",
        (
            ACQUIRE,
            "      if refusal then return refusal end",
            "      past = past or { longest = longest }",
        ),
        "a_server_that_restarted_gives_nothing_again_at_once",
    ),
    mutation(
        "a lock of another type is free",
        (
            ACQUIRE,
            "local group = lock and locked or free",
            "local group = lock and lock ~= '?' and locked or free",
        ),
        "a_lock_of_another_type_is_held",
    ),
    mutation(
        "a deleted lock frees its slot",
        (
            ACQUIRE,
            "    if record.till <= now then\n      if limit",
            "    if true then\n      if limit",
        ),
        "a_slot_is_free_when_its_lock_is_gone_and_its_lease_is_over",
    ),
    mutation(
        "a lease on record lasts a millisecond longer",
        (
            ACQUIRE,
            "    if record.till <= now then\n      if limit",
            "    if record.till < now then\n      if limit",
        ),
        "a_slot_is_free_when_its_lock_is_gone_and_its_lease_is_over",
    ),
    mutation(
        "a far horizon is granted unasked",
        (ACQUIRE, "if limit < record.horizon then", "if false then"),
        "a_far_horizon_is_passed_over_until_it_is_asked_for",
    ),
    mutation(
        "a far horizon is never granted",
        (
            ACQUIRE,
            "(lenient and longest.ttl + longest.skew or skew)",
            "skew",
        ),
        "a_far_horizon_is_passed_over_until_it_is_asked_for",
    ),
    mutation(
        "the lenient accept whatever is on record",
        (
            ACQUIRE,
            "(lenient and longest.ttl + longest.skew or skew)",
            "(lenient and math.huge or skew)",
        ),
        "the_lenient_accept_what_right_clocks_may_have_left",
    ),
    mutation(
        "the lenient accept by their own terms alone",
        (
            ACQUIRE,
            "local limit = now + (lenient and longest.ttl + longest.skew",
            "local limit = now + (lenient and ttl + skew",
        ),
        "the_lenient_accept_what_right_clocks_may_have_left",
    ),
];

pub(super) static SURVIVORS: &[Survivor] = &[
    survivor(
        "it saves everything else, which says the same",
        (
            "raus/src/scripts/full.lua",
            "if ARGV[7] ~= '' then",
            "if false then",
        ),
    ),
    survivor(
        "the script has just found the lock absent, and nothing runs between",
        (ACQUIRE, "holder, 'NX', 'PX', ttl)", "holder, 'PX', ttl)"),
    ),
    survivor(
        "a label's slot is found by its place alone where only one bears it",
        (
            ACQUIRE,
            "if not chosen and record.label == label",
            "if record.label == label",
        ),
    ),
    survivor(
        "it saves looking at the rest: an end of 0 comes before every other",
        (
            ACQUIRE,
            "      elseif record.till == 0 then\n        return i\n",
            "",
        ),
    ),
];
