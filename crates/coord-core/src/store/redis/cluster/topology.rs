//! Who serves which hash slot, as the nodes say it.

use crate::endpoint::Address;

const SLOTS: usize = 16_384;

/// The owners of the hash slots.
#[derive(Debug, Default)]
pub(super) struct Topology {
    masters: Vec<Address>,
    /// Every other node that was named; it may be a master tomorrow.
    others: Vec<Address>,
    /// By slot: the configuration epoch of its owner and the owner's place among the masters, plus one.
    owners: Vec<(u64, u16)>,
}

/// `MOVED 3999 127.0.0.1:6381` or `ASK …`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Redirection {
    /// `MOVED`, not `ASK`.
    pub(super) for_good: bool,
    pub(super) slot: u16,
    pub(super) address: Address,
}

impl Redirection {
    /// `None` where the server did not say where to go, as it may (`MOVED 3999 :0`).
    pub(super) fn parse(code: &str, detail: &str) -> Option<Self> {
        let (slot, address) = detail.split_once(' ')?;
        Some(Self {
            slot: slot
                .parse()
                .ok()
                .filter(|&slot| usize::from(slot) < SLOTS)?,
            address: parse_address(address, None, false)?,
            for_good: code == "MOVED",
        })
    }
}

impl Topology {
    /// How many nodes are remembered: four times as many as a cluster may have. What a node says beyond that is not read.
    const MAX_NODES: usize = 4_096;

    pub(super) fn is_empty(&self) -> bool {
        self.masters.is_empty()
    }

    /// All nodes that are known, masters first.
    pub(super) fn addresses(&self) -> Vec<Address> {
        self.masters.iter().chain(&self.others).cloned().collect()
    }

    pub(super) fn master_of(&self, slot: u16) -> Option<Address> {
        let &(_, owner) = self.owners.get(usize::from(slot))?;
        self.masters
            .get(usize::from(owner).checked_sub(1)?)
            .cloned()
    }

    /// A master that serves something.
    pub(super) fn any_master(&self) -> Option<Address> {
        let &(_, owner) = self.owners.iter().find(|&&(_, owner)| owner != 0)?;
        self.masters.get(usize::from(owner) - 1).cloned()
    }

    /// A node said that `slot` is served by another.
    pub(super) fn moved(&mut self, slot: u16, address: Address) {
        let owner = self.master(address);
        self.owners.resize(SLOTS, (0, 0));
        if let Some(entry) = self.owners.get_mut(usize::from(slot)) {
            entry.1 = owner;
        }
    }

    /// What this node served is unknown now.
    pub(super) fn forget(&mut self, address: &Address) {
        let Some(index) = self.masters.iter().position(|known| known == address) else {
            return;
        };
        for entry in &mut self.owners {
            if usize::from(entry.1) == index + 1 {
                entry.1 = 0;
            }
        }
    }

    /// Takes in what the node at `asked` answered to `CLUSTER NODES`. The higher configuration epoch wins: a master
    /// that was succeeded and does not know it yet has a lower one. Where `by_name`, nodes that announce a host name are
    /// reached by it, as their certificates want it.
    pub(super) fn merge(&mut self, asked: &Address, text: &str, by_name: bool) {
        self.owners.resize(SLOTS, (0, 0));
        // Nobody owns a slot twice, so an answer that goes on for longer is none.
        let mut left = SLOTS;
        for line in text.lines().take(Self::MAX_NODES) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let [_, address, flags, _, _, _, epoch, _, slots @ ..] = fields.as_slice() else {
                continue;
            };
            let has = |name: &str| flags.split(',').any(|flag| flag == name);
            if has("noaddr") || has("handshake") {
                continue;
            }
            let own_host = has("myself").then_some(asked.host.as_str());
            let (Some(address), Ok(epoch)) = (
                parse_address(address, own_host, by_name),
                epoch.parse::<u64>(),
            ) else {
                continue;
            };
            let is_known = self.others.contains(&address) || self.masters.contains(&address);
            if !is_known && Self::MAX_NODES <= self.masters.len() + self.others.len() {
                continue;
            }
            if has("fail") || !has("master") || slots.is_empty() {
                if !is_known {
                    self.others.push(address);
                }
                continue;
            }
            let owner = self.master(address);
            for (first, last) in slots.iter().filter_map(|text| parse_range(text)) {
                let Some(rest) = left.checked_sub(last - first + 1) else {
                    return;
                };
                left = rest;
                for entry in &mut self.owners[first..=last] {
                    // Epochs begin at 0; an unowned slot takes any.
                    if entry.1 == 0 || entry.0 < epoch {
                        *entry = (epoch, owner);
                    }
                }
            }
        }
    }

    /// The place of `address` among the masters, plus one; 0, nobody's, where there are too many.
    fn master(&mut self, address: Address) -> u16 {
        self.others.retain(|known| *known != address);
        let index = self.masters.iter().position(|known| *known == address);
        if index.is_none() && Self::MAX_NODES <= self.masters.len() {
            return 0;
        }
        let index = index.unwrap_or_else(|| {
            self.masters.push(address);
            self.masters.len() - 1
        });
        u16::try_from(index + 1).unwrap_or(0)
    }
}

/// `127.0.0.1:6381@16381,host`, `::1:6381`, `host:6381`; `own_host` stands in for an address that a node does not know
/// of itself.
fn parse_address(text: &str, own_host: Option<&str>, by_name: bool) -> Option<Address> {
    let mut fields = text.split(',');
    let text = fields.next().unwrap_or_default();
    // Further fields are of the form shard-id=….
    let name = fields
        .next()
        .filter(|name| by_name && !name.is_empty() && !name.contains('='));
    let (text, _bus) = text.split_once('@').unwrap_or((text, ""));
    let (host, port) = text.rsplit_once(':')?;
    let host = match name {
        Some(name) => name,
        None if host.is_empty() || host == "?" => own_host?,
        None => host,
    };
    Some(Address {
        host: host.to_owned(),
        port: port.parse().ok().filter(|&port| port != 0)?,
    })
}

/// `5461-10922` or `93`; `[93-<-…]` is a slot under way and owned by another.
fn parse_range(text: &str) -> Option<(usize, usize)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < SLOTS).then_some((first, last))
}

/// Whatever a node says, only nodes that it named are known, and none without a port.
#[cfg(feature = "fuzzing")]
pub(in crate::store::redis) fn fuzz(text: &str) {
    let asked = Address {
        host: "asked".to_owned(),
        port: 1,
    };
    let mut topology = Topology::default();
    topology.merge(&asked, text, false);
    topology.merge(&asked, text.get(text.len() / 2..).unwrap_or_default(), true);
    for code in ["MOVED", "ASK"] {
        if let Some(found) = Redirection::parse(code, text) {
            topology.moved(found.slot, found.address.clone());
            assert_eq!(topology.master_of(found.slot), Some(found.address));
        }
    }
    let known = topology.addresses();
    assert!(known.iter().all(|address| address.port != 0));
    assert!(known.len() <= Topology::MAX_NODES);
    for slot in [0, 1, 5_461, 16_383] {
        let owner = topology.master_of(slot);
        assert!(owner.is_none_or(|owner| known.contains(&owner)));
    }
    if let Some(master) = topology.any_master() {
        topology.forget(&master);
        assert_ne!(topology.any_master(), Some(master));
    }
}

#[cfg(test)]
mod tests;
