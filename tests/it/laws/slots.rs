//! The scripts of raus by their contracts: what clients send, without clients.

use super::bench::Bench;
pub(super) use crate::slot_record::Record;

pub(super) const TTL: u64 = 10_000;
pub(super) const SKEW: u64 = 10_000;
pub(super) const SLOTS: &str = "ns:slots";

/// What `acquire` is asked for.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) holder: &'static str,
    pub(super) ttl: u64,
    /// The server's, where there is none.
    pub(super) wall: Option<u64>,
    pub(super) label: &'static str,
    pub(super) mode: String,
    pub(super) lenient: bool,
    pub(super) acks: &'static str,
}

pub(super) fn by(holder: &'static str) -> Ask {
    Ask {
        holder,
        ttl: TTL,
        wall: None,
        label: "",
        mode: "ask".to_owned(),
        lenient: false,
        acks: "all",
    }
}

/// What `acquire` granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) slot: u32,
    pub(super) fence: u64,
    pub(super) floor: u64,
    pub(super) horizon: u64,
    pub(super) server: u64,
    pub(super) need: u64,
}

/// What `renew` is told.
#[derive(Clone)]
pub(super) struct Renewal {
    pub(super) holder: &'static str,
    pub(super) slot: u32,
    pub(super) fence: u64,
    pub(super) wall: Option<u64>,
    pub(super) last: u64,
    pub(super) till: u64,
}

impl Grant {
    /// The next renewal of somebody who has minted nothing.
    pub(super) fn renewal(&self, holder: &'static str) -> Renewal {
        Renewal {
            holder,
            slot: self.slot,
            fence: self.fence,
            wall: None,
            last: self.floor,
            till: self.server + TTL,
        }
    }
}

pub(super) fn lock(slot: u32) -> String {
    format!("ns:id:{slot}")
}

impl Bench {
    /// A namespace with a past: somebody was there, held nothing of what the laws use, and went.
    pub(super) fn founded(self) -> Self {
        let absent = self.acquire(&by("founder"), &[900]);
        let mode = format!("first:{}", absent[1]);
        let founder = self.grant(
            &Ask {
                mode,
                ..by("founder")
            },
            &[900],
        );
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
            ask.ttl.to_string(),
            ask.wall.unwrap_or_else(|| self.now()).to_string(),
            SKEW.to_string(),
            ask.label.to_owned(),
            ask.mode.clone(),
            u8::from(ask.lenient).to_string(),
            ask.acks.to_owned(),
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
            need: number(6),
        }
    }

    pub(super) fn renew(&self, renewal: &Renewal) -> Vec<String> {
        let keys = [SLOTS.to_owned(), lock(renewal.slot)];
        let args = [
            renewal.holder.to_owned(),
            renewal.slot.to_string(),
            renewal.fence.to_string(),
            TTL.to_string(),
            renewal.wall.unwrap_or_else(|| self.now()).to_string(),
            SKEW.to_string(),
            renewal.last.to_string(),
            "label".to_owned(),
            renewal.till.to_string(),
        ];
        self.call("renew", &keys, &args)
    }

    pub(super) fn release(&self, holder: &str, grant: &Grant, horizon: u64) -> String {
        let keys = [SLOTS.to_owned(), lock(grant.slot)];
        let args = [
            holder.to_owned(),
            grant.slot.to_string(),
            grant.fence.to_string(),
            horizon.to_string(),
        ];
        self.call("release", &keys, &args).remove(0)
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
        self.set_record(
            slot,
            &Record {
                fence: 5,
                horizon: 0,
                floor: 0,
                till,
                label: String::new(),
            },
        );
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
