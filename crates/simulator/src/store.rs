//! The shared store of the model: term files, logs, seals, and what clients were promised.

use std::collections::BTreeMap;

use pair::Term;

/// What a term builds on: logs and how much of each.
pub(crate) type History = BTreeMap<Term, u64>;

/// A term file.
#[derive(Clone, Debug)]
struct TermFile {
    locked_by: Option<u8>,
    fenced: bool,
}

/// The store both sides open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    files: BTreeMap<Term, TermFile>,
    /// Entries of each term's own log that are on disk.
    durable: BTreeMap<Term, u64>,
    seals: BTreeMap<Term, History>,
    /// Entries of each term's own log that were acknowledged.
    acknowledged: BTreeMap<Term, u64>,
    /// Terms that served, with what they built on.
    served: BTreeMap<Term, History>,
    /// What should never happen, and did.
    pub(crate) violations: Vec<String>,
}

impl Store {
    /// The highest epoch that ever wrote.
    pub(crate) fn newest_epoch(&self) -> u64 {
        let terms = self.durable.keys().chain(self.seals.keys());
        terms.map(|term| term.epoch).max().unwrap_or(0)
    }

    /// The terms below this one whose files are there.
    pub(crate) fn files_below(&self, own: Term) -> Vec<Term> {
        let terms = self.files.keys().copied();
        terms.filter(|term| term.epoch < own.epoch).collect()
    }

    /// A term above this one whose file is there.
    pub(crate) fn file_above(&self, own: Term) -> Option<Term> {
        let mut terms = self.files.keys().copied();
        terms.find(|term| term.epoch > own.epoch)
    }

    /// Data of a term nobody knows any more.
    pub(crate) fn old_data(&mut self, term: Term) {
        self.durable.insert(term, 1);
    }

    pub(crate) fn create(&mut self, term: Term, process: u8) -> bool {
        if self.files.contains_key(&term) {
            return false;
        }
        self.files.insert(
            term,
            TermFile {
                locked_by: Some(process),
                fenced: false,
            },
        );
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
        for file in self
            .files
            .values_mut()
            .filter(|file| file.locked_by == Some(process))
        {
            file.locked_by = None;
        }
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

    /// An fsync: so many entries of the term's log are on disk.
    pub(crate) fn sync(&mut self, term: Term, entries: u64) {
        let durable = self.durable.entry(term).or_default();
        *durable = entries.max(*durable);
    }

    /// What a taker reads: the newest older seal, and its term's own log to the end.
    pub(crate) fn load(&self, own: Term) -> History {
        let older = self
            .seals
            .iter()
            .rev()
            .find(|(term, _)| term.epoch < own.epoch);
        let Some((sealed, history)) = older else {
            return History::new();
        };
        let mut history = history.clone();
        history.insert(*sealed, self.durable.get(sealed).copied().unwrap_or(0));
        history
    }

    /// Seals an epoch, unless another term has.
    pub(crate) fn seal(&mut self, own: Term, history: History) -> bool {
        let taken = self
            .seals
            .keys()
            .any(|term| term.epoch == own.epoch && *term != own);
        if !taken {
            self.seals.insert(own, history);
        }
        !taken
    }

    /// A term starts serving: I1 and I4.
    pub(crate) fn serve(&mut self, own: Term) {
        let history = self.seals.get(&own).cloned().unwrap_or_default();
        for (term, acknowledged) in &self.acknowledged {
            let kept = history.get(term).copied().unwrap_or(0);
            if *term != own && term.epoch <= own.epoch && kept < *acknowledged {
                self.violations.push(format!(
                    "I1: term {own} serves with {kept} of {acknowledged} acknowledged entries of \
                     term {term}"
                ));
            }
        }
        if let Some((twin, _)) = self.served.iter().find(|(term, _)| term.epoch == own.epoch) {
            self.violations.push(format!(
                "I4: term {own} serves the epoch that {twin} served"
            ));
        }
        self.served.insert(own, history);
    }

    /// Clients are told: I2, and nothing that is not on disk.
    pub(crate) fn acknowledge(&mut self, term: Term, up_to: u64) {
        let on_disk = self.durable.get(&term).copied().unwrap_or(0);
        if up_to > on_disk {
            self.violations.push(format!(
                "term {term} acknowledges {up_to} entries, {on_disk} are on disk"
            ));
        }
        for (later, history) in self.served.iter().filter(|(it, _)| it.epoch > term.epoch) {
            let kept = history.get(&term).copied().unwrap_or(0);
            if kept < up_to {
                self.violations.push(format!(
                    "I2: term {term} acknowledges {up_to} entries, the serving term {later} has \
                     {kept}"
                ));
            }
        }
        let acknowledged = self.acknowledged.entry(term).or_default();
        *acknowledged = up_to.max(*acknowledged);
    }

    /// How many entries were acknowledged in all.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.values().sum()
    }

    /// How many terms served.
    pub(crate) fn terms_served(&self) -> usize {
        self.served.len()
    }
}
