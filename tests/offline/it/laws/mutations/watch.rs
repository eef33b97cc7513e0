//! Mistakes in operators' scripts for groups.

use super::{Mutation, mutation};

const DRAIN: &str = "redbuckets/src/scripts/drain.lua";
const MEMBERS: &str = "redbuckets/src/scripts/members.lua";
const OWNERS: &str = "redbuckets/src/scripts/owners.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "the last member is drained",
        (
            DRAIN,
            "if wanted and not value.drained and group.weight <= value.weight then return { 'last' } end",
            "",
        ),
        "a_drained_member_gives_everything_away_and_stays",
    ),
    mutation(
        "a drained member keeps its weight",
        (
            DRAIN,
            "  if wanted and value.weight ~= 0 then",
            "  if false then",
        ),
        "a_drained_member_is_out_of_the_shares_at_once",
    ),
    mutation(
        "a drain is not written",
        (
            DRAIN,
            "  publish[number] = true\n  flush()",
            "  publish[number] = true",
        ),
        "a_drained_member_gives_everything_away_and_stays",
    ),
    mutation(
        "an onlooker sees a lease with its grace",
        (
            MEMBERS,
            "digits(reaped_at - value.grace - now)",
            "digits(reaped_at - now)",
        ),
        "an_onlooker_sees_members_and_owners_and_changes_nothing",
    ),
    mutation(
        "an onlooker sees another quota",
        (
            MEMBERS,
            "quota(number, value.weight, count, extras)",
            "quota(number, value.weight, 0, extras)",
        ),
        "an_onlooker_sees_members_and_owners_and_changes_nothing",
    ),
    mutation(
        "a bucket of a member that was removed is shown as its",
        (
            OWNERS,
            "if epoch ~= 0 and found ~= 0 and is_member(found) then",
            "if epoch ~= 0 and found ~= 0 then",
        ),
        "a_bucket_of_nobody_is_shown_as_nobodys",
    ),
    mutation(
        "the runs of owners are one short",
        (
            OWNERS,
            "    length, owner = 0, number\n  end\n  length = length + 1",
            "    length, owner = 0, number\n    return\n  end\n  length = length + 1",
        ),
        "an_onlooker_sees_members_and_owners_and_changes_nothing",
    ),
];
