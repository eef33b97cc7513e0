//! Mistakes in how a slot is given back.

use super::{Mutation, Survivor, mutation, survivor};

const RELEASE: &str = "raus/src/scripts/release.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "a release does not look at the fence",
        (
            RELEASE,
            "if (found and found ~= holder) or (record and fence < record.fence) then",
            "if found and found ~= holder then",
        ),
        "a_higher_fence_on_record_ends_a_holding",
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
    mutation(
        "a release after a succession tells nothing of the loss",
        (
            RELEASE,
            "    note_forgotten(slots, slot, record, fence, horizon, label, past, now, terms, acknowledged_till)\n",
            "",
        ),
        "a_holder_that_is_succeeded_after_a_loss_leaves_its_horizon",
    ),
    mutation(
        "a release does not look at the lock's holder",
        (
            RELEASE,
            "if (found and found ~= holder) or (record and fence < record.fence) then",
            "if record and fence < record.fence then",
        ),
        "a_foreign_lock_is_left_alone",
    ),
    mutation(
        "a clone gives the slot back",
        (
            RELEASE,
            "if step == 'cloned' then return { 'not_held' } end",
            "",
        ),
        "a_clone_gives_nothing_back",
    ),
    mutation(
        "a late release puts back what was forgotten",
        (
            RELEASE,
            "if forgotten and (not usable or acknowledged_till <= now) then",
            "if forgotten and not usable then",
        ),
        "a_late_release_brings_nothing_back_that_was_forgotten",
    ),
    mutation(
        "a late release leaves its own lock",
        (RELEASE, "  if found then redis.call('DEL', lock) end\n", ""),
        "a_late_release_brings_nothing_back_that_was_forgotten",
    ),
    mutation(
        "a release is written over what a newer version wrote",
        (RELEASE, "usable = usable and type(newer) ~= 'number'\n", ""),
        "what_a_newer_version_wrote_is_left_alone",
    ),
    mutation(
        "a slot that was given back is given back again",
        (
            RELEASE,
            "if record and not forgotten and record.till == 0 and not found then return { 'released' } end",
            "",
        ),
        "a_release_leaves_its_horizon_and_frees_the_slot_at_once",
    ),
    mutation(
        "an earlier holder's release is taken for one's own",
        (
            RELEASE,
            "if record and not forgotten and record.till == 0",
            "if record and record.till == 0",
        ),
        "a_forgotten_grant_is_given_back_with_its_horizon",
    ),
    mutation(
        "a forgotten grant lowers an earlier horizon",
        (
            RELEASE,
            "horizon = record and record.horizon or 0",
            "horizon = 0",
        ),
        "a_release_lowers_no_horizon_of_another_grant",
    ),
    mutation(
        "a release lowers the horizon though the holder does not know",
        (
            RELEASE,
            "if lowers and not forgotten then",
            "if not forgotten then",
        ),
        "who_does_not_know_what_it_minted_lowers_no_horizon",
    ),
    mutation(
        "a release lowers the horizon after a rewind",
        (
            RELEASE,
            "if lowers and not forgotten then",
            "if lowers then",
        ),
        "a_release_lowers_no_horizon_after_a_rewind",
    ),
    mutation(
        "a release lowers the horizon below its floor",
        (
            RELEASE,
            "  record.horizon = math.max(record.floor, horizon)\n",
            "  record.horizon = horizon\n",
        ),
        "a_release_leaves_no_horizon_below_its_floor",
    ),
    mutation(
        "a release leaves the horizon where it was",
        (
            RELEASE,
            "  record.horizon = math.max(record.floor, horizon)\n",
            "",
        ),
        "a_release_leaves_its_horizon_and_frees_the_slot_at_once",
    ),
    mutation(
        "what was acknowledged is not given back",
        (
            RELEASE,
            "  record.horizon = math.max(record.horizon, horizon)\n",
            "",
        ),
        "a_forgotten_grant_is_given_back_with_its_horizon",
    ),
    mutation(
        "a release leaves the lease on record",
        (
            RELEASE,
            "record.till, record.chain = 0, chain\n",
            "record.chain = chain\n",
        ),
        "a_release_leaves_its_horizon_and_frees_the_slot_at_once",
    ),
    mutation(
        "a release forgets the chain",
        (
            RELEASE,
            "record.till, record.chain = 0, chain\n",
            "record.till, record.chain = 0, record.chain or '-'\n",
        ),
        "a_slot_that_was_given_back_is_not_locked_by_a_late_renewal",
    ),
    mutation(
        "a range stays full after a release",
        (RELEASE, "redis.call('HDEL', slots, 'full')\n", ""),
        "a_slot_that_is_given_back_ends_what_is_said_of_its_range",
    ),
    mutation(
        "a forgotten grant that is given back begins no quarantine",
        (
            RELEASE,
            "if forgotten then history_rewound(slots, past, now, terms, acknowledged_till - terms.ttl) end",
            "",
        ),
        "a_forgotten_grant_is_given_back_with_its_horizon",
    ),
    mutation(
        "nobody is woken by a release",
        (RELEASE, "redis.pcall('PUBLISH', ARGV[10], slot)", ""),
        "a_release_wakes_those_who_wait_for_a_slot",
    ),
];

pub(super) static SURVIVORS: &[Survivor] = &[survivor(
    "whatever is not the holder's was refused above, so what is left is the holder's or nothing",
    (
        RELEASE,
        "if found == holder then redis.call('DEL', lock) end",
        "redis.call('DEL', lock)",
    ),
)];
