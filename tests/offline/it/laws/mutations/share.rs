//! Mistakes in what the scripts of redbuckets share.

use super::{Mutation, Survivor, mutation, survivor};

const GROUP: &str = "redbuckets/src/scripts/group.lua";
const HAND: &str = "redbuckets/src/scripts/hand.lua";
const GRANTS: &str = "redbuckets/src/scripts/grants.lua";
const TABLE: &str = "redbuckets/src/scripts/table.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "nobody gets an extra bucket",
        (
            GROUP,
            "return class.floor + (taken < extras and 1 or 0) end",
            "return class.floor end",
        ),
        "what_is_free_is_taken_up_to_the_share",
    ),
    mutation(
        "everybody above its floor sheds, whatever extras there are",
        (
            GROUP,
            "if taken <= extras then return class.floor + 1 end",
            "if taken <= extras then return class.floor end",
        ),
        "shares_differ_by_one_and_a_newcomer_moves_the_minimum",
    ),
    mutation(
        "everybody keeps an extra bucket",
        (
            GROUP,
            "return class.floor + (rank < extras and 1 or 0)",
            "return class.floor + 1",
        ),
        "shares_differ_by_one_and_a_newcomer_moves_the_minimum",
    ),
    mutation(
        "weights are not looked at",
        (
            GROUP,
            "local exact = group.buckets * class.weight",
            "local exact = group.buckets",
        ),
        "shares_are_proportional_to_weights",
    ),
    mutation(
        "ranges are as long for every weight",
        (
            GROUP,
            "math.floor(group.buckets * (before + weight) / group.weight)",
            "math.floor(group.buckets * (before + 1) / group.weight)",
        ),
        "a_contiguous_group_has_one_range_each",
    ),
    mutation(
        "an earlier incarnation counts as later",
        (
            GROUP,
            "return me ~= it and tonumber(mine) < tonumber(its)",
            "return me ~= it and tonumber(its) < tonumber(mine)",
        ),
        "an_id_is_its_incarnations_while_the_lease_runs",
    ),
    mutation(
        "an operator's wish is not written",
        (
            GROUP,
            "(value.limbo and 1 or 0) + (value.drained and 2 or 0)",
            "(value.limbo and 1 or 0)",
        ),
        "a_drained_member_gives_everything_away_and_stays",
    ),
    mutation(
        "an epoch follows the clock alone",
        (
            GRANTS,
            "local epoch = math.max(run.epoch + 1, now)",
            "local epoch = now",
        ),
        "an_epoch_rises_whatever_the_clock",
    ),
    mutation(
        "a bucket is granted again under the epoch it had",
        (
            GRANTS,
            "local epoch = math.max(run.epoch + 1, now)",
            "local epoch = run.epoch == 0 and now or run.epoch",
        ),
        "what_is_released_is_handed_over_at_once_and_its_new_owner_woken",
    ),
    mutation(
        "a grant does not change the owner",
        (
            GRANTS,
            "append(ring_own(number), run, number, epoch)",
            "append(ring_own(number), run, 0, epoch)",
        ),
        "an_onlooker_sees_members_and_owners_and_changes_nothing",
    ),
    mutation(
        "membership is settled at once",
        (
            TABLE,
            "group.settle_at = math.max(now, math.min(now + settle, group.unsettled + MAX_SETTLE))",
            "group.settle_at = now",
        ),
        "nobody_sheds_before_membership_was_quiet",
    ),
    mutation(
        "joins without end delay shedding for ever",
        (
            TABLE,
            "math.max(now, math.min(now + settle, group.unsettled + MAX_SETTLE))",
            "now + settle",
        ),
        "joins_without_end_delay_nothing_for_ever",
    ),
    mutation(
        "a number is used again while free buckets name it",
        (
            TABLE,
            "if is_ours and 0 < group.pool and group.taken < gone then break end",
            "",
        ),
        "a_number_names_one_member_at_a_time",
    ),
    mutation(
        "a number is never used again",
        (
            TABLE,
            "    redis.call('RPUSH', base .. 'retired', number .. ' ' .. digits(group.taken + group.pool))\n",
            "",
        ),
        "a_number_names_one_member_at_a_time",
    ),
    mutation(
        "a number that nothing names is not used again",
        (
            TABLE,
            "    redis.call('LPUSH', base .. 'retired', number .. ' 0')\n",
            "",
        ),
        "numbers_are_used_again",
    ),
    mutation(
        "a number is used again only while nothing is free",
        (
            GRANTS,
            "group.pool, group.taken = group.pool - size_of(run), group.taken + size_of(run)",
            "group.pool = group.pool - size_of(run)",
        ),
        "numbers_are_used_again",
    ),
    mutation(
        "a number that free buckets name counts as one that none names",
        (TABLE, "  if had_any then\n", "  if false then\n"),
        "a_number_names_one_member_at_a_time",
    ),
    mutation(
        "an old copy is listened to, and nobody asked",
        (
            TABLE,
            "    doubt_lasts(discovery)\n    publish.all = true\n",
            "    doubt_lasts(discovery)\n",
        ),
        "a_silent_group_listens",
    ),
    mutation(
        "a removed member's id is kept",
        (TABLE, "redis.call('HDEL', base .. 'ids', value.id)", ""),
        "a_leaver_frees_its_own_and_wakes_others",
    ),
    mutation(
        "a removed member's lease is kept",
        (TABLE, "redis.call('ZREM', base .. 'lease', number)", ""),
        "a_leaver_frees_its_own_and_wakes_others",
    ),
    mutation(
        "nobody is woken",
        (
            TABLE,
            "for number in pairs(publish) do redis.pcall('PUBLISH', base .. 'wake:' .. number, 'wake') end",
            "",
        ),
        "what_is_released_is_handed_over_at_once_and_its_new_owner_woken",
    ),
    mutation(
        "a doubt that is over stays",
        (TABLE, "  if left == 0 then doubt_begins(0, 0) end\n", ""),
        "what_members_hold_outlives_the_store",
    ),
    mutation(
        "another server changes no generation",
        (TABLE, "  if found.changed then new_generation() end\n", ""),
        "another_server_is_claimed_from_and_grants_nothing_for_one_ttl",
    ),
    mutation(
        "whoever lacks most is not found",
        (
            TABLE,
            "if lacks < missing_here then best, lacks = number, missing_here end",
            "",
        ),
        "what_is_released_is_handed_over_at_once_and_its_new_owner_woken",
    ),
    mutation(
        "a run goes on under another epoch",
        (GRANTS, " or epoch ~= head.epoch", ""),
        "an_epoch_rises_in_every_bucket_of_a_run",
    ),
    mutation(
        "a run goes on past what this call has changed",
        (GRANTS, "if is_changed or owner", "if owner"),
        "what_is_given_back_twice_in_one_call_is_given_up",
    ),
    mutation(
        "what lies between the ends of a run is not written",
        (
            GRANTS,
            "  if run.first + 1 < run.last and not is_written then\n",
            "  if false then\n",
        ),
        "what_nobody_claims_is_found_without_a_pause",
    ),
    mutation(
        "what was granted once counts as never granted",
        (
            GRANTS,
            "if struct.unpack('>I6', text, at * NODE + 3) ~= 0 then return last + at end",
            "",
        ),
        "a_run_is_what_its_buckets_are",
    ),
    mutation(
        "who finds nothing looks no further before its next heartbeat",
        (
            HAND,
            "0 < progress or passed < group.cursor",
            "0 < progress",
        ),
        "what_nobody_claims_is_found_without_a_pause",
    ),
];

pub(super) static SURVIVORS: &[Survivor] = &[
    survivor(
        "a removed member's record and grants are gone with it; nothing reads an inbox without a record",
        (
            TABLE,
            "  redis.call('DEL', base .. 'inbox:' .. number)\n  if had_any",
            "  if had_any",
        ),
    ),
    survivor(
        "no group of these laws has 65,535 members",
        (TABLE, "if MAX_MEMBERS <= group.top then return nil end", ""),
    ),
    survivor(
        "a group with its table is in one page here; `conformance::reasserting` loses each key of a group in turn",
        (
            TABLE,
            "redis.call('HSET', KEYS[1], 'page:' .. page, '1')",
            "",
        ),
    ),
];
