//! Mistakes in how a slot is renewed, and in what the scripts of raus share.

use super::{Mutation, Survivor, mutation, survivor};

const SHARED: &str = "raus/src/scripts/slots.lua";
const RENEW: &str = "raus/src/scripts/renew.lua";

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
        "whatever stands in the hash's place is taken for it",
        (
            SHARED,
            "if found == 'none' or found == 'hash' then return nil end",
            "if found then return nil end",
        ),
        "a_hash_of_another_type_is_named_and_kept",
    ),
    mutation(
        "a renewal does not look at the fence",
        (
            RENEW,
            "if is_foreign or (record and fence < record.fence) then",
            "if is_foreign then",
        ),
        "a_higher_fence_on_record_ends_a_holding",
    ),
    mutation(
        "a holder's own fence ends it",
        (
            RENEW,
            "if is_foreign or (record and fence < record.fence) then",
            "if is_foreign or (record and fence <= record.fence) then",
        ),
        "a_renewal_begins_the_ttl_anew_and_raises_the_horizon",
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
        "a renewal leaves the lock's ttl as it was",
        (RENEW, "redis.call('PEXPIRE', lock, terms.ttl)", ""),
        "a_renewal_begins_the_ttl_anew_and_raises_the_horizon",
    ),
    mutation(
        "a renewal makes the lock last for ever",
        (
            RENEW,
            "redis.call('PEXPIRE', lock, terms.ttl)",
            "redis.call('SET', lock, holder)",
        ),
        "a_renewal_begins_the_ttl_anew_and_raises_the_horizon",
    ),
    mutation(
        "a deleted lock is not put back",
        (
            RENEW,
            "redis.call('SET', lock, holder, 'NX', 'PX', terms.ttl)",
            "",
        ),
        "a_deleted_lock_is_put_back",
    ),
    mutation(
        "a lock is put back without a ttl",
        (RENEW, "holder, 'NX', 'PX', terms.ttl)", "holder, 'NX')"),
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
        "numbers are rounded to 14 digits",
        (
            SHARED,
            "return digits(record.fence) .. ' ' .. digits(record.horizon) .. ' '",
            "return tostring(record.fence) .. ' ' .. digits(record.horizon) .. ' '",
        ),
        "a_grant_is_written_where_it_belongs_and_nowhere_else",
    ),
    mutation(
        "a clock that jumped ahead is believed",
        (
            SHARED,
            "math.max(math.min(wall, limit), last) + ttl",
            "math.max(wall, last) + ttl",
        ),
        "a_horizon_follows_what_was_minted_and_a_clock_only_so_far",
    ),
    mutation(
        "what was minted counts however far it is ahead",
        (
            SHARED,
            "if wall <= limit then last = math.min(last, limit) end",
            "",
        ),
        "a_horizon_follows_what_was_minted_and_a_clock_only_so_far",
    ),
    mutation(
        "minting ends where the server's clock was set back",
        (
            SHARED,
            "if wall <= limit then last = math.min(last, limit) end",
            "last = math.min(last, limit)",
        ),
        "a_horizon_follows_what_was_minted_and_a_clock_only_so_far",
    ),
    mutation(
        "a renewal prolongs whatever lock it finds",
        (RENEW, "if is_foreign or", "if false or"),
        "a_foreign_lock_is_left_alone",
    ),
    mutation(
        "a holder that was succeeded tells nothing of the loss",
        (
            RENEW,
            "  note_forgotten(slots, slot, record, fence, horizon, label, past, now, terms, acknowledged_till)\n",
            "",
        ),
        "a_holder_that_is_succeeded_after_a_loss_leaves_its_horizon",
    ),
    mutation(
        "a successor may begin as low as it likes",
        (
            SHARED,
            " or fence < record.fence and horizon <= record.floor)",
            " or fence < record.fence)",
        ),
        "a_holder_whose_successor_begins_too_low_tells_of_the_loss",
    ),
    mutation(
        "every successor is a loss",
        (
            SHARED,
            " or fence < record.fence and horizon <= record.floor)",
            ")",
        ),
        "a_higher_fence_on_record_ends_a_holding",
    ),
    mutation(
        "a loss is told by who lost its lease long ago",
        (
            SHARED,
            " or acknowledged_till <= now then return end",
            " then return end",
        ),
        "a_holder_that_is_succeeded_after_a_loss_leaves_its_horizon",
    ),
    mutation(
        "a record of its own is taken for a loss",
        (SHARED, "(record.fence == fence or fence", "(fence"),
        "a_foreign_lock_is_left_alone",
    ),
    mutation(
        "a horizon is not put back beside another's lock",
        (
            SHARED,
            "  record.horizon = math.max(record.horizon, horizon)\n  redis.call",
            "  redis.call",
        ),
        "a_holder_that_is_succeeded_after_a_loss_leaves_its_horizon",
    ),
    mutation(
        "a loss beside another's lock begins no quarantine",
        (
            SHARED,
            "  history_rewound(slots, past, now, terms, acknowledged_till - terms.ttl)\nend",
            "end",
        ),
        "a_holder_that_is_succeeded_after_a_loss_leaves_its_horizon",
    ),
    mutation(
        "another layout is renewed",
        (
            RENEW,
            "if layout ~= '' and stored[3] and stored[3] ~= layout then return { 'lost', 'layout', stored[3] } end",
            "",
        ),
        "a_layout_is_kept_by_those_who_use_it",
    ),
    mutation(
        "who mints nothing loses its lease by a layout",
        (
            RENEW,
            "if layout ~= '' and stored[3] and stored[3] ~= layout",
            "if stored[3] and stored[3] ~= layout",
        ),
        "a_layout_is_kept_by_those_who_use_it",
    ),
    mutation(
        "a layout that was lost stays so",
        (
            RENEW,
            "if layout ~= '' and not stored[3] then redis.call('HSET', slots, 'layout', layout) end",
            "",
        ),
        "a_layout_is_kept_by_those_who_use_it",
    ),
    mutation(
        "a renewal overwrites what a newer version wrote",
        (RENEW, "if newer then return { 'newer', newer } end", ""),
        "what_a_newer_version_wrote_is_left_alone",
    ),
    mutation(
        "a late renewal revives what was forgotten",
        (
            RENEW,
            "if forgotten and acknowledged_till <= now then return { 'lost', 'forgotten' } end",
            "",
        ),
        "a_late_renewal_brings_nothing_back_that_was_forgotten",
    ),
    mutation(
        "a lease revives what was forgotten at its very end",
        (
            RENEW,
            "if forgotten and acknowledged_till <= now",
            "if forgotten and acknowledged_till < now",
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
        "a rewound record is not taken for forgotten",
        (RENEW, "  forgotten = step == 'rewound'\n", ""),
        "a_holder_that_misses_what_it_was_answered_begins_a_quarantine",
    ),
    mutation(
        "a forgotten holder begins no quarantine",
        (
            RENEW,
            "past = history_rewound(slots, past, now, terms, acknowledged_till - terms.ttl)",
            "past = history_watch(slots, past, now, terms)",
        ),
        "an_older_record_gives_way_and_keeps_its_horizon",
    ),
    mutation(
        "a loss is dated by the end of the lease",
        (
            RENEW,
            "history_rewound(slots, past, now, terms, acknowledged_till - terms.ttl)",
            "history_rewound(slots, past, now, terms, acknowledged_till)",
        ),
        "a_loss_from_before_a_quarantine_begins_no_other",
    ),
    mutation(
        "a renewal does not watch the server",
        (
            RENEW,
            "past = history_watch(slots, past, now, terms)",
            "past = past or history_new('?', now, terms)",
        ),
        "a_quarantine_begins_with_the_first_renewal_that_sees_another_server",
    ),
    mutation(
        "what was acknowledged is not put back",
        (
            RENEW,
            "if forgotten then record.horizon = math.max(record.horizon, horizon) end",
            "",
        ),
        "a_forgotten_holder_writes_its_record_back_and_raises_doubt",
    ),
    mutation(
        "the horizon falls",
        (
            RENEW,
            "math.max(before, next_horizon(now, wall, terms.skew, last, terms.ttl))",
            "next_horizon(now, wall, terms.skew, last, terms.ttl)",
        ),
        "a_horizon_follows_what_was_minted_and_a_clock_only_so_far",
    ),
    mutation(
        "a renewal leaves the lease on record as it was",
        (
            RENEW,
            "record.till, record.chain = now + terms.ttl, chain\n",
            "record.chain = chain\n",
        ),
        "a_renewal_begins_the_ttl_anew_and_raises_the_horizon",
    ),
    mutation(
        "a renewal leaves the chain as it was",
        (
            RENEW,
            "record.till, record.chain = now + terms.ttl, chain\n",
            "record.till, record.chain = now + terms.ttl, record.chain or '-'\n",
        ),
        "a_renewal_that_knows_the_last_one_continues_the_chain",
    ),
    mutation(
        "a late renewal is executed",
        (RENEW, "if step == 'late' then return { 'late' } end", ""),
        "a_renewal_that_comes_late_changes_nothing",
    ),
    mutation(
        "a clone goes on",
        (RENEW, "    return { 'lost', 'cloned' }\n", ""),
        "a_holder_and_its_clone_both_lose_the_lease",
    ),
    mutation(
        "a holder with a clone goes on",
        (RENEW, "      record.chain = '!'\n", ""),
        "a_holder_and_its_clone_both_lose_the_lease",
    ),
    mutation(
        "a late message ends the lease of those who live",
        (RENEW, "if now < acknowledged_till then", "if true then"),
        "a_message_from_before_the_lease_poisons_nothing",
    ),
    mutation(
        "a chain that two have continued goes on",
        (
            SHARED,
            "if head == '!' then return 'cloned' end",
            "if head == '!' then return 'next' end",
        ),
        "a_holder_and_its_clone_both_lose_the_lease",
    ),
    mutation(
        "a record without a chain is of a clone",
        (
            SHARED,
            "if head == '-' or chain_has(named, head)",
            "if head == '-' then return 'cloned' end\n  if chain_has(named, head)",
        ),
        "a_renewal_that_knows_the_last_one_continues_the_chain",
    ),
    mutation(
        "any renewal continues the chain",
        (
            SHARED,
            "if head == '-' or chain_has(named, head) then",
            "if true then",
        ),
        "a_holder_and_its_clone_both_lose_the_lease",
    ),
    mutation(
        "a late renewal is taken for a clone",
        (
            SHARED,
            "if chain_has(record.chain, chain_head(named)) then return 'late' end",
            "",
        ),
        "a_renewal_that_comes_late_changes_nothing",
    ),
    mutation(
        "a clone is taken for a rewind",
        (
            SHARED,
            "< math.floor(answered / SPREAD)",
            "<= math.floor(answered / SPREAD)",
        ),
        "a_clone_is_not_taken_for_a_rewind",
    ),
    mutation(
        "a rewind is taken for a clone",
        (
            SHARED,
            "if math.floor(tonumber(head) / SPREAD) < math.floor(answered / SPREAD) then return 'rewound' end",
            "",
        ),
        "a_holder_that_misses_what_it_was_answered_begins_a_quarantine",
    ),
];

pub(super) static SURVIVORS: &[Survivor] = &[
    survivor(
        "the script has just found the lock absent, and nothing runs between",
        (
            RENEW,
            "holder, 'NX', 'PX', terms.ttl)",
            "holder, 'PX', terms.ttl)",
        ),
    ),
    survivor(
        "only a write that memory has no room for fails here, and the embedded store has no such limit; `failures::memory` fills real servers",
        (
            RENEW,
            "return { 'capped', digits(before), digits(now), terms_text(longest), written.err }",
            "longest = nil",
        ),
    ),
];
