//! What a store of one side keeps beside its journal: its identity, the newest pair record, and the lock that one
//! process holds for its life.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use journal::mirror::TermEnd;
use pair::{Incarnation, Log, LogFacts, Position, Record, StoreId, Term};

const ID: &str = "store-id";
const RECORD: &str = "pair-record";
const LOCK: &str = "store.lock";

/// The store of one side, which this process alone uses.
pub(crate) struct OwnStore {
    dir: PathBuf,
    id: StoreId,
    record: Option<Box<Record>>,
    _lock: File,
}

impl OwnStore {
    /// Takes the store in `dir`, which exists; a new one gets an identity.
    pub(crate) fn open(dir: &Path) -> Result<Self, String> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            format!(
                "the store {} cannot be used: {what}: {error}",
                dir.display()
            )
        };
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(LOCK))
            .map_err(|error| failed(LOCK, &error))?;
        match arbiter::lock::try_exclusive(&lock) {
            Ok(true) => {}
            Ok(false) => {
                return Err(format!(
                    "the store {} is in use by another process: each side of a replicated pair needs a store of its own",
                    dir.display()
                ));
            }
            Err(error) => return Err(failed(LOCK, &error)),
        }
        let id = match fs::read_to_string(dir.join(ID)) {
            Ok(text) => text.trim().parse().map_err(|error| failed(ID, &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => new_id(dir)?,
            Err(error) => return Err(failed(ID, &error)),
        };
        // Only a memory for the loss of the arbiter's: one that cannot be read is as good as none.
        let record = fs::read(dir.join(RECORD)).ok();
        let record = record.and_then(|text| Record::parse(&text).ok());
        Ok(Self {
            dir: dir.to_owned(),
            id,
            record: record.map(Box::new),
            _lock: lock,
        })
    }

    /// Its identity.
    pub(crate) fn id(&self) -> String {
        self.id.to_string()
    }

    /// Gives it another identity.
    pub(super) fn renew(&mut self) -> Result<(), String> {
        self.id = new_id(&self.dir)?;
        Ok(())
    }

    /// Keeps a record, the newest one known.
    pub(super) fn keep(&mut self, record: &Record) -> Result<(), String> {
        let text = record.to_json().map_err(|error| error.to_string())?;
        replace(&self.dir, RECORD, text.as_bytes()).map_err(|error| error.to_string())?;
        self.record = Some(Box::new(record.clone()));
        Ok(())
    }

    /// What is on its disk.
    pub(super) fn facts(&self, ends: &[TermEnd]) -> LogFacts {
        let position = |term: journal::TermId, seq| Position {
            term: Term {
                epoch: term.epoch,
                inc: Incarnation(term.incarnation),
            },
            seq,
        };
        let terms = ends.iter().map(|end| position(end.term, end.last));
        let oldest = ends.first();
        LogFacts {
            store: self.id,
            log: Log::new(terms.collect()),
            oldest: oldest.map(|it| position(it.term, it.first.saturating_sub(1))),
            // A copy has other names until it is whole (`journal::mirror`).
            incomplete: false,
            record: self.record.clone(),
        }
    }
}

fn new_id(dir: &Path) -> Result<StoreId, String> {
    let id = StoreId::new(crate::random::bytes()?);
    replace(dir, ID, format!("{id}\n").as_bytes())
        .map_err(|error| format!("{}: {error}", dir.join(ID).display()))?;
    Ok(id)
}

/// Replaces a file whole, or not at all, and syncs it.
fn replace(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_its_identity_and_has_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = OwnStore::open(dir.path()).unwrap();
        let id = store.facts(&[]).store;
        let busy = OwnStore::open(dir.path()).err().unwrap();
        assert!(busy.contains("in use by another process"), "{busy}");
        let record = Record::first("node", pair::Mode::Replication);
        store.keep(&record).unwrap();
        drop(store);
        let mut store = OwnStore::open(dir.path()).unwrap();
        let facts = store.facts(&[]);
        assert_eq!(facts.store, id);
        assert_eq!(facts.record.as_deref(), Some(&record));
        store.renew().unwrap();
        assert_ne!(store.facts(&[]).store, id);
        drop(store);
        fs::write(dir.path().join(ID), "nonsense").unwrap();
        assert!(OwnStore::open(dir.path()).is_err(), "never guessed");
    }
}
