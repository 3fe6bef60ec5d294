//! What clients were told and which terms served: the invariants are checked here, as it happens.
//!
//! - I1: when a term starts serving, its history has every entry acknowledged by lower terms.
//! - I2: what a term acknowledges is in the history of every higher term that serves already.
//! - I3: equal names, equal content: an entry is its term and its number, so this is how the model is
//!   made; what can differ is how much of a log a term builds on, which I5 compares.
//! - I4: no epoch serves twice; the *term start* is on disk before its term serves.
//! - I5: of the terms below two serving ones, the higher sees exactly as much as the lower did.
//! - I8: a side with open ports serves; what is delivered is delivered by the newest term.

use std::collections::BTreeMap;

use pair::Term;

use crate::store::{History, Store};

/// What was promised.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Entries of each term's own log that were acknowledged.
    acknowledged: BTreeMap<Term, u64>,
    /// Terms that served, with what they built on.
    served: BTreeMap<Term, History>,
    pub(crate) deliveries: u64,
    /// What should never happen, and did.
    pub(crate) violations: Vec<String>,
}

/// A world that is broken breaks again and again: so many are enough.
const MAX_VIOLATIONS: usize = 10;

impl Ledger {
    pub(crate) fn violated(&mut self, what: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(what);
        }
    }

    /// A term starts serving: I1, I4 and I5.
    pub(crate) fn serve(&mut self, own: Term, store: &Store) {
        let history = store.sealed(own).cloned().unwrap_or_default();
        self.serve_on(own, history, store.durable(own));
    }

    /// The same, of a term that builds on this history, with so many of its own entries on disk.
    pub(crate) fn serve_on(&mut self, own: Term, history: History, on_disk: u64) {
        let mut found = Vec::new();
        for (term, acknowledged) in &self.acknowledged {
            let kept = history.get(term).copied().unwrap_or(0);
            if *term != own && term.epoch <= own.epoch && kept < *acknowledged {
                found.push(format!(
                    "I1: term {own} serves with {kept} of {acknowledged} acknowledged entries of \
                     term {term}"
                ));
            }
        }
        if let Some((twin, _)) = self.served.iter().find(|(term, _)| term.epoch == own.epoch) {
            found.push(format!(
                "I4: term {own} serves the epoch that {twin} served"
            ));
        }
        if on_disk == 0 {
            found.push(format!("I4: term {own} serves before its start is on disk"));
        }
        for (earlier, built_on) in self.served.range(..own) {
            let mut older = history.range(..*earlier).chain(built_on.range(..*earlier));
            let changed = older.find(|(term, _)| {
                history.get(term).unwrap_or(&0) != built_on.get(term).unwrap_or(&0)
            });
            if let Some((term, _)) = changed {
                found.push(format!(
                    "I5: term {own} sees {} entries of term {term}, term {earlier} served with {}",
                    history.get(term).unwrap_or(&0),
                    built_on.get(term).unwrap_or(&0),
                ));
            }
        }
        for what in found {
            self.violated(what);
        }
        self.served.insert(own, history);
    }

    /// Clients are told: I2, and nothing that is not on disk.
    pub(crate) fn acknowledge(&mut self, term: Term, up_to: u64, store: &Store) {
        self.acknowledge_on(term, up_to, store.durable(term));
    }

    /// The same, with so many of its entries on its own disk.
    pub(crate) fn acknowledge_on(&mut self, term: Term, up_to: u64, on_disk: u64) {
        if up_to > on_disk {
            self.violated(format!(
                "I1: term {term} acknowledges {up_to} entries, {on_disk} are on disk"
            ));
        }
        let mut missing = None;
        for (later, history) in self.served.iter().rev() {
            if later.epoch <= term.epoch {
                break;
            }
            let kept = history.get(&term).copied().unwrap_or(0);
            if kept < up_to {
                missing = Some((*later, kept));
            }
        }
        if let Some((later, kept)) = missing {
            self.violated(format!(
                "I2: term {term} acknowledges {up_to} entries, the serving term {later} has {kept}"
            ));
        }
        let acknowledged = self.acknowledged.entry(term).or_default();
        *acknowledged = up_to.max(*acknowledged);
    }

    /// A client is given something that depends on no entry.
    pub(crate) fn deliver(&mut self, term: Term, strict: bool) {
        self.deliveries += 1;
        let Some((newest, _)) = self.served.last_key_value() else {
            return self.violated(format!("I8: term {term} delivers, and no term ever served"));
        };
        if strict && newest.epoch > term.epoch {
            let newest = *newest;
            self.violated(format!(
                "I8: term {term} delivers while term {newest} serves"
            ));
        }
    }

    /// A person accepts that what was acknowledged up to here is lost.
    pub(crate) fn accept_loss(&mut self) {
        self.acknowledged.clear();
        self.served.clear();
    }

    /// Whether this term has started to serve.
    pub(crate) fn has_served(&self, term: Term) -> bool {
        self.served.contains_key(&term)
    }

    /// How many entries were acknowledged in all.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.values().sum()
    }

    /// How many terms served.
    pub(crate) fn terms_served(&self) -> u64 {
        self.served.len() as u64
    }
}
