//! The disks of two sides in replication: each has one log, and loses what it had not synced.
//!
//! Assumed of a disk, and nothing more: an fsync that returned is kept. Not assumed: that what was
//! written without an fsync is kept, or lost; that a disk is still the one it was yesterday. An entry carries
//! the hash of everything before it, so that I3 (equal positions, equal histories) is looked at whenever
//! one is written anywhere.

use std::collections::BTreeMap;

use pair::{Cut, Log, LogFacts, Position, Record, StoreId, Term};

use crate::chance::Chance;
use crate::process::SIDES;
use crate::store::History;

/// One entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) position: Position,
    /// Stands for the entry and everything before it.
    history: u64,
}

/// The disk of one side.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) store: StoreId,
    entries: Vec<Entry>,
    /// So many of them are synced.
    durable: usize,
    /// So many at the beginning are retired: they count, and cannot be shipped.
    retired: usize,
    pub(crate) incomplete: bool,
    pub(crate) record: Option<Box<Record>>,
}

/// All disks there ever were, and which one each side has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disks {
    all: Vec<Disk>,
    of_sides: [usize; 2],
    stores: u8,
    /// What was before each position, by whoever wrote it first (I3).
    histories: BTreeMap<Position, u64>,
}

impl Disk {
    /// The log as its entries say.
    fn log(&self) -> Log {
        let mut log = Log::default();
        for entry in &self.entries {
            log.grow(entry.position);
        }
        log
    }

    pub(crate) fn facts(&self) -> LogFacts {
        let oldest = self.retired.checked_sub(1).map(|last| self.entries[last]);
        LogFacts {
            store: self.store,
            log: self.log(),
            oldest: oldest.map(|entry| entry.position),
            incomplete: self.incomplete,
            record: self.record.clone(),
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How much of each term it has, synced or not.
    pub(crate) fn history(&self) -> History {
        let log = self.log();
        let terms = log.terms().iter();
        terms.map(|end| (end.term, end.seq)).collect()
    }

    /// Entries of a term that are synced.
    pub(crate) fn durable(&self, term: Term) -> u64 {
        let synced = self.entries[..self.durable].iter().rev();
        let mut of_term = synced.filter(|entry| entry.position.term == term);
        of_term.next().map_or(0, |entry| entry.position.seq)
    }

    /// The last position that is synced.
    pub(crate) fn synced_end(&self) -> Option<Position> {
        let last = self.durable.checked_sub(1)?;
        Some(self.entries[last].position)
    }

    /// The last position, synced or not.
    pub(crate) fn end(&self) -> Option<Position> {
        self.entries.last().map(|entry| entry.position)
    }

    /// Everything written is synced.
    pub(crate) const fn sync_all(&mut self) {
        self.durable = self.entries.len();
    }

    /// So many entries are synced.
    pub(crate) fn sync(&mut self, entries: usize) {
        self.durable = self.durable.max(entries.min(self.entries.len()));
    }

    /// The log up to that entry of that term is synced.
    pub(crate) fn sync_term(&mut self, term: Term, seq: u64) {
        if let Some(at) = self.index(Position { term, seq }) {
            self.sync(at + 1);
        }
    }

    /// Where an entry is.
    pub(crate) fn index(&self, position: Position) -> Option<usize> {
        self.entries.iter().rposition(|it| it.position == position)
    }

    /// What lies beyond the cut is moved aside.
    pub(crate) fn cut(&mut self, cut: Cut) {
        match cut {
            Cut::After(position) => {
                let left = self.index(position).map_or(0, |at| at + 1);
                self.entries.truncate(left);
            }
            Cut::Everything { .. } => {
                self.incomplete = true;
                self.entries.clear();
            }
        }
        self.durable = self.durable.min(self.entries.len());
        self.retired = self.retired.min(self.entries.len());
    }

    /// The log is what was read before.
    pub(crate) fn go_back_to(&mut self, entries: Vec<Entry>) {
        self.entries = entries;
        self.durable = self.durable.min(self.entries.len());
    }

    /// Its process ended: any part of what was not synced is lost, and what is torn.
    fn lose_unsynced(&mut self, chance: &mut Chance) {
        let unsynced = self.entries.len() - self.durable;
        let kept = chance.below(unsynced as u64 + 1);
        let kept = usize::try_from(kept).unwrap_or(0);
        self.entries.truncate(self.durable + kept);
    }

    /// Some of what is synced is retired.
    pub(crate) fn retire(&mut self, chance: &mut Chance) -> Option<Position> {
        let more = chance.below(self.durable as u64 + 1);
        self.retired = self.retired.max(usize::try_from(more).unwrap_or(0));
        let last = self.retired.checked_sub(1)?;
        Some(self.entries[last].position)
    }
}

impl Disks {
    /// Gives both sides empty disks.
    pub(crate) fn new() -> Self {
        let mut both = Self::default();
        for side in 0..SIDES.len() {
            both.replace(side);
        }
        both
    }

    fn next_store(&mut self) -> StoreId {
        self.stores = self.stores.saturating_add(1);
        StoreId::new([self.stores; 16])
    }

    /// Gives a side an empty disk.
    pub(crate) fn replace(&mut self, side: usize) {
        let disk = Disk {
            store: self.next_store(),
            entries: Vec::new(),
            durable: 0,
            retired: 0,
            incomplete: false,
            record: None,
        };
        self.of_sides[side] = self.all.len();
        self.all.push(disk);
    }

    /// Whether a side ever got another disk, or its disk another name.
    pub(crate) const fn were_replaced(&self) -> bool {
        self.stores > 2
    }

    /// Which disk a side has.
    pub(crate) const fn of_side(&self, side: usize) -> usize {
        self.of_sides[side]
    }

    pub(crate) fn disk(&mut self, disk: usize) -> &mut Disk {
        &mut self.all[disk]
    }

    pub(crate) fn peek(&self, disk: usize) -> &Disk {
        &self.all[disk]
    }

    /// A person restores a side's data from a copy: some of its last entries are gone, and it is another
    /// store. Under its own name it would be a disk that went back.
    pub(crate) fn restore(&mut self, side: usize, lost: usize, renamed: bool) {
        let store = renamed.then(|| self.next_store());
        let disk = &mut self.all[self.of_sides[side]];
        disk.entries
            .truncate(disk.entries.len().saturating_sub(lost));
        disk.durable = disk.entries.len();
        disk.retired = disk.retired.min(disk.durable);
        disk.store = store.unwrap_or(disk.store);
    }

    /// A disk gets another identity.
    pub(crate) fn rename(&mut self, disk: usize) {
        self.all[disk].store = self.next_store();
    }

    pub(crate) fn lose_unsynced(&mut self, disk: usize, chance: &mut Chance) {
        self.all[disk].lose_unsynced(chance);
    }

    /// Writes an entry; what is wrong with it, if anything.
    pub(crate) fn append(&mut self, disk: usize, position: Position) -> Option<String> {
        let before = self.all[disk].entries.last();
        let before = before.map_or(0, |entry| entry.history);
        let Term { epoch, inc } = position.term;
        let mut history = before ^ 0xcbf2_9ce4_8422_2325;
        for part in [epoch, u64::from(inc.0[0]), position.seq] {
            history = (history ^ part).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let known = *self.histories.entry(position).or_insert(history);
        self.all[disk].entries.push(Entry { position, history });
        (known != history).then(|| format!("I3: {position} has two histories"))
    }
}
