//! The shared store of the model: term files with locks and marks, logs, seals.
//!
//! Assumed of a store, and nothing more: a file is created once; an fsync that returned is kept; a
//! mark and a seal are there or not, for everybody at once. Not assumed: that a lock is kept, or
//! works at all; that what was written without an fsync is kept, or lost; that a write lands before
//! its process has ended. Caches of network disks are modelled only as a listing that is old for a
//! moment.

use std::collections::BTreeMap;

use pair::Term;

use crate::chance::Chance;
use crate::segments::{Segment, Segments};

/// What a term builds on: logs and how much of each.
pub(crate) type History = BTreeMap<Term, u64>;

/// A term file.
#[derive(Clone, Debug)]
struct TermFile {
    locked_by: Option<u8>,
    fenced: bool,
}

/// A term's own log.
#[derive(Clone, Copy, Debug, Default)]
struct Log {
    /// Entries on disk.
    durable: u64,
    /// Entries written, of which a reader may see any number beyond those on disk.
    written: u64,
}

/// The store both sides open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    files: BTreeMap<Term, TermFile>,
    logs: BTreeMap<Term, Log>,
    seals: BTreeMap<Term, History>,
    /// The files of the logs.
    pub(crate) segments: Segments,
    /// The one mark of a store that has only one: the term that serves.
    one_mark: Option<Term>,
    /// The one lock of a store that has only one.
    one_lock: Option<u8>,
}

impl Store {
    /// The highest epoch that ever wrote.
    pub(crate) fn newest_epoch(&self) -> u64 {
        let log = self.logs.last_key_value().map_or(0, |(term, _)| term.epoch);
        let seal = self
            .seals
            .last_key_value()
            .map_or(0, |(term, _)| term.epoch);
        log.max(seal)
    }

    /// The terms whose files are there, ascending.
    pub(crate) fn terms(&self) -> impl Iterator<Item = Term> {
        self.files.keys().copied()
    }

    /// The terms below this one whose files are there.
    pub(crate) fn files_below(&self, own: Term) -> impl Iterator<Item = Term> {
        let terms = self.files.keys().copied();
        terms.take_while(move |term| term.epoch < own.epoch)
    }

    /// A term above this one whose file is there.
    pub(crate) fn file_above(&self, own: Term) -> Option<Term> {
        let (newest, _) = self.files.last_key_value()?;
        (newest.epoch > own.epoch).then_some(*newest)
    }

    /// Data of a term nobody knows any more.
    pub(crate) fn old_data(&mut self, term: Term) {
        let log = Log {
            durable: 1,
            written: 1,
        };
        self.logs.insert(term, log);
    }

    /// Creates a term's file, locked unless its process has ended already.
    pub(crate) fn create(&mut self, term: Term, locked_by: Option<u8>) -> bool {
        if self.files.contains_key(&term) {
            return false;
        }
        let file = TermFile {
            locked_by,
            fenced: false,
        };
        self.files.insert(term, file);
        true
    }

    pub(crate) fn delete(&mut self, term: Term) {
        self.files.remove(&term);
    }

    pub(crate) fn close(&mut self, term: Term) {
        if let Some(file) = self.files.get_mut(&term) {
            file.locked_by = None;
        }
    }

    /// A process ended, or its locks were lost.
    pub(crate) fn unlock_all(&mut self, process: u8) {
        for file in self.files.values_mut() {
            if file.locked_by == Some(process) {
                file.locked_by = None;
            }
        }
        self.unlock_the_one(process);
    }

    /// Whether the lock is held; nothing if there is no file.
    pub(crate) fn probe(&self, term: Term) -> Option<bool> {
        self.files.get(&term).map(|file| file.locked_by.is_some())
    }

    pub(crate) fn fence(&mut self, term: Term) {
        if let Some(file) = self.files.get_mut(&term) {
            file.fenced = true;
        }
    }

    /// The mark; nothing if there is no file.
    pub(crate) fn mark(&self, term: Term) -> Option<bool> {
        self.files.get(&term).map(|file| file.fenced)
    }

    /// The lock of a store that has only one: taken if it is free, or gone.
    pub(crate) fn lock_the_one(&mut self, process: u8) -> bool {
        if self.one_lock.is_some_and(|holder| holder != process) {
            return false;
        }
        self.one_lock = Some(process);
        true
    }

    pub(crate) fn unlock_the_one(&mut self, process: u8) {
        if self.one_lock == Some(process) {
            self.one_lock = None;
        }
    }

    /// The file of the one lock is deleted: who holds it holds nothing that others see.
    pub(crate) const fn delete_the_one(&mut self) {
        self.one_lock = None;
    }

    pub(crate) const fn the_one_is_locked(&self) -> bool {
        self.one_lock.is_some()
    }

    /// The mark of a store that has only one is overwritten.
    pub(crate) const fn mark_the_one(&mut self, term: Term) {
        self.one_mark = Some(term);
    }

    /// Whether the one mark names another term.
    pub(crate) fn the_one_marks(&self, own: Term) -> bool {
        self.one_mark.is_some_and(|term| term != own)
    }

    /// So many entries were written to a term's log.
    pub(crate) fn write(&mut self, term: Term, entries: u64) {
        let log = self.logs.entry(term).or_default();
        log.written = log.written.max(entries);
    }

    /// An fsync: so many entries of the term's log are on disk.
    pub(crate) fn sync(&mut self, term: Term, entries: u64) {
        let log = self.logs.entry(term).or_default();
        log.written = log.written.max(entries);
        log.durable = log.durable.max(entries);
    }

    /// Entries of a term's log that are on disk.
    pub(crate) fn durable(&self, term: Term) -> u64 {
        self.logs.get(&term).map_or(0, |log| log.durable)
    }

    /// A process ended: any part of what was not on disk is lost; what is torn reads as not there.
    pub(crate) fn lose_unsynced(&mut self, process: u8, chance: &mut Chance) {
        for (term, log) in &mut self.logs {
            if term.inc.0[0] == process && log.written > log.durable {
                log.written = log.durable + chance.below(log.written - log.durable + 1);
            }
        }
    }

    /// Reads a log to its last whole entry, which is on disk from here on.
    fn read_to_end(&mut self, term: Term, chance: &mut Chance) -> u64 {
        let Some(log) = self.logs.get_mut(&term) else {
            return 0;
        };
        if log.written > log.durable {
            log.durable += chance.below(log.written - log.durable + 1);
        }
        log.durable
    }

    /// What a taker reads: the newest older seal, and its term's own log to the end.
    pub(crate) fn load(&mut self, own: Term, chance: &mut Chance) -> History {
        let older = self.seals.iter().rev();
        let older = older
            .skip_while(|(term, _)| term.epoch >= own.epoch)
            .map(|(term, history)| (*term, history.clone()));
        let Some((sealed, mut history)) = older.into_iter().next() else {
            return History::new();
        };
        history.insert(sealed, self.read_to_end(sealed, chance));
        history
    }

    /// What is read where lengths are not sealed: the files of the newest seal, to their ends.
    pub(crate) fn load_unsealed(&mut self, own: Term, chance: &mut Chance) -> History {
        let mut history = self.load(own, chance);
        for (term, length) in &mut history {
            *length = self.read_to_end(*term, chance).max(*length);
        }
        history
    }

    /// What is read from one journal of all terms: everything that ever landed.
    pub(crate) fn load_all(&mut self, own: Term, chance: &mut Chance) -> History {
        let terms: Vec<Term> = self.logs.keys().copied().collect();
        let others = terms.into_iter().filter(|term| *term != own);
        others
            .map(|term| (term, self.read_to_end(term, chance)))
            .collect()
    }

    /// The newest term that sealed below this epoch.
    pub(crate) fn newest_seal_below(&self, epoch: u64) -> Option<Term> {
        let mut newest = self.seals.keys().rev().copied();
        newest.find(|term| term.epoch < epoch)
    }

    /// Seals an epoch, unless another term has.
    pub(crate) fn seal(&mut self, own: Term, history: History, segments: Vec<Segment>) -> bool {
        let newest = self.seals.keys().rev();
        let taken = newest
            .take_while(|term| term.epoch >= own.epoch)
            .any(|term| term.epoch == own.epoch && *term != own);
        if !taken {
            self.seals.insert(own, history);
            self.segments.seal(own, segments);
        }
        !taken
    }

    /// The term's own seal.
    pub(crate) fn sealed(&self, own: Term) -> Option<&History> {
        self.seals.get(&own)
    }
}
