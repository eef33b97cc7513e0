//! Mistakes in operators' scripts for slots.

use super::{Mutation, mutation};

const REVOKE: &str = "raus/src/scripts/revoke.lua";
const INSPECT: &str = "raus/src/scripts/inspect.lua";
const LAYOUT: &str = "raus/src/scripts/layout.lua";
const OPERATORS: &str = "raus/src/scripts/operators.lua";
const CLOCK: &str = "raus/src/scripts/clock.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "a revocation does not compare the holder",
        (
            REVOKE,
            "if found ~= holder or (record and record.fence or 0) ~= fence then",
            "if (record and record.fence or 0) ~= fence then",
        ),
        "a_revocation_is_of_what_was_read",
    ),
    mutation(
        "a revocation does not compare the fence",
        (
            REVOKE,
            "if found ~= holder or (record and record.fence or 0) ~= fence then",
            "if found ~= holder then",
        ),
        "a_revocation_is_of_what_was_read",
    ),
    mutation(
        "a revocation leaves the fence",
        (
            REVOKE,
            "record.fence = math.max(record.fence + 1, now_us)",
            "",
        ),
        "a_revoked_slot_is_kept_until_the_lease_is_over",
    ),
    mutation(
        "a revocation's fence follows the clock alone",
        (REVOKE, "math.max(record.fence + 1, now_us)", "now_us"),
        "a_revocation_raises_the_fence_whatever_the_clock",
    ),
    mutation(
        "a revocation looks like a loss",
        (
            REVOKE,
            "  record.floor = math.max(record.floor, record.horizon)\n",
            "",
        ),
        "a_revoked_slot_is_kept_until_the_lease_is_over",
    ),
    mutation(
        "a slot that is to be free at once keeps its lease",
        (REVOKE, "if at_once then record.till, left = 0, 0 end", ""),
        "a_slot_revoked_at_once_is_free_above_its_horizon",
    ),
    mutation(
        "a revoked slot has no marker",
        (
            REVOKE,
            "redis.call('SET', lock, 'revoked', 'PX', left)",
            "redis.call('DEL', lock)",
        ),
        "a_revoked_slot_is_kept_until_the_lease_is_over",
    ),
    mutation(
        "a revoked slot's marker stays for ever",
        (REVOKE, "'revoked', 'PX', left)", "'revoked')"),
        "a_revoked_slot_is_kept_until_the_lease_is_over",
    ),
    mutation(
        "a revocation lowers the horizon",
        (
            REVOKE,
            "  redis.call('HSET', slots, slot, record_text(record))",
            "  record.horizon = 0\n  redis.call('HSET', slots, slot, record_text(record))",
        ),
        "a_slot_revoked_at_once_is_free_above_its_horizon",
    ),
    mutation(
        "a free slot is revoked",
        (
            REVOKE,
            "if found == '' and left == 0 then return { 'free' } end",
            "",
        ),
        "a_revocation_is_of_what_was_read",
    ),
    mutation(
        "a lock of another type is deleted",
        (
            REVOKE,
            "if kind ~= 'none' and kind ~= 'string' then return { 'wrongtype', lock, kind } end",
            "",
        ),
        "what_is_of_another_type_is_not_revoked",
    ),
    mutation(
        "an onlooker sees no lock of another type",
        (
            INSPECT,
            "if lock == '?' then lock = '(a ' .. redis.call('TYPE', KEYS[1 + i]).ok .. ')' end",
            "if lock == '?' then lock = nil end",
        ),
        "an_onlooker_sees_what_there_is_and_changes_nothing",
    ),
    mutation(
        "an onlooker is told when a lease ends instead of how long it lasts",
        (INSPECT, "math.max(0, record.till - now)", "record.till"),
        "an_onlooker_sees_what_there_is_and_changes_nothing",
    ),
    mutation(
        "the clock is told in milliseconds",
        (
            CLOCK,
            "local _, now_us = server_now()",
            "local now_us = server_now()",
        ),
        "the_servers_clock_is_told_in_microseconds",
    ),
    mutation(
        "a range stays full after a revocation",
        (REVOKE, "redis.call('HDEL', slots, 'full')\n", ""),
        "a_slot_that_is_given_back_ends_what_is_said_of_its_range",
    ),
    mutation(
        "what a newer version wrote is revoked",
        (
            REVOKE,
            "if type(newer) == 'number' then return { 'newer', newer } end",
            "",
        ),
        "what_a_newer_version_wrote_is_left_alone",
    ),
    mutation(
        "a newer version is shown as an absent past",
        (
            INSPECT,
            "if type(newer) == 'number' then return { 'newer', newer } end",
            "",
        ),
        "what_a_newer_version_wrote_is_left_alone",
    ),
    mutation(
        "a layout is recorded for a newer version",
        (
            LAYOUT,
            "if type(newer) == 'number' then return { 'newer', newer } end",
            "",
        ),
        "what_a_newer_version_wrote_is_left_alone",
    ),
    mutation(
        "another layout is recorded",
        (LAYOUT, "'HSETNX'", "'HSET'"),
        "a_grant_tells_the_layout_on_record",
    ),
    mutation(
        "an onlooker does not see whether a quarantine has begun",
        (
            INSPECT,
            "past and is_same_server(past.run, run) and '1' or '0'",
            "'1'",
        ),
        "an_onlooker_sees_what_is_left_of_a_quarantine",
    ),
    mutation(
        "an onlooker is not told that the server hides",
        (INSPECT, "run ~= '?' and '1' or '0'", "'1'"),
        "an_onlooker_sees_what_there_is_and_changes_nothing",
    ),
    mutation(
        "other fields are counted as slots",
        (
            OPERATORS,
            "    if fields[i] then count = count - 1 end\n",
            "",
        ),
        "an_onlooker_sees_what_there_is_and_changes_nothing",
    ),
    mutation(
        "an onlooker sees terms that are forgotten",
        (
            OPERATORS,
            "return is_over and past.used or past.longest",
            "return past.longest",
        ),
        "an_onlooker_sees_the_longest_terms_as_the_next_grant_finds_them",
    ),
    mutation(
        "an onlooker sees a window end in a quarantine",
        (
            OPERATORS,
            "local is_over = past.till <= now and past.since",
            "local is_over = past.since",
        ),
        "an_onlooker_sees_the_longest_terms_as_the_next_grant_finds_them",
    ),
];
