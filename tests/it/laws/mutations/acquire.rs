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
        (ACQUIRE, "if newer then return { 'newer', newer } end\n", ""),
        "what_a_newer_version_wrote_is_left_alone",
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

pub(super) static SURVIVORS: &[Survivor] = &[
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
