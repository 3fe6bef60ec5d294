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
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pair::{FORMAT, MAX_RECORD_BYTES, Record, RecordError, Versioned};
use thiserror::Error;

/// Versions kept: enough for a person to see what happened, and far more than a live writer falls behind.
const KEPT_VERSIONS: u64 = 16;
/// Times a listing is taken again because the file it named was pruned meanwhile.
const LISTINGS: usize = 8;
/// Leftovers of crashed processes that a new temporary file steps over.
const MAX_LEFTOVERS: u32 = 1_000;
const PREFIX: &str = "record.";

/// The pair record of one pair, in a directory that both sides see.
#[derive(Debug)]
pub struct DirectoryArbiter {
    dir: PathBuf,
    /// Makes the names of temporary files of this process unlike each other.
    writes: AtomicU64,
    /// The version this process read or wrote last, and its text: what a write is based on. After the folder
    /// was lost and filled anew the same number can be another record.
    seen: Mutex<Option<(u64, Vec<u8>)>>,
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
    /// Such a record cannot be written; nothing was tried.
    Refused(RecordError),
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
            seen: Mutex::new(None),
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
        match text_of(record) {
            Ok(text) => self.try_cas(base, text).unwrap_or_else(Outcome::Unknown),
            Err(error) => Outcome::Refused(error),
        }
    }

    /// Writes the first version if there is none.
    pub fn create(&self, record: &Record) -> Outcome {
        match text_of(record) {
            Ok(text) => self.try_create(text).unwrap_or_else(Outcome::Unknown),
            Err(error) => Outcome::Refused(error),
        }
    }

    fn try_cas(&self, base: u64, text: Vec<u8>) -> io::Result<Outcome> {
        let Some(before) = self.base_text(base)? else {
            return Ok(Outcome::Conflict);
        };
        if self.versions()?.last() != Some(&base) {
            // What is concluded from it (an earlier try of this side may be the one that won) must outlive
            // the file server.
            sync_dir(&self.dir)?;
            return Ok(Outcome::Conflict);
        }
        let version = base + 1;
        if !self.link(version, &text)? {
            return Ok(Outcome::Conflict);
        }
        // A writer that was frozen while sixteen versions passed links a number that was pruned, and would
        // believe that it won: the base must still be there, unchanged.
        if self.text_if_there(base)?.as_ref() != Some(&before) {
            return self.take_back(version);
        }
        self.remember(version, text);
        self.prune(version);
        Ok(Outcome::Won { version })
    }

    fn try_create(&self, text: Vec<u8>) -> io::Result<Outcome> {
        if !self.versions()?.is_empty() {
            return Ok(Outcome::Conflict);
        }
        if !self.link(1, &text)? {
            return Ok(Outcome::Conflict);
        }
        // A writer that was frozen since before the first record links a number that was pruned. Until
        // something is pruned the link itself proves that it was the first, even if others have built on it
        // since; taking it back then would lose their record.
        let versions = self.versions()?;
        let unbroken = versions.iter().copied().eq(1..=versions.len() as u64);
        if !unbroken || versions.len() as u64 > KEPT_VERSIONS {
            return self.take_back(1);
        }
        self.remember(1, text);
        Ok(Outcome::Won { version: 1 })
    }

    fn take_back(&self, version: u64) -> io::Result<Outcome> {
        match fs::remove_file(self.path(version)) {
            // Somebody has pruned it already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        sync_dir(&self.dir)?;
        Ok(Outcome::Conflict)
    }

    fn remember(&self, version: u64, text: Vec<u8>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, text));
    }

    /// The text a write on this version is based on; `None` if the version is gone.
    fn base_text(&self, base: u64) -> io::Result<Option<Vec<u8>>> {
        let seen = self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match seen {
            Some((version, text)) if version == base => Ok(Some(text)),
            Some(_) | None => self.text_if_there(base),
        }
    }

    fn text_if_there(&self, version: u64) -> io::Result<Option<Vec<u8>>> {
        match self.text(version) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => text.map(Some),
        }
    }

    /// Writes the version whole and links it into place; false if there is one of that number.
    fn link(&self, version: u64, text: &[u8]) -> io::Result<bool> {
        let (mut file, temporary) = self.temporary()?;
        let path = self.path(version);
        let linked = file
            .write_all(text)
            .and_then(|()| file.sync_all())
            .and_then(|()| {
                match fs::hard_link(&temporary, &path) {
                    // A network file system may have made the link and lost the answer: its second try then
                    // finds its own first one.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        is_same(&file, &path)
                    }
                    linked => linked.map(|()| true),
                }
            });
        // The name is only scaffolding; left behind it takes a few hundred bytes and is never read.
        let _ = fs::remove_file(&temporary);
        let linked = linked?;
        sync_dir(&self.dir)?;
        Ok(linked)
    }

    /// A new file of this process alone: in containers of their own two processes can have the same number.
    fn temporary(&self) -> io::Result<(File, PathBuf)> {
        let count = self.writes.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        for turn in 0..MAX_LEFTOVERS {
            let path = self.dir.join(format!(".record.{pid}.{count}.{turn}.tmp"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => return file.map(|file| (file, path)),
            }
        }
        Err(io::Error::other(format!(
            "{MAX_LEFTOVERS} temporary files are in the way: remove them"
        )))
    }

    /// Deletes what is older than the last versions, lowest first, one at a time. It is judged by number and not
    /// by count: a frozen writer's leftover must not push a newer version out.
    fn prune(&self, newest: u64) {
        let Ok(versions) = self.versions() else {
            return;
        };
        for version in versions
            .into_iter()
            .take_while(|version| version + KEPT_VERSIONS <= newest)
        {
            if let Err(error) = fs::remove_file(self.path(version))
                && error.kind() != io::ErrorKind::NotFound
            {
                // It will be done with the next write.
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
        let record = Record::parse(&text).map_err(|source| match source {
            RecordError::NewerFormat { format } => ReadError::NewerFormat { path, format },
            source @ (RecordError::TooLarge { .. } | RecordError::Malformed(_)) => {
                ReadError::Malformed { path, source }
            }
        })?;
        self.remember(version, text);
        Ok(record)
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

/// The text to be written, which every reader takes.
fn text_of(record: &Record) -> Result<Vec<u8>, RecordError> {
    record.to_json().map(String::into_bytes)
}

/// Makes names in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether the name leads to this very file.
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let (one, other) = (file.metadata()?, fs::metadata(path)?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}
