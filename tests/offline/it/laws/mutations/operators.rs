//! Mistakes in how operators declare, repair and move namespaces.

use super::{Mutation, mutation};

const INIT: &str = "raus/src/scripts/init.lua";
const PAGE: &str = "raus/src/scripts/page.lua";
const REPAIR: &str = "raus/src/scripts/repair.lua";
const RELAYOUT: &str = "raus/src/scripts/relayout.lua";
const IMPORT: &str = "raus/src/scripts/import.lua";
const SHARED: &str = "raus/src/scripts/operators.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "a namespace with slots on record is declared new",
        (
            INIT,
            "if 0 < record_count(slots) then mode = 'voice' end",
            "",
        ),
        "a_use_is_not_the_first_if_slots_are_on_record",
    ),
    mutation(
        "a first use is declared again",
        (INIT, "if past then\n", "if false then\n"),
        "a_first_use_is_declared_once",
    ),
    mutation(
        "what is no record is not shown",
        (PAGE, "      garbled[#garbled + 1] = field\n", ""),
        "a_page_shows_records_and_what_is_none",
    ),
    mutation(
        "what a newer version wrote is shown",
        (
            PAGE,
            "if type(newer) == 'number' then return { 'newer', newer } end",
            "",
        ),
        "what_is_imported_is_granted_after_a_quarantine_and_above_its_horizon",
    ),
    mutation(
        "the limit is within the skew",
        (SHARED, "or 0) + longest.skew", "or 0)"),
        "a_page_shows_records_and_what_is_none",
    ),
    mutation(
        "the limit lies below the floor of a quarantine",
        (
            SHARED,
            "math.max(longest.ttl, past and quarantine_left(past, now) or 0)",
            "longest.ttl",
        ),
        "the_floor_of_a_quarantine_is_not_too_far_ahead",
    ),
    mutation(
        "a floor is repaired whatever it was",
        (
            REPAIR,
            "  if digits(past.floor) ~= read then return 'changed' end\n",
            "",
        ),
        "what_lies_too_far_ahead_is_repaired_as_it_was_read",
    ),
    mutation(
        "a horizon is repaired whatever it was",
        (
            REPAIR,
            " or digits(record.horizon) ~= horizon then return",
            " then return",
        ),
        "what_lies_too_far_ahead_is_repaired_as_it_was_read",
    ),
    mutation(
        "another grant's horizon is repaired",
        (REPAIR, "digits(record.fence) ~= fence or", ""),
        "what_lies_too_far_ahead_is_repaired_as_it_was_read",
    ),
    mutation(
        "what is asked for is done",
        (
            REPAIR,
            "  if changes then\n    past.floor",
            "  if true then\n    past.floor",
        ),
        "what_lies_too_far_ahead_is_repaired_as_it_was_read",
    ),
    mutation(
        "a floor stays ahead of its horizon",
        (
            REPAIR,
            "record.horizon, record.floor = limit, math.min(record.floor, limit)",
            "record.horizon = limit",
        ),
        "what_lies_too_far_ahead_is_repaired_as_it_was_read",
    ),
    mutation(
        "a range stays full after a repair",
        (
            REPAIR,
            "if changes then redis.call('HDEL', slots, 'full') end",
            "",
        ),
        "what_lies_too_far_ahead_is_repaired_as_it_was_read",
    ),
    mutation(
        "a holder's horizon is lowered",
        (
            REPAIR,
            "if found or now < record.till then",
            "if false then",
        ),
        "what_is_held_keeps_its_horizon",
    ),
    mutation(
        "a lock alone holds nothing",
        (
            REPAIR,
            "if found or now < record.till then",
            "if now < record.till then",
        ),
        "what_is_held_keeps_its_horizon",
    ),
    mutation(
        "a lease that may run is cut",
        (
            REPAIR,
            "if record.till <= furthest then return 'held' end",
            "if record.till < furthest then return 'held' end",
        ),
        "what_is_held_keeps_its_horizon",
    ),
    mutation(
        "a layout is changed under its holders",
        (
            RELAYOUT,
            "  if runs or lock_read(KEYS[i]) then",
            "  if lock_read(KEYS[i]) then",
        ),
        "a_layout_is_changed_if_nobody_holds_a_slot",
    ),
    mutation(
        "a layout is changed under locks",
        (
            RELAYOUT,
            "  if runs or lock_read(KEYS[i]) then",
            "  if runs then",
        ),
        "a_layout_is_changed_if_nobody_holds_a_slot",
    ),
    mutation(
        "an unknown holder is none",
        (RELAYOUT, "record == false or (record", "(record"),
        "a_layout_is_changed_if_nobody_holds_a_slot",
    ),
    mutation(
        "a layout is changed whatever it was",
        (RELAYOUT, "layout ~= ARGV[1] or", ""),
        "a_layout_is_changed_if_nobody_holds_a_slot",
    ),
    mutation(
        "slots that came meanwhile are not looked at",
        (
            RELAYOUT,
            " or record_count(slots) ~= tonumber(ARGV[3]) then",
            " then",
        ),
        "a_layout_is_changed_if_nobody_holds_a_slot",
    ),
    mutation(
        "slots that came meanwhile are not noticed by an import",
        (
            IMPORT,
            "if record_count(slots) ~= tonumber(ARGV[2]) then return { 'changed' } end",
            "",
        ),
        "what_is_imported_is_granted_after_a_quarantine_and_above_its_horizon",
    ),
    mutation(
        "an import overwrites another grant",
        (
            IMPORT,
            "if record == false or (record and record.fence ~= fence) then return { 'taken', slot } end",
            "",
        ),
        "what_is_imported_is_granted_after_a_quarantine_and_above_its_horizon",
    ),
    mutation(
        "an import lowers a horizon",
        (
            IMPORT,
            "record.horizon = math.max(record.horizon, tonumber(ARGV[at + 2]))",
            "record.horizon = tonumber(ARGV[at + 2])",
        ),
        "what_is_imported_is_granted_after_a_quarantine_and_above_its_horizon",
    ),
    mutation(
        "an import forgets the floor",
        (IMPORT, "past.floor = math.max(past.floor, floor)\n", ""),
        "what_is_imported_is_granted_after_a_quarantine_and_above_its_horizon",
    ),
    mutation(
        "an import changes the layout",
        (
            IMPORT,
            "if stored and layout ~= '' and stored ~= layout then return { 'layout', stored } end",
            "",
        ),
        "what_is_imported_is_granted_after_a_quarantine_and_above_its_horizon",
    ),
    mutation(
        "an import overwrites what a newer version wrote",
        (
            IMPORT,
            "if type(newer) == 'number' then return { 'newer', newer } end",
            "",
        ),
        "what_is_imported_is_granted_after_a_quarantine_and_above_its_horizon",
    ),
];
