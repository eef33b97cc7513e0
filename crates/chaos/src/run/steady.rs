//! Does everybody work?

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, ensure};
use coord_tests::wait;

use crate::{
    history::{EXTENSION, Grant, History, Kind, What, now_us},
    nemesis::{Clients, Load},
};

/// Waits until every holder mints under a valid grant, and every bucket has one owner.
///
/// # Errors
///
/// When it is not so within `within`; says what is missing.
pub(super) fn wait(
    directory: &Path,
    load: &Load,
    holders: &Clients,
    workers: &Clients,
    within: Duration,
) -> Result<()> {
    let since = now_us();
    wait::until_ok(within, || {
        holders.check_alive()?;
        workers.check_alive()?;
        // Also keeps from reading long histories all the time.
        std::thread::sleep(LOOK_AGAIN);
        let mut minting = 0;
        for name in holders.names() {
            minting += Present::read(directory, &name)?.minting(since);
        }
        let wanted = usize::try_from(load.processes * load.holders)?;
        ensure!(minting == wanted, "{minting} of {wanted} holders mint");
        let mut owners = vec![0_u32; usize::try_from(load.buckets)?];
        for name in workers.names() {
            for bucket in Present::read(directory, &name)?.buckets() {
                owners[usize::try_from(bucket)?] += 1;
            }
        }
        let owned = owners.iter().filter(|count| **count == 1).count();
        ensure!(
            owned == owners.len(),
            "{owned} of {} buckets have one owner",
            owners.len()
        );
        Ok(())
    })
}

/// What the members of a process hold at the end of its history.
#[derive(Default)]
struct Present {
    open: BTreeMap<(u32, Kind, u32), Grant>,
    deadlines: BTreeMap<(u32, Kind), u64>,
    minted: BTreeMap<u32, u64>,
}

impl Present {
    fn read(directory: &Path, name: &str) -> Result<Self> {
        let history = History::read(&directory.join(name).with_extension(EXTENSION))?;
        let mut present = Self::default();
        for record in history.records {
            let member = record.member;
            match record.what {
                What::Granted { grant, .. } => {
                    present
                        .open
                        .insert((member, grant.kind, grant.number), grant);
                }
                What::Ended { grant, .. } => {
                    present.open.remove(&(member, grant.kind, grant.number));
                }
                What::Until { kind, deadline } => {
                    present.deadlines.insert((member, kind), deadline);
                }
                What::Ids { .. } => {
                    present.minted.insert(member, record.at);
                }
                _ => {}
            }
        }
        Ok(present)
    }

    fn valid(&self) -> impl Iterator<Item = (u32, &Grant)> {
        let now = now_us();
        let valid = move |member, kind| {
            let deadline = self.deadlines.get(&(member, kind));
            deadline.is_some_and(|deadline| now < *deadline)
        };
        let open = self.open.iter();
        open.filter(move |((member, kind, _), _)| valid(*member, *kind))
            .map(|((member, ..), grant)| (*member, grant))
    }

    fn minting(&self, since: u64) -> usize {
        let mints = |member| self.minted.get(&member).is_some_and(|at| since < *at);
        let slots = self.valid().filter(|(_, grant)| grant.kind == Kind::Slot);
        slots.filter(|(member, _)| mints(*member)).count()
    }

    fn buckets(&self) -> Vec<u32> {
        let buckets = self.valid().filter(|(_, grant)| grant.kind == Kind::Bucket);
        buckets.map(|(_, grant)| grant.number).collect()
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(300);
