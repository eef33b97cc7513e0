//! Mistakes in what all scripts know of the past.

use super::{Mutation, Survivor, mutation, survivor};

const HISTORY: &str = "coord-core/src/history.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "a doubtful past grants all the same",
        (
            HISTORY,
            "if 0 < wait and not past.vouched then",
            "if false then",
        ),
        "a_voice_in_an_absent_past_is_a_loss",
    ),
    mutation(
        "a restart from disk counts as a promotion",
        (
            HISTORY,
            "uptime and second and second == string.match(past.run, ':(%w+)$') and",
            "uptime and second and",
        ),
        "a_successor_of_another_server_proves_nothing",
    ),
    mutation(
        "a successor's age is not looked at",
        (HISTORY, " and now - uptime * 1000 + 1000 < past.at", ""),
        "a_successor_that_is_younger_than_the_last_grant_proves_nothing",
    ),
    mutation(
        "a failover ends a doubt",
        (
            HISTORY,
            "past.acked == 1 and (past.till <= now or past.vouched) and is_successor",
            "past.acked == 1 and is_successor",
        ),
        "a_doubt_is_not_over_because_of_a_failover",
    ),
    mutation(
        "replicas vouch for what they never acknowledged",
        (HISTORY, "return past.acked == 1 and", "return"),
        "a_past_without_acknowledgements_is_not_vouched_for",
    ),
    mutation(
        "the mark that somebody goes on alone counts as the mark",
        (
            HISTORY,
            "return past.acked == 1 and",
            "return 0 < past.acked and",
        ),
        "a_past_without_acknowledgements_is_not_vouched_for",
    ),
    mutation(
        "a doubt lasts for the asker's ttl",
        (
            HISTORY,
            "local longest = math.max(ttl, past and past.ttl or 0)",
            "local longest = ttl",
        ),
        "another_server_waits_for_the_longest_ttl_it_may_have_granted",
    ),
    mutation(
        "the longest ttl is not remembered",
        (HISTORY, "    past.ttl = math.max(past.ttl, ttl)\n", "\n"),
        "another_server_waits_for_the_longest_ttl_it_may_have_granted",
    ),
    mutation(
        "a doubt has a floor within the tolerated skew",
        (
            HISTORY,
            "math.max(now + longest + skew, past and past.floor or 0)",
            "math.max(now + longest, past and past.floor or 0)",
        ),
        "another_server_waits_for_the_longest_ttl_it_may_have_granted",
    ),
    mutation(
        "a doubt takes the replicas' mark away",
        (
            HISTORY,
            "acked = vouched and 1 or past and 0 < past.acked and 2 or 0",
            "acked = vouched and 1 or 0",
        ),
        "a_restart_from_disk_is_no_promotion",
    ),
    mutation(
        "a voice is not heard",
        (
            HISTORY,
            "if garbled or mode == 'voice' then",
            "if garbled then",
        ),
        "a_voice_in_an_absent_past_is_a_loss",
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
        (
            HISTORY,
            "if not token or string.sub(token, 1, #run + 1) ~= run .. '@' then",
            "if not token then",
        ),
        "a_token_of_another_server_claims_nothing",
    ),
    mutation(
        "a token is used more than once",
        (HISTORY, "redis.call('HDEL', key, 'discovery')", ""),
        "a_first_use_is_claimed_with_the_stores_token",
    ),
    mutation(
        "another server is not noticed",
        (
            HISTORY,
            "elseif run ~= '?' and past.run ~= '?' and past.run ~= run then\n    past, changed",
            "elseif false then\n    past, changed",
        ),
        "another_server_waits_for_the_longest_ttl_it_may_have_granted",
    ),
    mutation(
        "a clock set back prolongs a doubt",
        (
            HISTORY,
            "elseif past.till > now + past.ttl then",
            "elseif false then",
        ),
        "a_clock_set_back_prolongs_no_wait",
    ),
    mutation(
        "an onlooker sees no doubt",
        (
            HISTORY,
            "if left <= 0 then return 'known', 0 end",
            "if true then return 'known', 0 end",
        ),
        "an_onlooker_sees_what_there_is_and_changes_nothing",
    ),
    mutation(
        "an onlooker does not see that the server is another",
        (
            HISTORY,
            "if run ~= '?' and past.run ~= '?' and past.run ~= run then\n    return is_vouched",
            "if false then\n    return is_vouched",
        ),
        "an_onlooker_sees_what_there_is_and_changes_nothing",
    ),
    mutation(
        "too few replicas are enough",
        (HISTORY, "  if good < need then\n", "  if false then\n"),
        "a_grant_takes_effect_when_replicas_have_it",
    ),
    mutation(
        "a server that lost its replicas goes on at once",
        (
            HISTORY,
            "  if 0 < wait then\n    if noticed",
            "  if false then\n    if noticed",
        ),
        "a_server_without_its_replicas_waits_for_one_ttl",
    ),
    mutation(
        "a server that lost one of its replicas goes on at once",
        (HISTORY, "there < past.most + came", "there < 1"),
        "a_server_without_one_of_its_replicas_waits_for_one_ttl",
    ),
    mutation(
        "a server forgets how many replicas it had",
        (
            HISTORY,
            "past.most, past.joins = there, joins\n",
            "past.joins = joins\n",
        ),
        "a_server_without_one_of_its_replicas_waits_for_one_ttl",
    ),
    mutation(
        "a server forgets since when it is alone",
        (
            HISTORY,
            "    if noticed then history_write(key, past) end\n    return nil, good, math",
            "    return nil, good, math",
        ),
        "a_server_without_its_replicas_waits_for_one_ttl",
    ),
    mutation(
        "who wants more replicas than there are notices no loss",
        (
            HISTORY,
            "    if noticed then history_write(key, past) end\n    return nil, good, need",
            "    return nil, good, need",
        ),
        "who_wants_more_replicas_than_there_are_notices_a_loss",
    ),
    mutation(
        "a wait for a replica never ends",
        (HISTORY, "  past.alone = 0\n", ""),
        "a_server_without_its_replicas_waits_for_one_ttl",
    ),
    mutation(
        "who came and went is not missed",
        (HISTORY, "there < past.most + came", "there < past.most"),
        "a_replica_that_came_and_went_between_grants_was_there",
    ),
    mutation(
        "who came is forgotten",
        (
            HISTORY,
            "past.most, past.joins = there, joins\n",
            "past.most = there\n",
        ),
        "a_replica_in_place_of_another_ends_no_wait",
    ),
    mutation(
        "another loss does not begin the wait anew",
        (
            HISTORY,
            "if past.acked ~= 0 and (came < 0 or there < past.most + came) then past.alone = now end",
            "if past.acked ~= 0 and (came < 0 or there < past.most + came) then past.alone = past.alone == 0 and now or past.alone end",
        ),
        "another_loss_begins_the_wait_anew",
    ),
    mutation(
        "a count that was set back is no loss",
        (
            HISTORY,
            "(came < 0 or there < past.most + came)",
            "there < past.most + came",
        ),
        "a_count_of_joins_that_was_set_back_is_a_loss",
    ),
    mutation(
        "a clock set back prolongs the wait for a replica",
        (HISTORY, "  past.alone = math.min(past.alone, now)\n", ""),
        "a_clock_set_back_prolongs_no_wait_for_a_replica",
    ),
    mutation(
        "after a failover nobody waits for the first replica",
        (
            HISTORY,
            "if before ~= 0 and good == 0 and past.vouched then wait = math.max(wait, past.till - now) end",
            "",
        ),
        "after_a_failover_the_first_replica_is_waited_for",
    ),
    mutation(
        "after a failover replicas that came before do not count",
        (HISTORY, "if vouched then most, joins = 0, 0 end", ""),
        "after_a_failover_every_replica_that_ever_came_has_to_be_there",
    ),
    mutation(
        "a doubt forgets who is there",
        (
            HISTORY,
            "if vouched then most, joins = 0, 0 end",
            "most, joins = 0, 0",
        ),
        "after_a_doubt_only_later_losses_count",
    ),
    mutation(
        "a renewal looks every time",
        (HISTORY, "now < past.at + past.ttl / 3 or", ""),
        "a_renewal_looks_after_replicas_for_those_who_come_later",
    ),
    mutation(
        "a renewal does not look",
        (HISTORY, "  look_after_replicas(past, now)\n", ""),
        "a_renewal_looks_after_replicas_for_those_who_come_later",
    ),
    mutation(
        "a renewal does not note that it looked",
        (
            HISTORY,
            "  look_after_replicas(past, now)\n  past.at = now\n",
            "  look_after_replicas(past, now)\n",
        ),
        "a_renewal_looks_after_replicas_for_those_who_come_later",
    ),
    mutation(
        "a renewal looks for another server",
        (
            HISTORY,
            "past.run ~= run_id() then return end",
            "false then return end",
        ),
        "a_renewal_does_not_look_before_the_past_was_judged",
    ),
    mutation(
        "a successor's uptime is exact",
        (
            HISTORY,
            "now - uptime * 1000 + 1000 < past.at",
            "now - uptime * 1000 < past.at",
        ),
        "a_successor_that_may_have_started_after_the_last_grant_proves_nothing",
    ),
    mutation(
        "who waits for nobody leaves the mark",
        (
            HISTORY,
            "past.acked = before == 0 and 0 or 2",
            "past.acked = before",
        ),
        "who_waits_for_nobody_says_so_to_the_replicas",
    ),
    mutation(
        "who waits for nobody takes the mark away alone",
        (
            HISTORY,
            "past.acked = before == 0 and 0 or 2",
            "past.acked = 0",
        ),
        "who_waits_for_nobody_says_so_to_the_replicas",
    ),
    mutation(
        "the time of the last grant is not kept",
        (HISTORY, "if stale then past.at = now end", ""),
        "the_time_of_the_last_grant_is_kept",
    ),
    mutation(
        "every grant writes the time of the last one",
        (HISTORY, "past.at + 10000 < now", "past.at < now"),
        "the_time_of_the_last_grant_is_kept",
    ),
    mutation(
        "a replica that was heard of just now is missed",
        (HISTORY, "lag=(%-?%d+)", "lag=(%d+)"),
        "a_replica_heard_of_at_the_turn_of_a_second_is_there",
    ),
    mutation(
        "who cannot wait for replicas is granted where others wait",
        (
            HISTORY,
            "if acks == 'unable' and 0 < good then return nil, 0, good end",
            "",
        ),
        "who_cannot_wait_is_granted_nothing_where_others_wait",
    ),
];

pub(super) static SURVIVORS: &[Survivor] = &[survivor(
    "replicas of the embedded store never lag; `deployments::losses` stops real ones",
    (HISTORY, "elseif tonumber(lag) <= 10 then", "else"),
)];
