//! Mistakes in operators' scripts for slots.

use super::{Mutation, mutation};

const REVOKE: &str = "raus/src/scripts/revoke.lua";
const INSPECT: &str = "raus/src/scripts/inspect.lua";
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
            "  record.horizon = record.floor\n  redis.call('HSET', slots, slot, record_text(record))",
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
        "the token of an absent past is counted as a slot",
        (INSPECT, "  - redis.call('HEXISTS', slots, 'discovery')", ""),
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
];
