//! The pair record, as the supervisor uses it: it makes the first one, looks at it, and asks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arbiter::{DirectoryArbiter, ForceOrder, Forced, Outcome, ReadError, Seen};
use pair::{Incarnation, Mode, Record, Side, Wanted};

use super::credentials::{self, CredentialsError, node_id};
use super::state_dir::StateDir;
use super::time::now;
use crate::policy::{Observed, RecordSeen};

/// How often a change is decided anew on a record that somebody else has just written. Brokers write a handful
/// of times around a change of role and then nothing.
const CHANGE_TRIES: u32 = 16;

/// The folder of the store that only a pair with a history fills.
const JOURNAL: &str = "journal";

/// Why the pair record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is there but cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Data without a record is no new pair (rule 7).
    #[error(
        "the store {} has data, but the pair record in {} is gone: make it again from the store with \
         `tandem-broker pair force {} --holder-is-dead`, or move the store away to begin with an empty one",
        store.display(), arbiter.display(), instance.display()
    )]
    Lost {
        /// The store.
        store: PathBuf,
        /// Where the record was.
        arbiter: PathBuf,
        /// The primary's instance.
        instance: PathBuf,
    },
    /// The first record was written and is not there.
    #[error("the pair record could not be written to {}: {why}", arbiter.display())]
    NotWritten {
        /// Where.
        arbiter: PathBuf,
        /// What happened.
        why: String,
    },
    /// No node ID could be made.
    #[error(transparent)]
    Random(#[from] CredentialsError),
}

/// The pair record in the pair's folder. Its calls block on files.
#[derive(Clone, Debug)]
pub(crate) struct PairRecord {
    arbiter: Arc<DirectoryArbiter>,
    mode: Mode,
}

/// A person's word that the active is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Who says so.
    pub(crate) by: String,
    /// In replication: messages may be lost that only the other side has.
    pub(crate) accepts_data_loss: bool,
}

/// How the writing of a request, or of its end, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is done: the request is in the record, or gone from it.
    Yes,
    /// The record as it is now gives no reason for it: to be decided anew.
    Changed,
    /// It could not be written.
    Failed(String),
}

impl PairRecord {
    /// Opens the record of a pair, and makes the first one of a new pair.
    pub(crate) fn open_or_make(dir: &StateDir, mode: Mode) -> Result<Self, RecordError> {
        let place = dir.arbiter();
        let stores = dir.stores(mode);
        let mut with_data = None;
        for store in &stores {
            if has_data(store)? {
                with_data = Some(store.clone());
            }
        }
        fs::create_dir_all(&place).map_err(|source| RecordError::Io {
            action: "create",
            path: place.clone(),
            source,
        })?;
        let arbiter = DirectoryArbiter::open(&place)?;
        if arbiter.read()?.is_none() {
            if let Some(store) = with_data {
                return Err(RecordError::Lost {
                    store,
                    arbiter: place,
                    instance: dir.instance(Side::Primary),
                });
            }
            let outcome = arbiter.create(&Record::first(&node_id()?, mode));
            // Whoever was first: what counts is that one is there.
            if arbiter.read()?.is_none() {
                let why = match outcome {
                    Outcome::Unknown(error) => error.to_string(),
                    Outcome::Refused(error) => error.to_string(),
                    Outcome::Won { .. } | Outcome::Conflict => "it is not there".to_owned(),
                };
                return Err(RecordError::NotWritten {
                    arbiter: place,
                    why,
                });
            }
        }
        // Only a pair that never ran may find no store: later it would be one that is not mounted.
        if arbiter.read()?.is_some_and(|found| found.record.epoch == 0) {
            for store in stores {
                let journal = store.join(JOURNAL);
                fs::create_dir_all(&journal).map_err(|source| RecordError::Io {
                    action: "create",
                    path: journal,
                    source,
                })?;
            }
        }
        Ok(Self {
            arbiter: Arc::new(arbiter),
            mode,
        })
    }

    /// What the record says.
    pub(crate) fn look(&self) -> Observed<RecordSeen> {
        match self.arbiter.read() {
            Ok(Some(found)) => Observed::Known(RecordSeen::of(&found.record)),
            Ok(None) => Observed::Absent,
            Err(error) => Observed::Unknown {
                why: error.to_string(),
            },
        }
    }

    /// Asks for a switchover in an epoch, unless the record is of another one by now or somebody
    /// else asked already.
    pub(crate) fn ask(&self, to: Side, epoch: u64, id: &str) -> Asked {
        let wanted = Wanted {
            to,
            epoch,
            id: id.to_owned(),
        };
        self.change(|record| {
            let is_open = record.epoch == epoch && record.wanted_now().is_none();
            is_open.then(|| record.with_wanted(wanted.clone()))
        })
    }

    /// Takes a request back, if it is still in force.
    pub(crate) fn withdraw(&self, epoch: u64, id: &str) -> Asked {
        self.change(|record| {
            let wanted = record.wanted_now()?;
            // Who asks is no holder: only the request goes, as `Record::with_wanted` only sets it.
            (wanted.epoch == epoch && wanted.id == id).then(|| Record {
                wanted: None,
                ..record.clone()
            })
        })
    }

    /// Writes that a side shall take over, by a person's word that the active is dead; `store` is the folder of the
    /// pair's data. Refused while `look` shows a sign of life.
    pub(crate) fn force(
        &self,
        store: &Path,
        side: Side,
        word: &Word,
        look: impl FnMut() -> Seen,
    ) -> Result<Forced, String> {
        let random = |error: CredentialsError| format!("{error}. Nothing was forced");
        let order = ForceOrder {
            side,
            mode: self.mode,
            accepts_data_loss: word.accepts_data_loss,
            by: word.by.clone(),
            at_unix_ms: now().0,
            writer: Incarnation(credentials::random().map_err(random)?),
            new_pair: node_id().map_err(random)?,
        };
        let forced = arbiter::force(self.arbiter.as_ref(), &store.join(JOURNAL), &order, look);
        forced.map_err(|error| {
            let nothing = if error.changed_nothing() {
                ". Nothing was forced"
            } else {
                ""
            };
            format!("{error}{nothing}")
        })
    }

    /// One write by compare-and-set, unless the record as it is gives no reason for it. Beside another writer it
    /// is decided again on what that one wrote (A3): a broker that notes its standby at this very moment makes
    /// no request void.
    fn change(&self, next: impl Fn(&Record) -> Option<Record>) -> Asked {
        let mut tried = None;
        for _ in 0..CHANGE_TRIES {
            let found = match self.arbiter.read() {
                Ok(Some(found)) => found,
                Ok(None) => return Asked::Changed,
                Err(error) => return Asked::Failed(error.to_string()),
            };
            // A conflict is not a "no" (A2).
            if tried.as_ref() == Some(&found.record) {
                return Asked::Yes;
            }
            let Some(next) = next(&found.record) else {
                return Asked::Changed;
            };
            match self.arbiter.cas(found.version, &next) {
                Outcome::Won { .. } => return Asked::Yes,
                Outcome::Conflict => tried = Some(next),
                // The next look tells whether it is in place; each request has a name of its own.
                Outcome::Unknown(error) => return Asked::Failed(error.to_string()),
                Outcome::Refused(error) => return Asked::Failed(error.to_string()),
            }
        }
        Asked::Failed(format!(
            "the pair record was written by others {CHANGE_TRIES} times in between"
        ))
    }
}

/// Whether a store was ever used.
fn has_data(store: &Path) -> Result<bool, RecordError> {
    let path = store.join(JOURNAL);
    match fs::read_dir(&path) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(RecordError::Io {
            action: "list",
            path,
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::locate(Some(dir.path()), "orders").unwrap();
        (dir, state)
    }

    #[test]
    fn a_new_pair_gets_one_record_and_keeps_it() {
        let (_dir, state) = state();
        let record = PairRecord::open_or_make(&state, Mode::SharedStore).unwrap();
        let Observed::Known(first) = record.look() else {
            panic!("it was made")
        };
        assert_eq!((first.epoch, first.holder), (0, None));
        let id = || record.arbiter.read().unwrap().unwrap().record.pair;
        let node_id = id();
        PairRecord::open_or_make(&state, Mode::SharedStore).unwrap();
        assert_eq!(id(), node_id);
    }

    #[test]
    fn data_without_a_record_is_no_new_pair() {
        let (_dir, state) = state();
        fs::create_dir_all(state.store().join("journal")).unwrap();
        fs::write(state.store().join("journal/segment"), "x").unwrap();
        let error = PairRecord::open_or_make(&state, Mode::SharedStore)
            .unwrap_err()
            .to_string();
        assert!(error.contains("has data, but the pair record"), "{error}");
        assert!(error.contains("primary --holder-is-dead"), "{error}");
    }

    #[test]
    fn a_request_is_written_once_and_only_in_its_epoch() {
        let (_dir, state) = state();
        let record = PairRecord::open_or_make(&state, Mode::SharedStore).unwrap();
        assert_eq!(record.ask(Side::Primary, 7, "x"), Asked::Changed);
        assert_eq!(record.ask(Side::Primary, 0, "x"), Asked::Yes);
        assert_eq!(record.ask(Side::Primary, 0, "x"), Asked::Changed);
        let Observed::Known(seen) = record.look() else {
            panic!("it is there")
        };
        assert_eq!(seen.wanted, Some((Side::Primary, "x".to_owned())));

        assert_eq!(record.withdraw(0, "y"), Asked::Changed);
        assert_eq!(record.withdraw(0, "x"), Asked::Yes);
        assert_eq!(record.withdraw(0, "x"), Asked::Changed);
        assert_eq!(record.ask(Side::Primary, 0, "x"), Asked::Yes);
    }

    /// Somebody else writes the record between the look at it and the change of it.
    fn beside_another_writer(record: &PairRecord, times: u32, wanted: &Wanted) -> Asked {
        let left = std::cell::Cell::new(times);
        record.change(|seen| {
            if let Some(fewer) = left.get().checked_sub(1) {
                left.set(fewer);
                let found = record.arbiter.read().unwrap().unwrap();
                let other = Record {
                    transitions: seen.transitions + 1,
                    ..found.record
                };
                let outcome = record.arbiter.cas(found.version, &other);
                assert!(matches!(outcome, Outcome::Won { .. }), "{outcome:?}");
            }
            let is_open = seen.wanted_now().is_none();
            is_open.then(|| seen.with_wanted(wanted.clone()))
        })
    }

    #[test]
    fn a_request_beside_another_writer_is_decided_again_and_written() {
        let (_dir, state) = state();
        let record = PairRecord::open_or_make(&state, Mode::SharedStore).unwrap();
        let wanted = Wanted {
            to: Side::Primary,
            epoch: 0,
            id: "x".to_owned(),
        };
        let asked = beside_another_writer(&record, CHANGE_TRIES, &wanted);
        assert!(matches!(asked, Asked::Failed(_)), "bounded: {asked:?}");
        assert_eq!(beside_another_writer(&record, 2, &wanted), Asked::Yes);
        let found = record.arbiter.read().unwrap().unwrap().record;
        assert_eq!(
            found.transitions,
            u64::from(CHANGE_TRIES) + 2,
            "nothing is undone"
        );
        assert_eq!(found.wanted, Some(wanted));
    }
}
