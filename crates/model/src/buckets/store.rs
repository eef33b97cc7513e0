//! What `group.lua` and `table.lua` keep, and the arithmetic of shares. All members have weight 1, or 0 while they give
//! everything away; grace is 0, and membership counts as settled at once.

pub(crate) const NUMBERS: usize = 4;
pub(crate) const BUCKETS: usize = 3;

/// A bucket and the epoch of a grant.
pub(crate) type Grant = (u8, u16);

/// Everything a server keeps of one group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    /// `history`: who wrote last, and until when nothing is granted.
    pub(crate) run: u8,
    pub(crate) till: u8,
    pub(crate) generation: u8,
    pub(crate) doubted: bool,
    pub(crate) top: u8,
    pub(crate) retired: Vec<u8>,
    pub(crate) records: [Option<Record>; NUMBERS],
    pub(crate) buckets: [Bucket; BUCKETS],
}

/// What `members`, `lease` and `inbox` say of one member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) id: u8,
    pub(crate) incarnation: Incarnation,
    /// The generation it is in step with; 0: none.
    pub(crate) generation: u8,
    pub(crate) seq: u8,
    pub(crate) acked: u8,
    pub(crate) given: u8,
    pub(crate) weight: u8,
    pub(crate) lease: u8,
    pub(crate) inbox: Vec<Grant>,
}

/// The time of a join, and the actor that joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Incarnation {
    pub(crate) born: u8,
    pub(crate) actor: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Bucket {
    pub(crate) epoch: u16,
    /// The number of the member that has it, or had it last.
    pub(crate) owner: u8,
    pub(crate) ring: Ring,
}

/// The ring that a bucket is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Ring {
    /// None: never granted.
    #[default]
    Virgin,
    Free,
    Own,
    /// The table gives it to its owner, which has not confirmed that.
    Limbo,
}

impl Group {
    pub(crate) fn record(&self, number: u8) -> Option<&Record> {
        self.records
            .get(usize::from(number).checked_sub(1)?)?
            .as_ref()
    }

    pub(crate) fn record_mut(&mut self, number: u8) -> Option<&mut Record> {
        self.records
            .get_mut(usize::from(number).checked_sub(1)?)?
            .as_mut()
    }

    pub(crate) fn number_of(&self, id: u8) -> Option<u8> {
        self.numbers()
            .find(|&number| self.record(number).is_some_and(|record| record.id == id))
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = u8> + use<'_> {
        (1..=4).filter(|&number| self.record(number).is_some())
    }

    /// The member whose lease ends first, and when.
    pub(crate) fn first_lease(&self) -> Option<(u8, u8)> {
        self.numbers()
            .filter_map(|number| Some((self.record(number)?.lease, number)))
            .min()
            .map(|(lease, number)| (number, lease))
    }

    pub(crate) fn count(&self, number: u8) -> u8 {
        let is_its = |bucket: &&Bucket| {
            bucket.owner == number && matches!(bucket.ring, Ring::Own | Ring::Limbo)
        };
        fit(self.buckets.iter().filter(is_its).count())
    }

    pub(crate) fn free(&self, buckets: u8) -> u8 {
        let is_free = |bucket: &&Bucket| matches!(bucket.ring, Ring::Free | Ring::Virgin);
        fit(self.buckets[..usize::from(buckets)]
            .iter()
            .filter(is_free)
            .count())
    }

    /// `new_number` in `table.lua`: the first one that no free bucket names.
    pub(crate) fn new_number(&mut self) -> Option<u8> {
        let is_named = |number: &u8| {
            let names = |bucket: &Bucket| bucket.ring == Ring::Free && bucket.owner == *number;
            self.buckets.iter().any(names)
        };
        if let Some(at) = self.retired.iter().position(|number| !is_named(number)) {
            return Some(self.retired.remove(at));
        }
        if usize::from(self.top) == NUMBERS {
            return None;
        }
        self.top += 1;
        Some(self.top)
    }

    /// `remove` in `table.lua`: the buckets become free at once, and keep the number of their last owner.
    pub(crate) fn remove(&mut self, number: u8) {
        for bucket in &mut self.buckets {
            if bucket.owner == number && matches!(bucket.ring, Ring::Own | Ring::Limbo) {
                bucket.ring = Ring::Free;
            }
        }
        self.records[usize::from(number) - 1] = None;
        self.retired.push(number);
    }

    /// `splice(ring_own, ring_limbo)` with an empty inbox.
    pub(crate) fn unconfirm(&mut self, number: u8) {
        for bucket in &mut self.buckets {
            if bucket.owner == number && bucket.ring == Ring::Own {
                bucket.ring = Ring::Limbo;
            }
        }
        if let Some(record) = self.record_mut(number) {
            (record.acked, record.given) = (0, 0);
            record.inbox.clear();
        }
    }

    pub(crate) fn set_free(&mut self, bucket: u8) {
        let bucket = &mut self.buckets[usize::from(bucket)];
        (bucket.owner, bucket.ring) = (0, Ring::Free);
    }

    /// `give` in `table.lua`.
    pub(crate) fn give(&mut self, now: u8, number: u8, bucket: u8, epochs_rise: bool) {
        let own = &mut self.buckets[usize::from(bucket)];
        own.epoch = if epochs_rise {
            (own.epoch + 1).max(u16::from(now) * 8)
        } else {
            own.epoch.max(1)
        };
        (own.owner, own.ring) = (number, Ring::Own);
        let grant = (bucket, own.epoch);
        if let Some(record) = self.record_mut(number) {
            record.inbox.push(grant);
            record.given += 1;
        }
    }

    /// `take_free` in `table.lua`; the order among free buckets is that of their numbers.
    pub(crate) fn take_free(&self, most: u8, buckets: u8) -> Vec<u8> {
        let in_ring = |wanted: Ring| {
            (0..buckets).filter(move |&bucket| self.buckets[usize::from(bucket)].ring == wanted)
        };
        in_ring(Ring::Free)
            .chain(in_ring(Ring::Virgin))
            .take(usize::from(most))
            .collect()
    }

    pub(crate) fn shares(&self, buckets: u8) -> Shares {
        let members = fit(self.weighty().count());
        if members == 0 {
            return Shares::default();
        }
        Shares {
            floor: buckets / members,
            extras: buckets % members,
        }
    }

    fn weighty(&self) -> impl Iterator<Item = u8> + use<'_> {
        self.numbers()
            .filter(|&number| self.record(number).is_some_and(|record| record.weight != 0))
    }

    /// `above` in `group.lua`.
    pub(crate) fn above(&self, shares: Shares) -> u8 {
        if shares.extras == 0 {
            return 0;
        }
        let is_above = |number: &u8| shares.floor < self.count(*number);
        fit(self.weighty().filter(is_above).count())
    }

    /// `quota` in `group.lua`.
    pub(crate) fn quota(&self, number: u8, weight: u8, count: u8, shares: Shares) -> u8 {
        if weight == 0 {
            return 0;
        }
        if shares.extras == 0 {
            return shares.floor;
        }
        let taken = self.above(shares);
        if count <= shares.floor {
            return shares.floor + u8::from(taken < shares.extras);
        }
        if taken <= shares.extras {
            return shares.floor + 1;
        }
        let mine = (self.count(number), number);
        let before = |other: &u8| {
            let its = (self.count(*other), *other);
            shares.floor < its.0 && its < mine
        };
        let rank = fit(self.weighty().filter(before).count());
        shares.floor + u8::from(rank < shares.extras)
    }

    /// `neediest` in `table.lua`: who lacks most of those whose lease runs, and how many.
    pub(crate) fn neediest(&self, now: u8, shares: Shares) -> Option<(u8, u8)> {
        let is_live = |number: &u8| {
            self.record(*number)
                .is_some_and(|record| 0 < record.seq && now < record.lease)
        };
        let lowest = self
            .weighty()
            .filter(is_live)
            .min_by_key(|&number| (self.count(number), number))?;
        let lacks = shares.floor.checked_sub(self.count(lowest))?;
        let extra = shares.extras != 0 && self.above(shares) < shares.extras;
        match lacks + u8::from(extra) {
            0 => None,
            lacks => Some((lowest, lacks)),
        }
    }
}

/// floor(B / N), and how many members get one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shares {
    pub(crate) floor: u8,
    pub(crate) extras: u8,
}

pub(crate) fn fit(count: usize) -> u8 {
    u8::try_from(count).expect("a handful")
}
