//! Mistakes in how a slot is renewed and given back, and in what the scripts of raus share.

use super::{Mutation, Survivor, mutation, survivor};

const SHARED: &str = "raus/src/scripts/slots.lua";
const RENEW: &str = "raus/src/scripts/renew.lua";
const RELEASE: &str = "raus/src/scripts/release.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "a far floor pushes the horizon ahead of itself",
        (
            SHARED,
            "math.max(floor, math.min(math.max(wall, floor), now + skew) + ttl)",
            "math.max(wall, floor) + ttl",
        ),
        "a_far_horizon_is_passed_over_until_it_is_asked_for",
    ),
    mutation(
        "a horizon follows the server's clock alone",
        (
            SHARED,
            "math.min(math.max(wall, floor), now + skew)",
            "math.max(now, floor)",
        ),
        "a_horizon_follows_the_holders_clock_within_the_tolerance",
    ),
    mutation(
        "a clock that jumped ahead is believed",
        (
            SHARED,
            "math.max(math.min(wall, now + skew), last) + ttl",
            "math.max(wall, last) + ttl",
        ),
        "a_horizon_follows_what_was_minted_and_a_clock_only_so_far",
    ),
    mutation(
        "what was minted counts only as far as the server's clock",
        (
            SHARED,
            "math.max(math.min(wall, now + skew), last) + ttl",
            "math.min(math.max(wall, last), now + skew) + ttl",
        ),
        "a_horizon_follows_what_was_minted_and_a_clock_only_so_far",
    ),
    mutation(
        "numbers are rounded to 14 digits",
        (
            SHARED,
            "return digits(record.fence) .. ' ' .. digits(record.horizon)",
            "return tostring(record.fence) .. ' ' .. digits(record.horizon)",
        ),
        "a_grant_is_written_where_it_belongs_and_nowhere_else",
    ),
    mutation(
        "whatever stands in the hash's place is taken for it",
        (
            SHARED,
            "if found == 'none' or found == 'hash' then return nil end",
            "if found then return nil end",
        ),
        "a_hash_of_another_type_is_named_and_kept",
    ),
    mutation(
        "a renewal prolongs whatever lock it finds",
        (
            RENEW,
            "if not missing and found ~= holder then return { 'lost', 'foreign' } end",
            "",
        ),
        "a_foreign_lock_is_left_alone",
    ),
    mutation(
        "a renewal does not look at the fence",
        (
            RENEW,
            "if record and record.fence > fence then return { 'lost', 'superseded', digits(record.fence) } end",
            "",
        ),
        "a_higher_fence_on_record_ends_a_holding",
    ),
    mutation(
        "a holder's own fence ends it",
        (
            RENEW,
            "if record and record.fence > fence",
            "if record and record.fence >= fence",
        ),
        "a_renewal_begins_the_ttl_anew_and_raises_the_horizon",
    ),
    mutation(
        "a late renewal revives what was forgotten",
        (
            RENEW,
            "if forgotten and till <= now then return { 'lost', 'forgotten' } end",
            "",
        ),
        "a_late_renewal_brings_nothing_back_that_was_forgotten",
    ),
    mutation(
        "a lease revives what was forgotten at its very end",
        (
            RENEW,
            "if forgotten and till <= now",
            "if forgotten and till < now",
        ),
        "a_late_renewal_brings_nothing_back_that_was_forgotten",
    ),
    mutation(
        "an older record is not taken for forgotten",
        (
            RENEW,
            "local forgotten = not record or record.fence < fence",
            "local forgotten = not record",
        ),
        "an_older_record_gives_way_and_keeps_its_horizon",
    ),
    mutation(
        "a forgotten holder raises no doubt",
        (
            RENEW,
            "if forgotten then history_doubt(slots, history_read(slots), run_id(), now, ttl, skew) end",
            "",
        ),
        "a_forgotten_holder_writes_its_record_back_and_raises_doubt",
    ),
    mutation(
        "a forgotten holder forgets what it has minted",
        (
            RENEW,
            "floor = last, label = label",
            "floor = 0, label = label",
        ),
        "a_forgotten_holder_writes_its_record_back_and_raises_doubt",
    ),
    mutation(
        "a forgotten holder lowers the horizon",
        (
            RENEW,
            "horizon = record and record.horizon or 0",
            "horizon = 0",
        ),
        "an_older_record_gives_way_and_keeps_its_horizon",
    ),
    mutation(
        "the horizon falls",
        (
            RENEW,
            "math.max(before, next_horizon(now, wall, skew, last, ttl))",
            "next_horizon(now, wall, skew, last, ttl)",
        ),
        "a_horizon_follows_what_was_minted_and_a_clock_only_so_far",
    ),
    mutation(
        "a renewal leaves the lease on record as it was",
        (RENEW, "record.till = now + ttl\n", "\n"),
        "a_renewal_begins_the_ttl_anew_and_raises_the_horizon",
    ),
    mutation(
        "a renewal leaves the lock's ttl as it was",
        (RENEW, "redis.call('PEXPIRE', lock, ttl)", ""),
        "a_renewal_begins_the_ttl_anew_and_raises_the_horizon",
    ),
    mutation(
        "a renewal makes the lock last for ever",
        (
            RENEW,
            "redis.call('PEXPIRE', lock, ttl)",
            "redis.call('SET', lock, holder)",
        ),
        "a_renewal_begins_the_ttl_anew_and_raises_the_horizon",
    ),
    mutation(
        "a deleted lock is not put back",
        (
            RENEW,
            "redis.call('SET', lock, holder, 'NX', 'PX', ttl)",
            "",
        ),
        "a_deleted_lock_is_put_back",
    ),
    mutation(
        "a lock is put back without a ttl",
        (RENEW, "holder, 'NX', 'PX', ttl)", "holder, 'NX')"),
        "a_deleted_lock_is_put_back",
    ),
    mutation(
        "a raised horizon is acknowledged and not written",
        (
            RENEW,
            "local written = redis.pcall('HSET', slots, slot, record_text(record))",
            "local written = 0",
        ),
        "a_renewal_begins_the_ttl_anew_and_raises_the_horizon",
    ),
    mutation(
        "a release does not look at the lock's holder",
        (
            RELEASE,
            "if found and found ~= holder then return { 'not_held' } end",
            "",
        ),
        "a_foreign_lock_is_left_alone",
    ),
    mutation(
        "a release does not look at the fence",
        (
            RELEASE,
            "if record and record.fence > fence then return { 'not_held' } end",
            "",
        ),
        "a_higher_fence_on_record_ends_a_holding",
    ),
    mutation(
        "a release of nothing is a success",
        (
            RELEASE,
            "if not found and not record then return { 'not_held' } end",
            "",
        ),
        "a_release_lowers_no_horizon_of_another_grant",
    ),
    mutation(
        "a release writes into another grant's record",
        (
            RELEASE,
            "if record and record.fence == fence then",
            "if record then",
        ),
        "a_release_lowers_no_horizon_of_another_grant",
    ),
    mutation(
        "a release lowers the horizon below its floor",
        (RELEASE, "math.max(record.floor, horizon), 0", "horizon, 0"),
        "a_release_leaves_no_horizon_below_its_floor",
    ),
    mutation(
        "a release leaves the horizon where it was",
        (
            RELEASE,
            "record.horizon, record.till = math.max(record.floor, horizon), 0",
            "record.till = 0",
        ),
        "a_release_leaves_its_horizon_and_frees_the_slot_at_once",
    ),
    mutation(
        "a release leaves the lease on record",
        (
            RELEASE,
            "record.horizon, record.till = math.max(record.floor, horizon), 0",
            "record.horizon = math.max(record.floor, horizon)",
        ),
        "a_release_leaves_its_horizon_and_frees_the_slot_at_once",
    ),
    mutation(
        "a release leaves the lock",
        (
            RELEASE,
            "if found == holder then redis.call('DEL', lock) end",
            "",
        ),
        "a_release_leaves_its_horizon_and_frees_the_slot_at_once",
    ),
];

pub(super) static SURVIVORS: &[Survivor] = &[
    survivor(
        "the script has just found the lock absent, and nothing runs between",
        (RENEW, "holder, 'NX', 'PX', ttl)", "holder, 'PX', ttl)"),
    ),
    survivor(
        "whatever is not the holder's was refused above, so what is left is the holder's or nothing",
        (
            RELEASE,
            "if found == holder then redis.call('DEL', lock) end",
            "redis.call('DEL', lock)",
        ),
    ),
    survivor(
        "only a write that memory has no room for fails here, and the embedded store has no such limit; `failures::memory` \
         fills real servers",
        (
            RENEW,
            "if type(written) == 'table' and written.err then return { 'capped', digits(before), digits(now), written.err } end",
            "",
        ),
    ),
];
