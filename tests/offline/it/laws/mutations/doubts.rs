//! Mistakes in how long a group grants nothing.

use super::{Mutation, mutation};

const CLAIM: &str = "redbuckets/src/scripts/claim.lua";
const CREATE: &str = "redbuckets/src/scripts/create.lua";
const GROUP: &str = "redbuckets/src/scripts/group.lua";
const HISTORY: &str = "coord-core/src/history.lua";
const JOIN: &str = "redbuckets/src/scripts/join.lua";
const TABLE: &str = "redbuckets/src/scripts/table.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "every claim begins the quarantine anew",
        (TABLE, "now, terms, acknowledged)", "now, terms, now)"),
        "one_loss_begins_one_quarantine",
    ),
    mutation(
        "a loss during a quarantine is part of it",
        (TABLE, "now, terms, acknowledged)", "now, terms, 0)"),
        "one_loss_begins_one_quarantine",
    ),
    mutation(
        "who knows of longer terms prolongs nothing",
        (
            HISTORY,
            "    past.till = past.till + quarantine_of(past) - length\n",
            "",
        ),
        "a_later_claim_brings_longer_terms",
    ),
    mutation(
        "a lost membership raises no doubt",
        (
            CLAIM,
            "grace, settle)\n  lost_something()\n",
            "grace, settle)\n",
        ),
        "a_member_without_a_bucket_proves_a_loss",
    ),
    mutation(
        "a group is no longer remembered than a namespace",
        (GROUP, "WINDOW = 2\n", "\n"),
        "a_ttl_is_remembered_while_a_lease_lasts",
    ),
    mutation(
        "the group's terms are not told",
        (
            "redbuckets/src/scripts/beat.lua",
            "terms_text(past.longest),",
            "'0 0 0',",
        ),
        "a_claim_brings_the_longest_terms_back",
    ),
    mutation(
        "a silent group grants at once",
        (
            TABLE,
            "    doubt_lasts(discovery)\n    publish.all = true",
            "    publish.all = true",
        ),
        "a_silent_group_listens",
    ),
    mutation(
        "silence is a step of the clock",
        (TABLE, "group.doubt_from < wait.mark and ", ""),
        "a_silent_group_listens",
    ),
    mutation(
        "every silence is long",
        (
            TABLE,
            "group.past.longest.ttl < wait.silent",
            "wait.silent ~= 0",
        ),
        "a_silent_group_listens",
    ),
    mutation(
        "a doubt is kept from the group",
        (
            TABLE,
            "  doubt_lasts(quarantine_left(group.past, now))\nend",
            "end",
        ),
        "everybody_hears_of_a_doubt",
    ),
    mutation(
        "a clock set back prolongs a discovery",
        (TABLE, "group.doubt_till - wait.back)", "group.doubt_till)"),
        "a_clock_set_back_prolongs_no_discovery",
    ),
    mutation(
        "an absent record is the first use, whatever is expected",
        (CREATE, " or terms.expects then", " then"),
        "a_record_that_is_expected_and_absent_was_lost",
    ),
    mutation(
        "keys that are left prove nothing",
        (CREATE, " or 0 < count or", " or"),
        "a_group_that_somebody_knows_of_was_lost",
    ),
    mutation(
        "who was a member may use the group first",
        (JOIN, "previous ~= '-') end", "false) end"),
        "a_group_that_somebody_knows_of_was_lost",
    ),
    mutation(
        "nobody is asked whether a group was lost",
        (CREATE, "publish.all = true", ""),
        "who_makes_a_group_wakes_the_members_of_a_lost_one",
    ),
    mutation(
        "a newer group is made anew",
        (CREATE, "if newer then return { 'newer', newer } end", ""),
        "a_newer_group_is_left_alone",
    ),
    mutation(
        "a beat does not look who the server is",
        (
            "redbuckets/src/scripts/beat.lua",
            " and ARGV[18] ~= '1'",
            "",
        ),
        "a_quarantine_begins_with_a_beat",
    ),
];
