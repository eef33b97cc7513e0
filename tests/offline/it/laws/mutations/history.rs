//! Mistakes in what all scripts know of the past.

use super::{Mutation, Survivor, mutation, survivor};

const HISTORY: &str = "coord-core/src/history.lua";

pub(super) static MUTATIONS: &[Mutation] = &[
    mutation(
        "a quarantine grants all the same",
        (
            HISTORY,
            "if 0 < wait then return { standing = 'quarantine', wait = wait, changed = false } end",
            "",
        ),
        "a_voice_in_an_absent_past_is_a_loss",
    ),
    mutation(
        "a quarantine lasts for one ttl",
        (
            HISTORY,
            "return past.longest.ttl + past.longest.bound",
            "return past.longest.ttl",
        ),
        "another_server_waits_for_the_longest_terms_in_use",
    ),
    mutation(
        "a quarantine lasts for the failover bound",
        (
            HISTORY,
            "return past.longest.ttl + past.longest.bound",
            "return past.longest.bound",
        ),
        "another_server_waits_for_the_longest_terms_in_use",
    ),
    mutation(
        "the longest ttl is not remembered",
        (
            HISTORY,
            "local used, before = longer(past.used, terms),",
            "local used, before = past.used,",
        ),
        "another_server_waits_for_the_longest_terms_in_use",
    ),
    mutation(
        "terms are kept only if the ttl is longer",
        (
            HISTORY,
            "if terms_text(used) ~= terms_text(past.used) or",
            "if used.ttl ~= past.used.ttl or",
        ),
        "another_server_waits_for_the_longest_terms_in_use",
    ),
    mutation(
        "bounds are not compared",
        (
            HISTORY,
            "bound = math.max(one.bound, other.bound)",
            "bound = one.bound",
        ),
        "another_server_waits_for_the_longest_terms_in_use",
    ),
    mutation(
        "skews are not compared",
        (
            HISTORY,
            "skew = math.max(one.skew, other.skew),",
            "skew = one.skew,",
        ),
        "another_server_waits_for_the_longest_terms_in_use",
    ),
    mutation(
        "a quarantine has a floor within the failover bound",
        (
            HISTORY,
            "  past.floor = math.max(past.floor, past.till + past.longest.skew)\n  history_write",
            "  past.floor = math.max(past.floor, now + past.longest.ttl + past.longest.skew)\n  history_write",
        ),
        "another_server_waits_for_the_longest_terms_in_use",
    ),
    mutation(
        "a quarantine has a floor within the skew",
        (
            HISTORY,
            "  past.floor = math.max(past.floor, past.till + past.longest.skew)\n  history_write",
            "  past.floor = math.max(past.floor, past.till)\n  history_write",
        ),
        "another_server_waits_for_the_longest_terms_in_use",
    ),
    mutation(
        "a second quarantine lowers the floor",
        (
            HISTORY,
            "  past.floor = math.max(past.floor, past.till + past.longest.skew)\n  history_write",
            "  past.floor = past.till + past.longest.skew\n  history_write",
        ),
        "a_second_quarantine_lowers_no_floor",
    ),
    mutation(
        "a window ends with the ttl that is counted now",
        (
            HISTORY,
            "past.since + WINDOW * past.longest.ttl < now",
            "past.since + terms.ttl < now",
        ),
        "a_ttl_that_nobody_uses_is_forgotten_after_two_windows",
    ),
    mutation(
        "a window ends a millisecond early",
        (
            HISTORY,
            "past.since + WINDOW * past.longest.ttl < now",
            "past.since + WINDOW * past.longest.ttl <= now",
        ),
        "a_ttl_that_nobody_uses_is_forgotten_after_two_windows",
    ),
    mutation(
        "no window ever ends",
        (
            HISTORY,
            "past.since + WINDOW * past.longest.ttl < now",
            "false",
        ),
        "a_ttl_that_nobody_uses_is_forgotten_after_two_windows",
    ),
    mutation(
        "one window is all that is known",
        (
            HISTORY,
            "past.before, past.used, past.since, changed = past.used, longer(terms, terms), now, true",
            "past.before, past.used, past.since, changed = longer(terms, terms), longer(terms, terms), now, true",
        ),
        "a_ttl_that_nobody_uses_is_forgotten_after_two_windows",
    ),
    mutation(
        "what was told counts as used",
        (
            HISTORY,
            "under_way and longer(past.before, terms.known) or past.before",
            "longer(past.before, terms.known)",
        ),
        "a_ttl_that_nobody_uses_is_forgotten_after_two_windows",
    ),
    mutation(
        "what holders know is not asked for in a quarantine",
        (
            HISTORY,
            "under_way and longer(past.before, terms.known) or past.before",
            "past.before",
        ),
        "what_holders_know_of_others_prolongs_a_quarantine",
    ),
    mutation(
        "a window ends in a quarantine",
        (HISTORY, "if not under_way and past.since", "if past.since"),
        "no_ttl_is_forgotten_in_a_quarantine",
    ),
    mutation(
        "a quarantine is not prolonged",
        (
            HISTORY,
            "    past.till = past.till + quarantine_of(past) - length\n",
            "",
        ),
        "what_holders_know_of_others_prolongs_a_quarantine",
    ),
    mutation(
        "a quarantine is prolonged without its floor",
        (
            HISTORY,
            "    past.floor = math.max(past.floor, past.till + past.longest.skew)\n  end",
            "  end",
        ),
        "what_holders_know_of_others_prolongs_a_quarantine",
    ),
    mutation(
        "a floor is raised only with the end of the quarantine",
        (
            HISTORY,
            "if under_way and changed then",
            "if under_way and length < quarantine_of(past) then",
        ),
        "what_holders_know_of_others_prolongs_a_quarantine",
    ),
    mutation(
        "a clock set back ends a window",
        (
            HISTORY,
            "if now < past.since then past.since, changed = now, true end",
            "if now < past.since then past.before, past.used, past.since, changed = past.used, longer(terms, terms), now, true end",
        ),
        "a_clock_set_back_forgets_no_ttl",
    ),
    mutation(
        "a clock set back prolongs a quarantine",
        (
            HISTORY,
            "if now + length < past.till then past.till, changed = now + length, true end",
            "",
        ),
        "a_clock_set_back_prolongs_no_quarantine",
    ),
    mutation(
        "a clock set back prolongs what is told of a quarantine",
        (
            HISTORY,
            "math.min(past.till - now, quarantine_of(past))",
            "past.till - now",
        ),
        "an_onlooker_sees_what_is_left_of_a_quarantine",
    ),
    mutation(
        "a loss ends a window",
        (
            HISTORY,
            "past.before, past.used, past.since = longer(past.longest, terms.known), longer(terms, terms), now",
            "past.before, past.used, past.since = longer(past.used, terms.known), longer(terms, terms), now",
        ),
        "a_loss_ends_no_window",
    ),
    mutation(
        "what the first to notice knows is not counted",
        (
            HISTORY,
            "past.before, past.used, past.since = longer(past.longest, terms.known)",
            "past.before, past.used, past.since = longer(past.longest, past.longest)",
        ),
        "what_holders_know_of_others_outlives_a_rewind",
    ),
    mutation(
        "a token outlives a loss",
        (
            HISTORY,
            "  redis.call('HDEL', key, 'discovery')\n  return past",
            "  return past",
        ),
        "a_token_does_not_outlive_a_loss",
    ),
    mutation(
        "a loss forgets who the server was",
        (
            HISTORY,
            "  if run ~= '?' then past.run = run end\n  past.till",
            "  past.run = run\n  past.till",
        ),
        "a_server_that_hides_in_a_loss_is_known_later",
    ),
    mutation(
        "every loss begins a quarantine",
        (
            HISTORY,
            "quarantine_left(past, now) == 0 or began <= acknowledged then",
            "true then",
        ),
        "a_loss_from_before_a_quarantine_begins_no_other",
    ),
    mutation(
        "a loss at the beginning of a quarantine begins no other",
        (
            HISTORY,
            "began <= acknowledged then",
            "began < acknowledged then",
        ),
        "a_loss_from_before_a_quarantine_begins_no_other",
    ),
    mutation(
        "a loss in a quarantine begins no other",
        (HISTORY, " or began <= acknowledged then", " then"),
        "a_loss_from_before_a_quarantine_begins_no_other",
    ),
    mutation(
        "a loss on another server is one from before",
        (
            HISTORY,
            "if not past or not is_same_server(past.run, run_id()) or quarantine_left",
            "if not past or quarantine_left",
        ),
        "a_loss_on_another_server_begins_another_quarantine",
    ),
    mutation(
        "what a forgotten holder knows is not counted",
        (
            HISTORY,
            "  if history_use(past, now, terms) then history_write(key, past) end\n",
            "",
        ),
        "what_holders_know_of_others_prolongs_a_quarantine",
    ),
];

pub(super) static SURVIVORS: &[Survivor] = &[survivor(
    "a loss after a quarantine is acknowledged after its beginning: what was acknowledged before it has expired since",
    (HISTORY, " or quarantine_left(past, now) == 0 or", " or"),
)];
