//! Mistakes in how what is none of ours is read.

use super::{Mutation, mutation};

const ACQUIRE: &str = "raus/src/scripts/acquire.lua";
const SLOTS: &str = "raus/src/scripts/slots.lua";
const HISTORY: &str = "coord-core/src/history.lua";
const GROUP: &str = "redbuckets/src/scripts/group.lua";
const BEAT: &str = "redbuckets/src/scripts/beat.lua";
const CREATE: &str = "redbuckets/src/scripts/create.lua";
const GRANTS: &str = "redbuckets/src/scripts/grants.lua";
const TABLE: &str = "redbuckets/src/scripts/table.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "what is no record is no holding",
        (
            SLOTS,
            "if not fence or not (chain == '-' or chain == '!' or string.find(chain, '^%d[%d,]*$')) then return false end",
            "if not fence then return nil end",
        ),
        "a_field_that_is_no_record_is_held_and_named",
    ),
    mutation(
        "a number that cannot be written again is believed",
        (
            SLOTS,
            "if LARGEST < math.max(record.fence, record.horizon, record.floor, record.till) then return false end",
            "",
        ),
        "a_field_that_is_no_record_is_held_and_named",
    ),
    mutation(
        "a holder's record that cannot be read is not named",
        (ACQUIRE, "if record == false then garbled = slot end", ""),
        "a_holder_whose_record_is_no_record_is_named",
    ),
    mutation(
        "an empty lock is none",
        (
            SLOTS,
            "if found == '' and redis.call('EXISTS', key) == 0 then",
            "if found == '' then",
        ),
        "an_empty_lock_is_a_lock",
    ),
    mutation(
        "a group with any numbers is believed",
        (GROUP, "if not sound then group = nil end", ""),
        "a_group_whose_numbers_cannot_be_is_made_anew",
    ),
    mutation(
        "a member of no class is believed",
        (BEAT, "and count and classed and", "and count and"),
        "a_group_whose_numbers_cannot_be_is_made_anew",
    ),
    mutation(
        "a claim of a member of no class leaves the group as it is",
        (
            CREATE,
            "if redis.pcall('ZCARD', base .. 'count:0') ~= members - weighty then return true end",
            "",
        ),
        "a_group_whose_numbers_cannot_be_is_made_anew",
    ),
    mutation(
        "a group with an unreadable past grants at once",
        (
            CREATE,
            "if past or garbled or lost or",
            "if past or lost or",
        ),
        "a_group_that_somebody_knows_of_was_lost",
    ),
    mutation(
        "any node is believed",
        (
            TABLE,
            "if math.max(prev, next) > group.buckets + 2 * group.top or owner > group.top then",
            "if false then",
        ),
        "a_table_that_is_none_of_ours_is_given_up",
    ),
    mutation(
        "a ring need not close",
        (
            GRANTS,
            "if before.next ~= run.first or after.prev ~= run.last then",
            "if false then",
        ),
        "a_table_that_is_none_of_ours_is_given_up",
    ),
    mutation(
        "a table that is given up is used again",
        (TABLE, "redis.call('HDEL', KEYS[1], 'state')", ""),
        "a_table_that_is_none_of_ours_is_given_up",
    ),
    mutation(
        "any retired number is used again",
        (
            TABLE,
            "local is_ours = number and 0 < number and number <= group.top",
            "local is_ours = number",
        ),
        "a_retired_number_that_is_none_of_ours_is_passed_over",
    ),
    mutation(
        "the number of somebody else is used again",
        (
            TABLE,
            "if is_ours and redis.call('HEXISTS', base .. 'members', number) == 0 then",
            "if is_ours then",
        ),
        "a_retired_number_that_is_none_of_ours_is_passed_over",
    ),
    mutation(
        "a chain of anything is believed",
        (
            SLOTS,
            " or not (chain == '-' or chain == '!' or string.find(chain, '^%d[%d,]*$')) then",
            " then",
        ),
        "a_field_that_is_no_record_is_held_and_named",
    ),
    mutation(
        "an unknown holder's lease is over",
        (
            ACQUIRE,
            "till = math.huge, chain = '-'",
            "till = 0, chain = '-'",
        ),
        "a_field_that_is_no_record_is_held_and_named",
    ),
    mutation(
        "a record that cannot be read is not named",
        (ACQUIRE, "    garbled = ARGV[FIRST + i]\n", ""),
        "a_field_that_is_no_record_is_held_and_named",
    ),
    mutation(
        "when an unknown holder's lease ends is not told",
        (
            ACQUIRE,
            "  if record.till == math.huge then return now + longest.ttl end\n",
            "",
        ),
        "a_field_that_is_no_record_is_held_and_named",
    ),
    mutation(
        "a past that cannot be read never was",
        (
            HISTORY,
            "local lost = other or mode == 'voice'",
            "local lost = mode == 'voice'",
        ),
        "a_past_that_cannot_be_read_is_lost",
    ),
    mutation(
        "a past with any numbers is believed",
        (
            HISTORY,
            "  if LONGEST < longest or LARGEST < math.max(past.till, past.floor, past.seen, past.since) then return nil end\n",
            "",
        ),
        "a_past_that_cannot_be_read_is_lost",
    ),
];
