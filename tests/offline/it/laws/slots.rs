//! The scripts of raus by their contracts: what clients send, without clients.

use super::bench::Bench;
pub(super) use coord_offline::slot_record::Record;

pub(super) const TTL: u64 = 10_000;
pub(super) const BOUND: u64 = 15_000;
pub(super) const SKEW: u64 = 10_000;
/// How long a quarantine lasts where nobody uses other terms.
pub(super) const QUARANTINE: u64 = TTL + BOUND;
pub(super) const SLOTS: &str = "ns:slots";
pub(super) const FREED: &str = "ns:freed";

/// What a client says of itself.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) ttl: u64,
    pub(super) bound: u64,
    pub(super) skew: u64,
    /// The longest ones of the namespace, as it was told.
    pub(super) known: String,
    pub(super) flags: &'static str,
}

impl Terms {
    /// Of a client that knows nothing of the namespace.
    pub(super) fn of_ttl(ttl: u64) -> Self {
        Self {
            ttl,
            bound: BOUND,
            skew: SKEW,
            known: "0 0 0".to_owned(),
            flags: "-",
        }
    }

    pub(super) fn flagged(flags: &'static str) -> Self {
        Self {
            flags,
            ..Self::of_ttl(TTL)
        }
    }

    fn as_arg(&self) -> String {
        let Self {
            ttl,
            bound,
            skew,
            known,
            flags,
        } = self;
        format!("{ttl} {bound} {skew} {known} {flags}")
    }
}

/// A number of a chain: how many came before, and what no clone has.
pub(super) const fn link(count: u64, random: u64) -> u64 {
    count * 1_048_576 + random
}

/// What `acquire` is asked for.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) holder: &'static str,
    pub(super) terms: Terms,
    /// The server's, where there is none.
    pub(super) wall: Option<u64>,
    pub(super) label: &'static str,
    pub(super) mode: String,
    pub(super) lenient: bool,
    pub(super) range: &'static str,
    pub(super) number: u64,
}

pub(super) fn by(holder: &'static str) -> Ask {
    Ask {
        holder,
        terms: Terms::of_ttl(TTL),
        wall: None,
        label: "",
        mode: "ask".to_owned(),
        lenient: false,
        range: "",
        number: link(1, 7),
    }
}

/// Somebody whose leases last that long.
pub(super) fn for_ttl(holder: &'static str, ttl: u64) -> Ask {
    Ask {
        terms: Terms::of_ttl(ttl),
        ..by(holder)
    }
}

/// Somebody who wants any slot of a range.
pub(super) fn of_range(holder: &'static str, range: &'static str) -> Ask {
    Ask {
        range,
        ..by(holder)
    }
}

/// Somebody who says that of an absent or quiet past.
pub(super) fn claiming(holder: &'static str, mode: impl Into<String>) -> Ask {
    Ask {
        mode: mode.into(),
        ..by(holder)
    }
}

/// What `acquire` granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) slot: u32,
    pub(super) fence: u64,
    pub(super) floor: u64,
    pub(super) horizon: u64,
    pub(super) server: u64,
    pub(super) longest: String,
    pub(super) layout: String,
    /// What was asked for.
    ttl: u64,
    number: u64,
}

/// What `renew` is told.
#[derive(Clone)]
pub(super) struct Renewal {
    pub(super) holder: &'static str,
    pub(super) slot: u32,
    pub(super) fence: u64,
    pub(super) terms: Terms,
    pub(super) wall: Option<u64>,
    pub(super) last: u64,
    pub(super) till: u64,
    pub(super) chain: String,
    pub(super) layout: &'static str,
    pub(super) horizon: u64,
}

impl Grant {
    /// The next renewal of somebody who has minted nothing.
    pub(super) fn renewal(&self, holder: &'static str) -> Renewal {
        let next = link(2, 5);
        Renewal {
            holder,
            slot: self.slot,
            fence: self.fence,
            terms: Terms {
                known: self.longest.clone(),
                ..Terms::of_ttl(self.ttl)
            },
            wall: None,
            last: self.floor,
            till: self.server + self.ttl,
            chain: format!("{next},{}", self.number),
            layout: "",
            horizon: self.horizon,
        }
    }
}

impl Renewal {
    /// As a later one, which names these numbers: its own, those without an answer, the last one that was answered.
    pub(super) fn linked(&self, chain: &[u64]) -> Self {
        let chain: Vec<String> = chain.iter().map(u64::to_string).collect();
        Self {
            chain: chain.join(","),
            ..self.clone()
        }
    }
}

/// What `acquire` answers where nothing is free: how many are held, and when the first of them ends.
pub(super) fn taken(held: u32, first: i64) -> Vec<String> {
    refused(held, 0, first, false, 0, "")
}

/// [`taken`] with everything that it says.
pub(super) fn refused(
    held: u32,
    ahead: u32,
    first: i64,
    whole: bool,
    nearest: u64,
    garbled: &str,
) -> Vec<String> {
    let whole = u8::from(whole);
    let text = format!("taken|{held}|{ahead}|{first}|{whole}|{nearest}|{garbled}");
    text.split('|').map(str::to_owned).collect()
}

pub(super) fn quarantine(ms: u64) -> Vec<String> {
    vec!["quarantine".to_owned(), ms.to_string()]
}

pub(super) fn lock(slot: u32) -> String {
    format!("ns:id:{slot}")
}

impl Bench {
    /// A namespace with a past: somebody was there, held nothing of what the laws use, and went.
    pub(super) fn founded(self) -> Self {
        let absent = self.acquire(&by("founder"), &[900]);
        let first = claiming("founder", format!("first:{}", absent[1]));
        let founder = self.grant(&first, &[900]);
        self.release("founder", &founder, founder.floor);
        self.send(&["HDEL", SLOTS, "900"]);
        self
    }

    pub(super) fn acquire(&self, ask: &Ask, slots: &[u32]) -> Vec<String> {
        let (keys, args) = self.acquisition(ask, slots);
        self.call("acquire", &keys, &args)
    }

    pub(super) fn acquisition(&self, ask: &Ask, slots: &[u32]) -> (Vec<String>, Vec<String>) {
        let locks = slots.iter().map(|&slot| lock(slot));
        let keys = std::iter::once(SLOTS.to_owned()).chain(locks).collect();
        let mut args = vec![
            ask.holder.to_owned(),
            ask.terms.as_arg(),
            ask.wall.unwrap_or_else(|| self.now()).to_string(),
            ask.label.to_owned(),
            ask.mode.clone(),
            u8::from(ask.lenient).to_string(),
            ask.range.to_owned(),
            ask.number.to_string(),
        ];
        args.extend(slots.iter().map(u32::to_string));
        (keys, args)
    }

    #[track_caller]
    pub(super) fn grant(&self, ask: &Ask, slots: &[u32]) -> Grant {
        let reply = self.acquire(ask, slots);
        assert_eq!(reply[0], "granted", "{reply:?}");
        let number = |index: usize| reply[index].parse().expect("a number");
        Grant {
            slot: reply[1].parse().expect("a number"),
            fence: number(2),
            floor: number(3),
            horizon: number(4),
            server: number(5),
            longest: reply[6].clone(),
            layout: reply[7].clone(),
            ttl: ask.terms.ttl,
            number: ask.number,
        }
    }

    pub(super) fn renew(&self, renewal: &Renewal) -> Vec<String> {
        let keys = [SLOTS.to_owned(), lock(renewal.slot)];
        let args = [
            renewal.holder.to_owned(),
            renewal.slot.to_string(),
            renewal.fence.to_string(),
            renewal.terms.as_arg(),
            renewal.wall.unwrap_or_else(|| self.now()).to_string(),
            renewal.last.to_string(),
            "label".to_owned(),
            renewal.till.to_string(),
            renewal.chain.clone(),
            renewal.layout.to_owned(),
            renewal.horizon.to_string(),
        ];
        self.call("renew", &keys, &args)
    }

    /// Gives back a grant that was not renewed, and lowers its horizon.
    pub(super) fn release(&self, holder: &'static str, grant: &Grant, horizon: u64) -> String {
        self.leave(&grant.renewal(holder), horizon, true)
    }

    /// Gives back what would be renewed; the horizon is lowered if the holder knows what it minted.
    pub(super) fn leave(&self, renewal: &Renewal, horizon: u64, lowers: bool) -> String {
        let keys = [SLOTS.to_owned(), lock(renewal.slot)];
        let args = [
            renewal.holder.to_owned(),
            renewal.slot.to_string(),
            renewal.fence.to_string(),
            horizon.to_string(),
            u8::from(lowers).to_string(),
            renewal.terms.as_arg(),
            renewal.till.to_string(),
            renewal.chain.clone(),
            "label".to_owned(),
            FREED.to_owned(),
        ];
        self.call("release", &keys, &args).remove(0)
    }

    pub(super) fn layout(&self, layout: &str) -> Vec<String> {
        self.call("layout", &[SLOTS.to_owned()], &[layout.to_owned()])
    }

    pub(super) fn revoke(&self, slot: u32, holder: &str, fence: u64, at_once: bool) -> Vec<String> {
        let keys = [SLOTS.to_owned(), lock(slot)];
        let args = [
            slot.to_string(),
            holder.to_owned(),
            fence.to_string(),
            u8::from(at_once).to_string(),
        ];
        self.call("revoke", &keys, &args)
    }

    pub(super) fn inspect(&self, slots: &[u32]) -> Vec<String> {
        let (keys, _) = self.acquisition(&by(""), slots);
        let args: Vec<String> = slots.iter().map(u32::to_string).collect();
        self.call("inspect", &keys, &args)
    }

    pub(super) fn record(&self, slot: u32) -> Option<Record> {
        Record::parsed(&self.text(&["HGET", SLOTS, &slot.to_string()]))
    }

    #[track_caller]
    pub(super) fn recorded(&self, slot: u32) -> Record {
        self.record(slot).expect("it is on record")
    }

    pub(super) fn set_record(&self, slot: u32, record: &Record) {
        let text = record.to_string();
        self.send(&["HSET", SLOTS, &slot.to_string(), &text]);
    }

    /// A slot that somebody held once, until `till`.
    pub(super) fn set_past(&self, slot: u32, till: u64) {
        self.set_record(slot, &former(0, till));
    }

    /// How often messages were published.
    pub(super) fn published(&self) -> u64 {
        let stats = self.embedded.stats();
        stats.get("command:publish").copied().unwrap_or(0)
    }

    /// Who has the lock of a slot; nobody is an empty text.
    pub(super) fn holder(&self, slot: u32) -> String {
        self.text(&["GET", &lock(slot)])
    }

    /// How long the lock lasts, ms; -1 for ever, -2 where there is none.
    pub(super) fn lasts(&self, slot: u32) -> i64 {
        self.number(&["PTTL", &lock(slot)])
    }
}

/// What a former holder left behind.
pub(super) fn former(horizon: u64, till: u64) -> Record {
    Record {
        fence: 5,
        horizon,
        floor: 0,
        till,
        chain: "-".to_owned(),
        label: String::new(),
    }
}
