//! Mistakes in which slot of a range is granted.

use super::{Mutation, mutation};

const ACQUIRE: &str = "raus/src/scripts/acquire.lua";
const FULL: &str = "raus/src/scripts/full.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "how far the nearest is ahead is not told",
        (
            ACQUIRE,
            "math.min(nearest, record.horizon - limit)",
            "math.max(0, record.horizon - limit)",
        ),
        "a_far_horizon_is_passed_over_until_it_is_asked_for",
    ),
    mutation(
        "a floor that is too far ahead is granted",
        (
            ACQUIRE,
            "    if 0 < ahead then return nil, { 'ahead', ahead } end\n",
            "",
        ),
        "a_floor_that_is_too_far_ahead_is_told",
    ),
    mutation(
        "the layout is not told",
        (
            ACQUIRE,
            "terms_text(past.longest), known[3] or '', garbled",
            "terms_text(past.longest), '', garbled",
        ),
        "a_grant_tells_the_layout_on_record",
    ),
    mutation(
        "the longest terms are not told",
        (
            ACQUIRE,
            "digits(now),\n    terms_text(past.longest)",
            "digits(now),\n    terms_text(terms)",
        ),
        "what_holders_know_of_others_outlives_the_store",
    ),
    mutation(
        "what a newer version wrote is cut to size",
        (
            ACQUIRE,
            "if type(other) == 'number' then return { 'newer', other } end\n",
            "",
        ),
        "what_a_newer_version_wrote_is_left_alone",
    ),
    mutation(
        "one lock among those that are offered is overlooked",
        (ACQUIRE, "is_any_locked = 0 <", "is_any_locked = 1 <"),
        "a_lock_of_another_type_is_held",
    ),
    mutation(
        "a full range is looked at again and again",
        (
            ACQUIRE,
            "if range ~= '' and full_range == range and now < full_until",
            "if false and now < full_until",
        ),
        "a_full_range_is_found_once_for_all_who_wait",
    ),
    mutation(
        "what is said of one range is said of another",
        (ACQUIRE, "full_range == range and", "full_range and"),
        "a_full_range_is_found_once_for_all_who_wait",
    ),
    mutation(
        "a full range stays full",
        (
            ACQUIRE,
            "full_range == range and now < full_until and",
            "full_range == range and",
        ),
        "a_full_range_is_found_once_for_all_who_wait",
    ),
    mutation(
        "what is said of a range holds for ever",
        (
            ACQUIRE,
            " and full_until <= now + longest.ttl then",
            " then",
        ),
        "what_is_said_of_a_range_holds_for_one_ttl_at_most",
    ),
    mutation(
        "what is said of one range is said at once of another",
        (
            FULL,
            "if first and first .. '-' .. last == ARGV[7] then",
            "if first then",
        ),
        "a_full_range_is_found_once_for_all_who_wait",
    ),
    mutation(
        "a range that was full is said to be so at once",
        (FULL, "if 0 < left and left", "if left"),
        "a_full_range_is_found_once_for_all_who_wait",
    ),
    mutation(
        "what is said of a range for ever is said at once",
        (
            FULL,
            " and left <= tonumber(string.match(ARGV[2], '^%d+')) then",
            " then",
        ),
        "what_is_said_of_a_range_holds_for_one_ttl_at_most",
    ),
    mutation(
        "a range is full though a slot is ahead",
        (ACQUIRE, "lowest and ahead == 0 and", "lowest and"),
        "a_range_is_full_only_if_all_of_it_was_offered_and_is_held",
    ),
    mutation(
        "a range is full though not all of it was offered",
        (ACQUIRE, " and count == highest - lowest + 1", ""),
        "a_range_is_full_only_if_all_of_it_was_offered_and_is_held",
    ),
    mutation(
        "what was found of a range is not kept",
        (
            ACQUIRE,
            "if whole and first < math.huge then redis.call('HSET', slots, 'full', range .. ' ' .. digits(first)) end",
            "",
        ),
        "a_full_range_is_found_once_for_all_who_wait",
    ),
    mutation(
        "locks do not count for the next expiry",
        (
            ACQUIRE,
            "for _, i in ipairs(locked) do first = math.min(first, held_until(i, true)) end",
            "for _, i in ipairs(locked) do held_until(i, true) end",
        ),
        "a_slot_is_free_when_its_lock_is_gone_and_its_lease_is_over",
    ),
    mutation(
        "records do not count for the next expiry",
        (
            ACQUIRE,
            "if now < records[i].till then first = math.min(first, held_until(i, false)) end",
            "if now < records[i].till then held_until(i, false) end",
        ),
        "a_slot_is_free_when_its_lock_is_gone_and_its_lease_is_over",
    ),
    mutation(
        "a lock without a record is over",
        (
            ACQUIRE,
            "return 0 <= left and now + left or math.huge",
            "return now",
        ),
        "the_next_expiry_is_the_earliest_of_records_and_locks",
    ),
    mutation(
        "a lock that lasts forever is over",
        (
            ACQUIRE,
            "return 0 <= left and now + left or math.huge",
            "return now + math.max(0, left)",
        ),
        "the_next_expiry_is_the_earliest_of_records_and_locks",
    ),
    mutation(
        "a deadline that cannot be is believed",
        (
            ACQUIRE,
            "if cuts and now + longest.ttl < record.till then",
            "if false then",
        ),
        "a_clock_set_back_keeps_no_slot_for_longer_than_a_ttl",
    ),
    mutation(
        "a lock that lasts too long is left",
        (
            ACQUIRE,
            "if is_locked and longest.ttl < redis.call('PTTL', lock) then redis.call('PEXPIRE', lock, longest.ttl) end",
            "",
        ),
        "a_clock_set_back_keeps_no_slot_for_longer_than_a_ttl",
    ),
    mutation(
        "a lock that lasts too long is taken",
        (
            ACQUIRE,
            "if is_locked and longest.ttl < redis.call('PTTL', lock) then redis.call('PEXPIRE', lock, longest.ttl) end",
            "if is_locked then redis.call('DEL', lock) end",
        ),
        "a_clock_set_back_keeps_no_slot_for_longer_than_a_ttl",
    ),
    mutation(
        "leases are cut by who does not know how long they are",
        (
            ACQUIRE,
            "local cuts = past and (past.till <= now or now + quarantine_of(past) < past.till)",
            "local cuts = true",
        ),
        "no_lease_is_cut_because_others_are_shorter",
    ),
    mutation(
        "leases are cut before their holders were heard",
        (
            ACQUIRE,
            "local cuts = past and (past.till <= now or now + quarantine_of(past) < past.till)",
            "local cuts = past",
        ),
        "no_lease_is_cut_because_others_are_shorter",
    ),
    mutation(
        "leases are cut to the asker's ttl",
        (
            ACQUIRE,
            "past and longer(past.longest, terms) or longer(terms, terms.known)",
            "longer(terms, terms.known)",
        ),
        "no_lease_is_cut_because_others_are_shorter",
    ),
    mutation(
        "no lease is cut while a quarantine seems to last",
        (ACQUIRE, " or now + quarantine_of(past) < past.till)", ")"),
        "a_clock_set_back_in_a_quarantine_keeps_no_slot_either",
    ),
    mutation(
        "a grant begins no chain",
        (ACQUIRE, "  chain = number,\n", "  chain = '-',\n"),
        "a_grant_is_written_where_it_belongs_and_nowhere_else",
    ),
    mutation(
        "a range with an unknown holder is full for all",
        (ACQUIRE, " and garbled == '' and count", " and count"),
        "a_range_is_full_only_if_all_of_it_was_offered_and_is_held",
    ),
];
