//! What one node knows of its cluster.

use std::{collections::BTreeSet, ops::RangeInclusive};

use anyhow::{Context, Result};

use crate::server::RedisServer;

/// A node's own table.
#[derive(Debug)]
pub(super) struct View {
    pub(super) nodes: Vec<Entry>,
}

/// One node in such a table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    flags: Vec<String>,
    /// The id of its master, if it is a replica.
    pub(super) master: Option<String>,
    pub(super) epoch: u64,
    slots: Vec<RangeInclusive<u16>>,
}

impl View {
    /// Asks `node`.
    pub(super) fn of(node: &RedisServer) -> Result<Self> {
        Self::parse(&node.query::<String>(&["CLUSTER", "NODES"])?)
    }

    fn parse(text: &str) -> Result<Self> {
        let entry = |line| Entry::parse(line).with_context(|| format!("a node like {line:?}"));
        Ok(Self {
            nodes: text.lines().map(entry).collect::<Result<_>>()?,
        })
    }

    pub(super) fn myself(&self) -> Option<&Entry> {
        self.nodes.iter().find(|node| node.is("myself"))
    }

    pub(super) fn node(&self, id: &String) -> Option<&Entry> {
        self.nodes.iter().find(|node| node.id == *id)
    }

    /// How many slots have an owner.
    pub(super) fn owned_slots(&self) -> usize {
        let ranges = self.nodes.iter().flat_map(|node| &node.slots);
        ranges.map(ExactSizeIterator::len).sum()
    }

    /// Who owns what, to compare with another node's.
    pub(super) fn ownership(&self) -> BTreeSet<(String, String)> {
        let owners = self.nodes.iter().filter(|node| !node.slots.is_empty());
        owners
            .map(|node| (node.id.clone(), format!("{:?}", node.slots)))
            .collect()
    }
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let id = fields.next()?.to_owned();
        let flags = fields.nth(1)?.split(',').map(str::to_owned).collect();
        let master = fields.next().filter(|id| *id != "-").map(str::to_owned);
        let epoch = fields.nth(2)?.parse().ok()?;
        Some(Self {
            id,
            flags,
            master,
            epoch,
            // After the state of the link; slots that are moving stand in brackets and have their owner elsewhere.
            slots: fields.skip(1).filter_map(range).collect(),
        })
    }

    pub(super) fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own == flag)
    }

    pub(super) fn is_master(&self) -> bool {
        self.is("master")
    }

    pub(super) fn owns(&self, slot: u16) -> bool {
        self.slots.iter().any(|range| range.contains(&slot))
    }
}

/// `5461-10922` or `7`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_with_a_slot_on_the_move() {
        let text = "aa 127.0.0.1:7000@17000 myself,master - 0 0 3 connected 0-99 200 [100->-bb]\n\
                    bb 127.0.0.1:7001@17001,host slave aa 0 5 3 connected\n";
        let view = View::parse(text).unwrap();
        let me = view.myself().unwrap();
        assert_eq!((me.id.as_str(), me.epoch), ("aa", 3));
        assert!(me.owns(99) && me.owns(200) && !me.owns(100));
        assert_eq!(view.owned_slots(), 101);
        assert_eq!(view.nodes[1].master.as_deref(), Some("aa"));
        assert!(View::parse("nonsense").is_err());
    }
}
