//! The places of those who have connected and not proved who they are.
//!
//! There are few, so that nobody can use up the process' descriptors. One more pushes out the oldest of the address
//! that has most of them: whoever fills them pushes out his own, and a good peer needs its place for milliseconds.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Connections at the same time that are not proven. There is one other side.
pub(super) const MAX_UNPROVEN: usize = 16;

/// All places.
#[derive(Debug, Default)]
pub(super) struct Slots {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    newest: u64,
    taken: BTreeMap<u64, (IpAddr, CancellationToken)>,
}

/// One place, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u64,
    /// Cancelled when somebody else gets the place.
    pub(super) pushed_out: CancellationToken,
}

impl Slots {
    /// A place for somebody from `address`.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Slot {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        while table.taken.len() >= MAX_UNPROVEN {
            table.push_one_out();
        }
        table.newest += 1;
        let number = table.newest;
        let pushed_out = CancellationToken::new();
        table.taken.insert(number, (address, pushed_out.clone()));
        Slot {
            slots: Arc::clone(self),
            number,
            pushed_out,
        }
    }
}

impl Table {
    fn push_one_out(&mut self) {
        let mut counts = BTreeMap::new();
        for (address, _) in self.taken.values() {
            *counts.entry(*address).or_insert(0_usize) += 1;
        }
        let Some((most, _)) = counts.into_iter().max_by_key(|(_, count)| *count) else {
            return;
        };
        let oldest = self.taken.iter().find(|(_, (address, _))| *address == most);
        if let Some((number, _)) = oldest {
            let number = *number;
            if let Some((_, pushed_out)) = self.taken.remove(&number) {
                pushed_out.cancel();
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.slots.table.lock();
        let table = table.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut());
        table.taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn whoever_fills_the_places_pushes_out_his_own() {
        let slots = Arc::default();
        let good = Slots::take(&slots, address(1));
        let flood: Vec<Slot> = (0..100).map(|_| slots.take(address(2))).collect();
        assert!(!good.pushed_out.is_cancelled());
        let left = flood.iter().filter(|slot| !slot.pushed_out.is_cancelled());
        assert_eq!(left.count(), MAX_UNPROVEN - 1);
        assert!(!flood[99].pushed_out.is_cancelled());
        drop(flood);
        let table = slots.table.lock().unwrap();
        assert_eq!(table.taken.len(), 1);
    }
}
