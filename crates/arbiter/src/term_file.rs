//! Term files: the lock and the fence mark of one term of a shared store (rule 3).
//!
//! `term.EPOCH.INC` is created and locked by a taker before its takeover write. Its lock is an open file
//! description lock: it ends with the process, however that ends, and not when some other descriptor of the file
//! is closed. Its first byte is the fence mark, which only ever goes from open to fenced: late or competing takers
//! cannot undo each other.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use pair::Term;
use thiserror::Error;

use crate::directory::sync_dir;
use crate::lock;

const OPEN: u8 = b'o';
const FENCED: u8 = b'F';
/// Epochs for which the files of replaced terms stay: far more than takers can be under way. A taker looks at each
/// of them, so they must not grow in number for ever.
const KEPT_EPOCHS: u64 = 16;
/// Scratch file of the self-test; its content never matters.
const SELF_TEST: &str = ".lock-self-test";

/// The term file of a term of this process; its lock lasts until this is dropped.
#[derive(Debug)]
pub struct TermFile {
    _locked: File,
}

/// Why a term file could not be used.
#[derive(Debug, Error)]
#[error("cannot {action} the term file {}: {source}", path.display())]
pub struct TermFileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// What a test of a term's lock finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Somebody holds it.
    Held,
    /// Nobody does, and nobody ever will again.
    Free,
    /// There is no such file.
    Absent,
}

/// The fence mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Nobody has replaced this term.
    Open,
    /// A taker has.
    Fenced,
    /// The file is gone, which counts as fenced.
    Missing,
}

impl TermFile {
    /// Creates the file of a new term, with the mark open, and locks it.
    pub fn create(dir: &Path, term: Term) -> Result<Self, TermFileError> {
        let path = dir.join(term.file_name());
        let create = || {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path)?;
            if !lock::try_exclusive(&file)? {
                return Err(io::Error::other("another process holds its lock"));
            }
            file.write_all_at(&[OPEN], 0)?;
            file.sync_all()?;
            sync_dir(dir)?;
            Ok(Self { _locked: file })
        };
        create().map_err(|source| TermFileError {
            action: "create",
            path: path.clone(),
            source,
        })
    }

    /// Deletes the file of a term that its taker did not get. A missing file is fine.
    pub fn delete(dir: &Path, term: Term) -> Result<(), TermFileError> {
        let path = dir.join(term.file_name());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(TermFileError {
                action: "delete",
                path,
                source: error,
            }),
            _ => Ok(()),
        }
    }

    /// Sets the mark of a replaced term, durably. A missing file counts as marked.
    pub fn fence(dir: &Path, term: Term) -> Result<(), TermFileError> {
        let path = dir.join(term.file_name());
        let fence = || match OpenOptions::new().write(true).open(&path) {
            Ok(file) => {
                file.write_all_at(&[FENCED], 0)?;
                file.sync_all()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        fence().map_err(|source| TermFileError {
            action: "fence",
            path: path.clone(),
            source,
        })
    }

    /// Sets the mark of every term below this one whose file is here, also of those that no record knows. Fails if
    /// the file of a later term is here: then the record that led to this one was rolled back.
    ///
    /// Each taker has made its own file before it looks for the others', so of two takers one sees the other.
    pub fn fence_below(dir: &Path, own: Term) -> Result<(), TermFileError> {
        let terms = Self::list(dir)?;
        if let Some(newer) = terms.iter().rfind(|term| term.epoch > own.epoch) {
            let epoch = own.epoch;
            return Err(TermFileError {
                action: "take over beside",
                path: dir.join(newer.file_name()),
                source: io::Error::other(format!(
                    "its term comes after epoch {epoch}, so the pair record was rolled back; stop the other side \
                     and start it again, or restore the record"
                )),
            });
        }
        for lower in terms.into_iter().filter(|term| term.epoch < own.epoch) {
            if Self::mark(dir, lower)? == Mark::Open {
                Self::fence(dir, lower)?;
            }
            // A missing file counts as marked, so it may go, unless a process still hangs on it.
            let old = lower.epoch.saturating_add(KEPT_EPOCHS) <= own.epoch;
            if old && matches!(Self::probe(dir, lower), Ok(Probe::Free)) {
                // Only tidiness: what stays is looked at again by the next taker.
                let _ = Self::delete(dir, lower);
            }
        }
        Ok(())
    }

    /// The terms whose files are here, ascending.
    fn list(dir: &Path) -> Result<Vec<Term>, TermFileError> {
        let list = || {
            let mut terms = Vec::new();
            for entry in fs::read_dir(dir)? {
                terms.extend(entry?.file_name().to_str().and_then(Term::from_file_name));
            }
            terms.sort_unstable();
            Ok(terms)
        };
        list().map_err(|source| TermFileError {
            action: "look for",
            path: dir.to_owned(),
            source,
        })
    }

    /// Every term whose file is here, ascending, and one of them that may still be held: its mark is open, and its
    /// lock is held or could not be tested.
    pub fn survey(dir: &Path) -> Result<(Vec<Term>, Option<Term>), TermFileError> {
        let terms = Self::list(dir)?;
        let mut living = None;
        for term in &terms {
            let held = match Self::mark(dir, *term)? {
                Mark::Fenced | Mark::Missing => false,
                Mark::Open => !matches!(Self::probe(dir, *term), Ok(Probe::Free | Probe::Absent)),
            };
            if held {
                living = Some(*term);
            }
        }
        Ok((terms, living))
    }

    /// Reads the mark through a new open, which is what makes a network file system look at its server.
    pub fn mark(dir: &Path, term: Term) -> Result<Mark, TermFileError> {
        let path = dir.join(term.file_name());
        let mark = || {
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Mark::Missing),
                Err(error) => return Err(error),
            };
            let mut byte = [0];
            match file.read_at(&mut byte, 0)? {
                1 if byte[0] == OPEN => Ok(Mark::Open),
                // An empty file, or a byte that nobody writes: not known to be open is fenced.
                _ => Ok(Mark::Fenced),
            }
        };
        mark().map_err(|source| TermFileError {
            action: "read",
            path: path.clone(),
            source,
        })
    }

    /// Tests the lock of a term without taking it.
    pub fn probe(dir: &Path, term: Term) -> Result<Probe, TermFileError> {
        let path = dir.join(term.file_name());
        let probe = || {
            let file = match OpenOptions::new().read(true).write(true).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Probe::Absent),
                Err(error) => return Err(error),
            };
            Ok(if lock::is_held(&file)? {
                Probe::Held
            } else {
                Probe::Free
            })
        };
        probe().map_err(|source| TermFileError {
            action: "test the lock of",
            path: path.clone(),
            source,
        })
    }

    /// Whether a second descriptor of a locked scratch file is refused here.
    pub fn self_test(dir: &Path) -> Result<bool, TermFileError> {
        let path = dir.join(format!("{SELF_TEST}.{}", std::process::id()));
        let test = || {
            let open = || {
                let mut options = OpenOptions::new();
                options
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(&path)
            };
            let (first, second) = (open()?, open()?);
            // A process of the same number in another container may be at it too. Then the first lock is
            // refused, which proves that locks work.
            let refused = lock::is_held(&second)? || !lock::try_exclusive(&first)?;
            Ok(refused || (lock::is_held(&second)? && !lock::try_exclusive(&second)?))
        };
        let works = test();
        // Left behind it would only be reused by the next test of the same process number.
        let _ = fs::remove_file(&path);
        works.map_err(|source| TermFileError {
            action: "test locks with",
            path: path.clone(),
            source,
        })
    }
}
