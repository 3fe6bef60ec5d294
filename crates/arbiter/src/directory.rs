//! The pair record in a directory: a compare-and-set register made of files and hard links (A5).
//!
//! ```text
//! record.7   record.8   record.9        the highest number is the record
//!                          ▲
//!   .record.NAME.tmp ── link(2) ── fails if another was first
//! ```
//! A version is a file that is written whole, fsynced and then linked into place, so it is never seen half
//! written and never replaced. No lock is needed, so a frozen process can hold none. The directory must survive
//! the machine of the active broker, or it is no arbiter for it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use pair::{FORMAT, MAX_RECORD_BYTES, Record, RecordError, Versioned};
use thiserror::Error;

/// Versions kept: enough for a person to see what happened, and far more than a live writer falls behind.
const KEPT_VERSIONS: usize = 16;
/// Times a listing is taken again because the file it named was pruned meanwhile.
const LISTINGS: usize = 8;
const PREFIX: &str = "record.";

/// The pair record of one pair, in a directory that both sides see.
#[derive(Debug)]
pub struct DirectoryArbiter {
    dir: PathBuf,
    /// Makes the names of temporary files of this process unlike each other.
    writes: AtomicU64,
}

/// Why the record was not read. None of these means that there is none.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file system did not answer, or said no.
    #[error("cannot read the pair record in {}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no record. Files appear whole, so it was damaged afterwards, or is something else.
    #[error("{}: {source}; restore this file from a copy, or remove it if a lower number is the right one", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A newer version of this program wrote it.
    #[error("{} has format {format}; this program knows formats up to {FORMAT}: upgrade it", path.display())]
    NewerFormat {
        /// Which file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
}

/// How a write ended.
#[derive(Debug)]
pub enum Outcome {
    /// It is in place.
    Won {
        /// Its version.
        version: u64,
    },
    /// The base is not, or no longer, the newest version. Not a "no": the record may be one's own (A2).
    Conflict,
    /// No definite answer: it may be in place (A1). To be sent again as it is.
    Unknown(io::Error),
}

impl DirectoryArbiter {
    /// The arbiter in `dir`, which exists.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ReadError> {
        let dir = dir.into();
        let failed = |source| ReadError::Io {
            path: dir.clone(),
            source,
        };
        if !fs::metadata(&dir).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self {
            dir,
            writes: AtomicU64::new(0),
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The newest version; `None` if the folder was listed and holds none.
    pub fn read(&self) -> Result<Option<Versioned>, ReadError> {
        let mut last = None;
        for _ in 0..LISTINGS {
            let Some(version) = self.newest()? else {
                return Ok(None);
            };
            match self.read_version(version) {
                Ok(record) => return Ok(Some(Versioned { version, record })),
                // Pruned between listing and opening: sixteen newer ones exist.
                Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    last = Some(source);
                }
                Err(error) => return Err(error),
            }
        }
        let source = last.unwrap_or_else(|| io::ErrorKind::NotFound.into());
        Err(ReadError::Io {
            path: self.dir.clone(),
            source,
        })
    }

    /// Replaces version `base` by `record` if it is the newest and still there.
    pub fn cas(&self, base: u64, record: &Record) -> Outcome {
        self.try_cas(base, record).unwrap_or_else(Outcome::Unknown)
    }

    /// Writes the first version if there is none.
    pub fn create(&self, record: &Record) -> Outcome {
        self.try_create(record).unwrap_or_else(Outcome::Unknown)
    }

    fn try_cas(&self, base: u64, record: &Record) -> io::Result<Outcome> {
        let version = base + 1;
        let before = match self.text(base) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Outcome::Conflict),
            Err(error) => return Err(error),
        };
        if !self.link(version, record)? {
            return Ok(Outcome::Conflict);
        }
        // A writer that was frozen while sixteen versions passed links a number that was pruned, and would
        // believe that it won: the base must still be there, unchanged.
        match self.text(base) {
            Ok(text) if text == before => {
                self.prune(version);
                Ok(Outcome::Won { version })
            }
            Ok(_) => self.take_back(version),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.take_back(version),
            Err(error) => Err(error),
        }
    }

    fn try_create(&self, record: &Record) -> io::Result<Outcome> {
        if self.versions()?.last().is_some() || !self.link(1, record)? {
            return Ok(Outcome::Conflict);
        }
        if self.versions()?.last() == Some(&1) {
            Ok(Outcome::Won { version: 1 })
        } else {
            self.take_back(1)
        }
    }

    fn take_back(&self, version: u64) -> io::Result<Outcome> {
        fs::remove_file(self.path(version))?;
        sync_dir(&self.dir)?;
        Ok(Outcome::Conflict)
    }

    /// Writes the version whole and links it into place; `false` if there is one of that number.
    fn link(&self, version: u64, record: &Record) -> io::Result<bool> {
        let text = record.to_json().map_err(io::Error::other)?;
        let count = self.writes.fetch_add(1, Ordering::Relaxed);
        let temporary = self
            .dir
            .join(format!(".record.{}.{count}.tmp", std::process::id()));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            match fs::hard_link(&temporary, self.path(version)) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            }
        };
        let linked = write();
        // The name is only scaffolding; if it stays, the next write of this name truncates it.
        let _ = fs::remove_file(&temporary);
        let linked = linked?;
        sync_dir(&self.dir)?;
        Ok(linked)
    }

    /// Deletes what is older than the last versions, lowest first: a reader never sees a gap below the newest.
    fn prune(&self, newest: u64) {
        let Ok(versions) = self.versions() else {
            return;
        };
        let surplus = versions.len().saturating_sub(KEPT_VERSIONS);
        for version in versions
            .into_iter()
            .take(surplus)
            .filter(|version| *version < newest)
        {
            if fs::remove_file(self.path(version)).is_err() {
                // Somebody else prunes, or it will be done with the next write.
                return;
            }
        }
    }

    fn newest(&self) -> Result<Option<u64>, ReadError> {
        let versions = self.versions();
        let versions = versions.map_err(|source| ReadError::Io {
            path: self.dir.clone(),
            source,
        })?;
        Ok(versions.last().copied())
    }

    /// All versions, ascending.
    fn versions(&self) -> io::Result<Vec<u64>> {
        let mut versions = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            // Only the spelling this program writes: `record.07` is not version 7.
            let version = number.and_then(|number| {
                number
                    .parse::<u64>()
                    .ok()
                    .filter(|n| n.to_string() == number)
            });
            versions.extend(version);
        }
        versions.sort_unstable();
        Ok(versions)
    }

    fn read_version(&self, version: u64) -> Result<Record, ReadError> {
        let path = self.path(version);
        let text = self.text(version).map_err(|source| ReadError::Io {
            path: path.clone(),
            source,
        })?;
        Record::parse(&text).map_err(|source| match source {
            RecordError::NewerFormat { format } => ReadError::NewerFormat { path, format },
            source => ReadError::Malformed { path, source },
        })
    }

    fn text(&self, version: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let file = File::open(self.path(version))?;
        // One byte more than any record has, so that a longer file is refused and not cut.
        file.take(MAX_RECORD_BYTES as u64 + 1)
            .read_to_end(&mut text)?;
        Ok(text)
    }

    fn path(&self, version: u64) -> PathBuf {
        self.dir.join(format!("{PREFIX}{version}"))
    }
}

/// Makes names in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
