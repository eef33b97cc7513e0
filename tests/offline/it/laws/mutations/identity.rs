//! Mistakes in seeing who the server is, and what it has lost.

use super::{Mutation, mutation};

const HISTORY: &str = "coord-core/src/history.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "every renewal asks for the identity",
        (
            HISTORY,
            "now < past.seen or past.seen + LOOK_EVERY <= now\n  -- A namespace",
            "true\n  -- A namespace",
        ),
        "a_quarantine_begins_with_the_first_renewal_that_sees_another_server",
    ),
    mutation(
        "a renewal looks too seldom",
        (
            HISTORY,
            "past == nil or now < past.seen or past.seen + LOOK_EVERY <= now",
            "past == nil or now < past.seen or past.seen + LOOK_EVERY < now",
        ),
        "a_quarantine_begins_with_the_first_renewal_that_sees_another_server",
    ),
    mutation(
        "a renewal does not look after a clock was set back",
        (
            HISTORY,
            "past == nil or now < past.seen or past.seen",
            "past == nil or past.seen",
        ),
        "a_renewal_looks_whatever_the_clock",
    ),
    mutation(
        "a renewal does not see another server",
        (
            HISTORY,
            "  if looks and not (past and is_same_server(past.run, run_id())) then",
            "  if looks and not past then",
        ),
        "a_quarantine_begins_with_the_first_renewal_that_sees_another_server",
    ),
    mutation(
        "a renewal leaves the identity as it was",
        (
            HISTORY,
            "    if run_id() ~= '?' then past.run = run_id() end\n",
            "",
        ),
        "a_server_that_begins_a_backlog_is_the_same",
    ),
    mutation(
        "a renewal forgets the identity of a server that hides",
        (
            HISTORY,
            "    if run_id() ~= '?' then past.run = run_id() end\n",
            "    past.run = run_id()\n",
        ),
        "a_server_that_does_not_tell_its_identity_is_used_if_that_is_allowed",
    ),
    mutation(
        "a holder is not seen",
        (HISTORY, "    past.seen, changed = now, true\n", ""),
        "a_past_with_a_holder_is_not_quiet",
    ),
    mutation(
        "who asks is not seen",
        (
            HISTORY,
            "if now < past.seen or past.seen + LOOK_EVERY <= now then past.seen, changed = now, true end",
            "",
        ),
        "a_past_with_a_holder_is_not_quiet",
    ),
    mutation(
        "a backlog makes another server",
        (
            HISTORY,
            "if string.match(before, '^%w+') ~= string.match(run, '^%w+') then return false end",
            "if before ~= run then return false end",
        ),
        "a_server_that_begins_a_backlog_is_the_same",
    ),
    mutation(
        "a server that was a replica meanwhile is the same",
        (
            HISTORY,
            "return string.match(info_of('replication'), 'master_replid2:0+[\\r\\n]') ~= nil",
            "return true",
        ),
        "a_server_that_was_a_replica_meanwhile_is_another",
    ),
    mutation(
        "another process is the same server",
        (
            HISTORY,
            "if string.match(before, '^%w+') ~= string.match(run, '^%w+') then return false end",
            "",
        ),
        "another_server_waits_for_the_longest_terms_in_use",
    ),
    mutation(
        "a server that hides is another",
        (
            HISTORY,
            "if before == run or before == '?' or run == '?' then return true end",
            "if before == run then return true end",
        ),
        "a_server_that_does_not_tell_its_identity_is_used_if_that_is_allowed",
    ),
    mutation(
        "a server that hides is used unasked",
        (
            HISTORY,
            "if run == '?' and not terms.unverified then return { standing = 'unverified' } end",
            "",
        ),
        "a_server_that_does_not_tell_its_identity_is_used_if_that_is_allowed",
    ),
    mutation(
        "a grant forgets the identity of a server that hides",
        (
            HISTORY,
            "if run ~= '?' and past.run ~= run then past.run, changed = run, true end",
            "if past.run ~= run then past.run, changed = run, true end",
        ),
        "a_server_that_does_not_tell_its_identity_is_used_if_that_is_allowed",
    ),
    mutation(
        "a grant leaves the identity as it was",
        (
            HISTORY,
            "if run ~= '?' and past.run ~= run then past.run, changed = run, true end",
            "",
        ),
        "a_server_that_begins_a_backlog_is_the_same",
    ),
    mutation(
        "another server is not noticed by a grant",
        (
            HISTORY,
            "  if not is_same_server(past.run, run) then\n    past = history_doubt",
            "  if false then\n    past = history_doubt",
        ),
        "another_server_waits_for_the_longest_terms_in_use",
    ),
    mutation(
        "a voice is not heard",
        (
            HISTORY,
            "local lost = other or mode == 'voice' or",
            "local lost = other or",
        ),
        "a_voice_in_an_absent_past_is_a_loss",
    ),
    mutation(
        "a voice is heard only where there is no past",
        (
            HISTORY,
            "local lost = other or mode == 'voice' or",
            "local lost = other or (mode == 'voice' and not past) or",
        ),
        "a_voice_in_a_quiet_past_is_a_loss",
    ),
    mutation(
        "nobody's expectation counts",
        (HISTORY, " or (not past and terms.expects)", ""),
        "an_absent_past_is_a_loss_if_one_is_expected",
    ),
    mutation(
        "a quiet past is not the one that is expected",
        (HISTORY, "(not past and terms.expects)", "terms.expects"),
        "an_absent_past_is_a_loss_if_one_is_expected",
    ),
    mutation(
        "a quiet past is shown as an absent one",
        (
            HISTORY,
            "standing = quiet and 'quiet' or 'absent'",
            "standing = 'absent'",
        ),
        "a_past_that_nobody_was_seen_in_for_a_ttl_is_listened_to",
    ),
    mutation(
        "any claim of first use is believed",
        (
            HISTORY,
            "if mode ~= 'first:' .. token then",
            "if mode == 'ask' then",
        ),
        "a_first_use_is_claimed_with_the_stores_token",
    ),
    mutation(
        "a token holds on another server",
        (HISTORY, "local stem = run .. '@' ..", "local stem ="),
        "a_token_of_another_server_claims_nothing",
    ),
    mutation(
        "a token holds for another silence",
        (HISTORY, "(past and digits(past.seen) or '-')", "'-'"),
        "a_token_is_of_one_silence",
    ),
    mutation(
        "a token is used more than once",
        (
            HISTORY,
            "    redis.call('HDEL', key, 'discovery')\n    if not past",
            "    if not past",
        ),
        "a_first_use_is_claimed_with_the_stores_token",
    ),
    mutation(
        "a quarantine that is over stays on record",
        (
            HISTORY,
            "if past.till ~= 0 and wait == 0 then past.till, changed = 0, true end",
            "",
        ),
        "a_voice_in_an_absent_past_is_a_loss",
    ),
    mutation(
        "an onlooker sees no quarantine",
        (
            HISTORY,
            "return 0 < left and 'quarantine' or 'known', left",
            "return 'known', left",
        ),
        "an_onlooker_sees_what_is_left_of_a_quarantine",
    ),
    mutation(
        "an onlooker does not see that the server is another",
        (
            HISTORY,
            "if not is_same_server(past.run, run) then return 'quarantine', quarantine_of(past) end",
            "",
        ),
        "an_onlooker_sees_what_is_left_of_a_quarantine",
    ),
    mutation(
        "a newer version is not told",
        (
            HISTORY,
            "if version and HISTORY_VERSION < version then return nil, version end",
            "",
        ),
        "what_a_newer_version_wrote_is_left_alone",
    ),
    mutation(
        "a version that never was is believed",
        (
            HISTORY,
            "if version ~= HISTORY_VERSION then return nil end",
            "if not version then return nil end",
        ),
        "a_past_that_cannot_be_read_is_lost",
    ),
    mutation(
        "an old copy is not told from a living past",
        (
            HISTORY,
            "local quiet = past and mode ~= 'group' and",
            "local quiet = false and",
        ),
        "a_past_that_nobody_was_seen_in_for_a_ttl_is_listened_to",
    ),
    mutation(
        "a silence begins a millisecond early",
        (
            HISTORY,
            "math.max(past.seen, past.till) + past.longest.ttl < now",
            "math.max(past.seen, past.till) + past.longest.ttl <= now",
        ),
        "a_past_that_nobody_was_seen_in_for_a_ttl_is_listened_to",
    ),
    mutation(
        "a quarantine is a silence",
        (
            HISTORY,
            "math.max(past.seen, past.till) + past.longest.ttl < now",
            "past.seen + past.longest.ttl < now",
        ),
        "a_past_with_a_holder_is_not_quiet",
    ),
];
