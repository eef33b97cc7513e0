//! Whether the store can vouch for its past: `history.lua`.

use super::{
    rules::{Identity, Rules},
    store::{Context, Mode, Past, Server, Store, Terms, Token},
};

/// What may be granted.
pub(super) enum Standing {
    Known(Past),
    Quarantine,
    /// The past is absent or quiet.
    Listen(u8),
}

impl Past {
    /// `history_new`.
    fn new(terms: Terms, cx: &Context<'_>) -> Self {
        Self {
            run: cx.server,
            till: 0,
            floor: 0,
            seen: cx.now,
            since: cx.now,
            used: terms.ttl,
            before: terms.known,
        }
    }

    pub(crate) fn longest(&self) -> u8 {
        self.used.max(self.before)
    }

    fn quarantine(&self, rules: &Rules) -> u8 {
        self.longest() + rules.bound
    }

    fn left(&self, cx: &Context<'_>) -> u8 {
        let left = self.till.saturating_sub(cx.now);
        left.min(self.quarantine(cx.rules))
    }

    /// `history_use`. What is longest as far as the client knows counts as used in the window before.
    fn uses(&mut self, ttl: u8, known: u8, cx: &Context<'_>) {
        let lasted = self.quarantine(cx.rules);
        let stays = cx.rules.windows_stay && cx.now < self.till;
        if self.since != 0 && self.since + self.longest() < cx.now && !stays {
            (self.before, self.used, self.since) = (self.used, ttl, cx.now);
        }
        self.used = self.used.max(ttl);
        self.before = self.before.max(known);
        if cx.rules.grows && cx.now < self.till {
            self.till += self.quarantine(cx.rules).saturating_sub(lasted);
            self.floor = self.floor.max(self.till + cx.rules.skew);
        }
    }
}

/// `is_same_server`.
fn is_same_server(before: Server, server: Server, rules: &Rules) -> bool {
    match rules.identity {
        Identity::Ignored => true,
        Identity::Process => before.process == server.process,
        Identity::Strict => before == server,
        Identity::Whole => {
            before.process == server.process && (before.id == server.id || !server.followed)
        }
    }
}

fn known(terms: Terms, rules: &Rules) -> u8 {
    if rules.known { terms.known } else { 0 }
}

/// `history_doubt`.
pub(super) fn doubt(store: &mut Store, terms: Terms, cx: &Context<'_>) {
    let terms = Terms {
        known: known(terms, cx.rules),
        ..terms
    };
    let mut past = store.past.unwrap_or_else(|| Past::new(terms, cx));
    if cx.rules.windows_stay {
        past.before = past.longest().max(terms.known);
        past.used = terms.ttl;
        past.since = if past.since == 0 { 0 } else { cx.now };
    } else {
        past.uses(terms.ttl, terms.known, cx);
    }
    if !cx.rules.longest {
        (past.used, past.before) = (terms.ttl, 0);
    }
    (past.run, past.seen) = (cx.server, cx.now);
    past.till = cx.now + past.quarantine(cx.rules);
    let served = if cx.rules.floor_bound {
        past.till
    } else {
        cx.now + past.longest()
    };
    past.floor = past.floor.max(served + cx.rules.skew);
    store.past = Some(past);
}

/// `history_rewound`.
pub(super) fn rewound(store: &mut Store, terms: Terms, acknowledged: u8, cx: &Context<'_>) {
    if let Some(past) = &mut store.past
        && is_same_server(past.run, cx.server, cx.rules)
        && 0 < past.left(cx)
        && acknowledged + past.quarantine(cx.rules) < past.till
    {
        if cx.rules.grows {
            past.uses(terms.ttl, known(terms, cx.rules), cx);
        }
        return;
    }
    doubt(store, terms, cx);
}

/// `history_watch`.
pub(super) fn watch(store: &mut Store, terms: Terms, cx: &Context<'_>) {
    let Some(past) = &mut store.past else {
        return doubt(store, terms, cx);
    };
    let is_same = is_same_server(past.run, cx.server, cx.rules);
    if past.seen != cx.now && !is_same && cx.rules.watch {
        return doubt(store, terms, cx);
    }
    past.uses(terms.ttl, 0, cx);
    if past.seen != cx.now {
        past.seen = cx.now;
        if is_same {
            past.run = cx.server;
        }
    }
}

/// `history_admit`.
pub(super) fn admit(store: &mut Store, mode: Mode, terms: Terms, cx: &mut Context<'_>) -> Standing {
    let is_quiet =
        |past: Past| cx.rules.quiet && past.till < cx.now && past.seen + past.longest() < cx.now;
    if store.past.is_none_or(is_quiet) {
        if mode == Mode::Voice || store.past.is_none() && terms.expects {
            doubt(store, terms, cx);
            return Standing::Quarantine;
        }
        let token = token(store, cx);
        if mode != Mode::First(token) && (cx.rules.token || !matches!(mode, Mode::First(_))) {
            return Standing::Listen(token);
        }
        store.token = Token::default();
        let past = store.past.get_or_insert_with(|| Past::new(terms, cx));
        if cx.rules.first_floor {
            past.floor = past.floor.max(cx.now + cx.rules.skew + 1);
        }
    }
    let Some(past) = &mut store.past else {
        return Standing::Quarantine;
    };
    if !is_same_server(past.run, cx.server, cx.rules) {
        doubt(store, terms, cx);
        return Standing::Quarantine;
    }
    past.uses(terms.ttl, 0, cx);
    let left = past.left(cx);
    past.till = if left == 0 { 0 } else { cx.now + left };
    (past.run, past.seen) = (cx.server, cx.now);
    if left == 0 {
        Standing::Known(*past)
    } else {
        Standing::Quarantine
    }
}

/// `discovery_token`.
fn token(store: &mut Store, cx: &mut Context<'_>) -> u8 {
    let seen = store.past.map_or(0, |past| past.seen);
    let token = store.token;
    if token.number == 0 || token.id != cx.server.id || token.seen != seen {
        *cx.numbers += 1;
        store.token = Token {
            id: cx.server.id,
            seen,
            number: *cx.numbers,
        };
    }
    store.token.number
}
